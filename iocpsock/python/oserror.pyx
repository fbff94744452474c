# OSError: the Python side's one gate from Winsock codes to exceptions, those that `socket` raises in the same
# case.
# Threads: Python's, with the GIL.
import socket as _stdlib
import _socket as _core

cdef extern from "Python.h":
    object PyErr_SetExcFromWindowsErr(object kind, int code)


cdef object oserror_raise(int error):
    """Raise what the standard socket raises for a Winsock code."""
    if error == TIMEOUT_EXPIRED:
        raise TimeoutError("timed out")
    PyErr_SetExcFromWindowsErr(OSError, error)


cdef object oserror_raise_lookup(int error):
    """Raise what the standard socket raises when a runtime is not found."""
    raise _stdlib.gaierror(error, "getaddrinfo failed")


cdef object oserror_raise_closed():
    """The call waited while its socket was closed, which another thread did. The code is what the next call
    will give."""
    raise OSError(0, "the socket was closed by another thread while this call waited", None, WSAENOTSOCK)
