# Waiter: a caller that blocks on one operation, on any overlapped TCP socket, without a completion thread.
#
# The operation is posted with an event whose handle has its lowest bit set, and the calling thread waits for
# the event. The bit keeps the packet from a completion port with which the socket may be associated
# (documented with GetQueuedCompletionStatus). The kernel transfers the data directly to or from the caller's
# memory.
# A wait that ends early (timeout, interrupt) cancels the operation and then waits for its end: until then the
# kernel owns the memory, and data that still arrive are delivered, not lost. Only a close, an interrupt and
# the socket's own SO_SNDTIMEO cancel a send, and no send may follow it: Windows does not tell how much of it
# went out, and may end the connection. A send with a timeout posts nothing that would have to be cancelled
# (waiter_send_some).
# The handle is that of a GuardCall (engine/guard.pyx), which the caller has entered. A thread that closes the
# socket cancels the operation, and nothing is posted after that. Windows clears the event when the operation
# starts, so a waiter can be reused as it is.
# Owner: waiters are kept in a free list, each with its event; the calling thread owns one from waiter_take to
# waiter_give.
# Threads: any thread that may block.

cdef struct Waiter:
    OVERLAPPED overlapped
    Waiter *next
    HANDLE event

cdef struct WaiterPool:
    SRWLOCK lock
    Waiter *free
    int kept

cdef WaiterPool waiters


cdef Waiter *waiter_take() noexcept nogil:
    """A waiter ready for an operation, or NULL if out of memory or handles."""
    cdef Waiter *waiter
    AcquireSRWLockExclusive(&waiters.lock)
    waiter = waiters.free
    if waiter != NULL:
        waiters.free = waiter.next
        waiters.kept -= 1
    ReleaseSRWLockExclusive(&waiters.lock)
    if waiter == NULL:
        waiter = <Waiter *>memory_new(sizeof(Waiter))
        if waiter == NULL:
            return NULL
        waiter.event = CreateEventW(NULL, TRUE, FALSE, NULL)
        if waiter.event == NULL:
            memory_free(waiter, sizeof(Waiter))
            return NULL
    memset(&waiter.overlapped, 0, sizeof(OVERLAPPED))
    waiter.overlapped.hEvent = <HANDLE>(<ULONG_PTR>waiter.event | 1)
    counter_born(COUNTER_operations)
    return waiter


cdef void waiter_give(Waiter *waiter) noexcept nogil:
    cdef bint keep
    counter_gone(COUNTER_operations)
    AcquireSRWLockExclusive(&waiters.lock)
    keep = waiters.kept < WAITER_KEEP
    if keep:
        waiter.next = waiters.free
        waiters.free = waiter
        waiters.kept += 1
    ReleaseSRWLockExclusive(&waiters.lock)
    if not keep:
        CloseHandle(waiter.event)
        memory_free(waiter, sizeof(Waiter))


cdef int waiter_begin(Waiter *waiter, GuardCall *call, int use) noexcept nogil:
    """Call before the operation is posted: 0, and then waiter_posted must follow the posting call, or a
    Winsock code. Sets the status, because not every function that returns WSA_IO_PENDING has written it by
    then."""
    waiter.overlapped.Internal = <ULONG_PTR>STATUS_PENDING
    waiter.overlapped.InternalHigh = 0
    return guard_begin(call, use)


cdef inline int waiter_posted(Waiter *waiter, GuardCall *call, int error) noexcept nogil:
    return guard_posted(call, call.socket, &waiter.overlapped, error)


cdef inline bint waiter_pending(Waiter *waiter) noexcept nogil:
    """Only the low half of the status counts (HasOverlappedIoCompleted in winbase.h). What the kernel wrote
    before it is read after it."""
    if <DWORD>waiter.overlapped.Internal == <DWORD>STATUS_PENDING:
        return True
    MemoryBarrier()
    return False


cdef int waiter_finish(Waiter *waiter, GuardCall *call, int error, Timeout *timeout,
                       bint repeatable) noexcept nogil:
    """After the posting call: wait for the end of the operation. 0 or a Winsock code, which is
    TIMEOUT_EXPIRED or WSAEINTR only if nothing happened.

    A `repeatable` operation is cancelled at an interrupt, and the caller asks the runtime whether to post it
    again. Any other goes on while this function asks the runtime."""
    cdef int ended = 0
    if error and error != WSA_IO_PENDING:
        return error
    while waiter_pending(waiter):
        if ended:
            WaitForSingleObject(waiter.event, INFINITE)
            continue
        ended = timeout_wait(timeout, waiter.event)
        if ended == WSAEINTR and not repeatable and not timeout.interrupted():
            ended = 0
        if ended:
            guard_cancel(call)
    guard_ended(call, &waiter.overlapped)
    error = error_from_status(waiter.overlapped.Internal)
    if not ended and error == WSA_OPERATION_ABORTED and call.use == GUARD_GIVES:
        # Not cancelled here: perhaps Windows ended it for a cancel by another thread.
        guard_break(call)
    if ended == WSAEINTR and not repeatable:                # the runtime ends the call, whatever the result
        if error == WSA_OPERATION_ABORTED and call.use == GUARD_GIVES:
            guard_break(call)
        return WSAEINTR
    return ended if ended and error == WSA_OPERATION_ABORTED else error


cdef void waiter_await(Waiter *waiter, GuardCall *call) noexcept nogil:
    """Wait for the end of an operation that was cancelled."""
    while waiter_pending(waiter):
        WaitForSingleObject(waiter.event, INFINITE)
    guard_ended(call, &waiter.overlapped)


cdef Timeout *waiter_limit(GuardCall *call, int option, int error, Timeout *timeout,
                           Timeout *limited) noexcept nogil:
    """The timeout for a pending operation. If the caller has none, the socket's option SO_RCVTIMEO or
    SO_SNDTIMEO applies. It is queried only when the caller has to wait."""
    cdef DWORD milliseconds = 0
    cdef int length = sizeof(milliseconds)
    if error != WSA_IO_PENDING or timeout.deadline or not timeout.asks:
        return timeout
    if getsockopt(call.socket, SOL_SOCKET, option, <char *>&milliseconds, &length) or milliseconds == 0:
        return timeout
    limited[0] = timeout[0]
    timeout_begin(limited, milliseconds)
    return limited


cdef int waiter_receive(GuardCall *call, char *buffer, DWORD size, Timeout *timeout,
                        DWORD *received) noexcept nogil:
    """Receive into `buffer` and wait: 0 with the count in `received` (0 bytes: end of stream), or a Winsock
    code. With a `size` of 0, wait until there is something to receive, without receiving it."""
    cdef Waiter *waiter = waiter_take()
    cdef Timeout limited
    cdef Timeout *limit = timeout
    cdef WSABUF target
    cdef DWORD flags
    cdef int error
    received[0] = 0
    if waiter == NULL:
        return WSAENOBUFS
    target.buf = buffer
    target.len = size
    while True:
        flags = 0
        error = waiter_begin(waiter, call, GUARD_TAKES)
        if not error:
            if WSARecv(call.socket, &target, 1, NULL, &flags, &waiter.overlapped, NULL):
                error = error_last()
            error = waiter_posted(waiter, call, error)
        if limit == timeout:
            limit = waiter_limit(call, SO_RCVTIMEO, error, timeout, &limited)
        error = waiter_finish(waiter, call, error, limit, True)
        if error != WSAEINTR or timeout.interrupted():
            break
    if error == TIMEOUT_EXPIRED and limit != timeout:
        error = WSAETIMEDOUT
    if not error:
        received[0] = <DWORD>waiter.overlapped.InternalHigh
    waiter_give(waiter)
    counter_add(COUNTER_bytes_received, received[0])
    return error


cdef int waiter_post_send(Waiter *waiter, GuardCall *call, const char *data, DWORD size,
                          DWORD flags) noexcept nogil:
    """Post a send from `data`: the Winsock code of the call, 0 or WSA_IO_PENDING if the send was posted."""
    cdef WSABUF source
    cdef int error = waiter_begin(waiter, call, GUARD_GIVES)
    source.buf = <char *>data
    source.len = size
    if error:
        return error
    if WSASend(call.socket, &source, 1, NULL, flags, &waiter.overlapped, NULL):
        error = error_last()
    return waiter_posted(waiter, call, error)


cdef int waiter_wait(Waiter *waiter, Timeout *timeout) noexcept nogil:
    """Wait for the end of an operation, which goes on if the wait ends early: 0, TIMEOUT_EXPIRED, WSAEINTR or
    another Winsock code."""
    cdef int ended
    while waiter_pending(waiter):
        ended = timeout_wait(timeout, waiter.event)
        if ended and (ended != WSAEINTR or timeout.interrupted()):
            return ended
    return 0


cdef int waiter_send(GuardCall *call, const char *data, DWORD size, DWORD flags, Timeout *timeout,
                     DWORD *sent) noexcept nogil:
    """Send from `data` and wait, with only the socket's own timeout, until the kernel has taken it: 0 with
    the count in `sent`, or a Winsock code."""
    cdef Waiter *waiter = waiter_take()
    cdef Timeout limited
    cdef Timeout *limit
    cdef int error
    sent[0] = 0
    if waiter == NULL:
        return WSAENOBUFS
    error = waiter_post_send(waiter, call, data, size, flags)
    limit = waiter_limit(call, SO_SNDTIMEO, error, timeout, &limited)
    error = waiter_finish(waiter, call, error, limit, False)
    if error == TIMEOUT_EXPIRED:
        # It is unknown how much went out, as with an ordinary send().
        guard_break(call)
        error = WSAETIMEDOUT
    if not error:
        sent[0] = <DWORD>waiter.overlapped.InternalHigh
    waiter_give(waiter)
    counter_add(COUNTER_bytes_sent, sent[0])
    return error


cdef int waiter_room(GuardCall *call, Timeout *timeout) noexcept nogil:
    """Wait until a connected socket has room to send, or has an error to report: 0 or a Winsock code."""
    cdef SOCKET base = guard_base(call)
    cdef Waiter *waiter = waiter_take()
    cdef afd_poll poll                                      # owned by the kernel until waiter_finish returns
    cdef int status, error
    if waiter == NULL:
        return WSAENOBUFS
    while True:
        error = waiter_begin(waiter, call, GUARD_TAKES)
        if not error:
            status = afd_poll_room(base, &poll, waiter.event, &waiter.overlapped)
            error = WSA_IO_PENDING if status == STATUS_PENDING else error_from_status(<ULONG_PTR>status)
            error = guard_posted(call, base, &waiter.overlapped, error)
        error = waiter_finish(waiter, call, error, timeout, True)
        if error != WSAEINTR or timeout.interrupted():
            break
    waiter_give(waiter)
    return error


cdef int waiter_send_some(GuardCall *call, const char *data, DWORD size, DWORD flags, Timeout *timeout,
                          DWORD *sent) noexcept nogil:
    """On a non-blocking socket, wait until the kernel takes any of `data`, and send what it takes at once: 0
    with the count in `sent`, or a Winsock code, and then nothing was sent."""
    cdef WSABUF source
    cdef int error
    source.buf = <char *>data
    source.len = size
    guard_begin_timed(call)
    while True:
        sent[0] = 0
        error = guard_check(call, GUARD_GIVES)
        if not error and WSASend(call.socket, &source, 1, sent, flags, NULL, NULL):
            error = error_last()
        if error == WSAEWOULDBLOCK:
            error = waiter_room(call, timeout)
            if not error:
                continue
        break
    guard_end_timed(call)
    counter_add(COUNTER_bytes_sent, sent[0])
    return error


cdef int waiter_transmit(GuardCall *call, HANDLE file, ULONGLONG offset, DWORD size, Timeout *timeout,
                         DWORD *sent) noexcept nogil:
    """Send `size` bytes of `file` from `offset` and wait, up to `timeout`, until the kernel has taken them: 0
    with the count in `sent`, which is less at the end of the file, or a Winsock code. After one
    nobody can tell how much was sent, so the caller's `timeout` has no deadline."""
    cdef Waiter *waiter = waiter_take()
    cdef int error
    sent[0] = 0
    if waiter == NULL:
        return WSAENOBUFS
    waiter.overlapped.Offset = <DWORD>offset
    waiter.overlapped.OffsetHigh = <DWORD>(offset >> 32)
    error = waiter_begin(waiter, call, GUARD_GIVES)
    if not error:
        if not winsock.TransmitFile(call.socket, file, size, 0, &waiter.overlapped, NULL, 0):
            error = error_last()
        error = waiter_posted(waiter, call, error)
    error = waiter_finish(waiter, call, error, timeout, False)
    if not error:
        sent[0] = <DWORD>waiter.overlapped.InternalHigh
    waiter_give(waiter)
    counter_add(COUNTER_bytes_sent, sent[0])
    return 0 if error == ERROR_HANDLE_EOF else error


cdef int waiter_connect(GuardCall *call, Address *remote, Timeout *timeout) noexcept nogil:
    """Connect the call's socket, after binding it if it is not bound, and wait: 0 or a Winsock code."""
    cdef Waiter *waiter
    cdef int error = connector_bind(call.socket, remote, NULL, 0)
    if error and error != WSAEINVAL:                        # WSAEINVAL: it is already bound
        return error
    waiter = waiter_take()
    if waiter == NULL:
        return WSAENOBUFS
    address_any_to_loopback(remote)
    if address_is_loopback(<const sockaddr *>&remote.storage):
        winsock_retry_once(call.socket)
    error = waiter_begin(waiter, call, GUARD_CONNECTS)
    if not error:
        if not winsock.ConnectEx(call.socket, <const sockaddr *>&remote.storage, remote.length, NULL, 0, NULL,
                                 &waiter.overlapped):
            error = error_last()
        error = waiter_posted(waiter, call, error)
    error = waiter_finish(waiter, call, error, timeout, False)
    waiter_give(waiter)
    if not error and setsockopt(call.socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0):
        error = error_last()
    counter_add(COUNTER_connect_failures if error else COUNTER_connects, 1)
    return error


cdef int waiter_accept_once(GuardCall *call, int family, Timeout *timeout, SOCKET *accepted,
                            sockaddr_storage *peer) noexcept nogil:
    """One AcceptEx: 0, or a Winsock code and no socket."""
    cdef Waiter *waiter = waiter_take()
    cdef char addresses[2 * WINSOCK_ADDRESS]
    cdef DWORD ignored = 0
    cdef int error
    cdef SOCKET sock = winsock_socket(family) if waiter != NULL else INVALID_SOCKET
    if sock == INVALID_SOCKET:
        error = error_last() if waiter != NULL else WSAENOBUFS
    else:
        error = waiter_begin(waiter, call, GUARD_TAKES)
        if not error:
            if not winsock.AcceptEx(call.socket, sock, addresses, 0, WINSOCK_ADDRESS, WINSOCK_ADDRESS,
                                    &ignored, &waiter.overlapped):
                error = error_last()
            error = waiter_posted(waiter, call, error)
        error = waiter_finish(waiter, call, error, timeout, True)
        if not error:
            error = winsock_adopt(call.socket, sock, addresses, peer)
        if error:
            closesocket(sock)
    if waiter != NULL:
        waiter_give(waiter)
    if not error:
        accepted[0] = sock
    return error


cdef bint waiter_peer_is_gone(int error) noexcept nogil:
    """Whether an accept failed because of the connection, not because of the listening socket."""
    return error == WSAECONNRESET or error == WSAECONNABORTED or error == WSAENOTCONN or error == WSAETIMEDOUT


cdef int waiter_accept(GuardCall *call, int family, Timeout *timeout, SOCKET *accepted,
                       sockaddr_storage *peer) noexcept nogil:
    """Wait for a connection on a listening socket: 0 with its socket and its peer's address, or a Winsock
    code. Skips a peer that is gone before it could be accepted. No operation stays posted, so between calls
    the listening socket behaves as an ordinary one."""
    cdef int error
    while True:
        error = waiter_accept_once(call, family, timeout, accepted, peer)
        if error == WSAEINTR and not timeout.interrupted():
            continue
        if not error:
            counter_add(COUNTER_accepts, 1)
        elif error != TIMEOUT_EXPIRED and error != WSAEINTR:
            counter_add(COUNTER_accept_failures, 1)
        if not waiter_peer_is_gone(error) or timeout_left(timeout) == 0:
            return error
