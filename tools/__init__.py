"""The tools behind dev.py ("the rig"): Windows interpreters, the cross build, and the test matrix.

Standard library only. Bottom layer first; a package uses only those above it:

    base          report: the rig's messages; cache: directories that are either complete or absent;
                  process: child processes with live pipes and timeouts
    environments  sources: what is downloaded, pinned; debian: apt; system: another Debian in a folder;
                  linux_python: the Python that builds the package; assembled, winpython: CPython for
                  Windows; python_tests: its tests; zig: the compiler for ARM64; tcl: Tcl for Windows;
                  installation: which Wine; wine: its prefixes; run: "give me Python 3.12 or Tcl 9.0";
                  native: the same on Windows; cprogram: programs in C; build: the wheel and the unpacked
                  package; setup: everything that a fresh machine lacks
    suites        outcome: the result of a file; tcltest, pysuite: the languages' own tests with our
                  sockets in the place of theirs; suite: the recorded results of either, and regressions;
                  conformance: its page
    load          program, servers: Windows processes under test; peers: native ones; connections, soak,
                  fuzz: the loads that run between them
    bench         the contenders, the scenarios, the runs, their tables and charts
    release       the release artifacts
    testing       matrix: every test cell; strict, probe, fresh

Beside them, requirements/ pins what pip installs, by hash.
"""
