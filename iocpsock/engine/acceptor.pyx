# Acceptor: the AcceptEx slots of a listening socket whose owner blocks in accept, without a completion port.
#
# Several AcceptEx operations stay posted between the calls, each with a socket ready for its connection, so
# that a burst is taken in as it comes. All have one event, with its lowest bit set as in the waiter. A call
# takes the first slot that is done, or waits for one. To post a slot costs more than to take a connection
# from it, so the slots that are missing are posted in the quiet: when nothing has come for a moment, or when
# none is left. Their number is fitted to the longest run of connections without a quiet. Each holds a socket,
# and what the system keeps for one (on Windows some KiB of its memory). The sockets are the runtime's, which
# makes and closes them: a call that misses some comes back for them (ACCEPTOR_WANTS). With each goes its
# `owner`, a pointer that means nothing here. Both are with the acceptor from acceptor_post to acceptor_take
# or acceptor_drop. A slot whose connection failed, or that ended with the thread that posted it, is taken
# like the others. A connection that a slot has taken is seen by nobody else who looks at the listening
# socket. So the runtime ends the slots for good (acceptor_stop) before anybody can; connections taken until
# then are still handed out. As long as there are any, select has to report the socket as readable: a
# connection of our own waits in its backlog (engine/selfconnect.pyx), and is taken out again together with
# the last of them. The system clears the event whenever a slot is posted. So whoever posts looks at all slots
# afterwards, and sets the event again if one is done; a thread that waits may be woken for nothing, and never
# sleeps over a connection.
# Owner: the runtime, which makes no call to accept or to post any more when it calls acceptor_end. Threads:
# any thread that may block, under `lock`, which is held across the posting and the ending of slots, and never
# while a caller waits for a connection.

cdef enum:
    ACCEPTOR_LULL = 5               # milliseconds without a connection after which it is quiet; on Windows up
                                    # to a tick, 16
    ACCEPTOR_WANTS = -1             # no Winsock code: the runtime is to post `missing` sockets, and to call
                                    # again

cdef struct Slot:
    OVERLAPPED overlapped           # first: the kernel's pointer to it is the pointer to the slot
    Link link
    SOCKET socket                   # made for the connection to come
    void *owner                     # the runtime's; NULL for a connection that came without AcceptEx
    bint accepted                   # Winsock knows of its connection
    sockaddr_storage peer           # of one that came without AcceptEx having written the addresses here
    char addresses[2 * WINSOCK_ADDRESS]

cdef struct Acceptor:
    SRWLOCK lock
    SOCKET listening                # the runtime's
    int family
    int wanted                      # slots to keep posted; 0: as many as the traffic asks for, which is
                                    # `fitted`
    int fitted
    int run                         # connections taken since it was last quiet
    ULONGLONG burst                 # GetTickCount64 milliseconds when a run last needed more than half of
                                    # them
    int count                       # slots in the queue
    Queue slots                     # posted or done, in the order of posting, which is the order the kernel
                                    # fills them in
    Queue dropped                   # ended by acceptor_stop without a connection
    HANDLE changed                  # set when a slot is done, and when the slots have ended
    SOCKET selfconnect              # our connection to the listening socket (engine/selfconnect.pyx), or
                                    # INVALID_SOCKET
    bint stopped

# A call of the runtime's, zero at first but for its timeout, and what comes of it.
cdef struct AcceptCall:
    Timeout timeout
    bint quiet                      # nothing has come for a moment
    int missing                     # with ACCEPTOR_WANTS: how many sockets are to be posted
    int refused                     # Winsock code: no more slots can be posted, and it has to do with those
                                    # that there are
    SOCKET socket                   # taken, with its owner
    void *owner
    int failure                     # Winsock code: why it has no connection; 0: it has one
    sockaddr_storage peer


cdef Acceptor *acceptor_new(SOCKET listening, int family, int wanted) noexcept nogil:
    """An acceptor that has posted nothing yet, or NULL when memory or handles are exhausted."""
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
    """Tell Winsock of the connection that the slot has: 0 or a Winsock code."""
    cdef int error = 0 if slot.accepted else winsock_accepted(acceptor.listening, slot.socket)
    slot.accepted = not error
    return error


cdef void acceptor_slot_free(Slot *slot) noexcept nogil:
    counter_gone(COUNTER_operations)
    memory_free(slot, sizeof(Slot))


cdef bint acceptor_has(Acceptor *acceptor, bint pending) noexcept nogil:
    """Whether any slot is pending, or any is done. With the lock held."""
    cdef Slot *slot = <Slot *>queue_first(&acceptor.slots)
    while slot != NULL and acceptor_slot_pending(slot) != pending:
        slot = <Slot *>queue_next(&slot.link)
    return slot != NULL


cdef Slot *acceptor_pop(Acceptor *acceptor) noexcept nogil:
    """Take the first slot that is done out of the queue, or NULL."""
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
    """Take a socket that is done: whether there was one. Its connection may have failed."""
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
    """Begin to accept on this socket: 0 or a Winsock code. With the lock held."""
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
    """Post slots with these sockets at the end of the queue: how many of them were. The others are still the
    runtime's, and the next acceptor_accept knows whether there is a need for more."""
    cdef int posted = 0, error = 0
    AcquireSRWLockExclusive(&acceptor.lock)
    while not error and posted < count and not acceptor.stopped \
            and acceptor.count < acceptor_target(acceptor):
        error = acceptor_begin(acceptor, socks[posted], owners[posted])
        posted += error == 0
    if error or acceptor_has(acceptor, False):              # a failure may have cleared the event too
        SetEvent(acceptor.changed)
    ReleaseSRWLockExclusive(&acceptor.lock)
    if error and not waiter_peer_is_gone(error):
        call.refused = error
    return posted


cdef void acceptor_fit(Acceptor *acceptor) noexcept nogil:
    """A run is over: as many slots as it needed, or long after the last that needed as many, fewer."""
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
    """Before a wait: ACCEPTOR_WANTS if slots are missing and it is quiet, or none is left; a few at a time,
    for a connection that is there by then need not wait for the others. 0 if there is a slot to wait for, or
    a Winsock code: WSA_OPERATION_ABORTED once the slots have ended."""
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
    """Wait for a change, as timeout_wait; for a moment only if it is not quiet yet."""
    cdef Timeout lull = call.timeout
    if call.quiet:
        return timeout_wait(&call.timeout, acceptor.changed)
    timeout_begin(&lull, min(timeout_left(&call.timeout), <DWORD>ACCEPTOR_LULL))
    return timeout_wait(&lull, acceptor.changed)


cdef int acceptor_accept(Acceptor *acceptor, AcceptCall *call) noexcept nogil:
    """Wait for a socket that is done: 0 with what acceptor_take gives, ACCEPTOR_WANTS, or a Winsock code.
    What comes in the moment in which a wait ends early is there for the next call."""
    cdef int error
    while not acceptor_take(acceptor, call):
        error = acceptor_want(acceptor, call)
        if error == WSA_OPERATION_ABORTED and acceptor_take(acceptor, call):    # it came as the slots ended
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
        call.refused = 0                                    # that was some time ago
    return 0


cdef void acceptor_stop(Acceptor *acceptor, bint shown) noexcept nogil:
    """End the slots for good. The listening socket is an ordinary one when this returns, but for connections
    taken before: acceptor_take still has them, and if it is `shown` to select the socket tells. The sockets
    without a connection wait for acceptor_drop. Callers that wait are woken."""
    AcquireSRWLockExclusive(&acceptor.lock)
    if not acceptor.stopped:
        acceptor.stopped = True
        acceptor_cancel(acceptor)
    if shown:
        acceptor_show(acceptor)
    ReleaseSRWLockExclusive(&acceptor.lock)


cdef void acceptor_cancel(Acceptor *acceptor) noexcept nogil:
    """End the slots that are pending, and drop those that have no connection. Those that have one get to know
    it while the listening socket is open: the runtime may close it before they are taken, or reset. With the
    lock held."""
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
    """The owner of a socket that acceptor_stop left without a connection, to be closed by the runtime; NULL:
    no more."""
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
    """Have select report the listening socket as readable as long as there is a connection for a caller. With
    the lock held."""
    cdef sockaddr_storage peer
    cdef SOCKET sock
    if acceptor.slots.first != NULL and acceptor.selfconnect == INVALID_SOCKET:
        acceptor.selfconnect = selfconnect_new(acceptor.listening, acceptor.family)
    elif acceptor.slots.first == NULL and acceptor.selfconnect != INVALID_SOCKET:
        # Connections that came before it are kept, and another one goes behind them.
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
    """Put an accepted connection with those that wait. With the lock held."""
    cdef Slot *slot = <Slot *>memory_new(sizeof(Slot))
    if slot == NULL:
        closesocket(sock)
        return
    slot.socket = sock
    slot.accepted = True
    slot.peer = peer[0]
    acceptor_append(acceptor, slot)


cdef void acceptor_end(Acceptor *acceptor) noexcept nogil:
    """Nobody accepts any more: end the slots, and reset the connections that nobody took. The runtime drops
    what is there, and frees the acceptor."""
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
    """The runtime lets go of an acceptor that has ended and has nothing left."""
    CloseHandle(acceptor.changed)
    counter_gone(COUNTER_listeners)
    memory_free(acceptor, sizeof(Acceptor))
