"""The symbols that the DLL asks a Python for are those of CPython 3.11's stable ABI: on these it runs,
whatever comes."""

import os
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "build" / "package" / "iocpsock"
FLOOR = 3, 11
# Outside of it, and so optional: include/python_signals.h says what is done without.
EXCEPTIONS = {"_PyOS_IsMainThread", "_PyOS_SigintEvent"}


def bound_symbols(content):
    """The names that python_stubs.h gives to GetProcAddress, from the DLL's strings."""
    names = re.findall(rb"(?<!\w)_?Py[A-Z]?[A-Za-z]*_\w+(?=\0)", content)
    return {name.decode() for name in names} - {"PyInit__iocpsock"}


@pytest.fixture(scope="module")
def stable():
    """Symbol -> (the first version whose stable ABI has it, the macro it depends on or None)."""
    if os.name == "nt":
        pytest.skip("this machine's environment, which has abi3info, is made on Linux only")
    import abi3info
    return {symbol.name: ((entry.added.major, entry.added.minor), entry.ifdef and entry.ifdef.name)
            for kind in (abi3info.FUNCTIONS, abi3info.DATAS) for symbol, entry in kind.items()}


def test_the_symbols_are_those_of_the_stable_abi(stable):
    bound = bound_symbols((PACKAGE / "iocpsock.dll").read_bytes())
    assert {"PyErr_Format", "PyExc_ImportError", "_Py_NoneStruct", "PyObject_GetAttr"} <= bound
    assert bound - set(stable) == EXCEPTIONS
    assert {name: stable[name] for name in bound - EXCEPTIONS
            if stable[name][0] > FLOOR or stable[name][1] not in (None, "MS_WINDOWS")} == {}
