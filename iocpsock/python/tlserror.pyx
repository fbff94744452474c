# TLS error: the exceptions that OpenSSL's object for a socket raises, and `ssl.SSLSocket` expects.
# Threads: Python's, with the GIL.

# The module _ssl, which not every interpreter has; None until there is a stream.
cdef object tlserror_module = None


cdef object tlserror_load():
    global tlserror_module
    if tlserror_module is None:
        import _ssl
        tlserror_module = _ssl


cdef object tlserror_new(str kind, str code, str text, str reason=None):
    """An exception as OpenSSL's object for a socket raises it."""
    error = getattr(tlserror_module, kind)(getattr(tlserror_module, code), text)
    error.library, error.reason = "SSL" if reason else None, reason
    return error


cdef object tlserror_want_write():
    return tlserror_new("SSLWantWriteError", "SSL_ERROR_WANT_WRITE", "The operation did not complete (write)")


cdef object tlserror_timeout(object error, str name):
    """The TimeoutError as this call raises it, unless it is the network's."""
    return error if error.errno else TimeoutError(f"The {name} operation timed out")


cdef object tlserror_lost(object error):
    """What a read or a write raises when the connection has failed: up to CPython 3.12 the stream has just
    ended."""
    if _sys.version_info >= (3, 13):
        return error
    return tlserror_new("SSLEOFError", "SSL_ERROR_EOF", "EOF occurred in violation of protocol")
