"""Set-up: everything that a fresh machine lacks, each piece once.

What cannot be had is said by name and is no failure here: the matrix tells which cells did not run for it.
"""

import os
import sys

from tools.base.report import Unavailable, say
from tools.environments import debian, linux_python, python_tests, run, tcl, wine, winpython


def tools():
    """What apt installs. On Windows the compiler and the interpreters are whoever's machine it is to
    install."""
    if os.name != "nt":
        debian.install_tools()


def machine():
    """The tools of the machine, two Wine prefixes, the Windows Pythons and Tcls, and the tests of both
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
    """The Python that runs the tests of this machine's side."""
    if os.name == "nt":
        return sys.executable
    return linux_python.python()
