# Endpoint: a listening socket of a listener's, and the AcceptEx operations ("slots") that are posted on it.
#
# How many there should be follows the traffic: as many as connections may come while every completion thread
# is kept from its work. What became of the slots is learnt from their packets alone. Their status blocks
# would not do: the system may write one only when its packet is dequeued.
# A socket that a slot has connected is made known to Winsock, or reset, while the listening one is open: so
# this is closed when no packet is to come and no connection is being adopted.
# Owner: its listener. Threads: under the listener's lock, but for endpoint_bind, endpoint_denied,
# endpoint_refuse.

cdef enum:
    ENDPOINT_SLOTS = 8              # posted at least, when their number is fitted to the traffic ...
    ENDPOINT_SLOTS_MOST = 256       # ... and at most
    ENDPOINT_RUN = 16               # milliseconds in which no slot may be used twice, or there are too few: a
                                    # tick of the clock
    ENDPOINT_BURST = 10000          # milliseconds after which a burst counts as over

cdef struct Endpoint:
    Link link                       # in the queue of its listener
    Listener *listener
    SOCKET socket
    int family
    int posted                      # slots
    int making                      # slots for which a thread makes the socket
    int adopting                    # connections of slots that were dequeued, and use `socket` yet
    int target                      # how many to post, fitted to the traffic
    int run                         # connections since `since`
    ULONGLONG since                 # GetTickCount64 milliseconds
    ULONGLONG burst                 # likewise, when the slots were last too few
    Queue slots                     # the posted ones
    LONGLONG number                 # of the slot posted last


cdef int endpoint_bind(Address *address, int backlog, bint share, SOCKET *result) noexcept nogil:
    """A socket that listens on `address`: 0 or a Winsock code. `share` lets other sockets have the same port
    at the same time; otherwise nobody can take it away from us, nor is it taken from anybody. A refusal is
    final: a second attempt without SO_EXCLUSIVEADDRUSE would succeed beside a listener on a more specific
    address (Microsoft's page "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE")."""
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
    """Why an exclusive bind got WSAEACCES: WSAEADDRINUSE when somebody has the port, else WSAEACCES, for the
    system keeps it for itself, as Hyper-V does with ranges of them. Whoever reads "address already in use" of
    such a port looks in vain for its owner."""
    return WSAEADDRINUSE if tcptable_has(family, <unsigned short>port) else WSAEACCES


cdef void endpoint_adapt(Endpoint *endpoint) noexcept nogil:
    """A slot was used: there should be more if all of them were within a moment; long after such a burst
    there may be fewer."""
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
    """Post the AcceptEx, for which the op has the socket: 0 or a Winsock code, and then the op is still the
    caller's."""
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
    """The slot is not posted any more."""
    queue_remove(&op.link)
    endpoint.posted -= 1


cdef void endpoint_refuse(Endpoint *endpoint, Op *op) noexcept nogil:
    """Close the socket of a slot that was dequeued, and reset its connection if it has one: leave no
    TIME_WAIT."""
    if op.error == 0:
        winsock_accepted(endpoint.socket, op.socket)
    winsock_reset(op.socket)
    closesocket(op.socket)


cdef void endpoint_close(Endpoint *endpoint) noexcept nogil:
    closesocket(endpoint.socket)
    endpoint.socket = INVALID_SOCKET
