"""Programs in C for Windows, compiled when they are first used and kept in the cache.

On Linux mingw-w64 compiles them. On Windows it is the compiler that setuptools finds: MSVC, or else MinGW.
"""

import os
import shutil

from tools.base import cache, process
from tools.base.report import Problem, Unavailable
from tools.environments.tcl import TARGET

LIBRARIES = ("ws2_32", "mswsock", "ntdll")
MACROS = [("_WIN32_WINNT", "0x0A00"), ("WIN32_LEAN_AND_MEAN", None)]


def compiled(name, sources, headers=()):
    """The program of this name, from these files. `headers` are those of ours that they include."""
    file = f"{name}.exe"
    make = _natively if os.name == "nt" else _across
    recipe = cache.fingerprint(make.__name__, *sources, *headers)
    return cache.directory(f"program-{name}", recipe, f"{name}, a program in C for Windows",
                           lambda folder: make(folder / file, sources)) / file


def _across(target, sources):
    macros = [f"-D{name}={value or 1}" for name, value in MACROS]
    libraries = [f"-l{name}" for name in LIBRARIES]
    process.check([f"{TARGET}-gcc", "-O2", "-Wall", "-Wextra", *macros, "-static-libgcc", *sources,
                   "-o", target, *libraries], f"compiling {target.stem}")


def _natively(target, sources):
    try:
        import setuptools       # its distutils replaces Python's own, which newer versions lack
        from distutils import ccompiler, errors
    except ImportError as missing:
        raise Unavailable(f"{target.name}: to compile it this Python needs setuptools") from missing
    try:
        compiler = _native_compiler(ccompiler, errors)
        folder = str(target.parent)
        objects = compiler.compile([str(source) for source in sources], output_dir=folder, macros=MACROS)
        compiler.link_executable(objects, target.stem, output_dir=folder, libraries=list(LIBRARIES))
    except (errors.CompileError, errors.LinkError) as error:
        raise Problem(f"{target.name}: by setuptools {setuptools.__version__}: {error}") from error


def _native_compiler(ccompiler, errors):
    try:
        compiler = ccompiler.new_compiler(compiler="msvc")
        compiler.initialize()
        return compiler
    except errors.DistutilsPlatformError as absent:
        if not shutil.which("gcc"):
            raise Unavailable(f"a compiler: {absent}, and no gcc is on PATH") from absent
        return ccompiler.new_compiler(compiler="mingw32")
