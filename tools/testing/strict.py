"""Strict: runs the hard tests with the build that plays Windows and enforces its rules (docs/windows.md).

Its own tests run first: they break every rule on purpose, and check every play. Then come the fault sweep,
calls that fail, calls that a close stops, sockets that are closed and opened at random, and the soak.
"""

import os

from tools.base.report import say
from tools.environments import run
from tools.environments.setup import machine_python
from tools.load import soak

SWEEP = {False: 30, True: 5}        # faults are injected at every so many calls
SOAK = {False: 3, True: 30}         # minutes


def main(tcl, python, long):
    """Run all tests, even after failures, and return the worst exit status."""
    worst = 0
    os.environ[run.VARIANT] = "strict"
    with run.session("strict") as windows:
        here = [machine_python(), "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tcl", tcl]
        inside = ["-m", "pytest", "-p", "no:cacheprovider", "-q"]
        for command in (run.Command([*map(str, here), "tests/strict"], windows.environment()),
                        run.Command([*map(str, here), "tests/faults", "--every", str(SWEEP[long])],
                                    windows.environment()), windows.python(python, *inside, "tests/calls"),
                        windows.python(python, *inside, "tests/python/test_reopen.py")):
            say(f"-- {' '.join(command.argv)}")
            worst = max(worst, windows.pass_through(command))
    say(f"-- soak for {SOAK[long]} minutes")
    return max(worst, soak.main(SOAK[long], tcl))
