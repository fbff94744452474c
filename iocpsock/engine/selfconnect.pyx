# Selfconnect: the engine's own connection to a listening socket. While it waits in the backlog, select
# reports the socket as readable.
#
# Owner: the acceptor, which needs it while it holds connections that select cannot see. Threads: any that may
# block, with the acceptor's lock held.

cdef enum:
    SELFCONNECT_TIME = 500          # timeout in milliseconds; connecting to one's own socket takes none


cdef SOCKET selfconnect_new(SOCKET listening, int family) noexcept nogil:
    """Connect to `listening`: the connected socket, or INVALID_SOCKET. If that fails because the backlog is
    full, the listening socket is readable anyway."""
    cdef Address address
    cdef Timeout timeout
    cdef GuardCall call
    cdef SOCKET sock
    memset(&address, 0, sizeof(address))
    memset(&timeout, 0, sizeof(timeout))
    address.family = family
    address.length = sizeof(sockaddr_storage)
    if getsockname(listening, <sockaddr *>&address.storage, &address.length):
        return INVALID_SOCKET
    sock = winsock_socket(family)
    if sock == INVALID_SOCKET:
        return INVALID_SOCKET
    timeout_begin(&timeout, SELFCONNECT_TIME)
    guard_own(&call, sock)
    if waiter_connect(&call, &address, &timeout):
        closesocket(sock)
        return INVALID_SOCKET
    return sock


cdef bint selfconnect_take(SOCKET ours, SOCKET listening, int family, SOCKET *other,
                           sockaddr_storage *peer) noexcept nogil:
    """Accept the first connection in the backlog. True if it is a peer's: the caller then owns it. False if
    it was the engine's own, which is closed, or if there was none."""
    cdef sockaddr_storage name
    cdef Timeout timeout
    cdef GuardCall call
    cdef int length = sizeof(name)
    memset(&timeout, 0, sizeof(timeout))
    memset(&name, 0, sizeof(name))
    getsockname(ours, <sockaddr *>&name, &length)
    timeout_begin(&timeout, SELFCONNECT_TIME)
    guard_own(&call, listening)                             # the runtime's handle; its calls are inside its
                                                            # guard
    if waiter_accept(&call, family, &timeout, other, peer):
        return False
    if not address_same(<const sockaddr *>peer, <const sockaddr *>&name):
        return True
    closesocket(other[0])
    return False


cdef void selfconnect_close(SOCKET ours) noexcept nogil:
    winsock_reset(ours)
    closesocket(ours)
