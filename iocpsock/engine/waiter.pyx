# Waiter: a caller that blocks on one operation, on any overlapped TCP socket, and needs no completion thread.
#
# The operation is posted with an event whose handle has its lowest bit set, which keeps its packet from a completion port
# that the socket may belong to (documented with GetQueuedCompletionStatus), and the calling thread waits for the event. The
# data go straight to and from the caller's memory. A wait that ends early (time-out) cancels the operation and then waits
# for its end: until then the memory is the kernel's, and what arrived in the last moment is delivered, not lost.
# The system clears the event when the operation starts, so a waiter can be used again as it is.
# Owner: waiters are kept in a free list, each with its event; one belongs to the calling thread from take to give.
# Threads: any thread that may block.

cdef enum:
    WAITER_FOREVER = INFINITE       # a time-out, in milliseconds

cdef struct Waiter:
    OVERLAPPED overlapped
    Waiter *next
    HANDLE event

cdef struct WaiterPool:
    SRWLOCK lock
    Waiter *free

cdef WaiterPool waiters


cdef Waiter *waiter_take() noexcept nogil:
    """A waiter ready for an operation, or NULL when memory or handles are exhausted."""
    cdef Waiter *waiter
    AcquireSRWLockExclusive(&waiters.lock)
    waiter = waiters.free
    if waiter != NULL:
        waiters.free = waiter.next
    ReleaseSRWLockExclusive(&waiters.lock)
    if waiter == NULL:
        waiter = <Waiter *>malloc(sizeof(Waiter))
        if waiter == NULL:
            return NULL
        waiter.event = CreateEventW(NULL, TRUE, FALSE, NULL)
        if waiter.event == NULL:
            free(waiter)
            return NULL
    memset(&waiter.overlapped, 0, sizeof(OVERLAPPED))
    waiter.overlapped.hEvent = <HANDLE>(<ULONG_PTR>waiter.event | 1)
    counter_born(COUNTER_operations)
    return waiter


cdef void waiter_give(Waiter *waiter) noexcept nogil:
    counter_gone(COUNTER_operations)
    AcquireSRWLockExclusive(&waiters.lock)
    waiter.next = waiters.free
    waiters.free = waiter
    ReleaseSRWLockExclusive(&waiters.lock)


cdef inline bint waiter_pending(Waiter *waiter) noexcept nogil:
    return waiter.overlapped.Internal == STATUS_PENDING


cdef int waiter_finish(Waiter *waiter, SOCKET sock, int error, DWORD milliseconds) noexcept nogil:
    """After the call that posted: wait for the end of the operation, at most so long. 0 or a Winsock code; WSAETIMEDOUT
    only if nothing happened."""
    cdef bint expired = False
    if error and error != WSA_IO_PENDING:
        return error
    while waiter_pending(waiter):
        if WaitForSingleObject(waiter.event, INFINITE if expired else milliseconds) != WAIT_OBJECT_0 and not expired:
            expired = True
            CancelIoEx(<HANDLE>sock, &waiter.overlapped)
    error = error_from_status(waiter.overlapped.Internal)
    if error == WSA_OPERATION_ABORTED:                      # by us, or by whoever closed the socket meanwhile
        return WSAETIMEDOUT if expired else WSAECONNABORTED
    return error


cdef int waiter_receive(SOCKET sock, char *buffer, DWORD size, DWORD flags, DWORD milliseconds, DWORD *received) noexcept nogil:
    """Receive into `buffer` and wait for it: 0 with the count in `received` (0 bytes: end of stream), or a Winsock code."""
    cdef Waiter *waiter = waiter_take()
    cdef WSABUF target
    cdef int error = 0
    if waiter == NULL:
        return WSAENOBUFS
    target.buf = buffer
    target.len = size
    if WSARecv(sock, &target, 1, NULL, &flags, &waiter.overlapped, NULL):
        error = error_last()
    error = waiter_finish(waiter, sock, error, milliseconds)
    received[0] = <DWORD>waiter.overlapped.InternalHigh if not error else 0
    waiter_give(waiter)
    counter_add(COUNTER_bytes_received, received[0])
    return error


cdef int waiter_send(SOCKET sock, const char *data, DWORD size, DWORD flags, DWORD milliseconds, DWORD *sent) noexcept nogil:
    """Send from `data` and wait until the kernel took it: 0 with the count in `sent`, or a Winsock code."""
    cdef Waiter *waiter = waiter_take()
    cdef WSABUF source
    cdef int error = 0
    if waiter == NULL:
        return WSAENOBUFS
    source.buf = <char *>data
    source.len = size
    if WSASend(sock, &source, 1, NULL, flags, &waiter.overlapped, NULL):
        error = error_last()
    error = waiter_finish(waiter, sock, error, milliseconds)
    sent[0] = <DWORD>waiter.overlapped.InternalHigh if not error or error == WSAETIMEDOUT else 0
    waiter_give(waiter)
    counter_add(COUNTER_bytes_sent, sent[0])
    return error


cdef int waiter_connect(SOCKET sock, Address *remote, DWORD milliseconds) noexcept nogil:
    """Connect `sock`, binding it first if it is not bound, and wait for it: 0 or a Winsock code."""
    cdef Waiter *waiter
    cdef int error = connector_bind(sock, remote, NULL, 0)
    cdef DWORD ignored = 0
    if error and error != WSAEINVAL:                        # WSAEINVAL: it is bound already
        return error
    waiter = waiter_take()
    if waiter == NULL:
        return WSAENOBUFS
    error = 0
    address_any_to_loopback(remote)
    if address_is_loopback(<const sockaddr *>&remote.storage):
        WSAIoctl(sock, IOCPSOCK_SIO_TCP_INITIAL_RTO, <void *>&initial_rto_no_retry, sizeof(initial_rto_no_retry), NULL, 0,
                 &ignored, NULL, NULL)
    if not winsock.ConnectEx(sock, <const sockaddr *>&remote.storage, remote.length, NULL, 0, NULL, &waiter.overlapped):
        error = error_last()
    error = waiter_finish(waiter, sock, error, milliseconds)
    waiter_give(waiter)
    if not error and setsockopt(sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0):
        error = error_last()
    counter_add(COUNTER_connect_failures if error else COUNTER_connects, 1)
    return error


cdef int waiter_accept_once(SOCKET listening, int family, DWORD milliseconds, SOCKET *accepted, sockaddr_storage *peer) noexcept nogil:
    """One AcceptEx: 0, or a Winsock code and no socket."""
    cdef Waiter *waiter = waiter_take()
    cdef char addresses[2 * LISTENER_ADDRESS]
    cdef DWORD ignored = 0
    cdef sockaddr *local
    cdef sockaddr *remote = NULL
    cdef int local_length, remote_length = 0, error = 0
    cdef SOCKET sock = winsock_socket(family) if waiter != NULL else INVALID_SOCKET
    if sock == INVALID_SOCKET:
        error = error_last() if waiter != NULL else WSAENOBUFS
    else:
        if not winsock.AcceptEx(listening, sock, addresses, 0, LISTENER_ADDRESS, LISTENER_ADDRESS, &ignored, &waiter.overlapped):
            error = error_last()
        error = waiter_finish(waiter, listening, error, milliseconds)
        if not error and setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, <const char *>&listening, sizeof(SOCKET)):
            error = error_last()
        if error:
            closesocket(sock)
    if waiter != NULL:
        waiter_give(waiter)
    counter_add(COUNTER_accept_failures if error else COUNTER_accepts, error != WSAETIMEDOUT)
    if error:
        return error
    winsock.GetAcceptExSockaddrs(addresses, 0, LISTENER_ADDRESS, LISTENER_ADDRESS, &local, &local_length, &remote, &remote_length)
    memset(peer, 0, sizeof(sockaddr_storage))
    if remote != NULL and 0 < remote_length <= <int>sizeof(sockaddr_storage):
        memcpy(peer, remote, remote_length)
    accepted[0] = sock
    return 0


cdef bint waiter_peer_is_gone(int error) noexcept nogil:
    """Whether an accept failed because of the connection, not because of the listening socket."""
    return error == WSAECONNRESET or error == WSAENOTCONN or error == WSAETIMEDOUT


cdef int waiter_accept(SOCKET listening, int family, ULONGLONG deadline, SOCKET *accepted, sockaddr_storage *peer) noexcept nogil:
    """Wait for a connection on a listening socket: 0 with its socket and its peer's address, or a Winsock code, WSAETIMEDOUT
    after `deadline` (GetTickCount64; 0: none). A peer that is gone before it could be accepted is passed over. Nothing
    stays posted, so the listening socket is an ordinary one between calls."""
    cdef ULONGLONG now
    cdef DWORD milliseconds = WAITER_FOREVER
    cdef int error
    while True:
        if deadline:
            now = GetTickCount64()
            milliseconds = <DWORD>(deadline - now) if now < deadline else 0
        error = waiter_accept_once(listening, family, milliseconds, accepted, peer)
        if not waiter_peer_is_gone(error) or (deadline and GetTickCount64() >= deadline):
            return error
