"""Set-up: installs everything that a fresh machine lacks, each piece once.

Whatever is not available is named and is no failure here: the matrix reports the cells that do not run
without it.
"""

import os
import sys

from tools.base.report import Unavailable, say
from tools.environments import debian, linux_python, python_tests, run, tcl, wine, winpython


def tools():
    """Install the tools by apt. On Windows the user installs the compiler and the interpreters."""
    if os.name != "nt":
        debian.install_tools()


def machine():
    """Set up the tools of the machine, two Wine prefixes, the Windows Pythons and Tcls, and the tests of both
    languages."""
    tools()
    if os.name == "nt":
        return
    linux_python.python()
    linux_python.windows_packages()
    wine.prepare(min(2, os.cpu_count() or 1))
    wanted = [lambda version=version: winpython.directory(version) for version in run.PYTHON_VERSIONS]
    wanted += [lambda version=version: tcl.shell(version) for version in run.TCL_VERSIONS]
    wanted += [lambda version=version: tcl.suite(version) for version in run.TCL_VERSIONS]
    wanted += [lambda version=version: python_tests.directory(version) for version in run.PYTHON_VERSIONS]
    said = set()
    for get in wanted:
        try:
            get()
        except Unavailable as reason:
            if str(reason) not in said:
                said.add(str(reason))
                say(f"-- not to be had: {reason}")


def machine_python():
    """Set up the Python that runs the tests on this machine's own side."""
    if os.name == "nt":
        return sys.executable
    return linux_python.python()
