"""Build iocpsock.dll and the one wheel that carries it.

One Cython module becomes one object file; the Python symbols that this object leaves undefined become a table
(include/python_stubs.h), and the two are linked into `iocpsock/iocpsock.dll`, which imports nothing from
Python or Tcl and exports what `EXPORTS` names. On Windows the compiler is the one setuptools finds (MSVC, or
MinGW by `--compiler=mingw32`); elsewhere it is the mingw-w64 cross compiler. Nothing depends on the Python
version that runs this file: the DLL uses the Limited API of CPython 3.11, so the wheel is tagged cp311-abi3.

IOCPSOCK_VARIANT names another build (`VARIANTS`), made by a cross compiler only. `arm64` is the wheel for
Windows on ARM64, made by Zig's clang. The others are for tests, and no wheels to give away: the same sources
under other flags, with the instruments in tests/instruments put between them and the system.
"""

import os
import re
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.bdist_wheel import bdist_wheel

LIMITED_API = "0x030B0000"
EXPORTS = ["PyInit__iocpsock", "Iocpsock_Init", "Iocpsock_SafeInit"]
LIBRARIES = ["ws2_32", "iphlpapi", "ntdll"]
ROOT = Path(__file__).resolve().parent
MODULE_MACROS = [("PyInit__iocpsock", "PyInit_iocpsock_module"), ("CYTHON_NO_PYINIT_EXPORT", None),
                 ("Py_LIMITED_API", LIMITED_API), ("_WIN32_WINNT", "0x0A00"), ("WIN32_LEAN_AND_MEAN", None),
                 ("WIN32_NO_STATUS", None)]     # the status codes come from ntstatus.h, once
INSTRUMENTS = ROOT / "tests" / "instruments"
# Symbols that no stable ABI promises: a Python that lacks one is served all the same
# (include/python_signals.h).
OPTIONAL = {"_PyOS_IsMainThread", "_PyOS_SigintEvent"}
MACHINE_X64, MACHINE_ARM64 = 0x8664, 0xAA64


class Target(NamedTuple):
    """What a cross compiler builds for, and how it is called."""
    platform: str
    compiler: tuple
    missing: str                # what to do where the compiler is not installed
    link: tuple = ()


# The image base is the linker's usual one: binutils would take it from the name of the output's folder.
X64 = Target("win_amd64", (os.environ.get("IOCPSOCK_CC", "x86_64-w64-mingw32-gcc"),),
             "install gcc-mingw-w64-x86-64 or set IOCPSOCK_CC",
             ("-static-libgcc",
              "-Wl,--nxcompat,--dynamicbase,--high-entropy-va,--no-insert-timestamp,--image-base,0x180000000"))
# As compatible with MSVC as clang can be: what that would warn of, or refuse, is an error. Zig's clang sets
# _WIN32_WINNT itself; its linker hardens by default.
ARM64 = Target("win_arm64", (os.environ.get("IOCPSOCK_ZIG", "zig"), "cc", "-target", "aarch64-windows-gnu",
                             "-fms-extensions", "-fms-compatibility", "-fgnuc-version=12", "-U_WIN32_WINNT",
                             "-Werror"),
               "install the Python package ziglang and name its zig in IOCPSOCK_ZIG")


class Variant(NamedTuple):
    """A way to build: compiler flags, headers included before everything, and the sources of instruments."""
    flags: tuple = ("-O2",)
    headers: tuple = ()
    sources: tuple = ()
    exports: tuple = ()
    target: Target = X64


_MEMORY = ("memory.c", "symbols.c", "control.c")
_MEMORY_EXPORTS = ("memory_blocks", "memory_handles", "memory_damage")
_FAULTS = (*_MEMORY, "faults.c", "overlapped.c", "ports.c", "files.c", "hold.c", "dispatch.c", "receives.c",
           "sends.c", "beside.c")
_FAULTS_EXPORTS = (*_MEMORY_EXPORTS, "fault_plan", "fault_clear", "fault_counted", "fault_name",
                   "fault_shuffle", "fault_held", "fault_release")
_STRICT = tuple(f"strict/{noun}.c" for noun in (
    "backlog", "binds", "breach", "breach_files", "calls", "clock", "files", "freeze", "handles", "held",
    "history", "nullcall", "operations", "outside", "plays", "ports", "report", "scene", "scene_files",
    "shadow", "sockets", "stage", "waits"))
VARIANTS = {
    "": Variant(),
    "arm64": Variant(target=ARM64),
    # Poison and canaries. Without inlining a function is found by the return address.
    "debug": Variant(("-O1", "-fno-inline"), ("memory.h",), _MEMORY, _MEMORY_EXPORTS),
    # Undefined behaviour ends the process by an illegal instruction: there is no run-time library to report
    # it.
    "ubsan": Variant(("-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")),
    "faults": Variant(("-O1", "-fno-inline", "-DIOCPSOCK_FAULTS"), ("memory.h", "faults.h"),
                      _FAULTS, _FAULTS_EXPORTS),
    # And below them Windows as Microsoft documents it (docs/windows.md).
    "strict": Variant(("-O1", "-fno-inline", "-DIOCPSOCK_FAULTS", "-DIOCPSOCK_STRICT"),
                      ("memory.h", "faults.h"), (*_FAULTS, *_STRICT),
                      (*_FAULTS_EXPORTS, "strict_play", "strict_count", "strict_pending")),
}


def undefined_symbols(object_file):
    """Names of the undefined external symbols in a 64-bit COFF object file (PE/COFF specification, sections 3
    and 5.4)."""
    data = Path(object_file).read_bytes()
    machine, _, _, table, count, _, _ = struct.unpack_from("<HHIIIHH", data)
    # On these no symbol gets an underscore before its name.
    if machine not in (MACHINE_X64, MACHINE_ARM64):
        raise ValueError(f"{object_file}: machine type {machine:#x}, expected {MACHINE_X64:#x} (x64) or "
                         f"{MACHINE_ARM64:#x} (ARM64)")
    strings = table + 18 * count
    names, index = set(), 0
    while index < count:
        entry = table + 18 * index
        value, section, _, storage, auxiliary = struct.unpack_from("<IhHBB", data, entry + 8)
        if section == 0 and value == 0 and storage == 2:  # undefined, not common, external
            if data[entry:entry + 4] == b"\0\0\0\0":
                start = strings + struct.unpack_from("<I", data, entry + 4)[0]
                name = data[start:data.index(b"\0", start)]
            else:
                name = data[entry:entry + 8].rstrip(b"\0")
            names.add(name.decode())
        index += 1 + auxiliary
    return names


def python_table(undefined):
    """The C source that gives every Python symbol in `undefined` a slot (see include/python_stubs.h)."""
    prefixes = ("Py", "_Py")
    slots = {name[6:] for name in undefined if name.startswith("__imp_") and name[6:].startswith(prefixes)}
    thunks = {name for name in undefined if name.startswith(prefixes)}
    rows = {"PYTHON_SYMBOLS": (slots | thunks) - OPTIONAL, "PYTHON_OPTIONAL": slots & OPTIONAL,
            "PYTHON_THUNKS": thunks}
    lines = ["/* Generated by setup.py from the undefined symbols of the compiled extension. */"]
    lines += [f"#define {macro}(X) " + " ".join(f"X({name})" for name in sorted(names))
              for macro, names in rows.items()]
    return "\n".join(lines + ['#include "python_stubs.h"', ""])


def function_table():
    """Rows of C: the module's functions, and the file in which each stands. The instruments tell with it who
    made a call."""
    rows = []
    for path in sorted((ROOT / "iocpsock").rglob("*.pyx")):
        for name in re.findall(r"^cdef [^(=]*?(\w+)\(.*noexcept", path.read_text(encoding="utf-8"),
                               re.MULTILINE):
            rows.append(f'{{"{name}", "{path.relative_to(ROOT / "iocpsock").as_posix()}"}},\n')
    return "".join(rows)


def python_headers(work):
    """This Python's headers, linked into a folder of `work`, beside an empty pyconfig.h in the place of its
    own.

    Python.h finds pyconfig.h beside itself before any other, and Debian's stops a compiler for another
    system, whatever guard winpyconfig.h defines.
    """
    folder = work / "python-headers"
    if not folder.exists():
        folder.mkdir()
        for header in Path(sysconfig.get_path("include")).iterdir():
            if header.name != "pyconfig.h":
                (folder / header.name).symlink_to(header)
        (folder / "pyconfig.h").touch()
    return folder


class CrossCompiler:
    """A cross compiler on a system that is not Windows: mingw-w64's gcc, or Zig's clang."""

    warnings = ["-Wall", "-Wextra"]
    # Cython's own output: helpers that this module does not use, and the casts of its method tables.
    generated = ["-Wno-unused-function", "-Wno-unused-parameter", "-Wno-cast-function-type",
                 "-Wno-missing-field-initializers", "-Wno-type-limits"]

    def __init__(self, variant):
        self.variant = variant

    def compile(self, source, target, macros=(), generated=False):
        defines = [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in macros]
        headers = [ROOT / "include" / "winpyconfig.h", *(INSTRUMENTS / name for name in self.variant.headers)]
        warnings = [*self.warnings, *(self.generated if generated else ())]
        # By the last of these options the folder is no part of the file.
        self.run("-c", *self.variant.flags, "-fno-strict-aliasing", *warnings, *defines,
                 *(word for header in headers for word in ("-include", str(header))),
                 "-I", str(ROOT / "include"), "-I", str(python_headers(target.parent)),
                 f"-ffile-prefix-map={source.parent}/=", str(source), "-o", str(target))

    def instruments(self, work):
        """The compiled instruments."""
        if self.variant.sources:
            (work / "functions.h").write_text(function_table())
        for name in self.variant.sources:
            target = work / f"test_{name.replace('/', '_')[:-2]}.o"
            self.run("-c", *self.variant.flags, *self.warnings, "-D_WIN32_WINNT=0x0A00",
                     "-DWIN32_LEAN_AND_MEAN", "-I", str(ROOT / "include"), "-I", str(work),
                     str(INSTRUMENTS / name), "-o", str(target))
            yield target

    def link(self, objects, target, exports):
        definitions = objects[0].with_suffix(".def")
        definitions.write_text("EXPORTS\n" + "".join(f"    {name}\n" for name in exports))
        strip = [] if self.variant.sources else ["-s"]      # the instruments read the symbol table
        self.run("-shared", *strip, *self.variant.target.link, "-o", str(target), *map(str, objects),
                 str(definitions), *(f"-l{name}" for name in LIBRARIES))

    def run(self, *arguments):
        compiler, missing = self.variant.target.compiler, self.variant.target.missing
        try:
            subprocess.run([*compiler, *arguments], check=True)
        except FileNotFoundError:
            sys.exit(f"setup.py: no cross compiler {compiler[0]!r}: {missing}")


class NativeCompiler:
    """The compiler that setuptools found on Windows."""

    def __init__(self, compiler, variant):
        if variant != VARIANTS[""]:
            sys.exit("setup.py: IOCPSOCK_VARIANT: other builds are made by a cross compiler only, not on "
                     "Windows")
        self.compiler = compiler
        self.msvc = compiler.compiler_type == "msvc"

    def compile(self, source, target, macros=(), generated=False):
        flags = ["/O2", "/W3"] if self.msvc else ["-O2", "-fno-strict-aliasing", "-Wall"]
        if self.msvc:  # its default flags would ask for link-time code, whose object files name no symbols
            self.compiler.initialize()
            self.compiler.compile_options = ["/nologo", "/MD", "/DNDEBUG"]
        built, = self.compiler.compile([str(source)], output_dir=str(target.parent), macros=list(macros),
                                       extra_preargs=flags,
                                       include_dirs=[str(ROOT / "include"), sysconfig.get_path("include")])
        os.replace(built, target)

    @staticmethod
    def instruments(work):
        return []

    def link(self, objects, target, exports):
        extra = ["/NODEFAULTLIB:python3.lib"] if self.msvc else ["-static-libgcc", "-s"]
        self.compiler.link_shared_object([str(item) for item in objects], str(target), libraries=LIBRARIES,
                                         export_symbols=exports, extra_postargs=extra)


def wanted_variant():
    name = os.environ.get("IOCPSOCK_VARIANT", "")
    if name not in VARIANTS:
        sys.exit(f"setup.py: IOCPSOCK_VARIANT={name}: there are {', '.join(filter(None, VARIANTS))}")
    return VARIANTS[name]


class BuildDll(build_ext):
    """Cython, compile, tabulate the Python symbols, compile the table, link."""

    def build_extension(self, ext):
        work = Path(self.build_temp)
        work.mkdir(parents=True, exist_ok=True)
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        variant = wanted_variant()
        toolchain = NativeCompiler(self.compiler, variant) if os.name == "nt" else CrossCompiler(variant)
        suffix = ".obj" if os.name == "nt" else ".o"

        source, table = work / "iocpsock.c", work / "python_table.c"
        module, stubs = source.with_suffix(suffix), table.with_suffix(suffix)
        subprocess.run([sys.executable, "-m", "cython", "-3", "--fast-fail", "-Werror", ext.sources[0], "-o",
                        str(source)], cwd=ROOT, check=True)
        version = ("IOCPSOCK_VERSION", f'"{self.distribution.get_version()}"')
        toolchain.compile(source, module, [*MODULE_MACROS, version], generated=True)
        table.write_text(python_table(undefined_symbols(module)))
        toolchain.compile(table, stubs)
        toolchain.link([module, stubs, *toolchain.instruments(work)], target, [*EXPORTS, *variant.exports])

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")[:-1], "iocpsock.dll")


class TaggedWheel(bdist_wheel):
    """One wheel for every CPython from 3.11 on."""

    def get_tag(self):
        platform = super().get_tag()[2] if os.name == "nt" else wanted_variant().target.platform
        return "cp311", "abi3", platform


setup(ext_modules=[Extension("iocpsock._iocpsock", ["iocpsock/_iocpsock.pyx"])],
      cmdclass={"build_ext": BuildDll, "bdist_wheel": TaggedWheel})
