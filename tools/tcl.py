"""Tcl for Windows: a shell for scripts, and the test shell with Tcl's own suite.

* The 8.6 shell is python.org's tcl86t.dll with a small host of ours (tclsh.c): the package index is all it needs.
* The 9.0 shell, and tcltest.exe with the suites of both, are cross-built from the upstream tarballs. Without them
  what needs them is Unavailable.

For the suites there is a second script library whose init.tcl ends with ours (suite_init.tcl): every trusted
interpreter of every process that the suite starts reads init.tcl, so each finds socket2 in the place of socket.
"""

import os
import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

from tools import cache, hostpython, process, sources, winpython

VERSIONS = ("8.6", "9.0")
HERE = Path(__file__).parent
HOST = "x86_64-w64-mingw32"

_TARBALL = {"8.6": "tcl8.6_8.6.13+dfsg.orig.tar.gz", "9.0": "tcl9.0_9.0.4+dfsg.orig.tar.gz"}
# 9.0 would put its script library into the DLL with a zip program built for this machine; ours stays a folder.
_CONFIGURE = {"8.6": ["--enable-64bit", "--enable-threads"], "9.0": ["--enable-64bit", "--disable-zipfs"]}


class Shell(NamedTuple):
    """A Tcl shell and the script library that TCL_LIBRARY has to name for it."""
    program: Path
    library: Path


class Suite(NamedTuple):
    """Tcl's own test suite: the test shell, both script libraries, and the folder of the .test files."""
    program: Path
    library: Path
    socket2_library: Path
    tests: Path


def shell(version):
    if version == "8.6":
        recipe = cache.fingerprint(Path(__file__), HERE / "tclsh.c", sources.SDISTS["tkinter-embed", "3.11.0"])
        path = cache.directory("tclsh-8.6", recipe, "Tcl 8.6 for Windows", _unpack_shell)
        return Shell(path / "tclsh.exe", path / "tcl" / "tcl8.6")
    built = _built(version)
    return Shell(built / "bin" / "tclsh90.exe", built / "library")


def suite(version):
    built = _built(version)
    return Suite(built / "bin" / "tcltest.exe", built / "library", built / "library-socket2", built / "tests")


def _unpack_shell(path):
    winpython.unpack_data(hostpython.sdist("tkinter-embed", "3.11.0"), path)
    process.check([f"{HOST}-gcc", "-Wall", "-Wextra", "-O2", "-municode", '-DTCL_DLL="tcl86t.dll"', HERE / "tclsh.c",
                   "-o", path / "tclsh.exe"], "compiling tclsh.c")


def _built(version):
    """The cached build of this version's tarball. It takes minutes, once."""
    sha256 = sources.TARBALLS[_TARBALL[version]][1]
    recipe = cache.fingerprint(Path(__file__), HERE / "suite_init.tcl", sha256, *_CONFIGURE[version])
    return cache.directory(f"tcl-{version}", recipe, f"Tcl {version} and its test shell, cross-built (some minutes)",
                           lambda path: _build(version, path))


def _build(version, path):
    with tarfile.open(sources.tarball(_TARBALL[version])) as archive:
        archive.extractall(path / "source")
    top = next((path / "source").iterdir())
    work = path / "work"
    work.mkdir()
    process.check(["nice", "sh", top / "win" / "configure", f"--host={HOST}", *_CONFIGURE[version]],
                  f"configuring Tcl {version}", cwd=work)
    process.check(["nice", "make", f"-j{os.cpu_count()}", "binaries"], f"building Tcl {version}", cwd=work)
    process.check(["nice", "make", "tcltest"], f"building the test shell of Tcl {version}", cwd=work)
    (path / "bin").mkdir()
    for program in [*work.glob("*.exe"), *work.glob("*.dll")]:
        shutil.copy2(program, path / "bin")
    shutil.move(top / "tests", path / "tests")
    shutil.move(top / "library", path / "library")
    shutil.copytree(path / "library", path / "library-socket2")
    with open(path / "library-socket2" / "init.tcl", "a") as init:
        init.write((HERE / "suite_init.tcl").read_text())
    shutil.rmtree(work)
    shutil.rmtree(path / "source")
