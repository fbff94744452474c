"""The DLL's two doors when the host behind them is not what it should be: an error in the host's own form,
and no crash.

The hosts here are made up with ctypes, and each test loads a copy of the DLL of its own, so nothing is bound
before.
"""

import ctypes
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import iocpsock

INTERRUPTS = Path(__file__).parents[1] / "python" / "test_interrupt.py"
DLL = Path(iocpsock.__file__).with_name("iocpsock.dll")
MAGIC_8, MAGIC_9 = 0xFCA3BACF, 0xFCA3BAD3       # TCL_STUB_MAGIC of Tcl 8 and of 64-bit Tcl 9
SLOTS = 690
PACKAGE_REQUIRE = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p,
                                   ctypes.c_int, ctypes.c_void_p)


class StubTable(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_uint), ("hooks", ctypes.c_void_p), ("slot", ctypes.c_void_p * SLOTS)]


class Interp(ctypes.Structure):
    _fields_ = [("result", ctypes.c_char_p), ("free_result", ctypes.c_void_p), ("error_line", ctypes.c_int),
                ("stubs", ctypes.POINTER(StubTable))]


@pytest.fixture
def dll_copy(tmp_path):
    copy = tmp_path / "iocpsock.dll"
    shutil.copyfile(DLL, copy)
    return copy


@pytest.fixture(params=["Iocpsock_Init", "Iocpsock_SafeInit"])
def tcl_init(request, dll_copy):
    init = getattr(ctypes.CDLL(str(dll_copy)), request.param)
    init.argtypes = [ctypes.POINTER(Interp)]
    return init


@pytest.mark.parametrize("magic", [0, 0xDEADBEEF, MAGIC_8 ^ 1])
def test_a_table_that_is_not_tcls_is_refused(tcl_init, magic):
    interp = Interp(stubs=ctypes.pointer(StubTable(magic=magic)))
    assert tcl_init(ctypes.byref(interp)) == 1
    assert b"does not offer Tcl's stub table" in interp.result


def test_an_interpreter_without_a_table_is_refused(tcl_init):
    interp = Interp()
    assert tcl_init(ctypes.byref(interp)) == 1
    assert b"Tcl 8.6 or later is needed" in interp.result


@pytest.mark.parametrize("magic, package", [(MAGIC_8, b"Tcl"), (MAGIC_9, b"tcl")])
def test_the_wrong_version_of_tcl_gets_tcls_own_message(tcl_init, magic, package):
    asked = []

    @PACKAGE_REQUIRE
    def require(interp, name, version, exact, data):
        asked.append((name, version, exact))
        return None         # as Tcl does after it left the version conflict in the interpreter's result

    table = StubTable(magic=magic)
    table.slot[1] = ctypes.cast(require, ctypes.c_void_p)
    interp = Interp(stubs=ctypes.pointer(table))
    assert tcl_init(ctypes.byref(interp)) == 1
    assert asked == [(package, b"8.6-", 0)]
    assert interp.result is None


def test_a_python_that_lacks_a_symbol_is_told_which(dll_copy):
    content = DLL.read_bytes()
    name, missing = b"\0PyObject_GetAttr\0", b"\0PyObject_GotAttr\0"
    assert content.count(name) == 1
    dll_copy.write_bytes(content.replace(name, missing))
    loader = importlib.machinery.ExtensionFileLoader("_iocpsock", str(dll_copy))
    spec = importlib.util.spec_from_file_location("_iocpsock", str(dll_copy), loader=loader)
    with pytest.raises(ImportError, match="CPython 3.11 or newer: this interpreter lacks PyObject_GotAttr"):
        importlib.util.module_from_spec(spec)


# Of the scenarios those that differ in what waits, and not in how long.
CHOSEN = "None or goes_on or earlier_signal"
OPTIONAL = ("_PyOS_IsMainThread", "_PyOS_SigintEvent")
RUN = ("import sys, iocpsock, pytest; assert iocpsock.__file__.startswith(sys.argv[1]); "
       "sys.exit(pytest.main(sys.argv[2:]))")


def test_ctrl_c_ends_waits_in_a_python_without_the_optional_symbols(tmp_path):
    """The scenarios of Ctrl-C, in a process whose DLL asks for other names and finds nothing."""
    package = shutil.copytree(DLL.parent, tmp_path / "iocpsock", copy_function=shutil.copyfile)
    content = DLL.read_bytes()
    for name in OPTIONAL:
        name = b"\0" + name.encode() + b"\0"
        assert content.count(name) == 1
        content = content.replace(name, name.replace(b"_PyOS", b"_PyNo"))
    (package / "iocpsock.dll").write_bytes(content)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = [sys.executable, "-c", RUN, str(tmp_path), "-p", "no:cacheprovider", "-q", str(INTERRUPTS),
               "-k", CHOSEN]
    child = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert child.returncode == 0, child.stdout.decode(errors="replace")
