# Port: a completion port, and what the thread that drains it does with a packet.
#
# The process has one, `process_port`, which completion threads drain (engine/completion.pyx). Each event loop
# has one of its own, which the loop's thread drains. A source belongs to one port for life, because a socket
# does: every packet of its operations comes there.
#
# Owner: references. The drainer holds one, and so does each source. The process's port lives until the
# process ends. The last reference to a loop's port closes it; by then no operation is posted on it.
# Threads: any; port_drain on the drainer's, with no lock held. Whoever drains a port checks the timers as
# well: they are the process's, and expire on whichever thread finds them due.

cdef enum:
    PORT_BATCH = 16                 # packets per dequeue; small, because a slow packet delays the others of
                                    # its batch
    PORT_TICK = 100                 # milliseconds between checks of the timers, while any is armed
    PORT_QUIET = 4                  # batches of one packet after which a loop dequeues them one by one, ...
    PORT_SINGLE = 16                # ... so many, and then tries a batch again
    PORT_STEP = 16                  # milliseconds: a wait may end so late, because the system's clock has
                                    # steps of 15.625
    PORT_WAKES = 1000               # attempts to wake a loop, a millisecond apart, while there is no memory
    PORT_KEY = 0x10C9               # the completion key of every handle that the engine associates

cdef struct Port:
    HANDLE handle
    LONG references
    LONG awake                      # drainers that are not in an unlimited wait: they check the timers
    bint left                       # its loop has ended: the drainer leaves when it holds the last reference
    int quiet                       # batches in a row that had one packet
    int single                      # packets to dequeue one by one
    HANDLE poller                   # of the socket driver, to poll sockets (engine/poll.pyx), or NULL
    HANDLE alarm                    # the timer that ends a short wait on time; NULL until needed
    bint no_alarm                   # the system has no such timers
    bint armed                      # the alarm ends the next wait

cdef Port process_port              # its handle is NULL until completion_start


cdef Port *port_new() noexcept nogil:
    """A port that the caller drains, with the caller's reference; NULL if out of memory or handles."""
    cdef Port *port = <Port *>memory_new(sizeof(Port))
    if port == NULL:
        return NULL
    port.handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0)
    if port.handle == NULL:
        memory_free(port, sizeof(Port))
        return NULL
    port.references = port.awake = 1
    counter_born(COUNTER_ports)
    return port


cdef inline void port_hold(Port *port) noexcept nogil:
    if port != &process_port:
        InterlockedIncrement(&port.references)


cdef void port_drop(Port *port) noexcept nogil:
    """Drop a reference. If only the drainer's is left, and it waits for that, wake it."""
    cdef LONG references
    cdef HANDLE handle = port.handle
    if port == &process_port:
        return
    references = InterlockedDecrement(&port.references)
    if references == 0:
        if port.poller != NULL:
            CloseHandle(port.poller)
        if port.alarm != NULL:
            CloseHandle(port.alarm)
        CloseHandle(handle)
        counter_gone(COUNTER_ports)
        memory_free(port, sizeof(Port))
    elif references == 1 and port.left:
        port_wake(port)


cdef void port_wake(Port *port) noexcept nogil:
    """End one wait of the drainer, this one or the next. If the system has no memory for the packet, the next
    packet of any kind does; a loop, which may wait for ever, is woken as soon as there is memory."""
    cdef int attempts = 1
    while not PostQueuedCompletionStatus(port.handle, 0, PORT_KEY, NULL) and port != &process_port \
            and attempts < PORT_WAKES:
        Sleep(1)
        attempts += 1


cdef int port_associate_listener(Port *port, SOCKET sock) noexcept nogil:
    """Associate a listening socket with the port for life: 0 or a Winsock code. Every AcceptEx on it queues a
    packet."""
    if CreateIoCompletionPort(<HANDLE>sock, port.handle, PORT_KEY, 0) == NULL:
        return error_from_win32(GetLastError())
    return 0


cdef int port_associate(Port *port, SOCKET sock) noexcept nogil:
    """Associate `sock` with the port for life and make it non-blocking for direct calls: 0 or a Winsock code.
    An operation that succeeds at once queues no packet (see port_posts_packet)."""
    if CreateIoCompletionPort(<HANDLE>sock, port.handle, PORT_KEY, 0) == NULL:
        return error_from_win32(GetLastError())
    if winsock.is_ifs and not SetFileCompletionNotificationModes(
            <HANDLE>sock, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE):
        return error_from_win32(GetLastError())
    return winsock_nonblocking(sock)


cdef inline bint port_posts_packet() noexcept nogil:
    """After an overlapped call that succeeded at once: is a packet queued all the same?"""
    return not winsock.is_ifs


cdef ULONG port_dequeue(Port *port, OVERLAPPED_ENTRY *entries, DWORD milliseconds) noexcept nogil:
    """Wait at most so long (INFINITE: for ever) for packets, and dequeue at most PORT_BATCH of them: how
    many. Ends earlier when the timers are to be checked."""
    cdef ULONG count = 0
    cdef BOOL done
    InterlockedDecrement(&port.awake)                       # before the look at the timers: see port_timer
    if timers.count and milliseconds > PORT_TICK:
        InterlockedIncrement(&port.awake)
        done = port_remove(port, entries, &count, PORT_TICK)
    else:
        done = port_remove(port, entries, &count, milliseconds)
        InterlockedIncrement(&port.awake)
    return count if done else 0


cdef BOOL port_remove(Port *port, OVERLAPPED_ENTRY *entries, ULONG *count, DWORD milliseconds) noexcept nogil:
    """Dequeue. A batch costs two looks at the queue, the second to learn that there is no other packet. So a
    loop whose batches have one packet each dequeues them singly for a while."""
    if port.single and not port.armed:
        port.single -= 1
        entries[0].lpOverlapped = NULL
        GetQueuedCompletionStatus(port.handle, &entries[0].dwNumberOfBytesTransferred,
                                  &entries[0].lpCompletionKey, &entries[0].lpOverlapped, milliseconds)
        count[0] = entries[0].lpOverlapped != NULL          # of a failed operation, too
        return TRUE
    if not GetQueuedCompletionStatusEx(port.handle, entries, PORT_BATCH, count, milliseconds, port.armed):
        return FALSE
    if port != &process_port:                               # which has several drainers
        port.quiet = port.quiet + 1 if count[0] == 1 else 0
        if port.quiet >= PORT_QUIET:
            port.single = PORT_SINGLE
    return TRUE


cdef DWORD port_wait_time(Port *port, double seconds) noexcept nogil:
    """Milliseconds to wait for in the next port_drain, so that it ends within so many seconds, not late, if
    the system can do that. It may end early: the drainer looks at its clock, and waits for the rest. The last
    steps of the system's clock are left to a timer of high resolution, which ends the wait by a call in the
    drainer's thread. On the drainer's thread."""
    cdef LARGE_INTEGER due
    if port.alarm == NULL and not port.no_alarm:
        port.alarm = CreateWaitableTimerExW(NULL, NULL, IOCPSOCK_TIMER_HIGH_RESOLUTION,
                                            SYNCHRONIZE | TIMER_MODIFY_STATE)
        port.no_alarm = port.alarm == NULL
    if not port.no_alarm and seconds * 1000 > 2 * PORT_STEP:
        return <DWORD>(seconds * 1000) - PORT_STEP
    if not port.no_alarm:
        due.QuadPart = -<LONGLONG>(seconds * 10_000_000) - 1        # relative, in units of 100 ns
        port.armed = SetWaitableTimer(port.alarm, &due, 0, <void *>port_alarmed, NULL, FALSE)
    return <DWORD>(seconds * 1000) + 1


cdef void port_alarmed(void *ignored, DWORD low, DWORD high) noexcept nogil:
    """The alarm went off. That this was called has ended the wait."""


cdef ULONG port_drain(Port *port, DWORD milliseconds) noexcept nogil:
    """Wait at most so long for packets, dispatch a batch of them, and expire due timers: how many packets
    there were."""
    cdef OVERLAPPED_ENTRY entries[PORT_BATCH]
    cdef ULONG count = port_dequeue(port, entries, milliseconds)
    port.armed = False
    port_dispatch(entries, count)
    if timers.count:
        port_tick()
    return count


cdef void port_dispatch(OVERLAPPED_ENTRY *entries, ULONG count) noexcept nogil:
    """Dispatch a batch of packets."""
    cdef ULONG index
    cdef Op *op
    for index in range(count):
        op = <Op *>entries[index].lpOverlapped
        if op != NULL and entries[index].lpCompletionKey == PORT_KEY and op.magic == OP_MAGIC:
            op_dispatch(op)


cdef void port_tick() noexcept nogil:
    """Expire due timers, at most once every PORT_TICK milliseconds."""
    cdef ULONGLONG now = GetTickCount64()
    if now - timers.last_tick >= PORT_TICK:
        timers.last_tick = now                           # a race here only causes one extra check
        timer_tick(now)


cdef void port_timer(Timer *timer, Source *source, DWORD milliseconds, timer_proc expire) noexcept nogil:
    """Arm a timer, which one of the source's port's drainers will find due: wake one if all are in an
    unlimited wait."""
    timer_arm(timer, source, milliseconds, expire)
    MemoryBarrier()
    if source.port.awake == 0:
        port_wake(source.port)
