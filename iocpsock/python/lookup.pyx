# Lookup: finds the addresses of a host. Ctrl-C ends the wait for them.
#
# The system's getaddrinfo cannot be interrupted. So the main thread, the only one that handles signals,
# starts another Python thread for the lookup and waits for it. If a signal ends the wait, that thread goes on
# until the system answers, and its result is discarded. Other threads make a plain call, and so does the main
# thread for addresses that need no lookup. `connect` calls the system directly, as the stock socket does in
# C. `create_connection` calls socket.getaddrinfo, as the stock function does. If the program has replaced
# that function, its replacement runs on the calling thread.
# Owner: the caller and the lookup's thread share each lookup. Threads: Python's, with the GIL except during
# waits.
import _thread

cdef object _getaddrinfo = _stdlib.getaddrinfo

cdef class _Lookup:
    """One lookup: a function with its arguments, and its result or error."""
    cdef HANDLE done
    cdef object function
    cdef object arguments
    cdef object result
    cdef object error

    def __cinit__(self, function, *arguments):
        self.function = function
        self.arguments = arguments
        self.done = CreateEventW(NULL, TRUE, FALSE, NULL)
        if self.done == NULL:
            oserror_raise(WSAENOBUFS)

    def __dealloc__(self):
        if self.done != NULL:
            CloseHandle(self.done)

    def run(self):
        try:
            self.result = self.function(*self.arguments)
        except BaseException as error:                      # of any kind: the caller raises it
            self.error = error
        finally:
            SetEvent(self.done)

    cdef object wait(self):
        cdef Timeout limit
        cdef int error = WSAEINTR
        interrupt_timeout(&limit, None)
        while error == WSAEINTR:
            with nogil:
                error = timeout_wait(&limit, self.done)
            if error == WSAEINTR and interrupt_ends_call():
                interrupt_raise()
        if error:
            oserror_raise(error)
        if self.error is not None:
            raise self.error
        return self.result


cdef object lookup_run(object function, tuple arguments):
    """Return the function's result. In the main thread Ctrl-C ends the wait for it."""
    cdef _Lookup lookup
    if not interrupt_is_for_us():
        return function(*arguments)
    lookup = _Lookup(function, *arguments)
    try:
        _thread.start_new_thread(lookup.run, ())
    except RuntimeError:                                    # there are too many threads
        lookup.run()
    return lookup.wait()


def lookup_system_address(bytes name, int family):
    """Return the first address that the system has for a name, a sockaddr in bytes, or a Winsock code."""
    cdef Address *found = NULL
    cdef const char *host = name
    cdef int error
    with nogil:
        error = address_lookup(host, 0, family, False, False, &found)
    if error:
        return error
    try:
        return PyBytes_FromStringAndSize(<char *>&found.storage, found.length)
    finally:
        address_list_free(found)


cdef int lookup_address(bytes name, int family, int port_number, Address *remote) except -1:
    """Find the first address of a host, for connect. gaierror if there is none."""
    cdef Address *literal = NULL
    cdef bytes found
    memset(remote, 0, sizeof(Address))
    if address_lookup(name, port_number, family, False, True, &literal) == 0:
        remote[0] = literal[0]
        remote.next = NULL
        address_list_free(literal)
        return 0
    outcome = lookup_run(lookup_system_address, (name, family))
    if isinstance(outcome, int):
        oserror_raise_lookup(outcome)
    found = outcome
    memcpy(&remote.storage, <const char *>found, len(found))
    remote.length, remote.family = len(found), family
    address_set_port(remote, port_number)
    return 0


cdef object lookup_addresses(object host, object service):
    """Return what socket.getaddrinfo returns for a host and TCP."""
    arguments = host, service, 0, _stdlib.SOCK_STREAM
    if _stdlib.getaddrinfo is _getaddrinfo and lookup_takes_time(host):
        return lookup_run(_getaddrinfo, arguments)
    return _stdlib.getaddrinfo(*arguments)


cdef bint lookup_takes_time(object host):
    """Whether the host is a name, not a numeric address."""
    cdef Address *literal = NULL
    cdef bytes name = lookup_name(host)
    cdef int error
    if not name:
        return False
    error = address_lookup(name, 0, 0, False, True, &literal)
    address_list_free(literal)
    return error != 0


cdef bytes lookup_name(object host):
    """Return a host name as the stock socket passes it to the system: ASCII unchanged, the rest encoded as
    IDNA. None for a name that it refuses, and for anything that is not a name."""
    if isinstance(host, (bytes, bytearray)):
        name = bytes(host)
    elif isinstance(host, str):
        try:
            name = host.encode("ascii" if host.isascii() else "idna")
        except UnicodeError:
            return None
    else:
        return None
    return name if name and name.isascii() and b"\0" not in name and name != b"<broadcast>" else None
