# Lookup: the addresses of a host, found where Ctrl-C is heard.
#
# The system's getaddrinfo cannot be interrupted. So the main thread, which alone hears signals, has another one of Python's
# make the lookup, and waits for that; if a signal ends the wait, the other thread goes on until the system answers, and
# nobody minds. Elsewhere, and for addresses that need no lookup, it is a plain call.
# Owner: each lookup is its caller's and its thread's. Threads: Python's, with the GIL but for the wait.
import _thread

cdef class _Lookup:
    """One lookup: the arguments of getaddrinfo, and what became of it."""
    cdef HANDLE done
    cdef object arguments
    cdef object result
    cdef object error

    def __cinit__(self, *arguments):
        self.arguments = arguments
        self.done = CreateEventW(NULL, TRUE, FALSE, NULL)
        if self.done == NULL:
            raise_error(WSAENOBUFS)

    def __dealloc__(self):
        if self.done != NULL:
            CloseHandle(self.done)

    def run(self):
        try:
            self.result = _stdlib.getaddrinfo(*self.arguments)
        except BaseException as error:                      # the caller's, whatever it is
            self.error = error
        finally:
            SetEvent(self.done)

    cdef object wait(self):
        cdef Patience patience
        cdef int error = WSAEINTR
        patience_of(&patience, None)
        while error == WSAEINTR:
            with nogil:
                error = patience_wait(&patience, self.done)
            if error == WSAEINTR and interrupt_ends_call():
                interrupt_raise()
        if error:
            raise_error(error)
        if self.error is not None:
            raise self.error
        return self.result


cdef object lookup_addresses(object host, object service, int family):
    """getaddrinfo for TCP."""
    cdef _Lookup lookup
    if not _PyOS_IsMainThread() or not lookup_takes_time(host, service):
        return _stdlib.getaddrinfo(host, service, family, _stdlib.SOCK_STREAM)
    lookup = _Lookup(host, service, family, _stdlib.SOCK_STREAM)
    try:
        _thread.start_new_thread(lookup.run, ())
    except RuntimeError:                                    # there are too many
        lookup.run()
    return lookup.wait()


cdef bint lookup_takes_time(object host, object service):
    """Whether the host is a name."""
    if not host:
        return False
    try:
        _stdlib.getaddrinfo(host, None, 0, _stdlib.SOCK_STREAM, 0, _stdlib.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return True
    return False
