# Lookup: the addresses of a host, found where Ctrl-C is heard.
#
# The system's getaddrinfo cannot be interrupted. So the main thread, which alone hears signals, has another
# one of Python's make the lookup, and waits for that; if a signal ends the wait, the other thread goes on
# until the system answers, and nobody minds. Elsewhere, and for addresses that need no lookup, it is a plain
# call. `connect` asks the system itself, as the stock socket does in C. `create_connection` asks
# socket.getaddrinfo, as the stock function does, and if the program has put another in its place, that one,
# on the thread that calls.
# Owner: each lookup is its caller's and its thread's. Threads: Python's, with the GIL but for the waits.
import _thread

cdef object _getaddrinfo = _stdlib.getaddrinfo

cdef class _Lookup:
    """One lookup: a function with its arguments, and what became of it."""
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
        except BaseException as error:                      # the caller's, whatever it is
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
    """What the function returns, where Ctrl-C is heard meanwhile."""
    cdef _Lookup lookup
    if not interrupt_is_for_us():
        return function(*arguments)
    lookup = _Lookup(function, *arguments)
    try:
        _thread.start_new_thread(lookup.run, ())
    except RuntimeError:                                    # there are too many
        lookup.run()
    return lookup.wait()


def lookup_system_address(bytes name, int family):
    """The first address that the system has for a name, a sockaddr in bytes, or the Winsock code of the
    failure."""
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
    """The first address of a host for connect. gaierror if there is none."""
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
    """What socket.getaddrinfo says of a host, for TCP."""
    arguments = host, service, 0, _stdlib.SOCK_STREAM
    if _stdlib.getaddrinfo is _getaddrinfo and lookup_takes_time(host):
        return lookup_run(_getaddrinfo, arguments)
    return _stdlib.getaddrinfo(*arguments)


cdef bint lookup_takes_time(object host):
    """Whether the host is a name."""
    cdef Address *literal = NULL
    cdef bytes name = lookup_name(host)
    cdef int error
    if not name:
        return False
    error = address_lookup(name, 0, 0, False, True, &literal)
    address_list_free(literal)
    return error != 0


cdef bytes lookup_name(object host):
    """A host name as the stock socket gives it to the system: ASCII as it is, the rest as IDNA has it. None
    for what it refuses, and for what is no name."""
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
