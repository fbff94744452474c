"""The tests here run in the Windows Python with the build with faults; what they share with tests/python is
taken from there."""

import ctypes
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))


class Faults:
    """The table of plans in the DLL (tests/instruments/faults.h)."""

    def __init__(self, dll):
        self.dll = dll
        self.dll.fault_name.restype = ctypes.c_char_p
        self.index = {}
        while name := self.dll.fault_name(len(self.index)):
            self.index[name.decode()] = len(self.index)

    def plan(self, call, action, code, skip=0, times=1):
        assert self.dll.fault_plan(call.encode(), action.encode(), ctypes.c_int(code), skip, times,
                                   1000) == 0, (call, action)

    def hold(self, call):
        """Stop the next thread that makes this call, before it does, until `release`."""
        self.plan(call, "hold", 0)

    def held(self):
        """Wait until a thread is stopped: whether one is, in time."""
        return bool(self.dll.fault_held(20_000))

    def release(self):
        self.dll.fault_release()

    def fired(self, call):
        fired = ctypes.c_int()
        self.dll.fault_counted(self.index[call], ctypes.byref(fired))
        return fired.value

    def calls(self, call):
        return self.dll.fault_counted(self.index[call], ctypes.byref(ctypes.c_int()))

    def clear(self):
        self.dll.fault_clear()


@pytest.fixture
def dll():
    import iocpsock
    return ctypes.CDLL(str(Path(iocpsock.__file__).with_name("iocpsock.dll")))


@pytest.fixture
def strict(dll):
    if not hasattr(dll, "strict_play"):
        pytest.skip("plays Windows: needs the strict build, IOCPSOCK_VARIANT=strict")
    return dll


@pytest.fixture
def faults(dll):
    assert hasattr(dll, "fault_plan"), "these tests need the build with faults: IOCPSOCK_VARIANT=faults"
    table = Faults(dll)
    table.clear()
    yield table
    table.clear()
