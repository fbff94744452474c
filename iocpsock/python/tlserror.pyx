# TLS error: the exceptions that OpenSSL's object for a socket raises and `ssl.SSLSocket` expects.
# Threads: Python's, with the GIL.

# The module _ssl, which some interpreters lack; None until the first stream is made.
cdef object tlserror_module = None


cdef object tlserror_load():
    global tlserror_module
    if tlserror_module is None:
        import _ssl
        tlserror_module = _ssl


cdef object tlserror_new(str kind, str code, str text, str reason=None):
    """Return an exception as OpenSSL's object for a socket raises it."""
    error = getattr(tlserror_module, kind)(getattr(tlserror_module, code), text)
    error.library, error.reason = "SSL" if reason else None, reason
    return error


cdef object tlserror_want_write():
    return tlserror_new("SSLWantWriteError", "SSL_ERROR_WANT_WRITE", "The operation did not complete (write)")


cdef object tlserror_timeout(object error, str name):
    """Return the TimeoutError that this call raises. One of the network has an errno and stays as it is."""
    return error if error.errno else TimeoutError(f"The {name} operation timed out")


cdef object tlserror_lost(object error):
    """Return what a read or a write raises when the connection has failed. Up to CPython 3.12 that is the
    error for an unexpected end of the stream."""
    if _sys.version_info >= (3, 13):
        return error
    return tlserror_new("SSLEOFError", "SSL_ERROR_EOF", "EOF occurred in violation of protocol")
