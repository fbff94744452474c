# Acceptor: the AcceptEx slots of a listening socket whose owner blocks in accept, without a completion port.
#
# Several AcceptEx operations stay posted between the calls, each with a socket ready for its connection, so
# that a burst of connections is accepted as it arrives. All share one event, with its lowest bit set as in
# the waiter. A call takes the first slot that is done, or waits for one.
# Posting a slot costs more than taking a connection from it, so missing slots are posted in a lull: when no
# connection has arrived for ACCEPTOR_LULL, or when no slot is left. Their number follows the longest run of
# connections without a lull.
# Each slot costs a socket, and what the system keeps for one (on Windows some KiB of its memory). The runtime
# creates, owns and closes the sockets: a call that lacks some returns ACCEPTOR_WANTS. With each goes its
# `owner`, a pointer that the acceptor does not interpret. The acceptor holds both from acceptor_post to
# acceptor_take or acceptor_drop. A slot whose connection failed, or that ended with the thread that posted
# it, is taken like the others.
# No other code that uses the listening socket sees a connection that a slot has accepted. So the runtime ends
# the slots for good (acceptor_stop) before other code can use it; connections accepted before that are
# returned by the next acceptor_take calls. While there are any, select has to report the socket as readable:
# the engine's own connection waits in the backlog (engine/selfconnect.pyx), and is removed together with the
# last of them.
# Windows clears the event whenever a slot is posted. So the thread that posts checks all slots afterwards,
# and sets the event again if one is done. A waiting thread may be woken for nothing, but never misses a
# connection.
# Owner: the runtime, which no longer calls acceptor_accept or acceptor_post once it calls acceptor_end.
# Threads: any thread that may block, under `lock`, which is held while slots are posted or ended, and never
# while a caller waits for a connection.

cdef enum:
    ACCEPTOR_LULL = 5               # milliseconds without a connection that count as a lull; on Windows up to
                                    # a clock tick, 16
    ACCEPTOR_WANTS = -1             # not a Winsock code: the runtime must post `missing` sockets, and call
                                    # again

cdef struct Slot:
    OVERLAPPED overlapped           # first: the kernel's pointer to it is the pointer to the slot
    Link link
    SOCKET socket                   # created for the future connection
    void *owner                     # the runtime's; NULL for a connection that came without AcceptEx
    bint accepted                   # its connection was reported to Winsock (winsock_accepted)
    sockaddr_storage peer           # of a connection for which AcceptEx wrote no addresses here
    char addresses[2 * WINSOCK_ADDRESS]

cdef struct Acceptor:
    SRWLOCK lock
    SOCKET listening                # the runtime's
    int family
    int wanted                      # slots to keep posted; 0: as many as the traffic needs, which is `fitted`
    int fitted
    int run                         # connections taken since the last lull
    ULONGLONG burst                 # GetTickCount64 milliseconds when a run last needed more than half of the
                                    # slots
    int count                       # slots in the queue
    Queue slots                     # posted or done, in the order of posting, in which the kernel fills them
    Queue dropped                   # ended by acceptor_stop without a connection
    HANDLE changed                  # set when a slot is done, and when the slots were ended
    SOCKET selfconnect              # the engine's own connection (engine/selfconnect.pyx), or INVALID_SOCKET
    bint stopped

# A call by the runtime, initially zero except for its timeout, and its results.
cdef struct AcceptCall:
    Timeout timeout
    bint quiet                      # there is a lull: no connection has arrived for ACCEPTOR_LULL
    int missing                     # with ACCEPTOR_WANTS: how many sockets the runtime must post
    int refused                     # Winsock code of a failed post: the call goes on with the slots that
                                    # exist
    SOCKET socket                   # the socket that was taken, with its owner
    void *owner
    int failure                     # Winsock code if the socket has no connection; 0: it has one
    sockaddr_storage peer


cdef Acceptor *acceptor_new(SOCKET listening, int family, int wanted) noexcept nogil:
    """An acceptor without slots, or NULL if out of memory or handles."""
    cdef Acceptor *acceptor = <Acceptor *>memory_new(sizeof(Acceptor))
    if acceptor == NULL:
        return NULL
    acceptor.listening = listening
    acceptor.family = family
    acceptor.wanted = wanted
    acceptor.fitted = ENDPOINT_SLOTS
    acceptor.selfconnect = INVALID_SOCKET
    acceptor.changed = CreateEventW(NULL, TRUE, FALSE, NULL)
    if acceptor.changed == NULL:
        memory_free(acceptor, sizeof(Acceptor))
        return NULL
    counter_born(COUNTER_listeners)
    return acceptor


cdef inline bint acceptor_slot_pending(Slot *slot) noexcept nogil:
    return op_pending(&slot.overlapped)


cdef int acceptor_slot_accept(Acceptor *acceptor, Slot *slot) noexcept nogil:
    """Report the slot's connection to Winsock: 0 or a Winsock code."""
    cdef int error = 0 if slot.accepted else winsock_accepted(acceptor.listening, slot.socket)
    slot.accepted = not error
    return error


cdef void acceptor_slot_free(Slot *slot) noexcept nogil:
    counter_gone(COUNTER_operations)
    memory_free(slot, sizeof(Slot))


cdef bint acceptor_has(Acceptor *acceptor, bint pending) noexcept nogil:
    """Whether any slot is pending, or with `pending` False, done. With the lock held."""
    cdef Slot *slot = <Slot *>queue_first(&acceptor.slots)
    while slot != NULL and acceptor_slot_pending(slot) != pending:
        slot = <Slot *>queue_next(&slot.link)
    return slot != NULL


cdef Slot *acceptor_pop(Acceptor *acceptor) noexcept nogil:
    """Remove and return the first slot that is done, or NULL."""
    cdef Slot *slot
    AcquireSRWLockExclusive(&acceptor.lock)
    slot = <Slot *>queue_first(&acceptor.slots)
    while slot != NULL and acceptor_slot_pending(slot):
        slot = <Slot *>queue_next(&slot.link)
    if slot != NULL:
        queue_remove(&slot.link)
        acceptor.count -= 1
        acceptor.run += slot.overlapped.Internal == 0
        if acceptor.selfconnect != INVALID_SOCKET:
            acceptor_show(acceptor)
    ReleaseSRWLockExclusive(&acceptor.lock)
    return slot


cdef bint acceptor_take(Acceptor *acceptor, AcceptCall *call) noexcept nogil:
    """Take the socket of a slot that is done: whether there was one. Its connection may have failed."""
    cdef Slot *slot = acceptor_pop(acceptor)
    if slot == NULL:
        return False
    call.socket = slot.socket
    call.owner = slot.owner
    call.failure = error_from_status(slot.overlapped.Internal)
    counter_add(COUNTER_accept_failures, call.failure != 0 and call.failure != WSA_OPERATION_ABORTED)
    if slot.peer.ss_family:
        call.peer = slot.peer
    elif not call.failure:
        call.failure = acceptor_slot_accept(acceptor, slot)
        winsock_peer(slot.addresses, &call.peer)
    counter_add(COUNTER_accepts, call.failure == 0)
    acceptor_slot_free(slot)
    return True


cdef void acceptor_append(Acceptor *acceptor, Slot *slot) noexcept nogil:
    """With the lock held."""
    queue_append(&acceptor.slots, &slot.link, slot)
    acceptor.count += 1
    counter_born(COUNTER_operations)


cdef inline int acceptor_target(Acceptor *acceptor) noexcept nogil:
    """Slots to keep posted. With the lock held."""
    return acceptor.wanted if acceptor.wanted else acceptor.fitted


cdef int acceptor_begin(Acceptor *acceptor, SOCKET sock, void *owner) noexcept nogil:
    """Post an AcceptEx with this socket: 0 or a Winsock code. With the lock held."""
    cdef Slot *slot = <Slot *>memory_new(sizeof(Slot))
    cdef DWORD ignored = 0
    cdef int error
    if slot == NULL:
        return WSAENOBUFS
    op_reset(&slot.overlapped)
    slot.overlapped.hEvent = <HANDLE>(<ULONG_PTR>acceptor.changed | 1)
    slot.socket = sock
    slot.owner = owner
    if not winsock.AcceptEx(acceptor.listening, sock, slot.addresses, 0, WINSOCK_ADDRESS, WINSOCK_ADDRESS,
                            &ignored, &slot.overlapped):
        error = error_last()
        if error != WSA_IO_PENDING:
            memory_free(slot, sizeof(Slot))
            return error
    acceptor_append(acceptor, slot)
    return 0


cdef int acceptor_post(Acceptor *acceptor, AcceptCall *call, SOCKET *socks, void **owners,
                       int count) noexcept nogil:
    """Post slots with these sockets at the end of the queue: how many were posted. The runtime keeps the
    others; the next acceptor_accept tells whether more are needed."""
    cdef int posted = 0, error = 0
    AcquireSRWLockExclusive(&acceptor.lock)
    while not error and posted < count and not acceptor.stopped \
            and acceptor.count < acceptor_target(acceptor):
        error = acceptor_begin(acceptor, socks[posted], owners[posted])
        posted += error == 0
    if error or acceptor_has(acceptor, False):              # a failed post may also have cleared the event
        SetEvent(acceptor.changed)
    ReleaseSRWLockExclusive(&acceptor.lock)
    if error and not waiter_peer_is_gone(error):
        call.refused = error
    return posted


cdef void acceptor_fit(Acceptor *acceptor) noexcept nogil:
    """A run is over: adapt the number of slots to it, or reduce it long after the last run that needed so
    many."""
    cdef ULONGLONG now = GetTickCount64()
    AcquireSRWLockExclusive(&acceptor.lock)
    if acceptor.run > acceptor.fitted // 2:
        acceptor.fitted = max(acceptor.fitted, min(acceptor.run, <int>ENDPOINT_SLOTS_MOST))
        acceptor.burst = now
    elif now - acceptor.burst > ENDPOINT_BURST:
        acceptor.fitted = max(acceptor.fitted // 2, <int>ENDPOINT_SLOTS)
        acceptor.burst = now
    acceptor.run = 0
    ReleaseSRWLockExclusive(&acceptor.lock)


cdef int acceptor_want(Acceptor *acceptor, AcceptCall *call) noexcept nogil:
    """Before a wait: ACCEPTOR_WANTS if slots are missing and there is a lull, or none is left. It asks for a
    few slots at a time, so that a connection that arrives meanwhile is not delayed by the rest. 0 if there is
    a slot to wait for, or a Winsock code: WSA_OPERATION_ABORTED once the slots were ended."""
    cdef int missing, error = 0
    AcquireSRWLockExclusive(&acceptor.lock)
    missing = acceptor_target(acceptor) - acceptor.count
    if acceptor.stopped:
        error = WSA_OPERATION_ABORTED
    elif missing > 0 and not call.refused and (call.quiet or acceptor.count == 0):
        call.missing = min(missing, <int>ENDPOINT_SLOTS)
        error = ACCEPTOR_WANTS
    elif acceptor.count == 0:
        error = call.refused
    else:
        ResetEvent(acceptor.changed)
        if acceptor_has(acceptor, False):
            SetEvent(acceptor.changed)
    ReleaseSRWLockExclusive(&acceptor.lock)
    return error


cdef int acceptor_wait(Acceptor *acceptor, AcceptCall *call) noexcept nogil:
    """Wait for `changed`, as timeout_wait does; for ACCEPTOR_LULL at most if there is no lull yet."""
    cdef Timeout lull = call.timeout
    if call.quiet:
        return timeout_wait(&call.timeout, acceptor.changed)
    timeout_begin(&lull, min(timeout_left(&call.timeout), <DWORD>ACCEPTOR_LULL))
    return timeout_wait(&lull, acceptor.changed)


cdef int acceptor_accept(Acceptor *acceptor, AcceptCall *call) noexcept nogil:
    """Wait for a slot that is done: 0 with the results of acceptor_take, ACCEPTOR_WANTS, or a Winsock code.
    The next call returns a connection that arrives just as a wait ends early."""
    cdef int error
    while not acceptor_take(acceptor, call):
        error = acceptor_want(acceptor, call)
        if error == WSA_OPERATION_ABORTED and acceptor_take(acceptor, call):    # it arrived as the slots were
                                                                                # ended
            return 0
        if error:
            return error
        error = acceptor_wait(acceptor, call)
        call.quiet = error == TIMEOUT_EXPIRED and not call.quiet
        if call.quiet:
            acceptor_fit(acceptor)
            continue
        if error == WSAEINTR and not call.timeout.interrupted():
            error = 0
        if error:
            return error
        call.refused = 0                                    # that failure is out of date
    return 0


cdef void acceptor_stop(Acceptor *acceptor, bint shown) noexcept nogil:
    """End the slots for good. When this returns, the listening socket is an ordinary one, except that
    acceptor_take still returns connections accepted before; if `shown`, select then reports the socket as
    readable. The sockets without a connection wait for acceptor_drop. Wakes callers that wait."""
    AcquireSRWLockExclusive(&acceptor.lock)
    if not acceptor.stopped:
        acceptor.stopped = True
        acceptor_cancel(acceptor)
    if shown:
        acceptor_show(acceptor)
    ReleaseSRWLockExclusive(&acceptor.lock)


cdef void acceptor_cancel(Acceptor *acceptor) noexcept nogil:
    """Cancel the pending slots, and drop those without a connection. Report each accepted connection to
    Winsock while the listening socket is open: the runtime may close it before the connections are taken or
    reset. With the lock held."""
    cdef Slot *slot = <Slot *>queue_first(&acceptor.slots)
    cdef Slot *next
    while slot != NULL:
        if acceptor_slot_pending(slot):
            CancelIoEx(<HANDLE>acceptor.listening, &slot.overlapped)
        slot = <Slot *>queue_next(&slot.link)
    while True:
        ResetEvent(acceptor.changed)
        if not acceptor_has(acceptor, True):
            break
        WaitForSingleObject(acceptor.changed, INFINITE)
    SetEvent(acceptor.changed)
    slot = <Slot *>queue_first(&acceptor.slots)
    while slot != NULL:
        next = <Slot *>queue_next(&slot.link)
        if error_from_status(slot.overlapped.Internal) == 0:
            acceptor_slot_accept(acceptor, slot)
        else:
            queue_remove(&slot.link)
            acceptor.count -= 1
            queue_prepend(&acceptor.dropped, &slot.link, slot)
        slot = next


cdef void *acceptor_drop(Acceptor *acceptor) noexcept nogil:
    """The owner of a socket that acceptor_stop left without a connection, for the runtime to close; NULL: no
    more."""
    cdef Slot *slot
    cdef void *owner = NULL
    AcquireSRWLockExclusive(&acceptor.lock)
    slot = <Slot *>queue_take(&acceptor.dropped)
    if slot != NULL:
        owner = slot.owner
        acceptor_slot_free(slot)
    ReleaseSRWLockExclusive(&acceptor.lock)
    return owner


cdef void acceptor_show(Acceptor *acceptor) noexcept nogil:
    """Make select report the listening socket as readable while there is a connection for a caller. With the
    lock held."""
    cdef sockaddr_storage peer
    cdef SOCKET sock
    if acceptor.slots.first != NULL and acceptor.selfconnect == INVALID_SOCKET:
        acceptor.selfconnect = selfconnect_new(acceptor.listening, acceptor.family)
    elif acceptor.slots.first == NULL and acceptor.selfconnect != INVALID_SOCKET:
        # Keep the peers' connections that arrived before it, and put another one behind them.
        while selfconnect_take(acceptor.selfconnect, acceptor.listening, acceptor.family, &sock, &peer):
            acceptor_keep(acceptor, sock, &peer)
        acceptor_end_selfconnect(acceptor)
        if acceptor.slots.first != NULL:
            acceptor.selfconnect = selfconnect_new(acceptor.listening, acceptor.family)


cdef void acceptor_end_selfconnect(Acceptor *acceptor) noexcept nogil:
    if acceptor.selfconnect != INVALID_SOCKET:
        selfconnect_close(acceptor.selfconnect)
        acceptor.selfconnect = INVALID_SOCKET


cdef void acceptor_keep(Acceptor *acceptor, SOCKET sock, sockaddr_storage *peer) noexcept nogil:
    """Queue an accepted connection for a caller. With the lock held."""
    cdef Slot *slot = <Slot *>memory_new(sizeof(Slot))
    if slot == NULL:
        closesocket(sock)
        return
    slot.socket = sock
    slot.accepted = True
    slot.peer = peer[0]
    acceptor_append(acceptor, slot)


cdef void acceptor_end(Acceptor *acceptor) noexcept nogil:
    """The runtime accepts no more: end the slots, and reset the connections that nobody took. The runtime
    then calls acceptor_drop for what is left, and acceptor_free."""
    cdef Slot *slot
    acceptor_stop(acceptor, False)
    acceptor_end_selfconnect(acceptor)
    slot = acceptor_pop(acceptor)
    while slot != NULL:
        winsock_reset(slot.socket)
        if slot.owner == NULL:
            closesocket(slot.socket)
            acceptor_slot_free(slot)
        else:
            queue_prepend(&acceptor.dropped, &slot.link, slot)
        slot = acceptor_pop(acceptor)


cdef void acceptor_free(Acceptor *acceptor) noexcept nogil:
    """Free an acceptor that has ended and has nothing left."""
    CloseHandle(acceptor.changed)
    counter_gone(COUNTER_listeners)
    memory_free(acceptor, sizeof(Acceptor))
