"""On Windows itself: the interpreters that are installed, found by the py launcher and on PATH.

pytest has to be installed in each Python (`py -3.12 -m pip install pytest`). Tcl's shells are looked for under the
names that their distributions use, the test shell as tcltest.exe beside the one of its version.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.report import Unavailable
from tools.run import Command, Session

_SHELLS = {"8.6": ("tclsh86t", "tclsh86", "tclsh8.6"), "9.0": ("tclsh90", "tclsh9.0")}


class NativeSession(Session):
    def path(self, path):
        return str(Path(path).resolve())

    def _environment(self):
        return dict(os.environ)

    def pass_through(self, command):
        return subprocess.run(command.argv, env=command.env).returncode

    def python(self, version, *arguments):
        return Command([*_python(version), *map(str, arguments)], self._python_environment(arguments, self.package))

    def tclsh(self, version, *arguments):
        return Command([_tclsh(version), *map(str, arguments)], self._tcl_environment())

    def extension(self, source):
        raise Unavailable(f"{source.name}: the extensions of the tests are compiled by the cross compiler only")

    def tcltest(self, version, *arguments, stock=False):
        raise Unavailable(f"Tcl {version}'s own test suite: it is run under Wine on Linux only, where the rig builds it")


def _python(version):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return [sys.executable]
    found = shutil.which("py") and subprocess.run(["py", f"-{version}", "-c", ""], stderr=subprocess.DEVNULL).returncode == 0
    if not found:
        raise Unavailable(f"Python {version}: not installed. What to do: install it from python.org with the py launcher")
    return ["py", f"-{version}"]


def _tclsh(version):
    for name in _SHELLS[version]:
        if program := shutil.which(name):
            return program
    raise Unavailable(f"Tcl {version}: none of {', '.join(_SHELLS[version])} is on PATH")
