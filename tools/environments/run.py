"""Command lines for Windows interpreters: "Python 3.12 on this script", "Tcl 9.0 on that one".

    with run.session() as windows:
        argv, env = windows.tclsh("8.6", "script.tcl", "argument")
        subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

On Linux a session is a Wine prefix, on Windows it is the installed interpreters. A session inside one that
dev.py holds (in a test that it runs, for example) joins that one. Give the programs pipes or /dev/null, never
a plain file.

Every interpreter can import the built package: PYTHONPATH and TCLLIBPATH name build/package. A session of a
variant, a build for tests (setup.py lists them), has the variant's package instead. IOCPSOCK_VARIANT names
one for all sessions.
"""

import atexit
import contextlib
import functools
import os
from pathlib import Path
from typing import NamedTuple

from tools.base import process
from tools.base.report import Problem
from tools.environments import linux_python, tcl, wine, winpython

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PYTHON_VERSIONS = ("3.11", "3.12", "3.13", "3.14")
FREE_THREADED = "3.14t"         # which is not to import the package, but to be told so
DEFAULT_PYTHON = "3.13"         # the newest that needs nothing of $IOCPSOCK_SOURCES
TCL_VERSIONS = ("8.6", "9.0")
TCL_TO_COME = "9.1"             # run where its sources are found, and required nowhere
PYTHONS = (*PYTHON_VERSIONS, FREE_THREADED)
TCLS = (*TCL_VERSIONS, TCL_TO_COME)

# Set in the environment of dev.py's children: the number of the prefix that dev.py holds for them.
JOINED = "IOCPSOCK_WINE_PREFIX"
# Also set there: the build that they use, unless it is the release build.
VARIANT = "IOCPSOCK_VARIANT"


class Command(NamedTuple):
    """Arguments for subprocess: a command line and the whole environment."""
    argv: list
    env: dict


def place(variant):
    """The folder for the results of a build."""
    return BUILD / "variants" / variant if variant else BUILD


@contextlib.contextmanager
def session(variant=None):
    """The interpreters, until the `with` ends; every program still running under Wine then ends with it."""
    variant = os.environ.get(VARIANT, "") if variant is None else variant
    if os.name == "nt":
        from tools.environments.native import NativeSession     # which builds on this module
        yield NativeSession(variant)
        return
    if number := os.environ.get(JOINED):
        yield WineSession(variant, wine.Prefix(int(number)))
        return
    with wine.prefix() as prefix:
        yield WineSession(variant, prefix)


@functools.cache
def _lasting_session():
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(session())


def python_command(version, *arguments):
    """The command line of a Windows Python, in a session that lasts as long as this process."""
    return _lasting_session().python(version, *arguments)


def tclsh_command(version, *arguments):
    """The command line of a Windows tclsh, in a session that lasts as long as this process."""
    return _lasting_session().tclsh(version, *arguments)


class Session:
    """The common part under Wine and on Windows: the variables that an interpreter gets."""

    def __init__(self, variant):
        self.variant = variant
        self.package = place(variant) / "package"

    def path(self, path):
        """How a Windows program names this path of this machine."""
        raise NotImplementedError

    def environment(self):
        """The environment for the programs of this session."""
        return {**self._environment(), VARIANT: self.variant}

    def _environment(self):
        raise NotImplementedError

    def pass_through(self, command):
        """Run `command` as if it were this process, and return its exit status."""
        raise NotImplementedError

    def _python_environment(self, arguments, *folders):
        env = self.environment()
        if not arguments or arguments[0] in ("-c", "-m"):
            # Otherwise the current folder comes first, and here it is the source tree, where the package has
            # no DLL.
            env["PYTHONSAFEPATH"] = "1"
        env["PYTHONPATH"] = ";".join(self.path(folder) for folder in folders)
        return env

    def _tcl_environment(self, library=None):
        env = self.environment()
        env["TCLLIBPATH"] = tcl_list(self.path(self.package))
        if library:
            env["TCL_LIBRARY"] = self.path(library).replace("\\", "/")
        return env


class WineSession(Session):
    """Interpreters from the cache, in a Wine prefix."""

    def __init__(self, variant, prefix):
        super().__init__(variant)
        self.prefix = prefix

    def path(self, path):
        return wine.windows_path(path)

    def _environment(self):
        return {**self.prefix.environment(), JOINED: str(self.prefix.number)}

    def pass_through(self, command):
        return process.pass_through(*command)

    def python(self, version, *arguments):
        program = winpython.directory(known("Python", version, PYTHONS)) / "python.exe"
        return Command(self.prefix.command(program, *arguments),
                       self._python_environment(arguments, self.package, linux_python.windows_packages()))

    def tclsh(self, version, *arguments):
        shell = tcl.shell(known("Tcl", version, TCLS))
        return Command(self.prefix.command(shell.program, *arguments), self._tcl_environment(shell.library))

    def program(self, path, *arguments):
        """One of our programs, compiled by tools/environments/cprogram."""
        return Command(self.prefix.command(path, *arguments), self.environment())

    def extension(self, source):
        """The DLL of an extension for tests, compiled from this C file."""
        return tcl.extension(source)

    def tcltest(self, version, *arguments, stock=False):
        """Tcl's test shell. Unless `stock`, socket2 replaces socket in every interpreter that it makes."""
        suite = tcl.suite(known("Tcl", version, TCLS))
        library = suite.library if stock else suite.socket2_library
        return Command(self.prefix.command(suite.program, *arguments), self._tcl_environment(library))


def known(language, version, versions):
    """Return `version`, if it is one of those that the rig has."""
    if version not in versions:
        raise Problem(f"{language} {version}: the versions here are {', '.join(versions)}")
    return version


def tcl_list(*elements):
    """A Tcl list of paths: in braces because of spaces, and with forward slashes as usual in Tcl."""
    return " ".join("{" + element.replace("\\", "/") + "}" for element in elements)
