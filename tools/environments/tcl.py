"""Tcl for Windows: a shell for scripts, and the test shell with Tcl's own suite.

* The shell is a small program of ours (tclsh.c) around Tcl's DLL. For 8.6 that is python.org's tcl86t.dll:
  the package index is all it needs. For 9.0 and 9.1 it is cross-built from the upstream tarball.
* tcltest.exe with the suites of all is cross-built from the upstream tarballs. If a tarball is not available,
  everything that needs it is Unavailable.

The suites have a second script library, whose init.tcl ends with ours (suite_init.tcl). Every trusted
interpreter of every process that the suite starts reads init.tcl, so each has socket2 in the place of socket.
"""

import os
import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

from tools.base import cache, process
from tools.environments import linux_python, sources

HERE = Path(__file__).parent
TARGET = "x86_64-w64-mingw32"

_TARBALL = {"8.6": "tcl8.6_8.6.13+dfsg.orig.tar.gz", "9.0": "tcl9.0_9.0.4+dfsg.orig.tar.gz",
            "9.1": "tcl9.1_9.1.0+dfsg.orig.tar.xz"}
# Tcl 9 would put its script library into the DLL with a zip program built for this machine; ours stays a
# folder.
_CONFIGURE = {"8.6": ["--enable-64bit", "--enable-threads"], "9.0": ["--enable-64bit", "--disable-zipfs"],
              "9.1": ["--enable-64bit", "--disable-zipfs"]}


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
    """The shell for scripts."""
    if version == "8.6":
        path = _hosted(version, "tcl86t.dll", sources.SDISTS["tkinter-embed", "3.11.0"],
                       lambda path: linux_python.unpack_data(linux_python.sdist("tkinter-embed", "3.11.0"),
                                                             path))
        return Shell(path / "tclsh.exe", path / "tcl" / "tcl8.6")
    built = _built(version)
    path = _hosted(version, f"tcl{version.replace('.', '')}.dll", built.name,
                   lambda path: _copy(path, *(built / "bin").glob("*.dll")))
    return Shell(path / "tclsh.exe", built / "library")


def _hosted(version, dll, origin, bring):
    """The directory with Tcl's DLL of this origin, which `bring` puts there, and with our program around
    it."""
    def make(path):
        bring(path)
        process.check([f"{TARGET}-gcc", "-Wall", "-Wextra", "-O2", "-municode", f'-DTCL_DLL="{dll}"',
                       HERE / "tclsh.c", "-o", path / "tclsh.exe"], "compiling tclsh.c")

    return cache.directory(f"tclsh-{version}", cache.fingerprint(HERE / "tclsh.c", dll, origin),
                           f"tclsh {version} for Windows", make)


def extension(source):
    """The DLL of an extension for tests. It needs only Tcl's stub table, and so works with every version."""
    headers = Path(__file__).parents[2] / "include"

    def make(path):
        process.check([f"{TARGET}-gcc", "-Wall", "-Wextra", "-O2", "-shared", "-static-libgcc", "-I", headers,
                       source, "-o", path / f"{source.stem}.dll", "-lws2_32"], f"compiling {source.name}")

    recipe = cache.fingerprint(source, headers / "tcl_stubs.h")
    return cache.directory(f"tcl-extension-{source.stem}", recipe, f"{source.name}, compiled",
                           make) / f"{source.stem}.dll"


def suite(version):
    """Tcl's own suite, as upstream's tarball has it."""
    built = _built(version)

    def make(path):
        shutil.copytree(built / "library", path, dirs_exist_ok=True)
        with open(path / "init.tcl", "a") as init:
            init.write((HERE / "suite_init.tcl").read_text())

    recipe = cache.fingerprint(built.name, HERE / "suite_init.tcl")
    ours = cache.directory(f"tcl-{version}-library", recipe, f"Tcl {version}'s script library with socket2",
                           make)
    return Suite(built / "bin" / "tcltest.exe", built / "library", ours, built / "tests")


def _built(version):
    """The cached build of this version's tarball. It takes minutes, once."""
    recipe = cache.fingerprint(sources.TARBALLS[_TARBALL[version]][1], *_CONFIGURE[version])
    return cache.directory(f"tcl-{version}", recipe,
                           f"Tcl {version} and its test shell, cross-built (some minutes)",
                           lambda path: _build(version, path))


def _build(version, path):
    with tarfile.open(sources.tarball(_TARBALL[version])) as archive:
        archive.extractall(path / "source")
    top = next((path / "source").iterdir())
    work = path / "work"
    work.mkdir()
    process.check(["nice", "sh", top / "win" / "configure", f"--host={TARGET}", *_CONFIGURE[version]],
                  f"configuring Tcl {version}", cwd=work)
    process.check(["nice", "make", f"-j{os.cpu_count()}", "binaries"], f"building Tcl {version}", cwd=work)
    process.check(["nice", "make", "tcltest"], f"building the test shell of Tcl {version}", cwd=work)
    (path / "bin").mkdir()
    _copy(path / "bin", *work.glob("*.exe"), *work.glob("*.dll"))
    shutil.move(top / "tests", path / "tests")
    shutil.move(top / "library", path / "library")
    shutil.rmtree(work)
    shutil.rmtree(path / "source")


def _copy(folder, *files):
    for file in files:
        shutil.copy2(file, folder)
