# Endpoint: one listening socket of a listener, and the AcceptEx operations ("slots") posted on it.
#
# Their number follows the traffic: as many as connections may arrive while no completion thread gets to run.
# The engine learns the fate of a slot from its packet alone, not from its status block, which the system may
# write only when the packet is dequeued.
# The listening socket must be open while the engine reports an accepted socket to Winsock or resets it. So
# the engine closes the listening socket when no packet is outstanding and no connection is being adopted.
# Owner: its listener. Threads: under the listener's lock, except endpoint_bind, endpoint_denied and
# endpoint_refuse.

cdef enum:
    ENDPOINT_SLOTS = 8              # fewest posted, when their number follows the traffic ...
    ENDPOINT_SLOTS_MOST = 256       # ... and most
    ENDPOINT_RUN = 16               # milliseconds; if as many connections as there are slots arrive within
                                    # it, there are too few: a clock tick
    ENDPOINT_BURST = 10000          # milliseconds after which a burst counts as over

cdef struct Endpoint:
    Link link                       # in the queue of its listener
    Listener *listener
    SOCKET socket
    int family
    int posted                      # slots
    int making                      # slots for which a thread is creating the socket
    int adopting                    # dequeued slots whose connection still needs `socket`
    int target                      # how many to post, according to the traffic
    int run                         # connections since `since`
    ULONGLONG since                 # GetTickCount64 milliseconds
    ULONGLONG burst                 # likewise: when there were last too few slots
    Queue slots                     # the posted slots
    LONGLONG number                 # of the last slot posted


cdef int endpoint_bind(Address *address, int backlog, bint share, SOCKET *result) noexcept nogil:
    """Create a socket that listens on `address`: 0 or a Winsock code. With `share`, other sockets may have
    the same port at the same time; otherwise no other socket can take the port from this one, nor this one
    from another. A refusal is final: a second attempt without SO_EXCLUSIVEADDRUSE would succeed beside a
    listener on a more specific address (Microsoft's page "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE")."""
    cdef SOCKET sock = winsock_socket(address.family)
    cdef int error = 0
    if sock == INVALID_SOCKET:
        return error_last()
    winsock_flag(sock, SOL_SOCKET, SO_REUSEADDR if share else SO_EXCLUSIVEADDRUSE, 1)
    if address.family == AF_INET6:
        winsock_flag(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    if bind(sock, <const sockaddr *>&address.storage, address.length):
        error = error_last()
    if not error:
        error = winsock_listen(sock, backlog)
    if error:
        closesocket(sock)
        if error == WSAEACCES and not share:
            error = endpoint_denied(address.family, address_port(<const sockaddr *>&address.storage))
        return error
    result[0] = sock
    return 0


cdef int endpoint_denied(int family, int port) noexcept nogil:
    """Why an exclusive bind failed with WSAEACCES: WSAEADDRINUSE if a socket has the port; else WSAEACCES,
    because the system reserves it, as Hyper-V does with ranges of ports. "Address already in use" would send
    the user in search of an owner that such a port does not have."""
    return WSAEADDRINUSE if tcptable_has(family, <unsigned short>port) else WSAEACCES


cdef void endpoint_adapt(Endpoint *endpoint) noexcept nogil:
    """A slot was used: double the target if all slots were used within ENDPOINT_RUN; lower it long after such
    a burst."""
    cdef ULONGLONG now = GetTickCount64()
    endpoint.run += 1
    if now - endpoint.since > ENDPOINT_RUN:
        endpoint.since = now
        endpoint.run = 1
    if endpoint.run >= endpoint.target:
        endpoint.burst = endpoint.since = now
        endpoint.run = 0
        endpoint.target = min(endpoint.target * 2, <int>ENDPOINT_SLOTS_MOST)
    elif endpoint.target > ENDPOINT_SLOTS and now - endpoint.burst > ENDPOINT_BURST:
        endpoint.target -= 1


cdef int endpoint_accept(Endpoint *endpoint, Op *op) noexcept nogil:
    """Post an AcceptEx with the op's socket: 0, or a Winsock code, and then the caller still owns the op."""
    cdef DWORD received = 0
    cdef int error
    op_begin(op)
    if not winsock.AcceptEx(endpoint.socket, op.socket, op.data, op.length, WINSOCK_ADDRESS, WINSOCK_ADDRESS,
                            &received, &op.overlapped):
        error = error_last()
        if error != WSA_IO_PENDING:
            source_drop(op.source)
            return error
    endpoint.posted += 1
    endpoint.number += 1
    op.number = endpoint.number
    queue_prepend(&endpoint.slots, &op.link, op)
    return 0


cdef void endpoint_remove(Endpoint *endpoint, Op *op) noexcept nogil:
    """The slot is no longer posted."""
    queue_remove(&op.link)
    endpoint.posted -= 1


cdef void endpoint_refuse(Endpoint *endpoint, Op *op) noexcept nogil:
    """Close the socket of a dequeued slot, and reset its connection, if any, so that no TIME_WAIT remains."""
    if op.error or winsock_accepted(endpoint.socket, op.socket) == 0:
        winsock_reset(op.socket)
    closesocket(op.socket)


cdef void endpoint_close(Endpoint *endpoint) noexcept nogil:
    closesocket(endpoint.socket)
    endpoint.socket = INVALID_SOCKET
