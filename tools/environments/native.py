"""On Windows itself: the interpreters that are installed.

IOCPSOCK_INTERPRETERS may name them, the files of Pythons and of Tcl's shells with semicolons between; each is
asked for its version. Otherwise a Python is found by the py launcher, and a shell on PATH under the names
that Tcl's distributions use. pytest has to be installed in each Python (`py -3.12 -m pip install pytest`).
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.base import process
from tools.base.report import Unavailable
from tools.environments.run import Command, Session

INTERPRETERS = "IOCPSOCK_INTERPRETERS"
_SHELLS = {"8.6": ("tclsh86t", "tclsh86", "tclsh8.6"), "9.0": ("tclsh90", "tclsh9.0"),
           "9.1": ("tclsh91", "tclsh9.1")}


class NativeSession(Session):
    def path(self, path):
        return str(Path(path).resolve())

    def _environment(self):
        return dict(os.environ)

    def pass_through(self, command):
        return subprocess.run(command.argv, env=command.env).returncode

    def python(self, version, *arguments):
        theirs = filter(None, os.environ.get("PYTHONPATH", "").split(";"))
        env = self._python_environment(arguments, self.package, *theirs)
        return Command([*_python(version), *map(str, arguments)], env)

    def tclsh(self, version, *arguments):
        return Command([_tclsh(version), *map(str, arguments)], self._tcl_environment())

    def program(self, path, *arguments):
        return Command([str(path), *map(str, arguments)], self.environment())

    def extension(self, source):
        raise Unavailable(f"{source.name}: the extensions of the tests are compiled by the cross compiler "
                          "only")

    def tcltest(self, version, *arguments, stock=False):
        raise Unavailable(f"Tcl {version}'s own test suite: it is run under Wine on Linux only, where the "
                          "rig builds it")


def _python(version):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return [sys.executable]
    if named := _named("Python").get(version):
        return [named]
    if not _launches(version):
        raise Unavailable(f"Python {version}: not installed. What to do: install it from python.org with the "
                          f"py launcher, or name its file in {INTERPRETERS}")
    return ["py", f"-{version}"]


def _launches(version):
    """Whether the py launcher has this Python."""
    asked = ["py", f"-{version}", "-c", ""]
    return shutil.which("py") and subprocess.run(asked, stderr=subprocess.DEVNULL).returncode == 0


def _tclsh(version):
    if named := _named("Tcl").get(version):
        return named
    for name in _SHELLS[version]:
        if program := shutil.which(name):
            return program
    raise Unavailable(f"Tcl {version}: none of {', '.join(_SHELLS[version])} is on PATH, nor is its file "
                      f"named in {INTERPRETERS}")


@functools.cache
def _named(language):
    """The interpreters of a language that IOCPSOCK_INTERPRETERS names: version -> file."""
    files = [file for file in os.environ.get(INTERPRETERS, "").split(";") if file]
    return {_version(file): file for file in files if _language(file) == language}


def _language(file):
    return "Python" if Path(file).name.lower().startswith("python") else "Tcl"


def _version(file):
    """The version as MAJOR.MINOR. A Tcl gets its script in a file: at the end of a pipe it may wait for
    more."""
    asked = ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    if _language(file) == "Tcl":
        asked = [str(Path(__file__).with_name("version.tcl"))]
    return process.check([file, *asked], f"asking {file} for its version").strip()
