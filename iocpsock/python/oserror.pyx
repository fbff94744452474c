# OSError: the only place of the Python side that translates Winsock codes to exceptions. They are those that
# `socket` raises in the same case.
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
    """Raise what the standard socket raises when a lookup fails."""
    raise _stdlib.gaierror(error, "getaddrinfo failed")


cdef object oserror_raise_closed():
    """Raise the error for a call that waited while another thread closed its socket. The next call will fail
    with the same code."""
    raise OSError(0, "the socket was closed by another thread while this call waited", None, WSAENOTSOCK)
