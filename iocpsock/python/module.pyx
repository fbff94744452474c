# Module: the functions of `iocpsock`.
# Threads: Python's, with the GIL.

__version__ = PACKAGE_VERSION.decode("ascii")


def create_connection(address, timeout=_stdlib._GLOBAL_DEFAULT_TIMEOUT, source_address=None, *,
                      all_errors=False):
    """Connect to (host, port), trying every address of the host in turn: an `iocpsock.socket`.

    `timeout` (seconds, None for ever, default: getdefaulttimeout()) holds for each attempt and then for the
    socket; `source_address` is a (host, port) to connect from. When all attempts fail, the last error is
    raised, or with `all_errors` an ExceptionGroup of all.
    """
    host, port_number = address
    errors = []
    for family, kind, protocol, _, target in lookup_addresses(host, port_number):
        sock = None
        try:
            sock = socket(family, kind, protocol)
            if timeout is not _stdlib._GLOBAL_DEFAULT_TIMEOUT:
                sock.settimeout(timeout)
            if source_address:
                sock.bind(source_address)
            sock.connect(target)
            return sock
        except OSError as error:
            errors.append(error)
            if sock is not None:
                sock.close()
    try:
        if not errors:
            raise OSError("getaddrinfo returns an empty list")
        raise ExceptionGroup("create_connection failed", errors) if all_errors else errors.pop()
    finally:
        errors = None                                       # an error's traceback refers to this frame


def create_server(address, *, family=_stdlib.AF_INET, backlog=None, reuse_port=False, dualstack_ipv6=False):
    """Listen on (host, port): an `iocpsock.socket`.

    `family` is AF_INET or AF_INET6; `dualstack_ipv6` lets an IPv6 socket take IPv4 connections too; `backlog`
    is the number of connections that may wait (default: the system's choice). The port is nobody else's
    (SO_EXCLUSIVEADDRUSE). `reuse_port` is refused with ValueError: Windows has no SO_REUSEPORT.
    """
    if reuse_port:
        raise ValueError("SO_REUSEPORT not supported on this platform")
    if dualstack_ipv6 and family != _stdlib.AF_INET6:
        raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    sock = socket(family, _stdlib.SOCK_STREAM)
    try:
        sock.setsockopt(_stdlib.SOL_SOCKET, _stdlib.SO_EXCLUSIVEADDRUSE, 1)
        if family == _stdlib.AF_INET6:
            sock.setsockopt(_stdlib.IPPROTO_IPV6, _stdlib.IPV6_V6ONLY, 0 if dualstack_ipv6 else 1)
        try:
            _bind_exclusively(sock, address)
        except OSError as error:
            error.strerror = f"{error.strerror} (while attempting to bind on address {address!r})"
            raise
        sock.listen() if backlog is None else sock.listen(backlog)
        return sock
    except BaseException:
        sock.close()
        raise


def _bind_exclusively(sock, address):
    """Bind a socket that has SO_EXCLUSIVEADDRUSE. WSAEADDRINUSE if another socket has the port, WSAEACCES if
    the system reserves it."""
    try:
        sock.bind(address)
    except OSError as error:
        if error.winerror != WSAEACCES or endpoint_denied(sock.family, address[1]) == WSAEACCES:
            raise
        raise OSError(None, "the address is in use", None, WSAEADDRINUSE) from error


def socketpair(family=_stdlib.AF_INET, type=_stdlib.SOCK_STREAM, proto=0):
    """Two `iocpsock.socket` objects connected to each other, over the loopback interface.

    `family` is AF_INET or AF_INET6, `type` SOCK_STREAM and `proto` 0; anything else is a ValueError.
    """
    return tuple(socket(end.family, end.type, end.proto, end.detach())
                 for end in _stdlib.socketpair(family, type, proto))


def fromfd(fd, family, type, proto=0):
    """A socket on a duplicate of the handle `fd`, an int, which stays the caller's: an `iocpsock.socket`."""
    return socket(family, type, proto, _core.dup(fd))


def fromshare(info):
    """The socket that another process has shared with this one: an `iocpsock.socket` made of the bytes of its
    `share`."""
    return socket(0, 0, 0, info)


def has_dualstack_ipv6():
    """Whether this system has IPv6 sockets that take IPv4 connections too: a bool."""
    return _stdlib.has_dualstack_ipv6()


def stats():
    """The engine's counters, for the whole process: a dict of names and ints.

    `<kind>_live` is how many connections, listeners, operations and lookups exist, `<kind>_total` how many
    there ever were; the other names are threads and consumers that exist, and events and bytes since the
    start.
    """
    result = {}
    cdef int counter
    for counter in range(COUNTER_COUNT):
        name = counter_names[counter].decode("ascii")
        if counter < COUNTER_OBJECTS:
            result[name + "_live"] = counter_read_live(counter)
            result[name + "_total"] = counter_read_total(counter)
        else:
            result[name] = counter_read_total(counter)
    return result


for _function in (create_connection, create_server, fromfd, fromshare, has_dualstack_ipv6, socketpair, stats):
    _function.__module__ = "iocpsock"
