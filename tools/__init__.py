"""The rig behind dev.py: Windows interpreters, the cross build, and the test matrix.

Standard library only. Bottom layer first; a package uses only those above it:

    base          report: what the rig says; cache: directories that are either complete or not there;
                  process: child processes with live pipes and time-outs
    environments  sources: what is downloaded, pinned; debian: apt; system: another Debian in a folder;
                  linux_python: the Python that builds the package; assembled, winpython: CPython for
                  Windows; python_tests: its tests; zig: the compiler for ARM64; tcl: Tcl for Windows;
                  installation: which Wine; wine: its prefixes; run: "give me Python 3.12 or Tcl 9.0";
                  native: the same on Windows; cprogram: programs in C; build: the wheel and the unpacked
                  package; setup: all that a fresh machine lacks
    suites        outcome: what a file comes to; tcltest, pysuite: the languages' own tests with our
                  sockets in the place of theirs; suite: what is recorded of either, and what is lost;
                  conformance: its page
    load          program, servers: Windows processes under test; peers: native ones; connections, soak,
                  fuzz: what they do to each other
    bench         who is measured in what, the runs, their tables and charts
    release       what is given away
    testing       matrix: every test cell; strict, probe, fresh

Beside them, requirements/ pins what pip installs, by hash.
"""
