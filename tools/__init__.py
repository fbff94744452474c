"""The rig behind dev.py: Windows interpreters, the cross build, and the test matrix.

Standard library only. Bottom layer first; a module uses only those above it:

    report        what the rig says: steps, problems
    cache         directories that are either complete or not there
    process       child processes: live pipes, time-outs, nothing left behind
    sources       what is downloaded, pinned by SHA-256, and where it is looked for
    debian        apt: the tools of the machine, and what is only downloaded of Debian
    system        another Debian in a folder
    hostpython    the Python environment that builds the package and runs the host's tests
    assembled     CPython for Windows, put together from parts: python.c is its python.exe
    winpython     CPython for Windows: embeddable distributions, or one put together
    zig           the compiler for Windows on ARM64
    tcl           Tcl for Windows: tclsh, tcltest, script libraries, test suites
    installation  which Wine: the machine's own, or the one of another Debian
    wine          prefixes: one slot for each program tree that runs at the same time
    run           "give me Python 3.12 or Tcl 9.0": Wine here, installed interpreters on Windows
    cprogram      programs in C for Windows
    build         the wheel and the unpacked package
    tcltest       Tcl's own test suite with socket2 in the place of socket
    pysuite       CPython's own test suite with iocpsock.socket in the place of socket.socket (pysuite_run.py runs its tests)
    suite         either: what is recorded of it, and what is lost
    conformance   docs/conformance.md; conformance_tcl and conformance_python have what is written by hand
    probe         what only the system can answer, asked by a program in C (tests/probe)
    matrix        every test cell, two at a time (plugin/ goes with its pytest)
    fresh         a bare Debian, in which a clone of the checkout follows the README
"""
