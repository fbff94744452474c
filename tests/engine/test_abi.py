"""The DLL's two doors when the host behind them is not what it should be: an error in the host's own form, and no crash.

The hosts here are made up with ctypes, and each test loads a copy of the DLL of its own, so nothing is bound before.
"""

import ctypes
import importlib.machinery
import importlib.util
import shutil
from pathlib import Path

import pytest

import iocpsock

DLL = Path(iocpsock.__file__).with_name("iocpsock.dll")
MAGIC_8, MAGIC_9 = 0xFCA3BACF, 0xFCA3BAD3       # TCL_STUB_MAGIC of Tcl 8 and of 64-bit Tcl 9
SLOTS = 690
PACKAGE_REQUIRE = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)


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


@pytest.mark.parametrize("magic", [MAGIC_8, MAGIC_9])
def test_the_wrong_version_of_tcl_gets_tcls_own_message(tcl_init, magic):
    asked = []

    @PACKAGE_REQUIRE
    def require(interp, name, version, exact, data):
        asked.append((name, version, exact))
        return None         # as Tcl does after it left the version conflict in the interpreter's result

    table = StubTable(magic=magic)
    table.slot[1] = ctypes.cast(require, ctypes.c_void_p)
    interp = Interp(stubs=ctypes.pointer(table))
    assert tcl_init(ctypes.byref(interp)) == 1
    assert asked == [(b"Tcl", b"8.6-", 0)]
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
