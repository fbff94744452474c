# Direct: receives that end on their consumer's own event, without the port and without a completion thread.
#
# A consumer that is about to sleep for the next message of busy connections had better receive it itself: a
# completion thread that does so has to wake it up, which costs more than the receive. So a consumer that is
# `hot` posts the receives of its connections itself, all with its one event (whose low bit keeps their
# packets from the port), waits for that event (consumer_linger), and looks which ops are done. The engine
# does not depend on it: nothing but these receives waits for the consumer, and before it sleeps, ends or
# blocks elsewhere it takes them back (direct_withdraw), to be posted on the port. While a send is outstanding
# no receive is cancelled but by a close: whether Windows ends the one alone is disputed (corefx 32981 against
# Go's deadlines). So a connection with a queue has no direct receive, and the one it has is taken back before
# the queue begins (direct_yield).
# The system clears the event whenever an op starts, so a wait for it is always preceded by a look.
# Owner: a direct op is in its consumer's list as long as it is posted. Threads: the consumer's, all of it,
# with no lock held unless it says so.

# A wait for "a millisecond" ends at a tick of the system's clock, so it may last 15.6 (Microsoft's page "Wait
# functions"). Once a consumer has seen that, a timer which is not bound to the ticks bounds its waits, set
# anew for each: a call of the system more, which a finer clock does not need. Where the system has no such
# timer no consumer is ever hot.

cdef enum:
    DIRECT_MOST = 64                # ops to look through after each wait; further connections use the port
    DIRECT_SPAN = 2                 # times its time a wait may last: by the timer, where the clock ends it later
    DIRECT_COARSE = 8               # times its time a wait lasts only by a coarse clock


cdef inline bint direct_wanted(Connection *connection) noexcept nogil:
    """Whether the next receive is to be posted by direct_post. With the connection's lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return (consumer != NULL and consumer.hot and consumer.thread == GetCurrentThreadId() and connection.recv_posted == 0
            and connection.source.interest & READY_READ and not connection.recv_awaited and connection.send_head == NULL
            and consumer.direct_count < DIRECT_MOST)


cdef inline bint direct_left(Connection *connection) noexcept nogil:
    """Whether the next receive is left to the consumer's thread, which will post it when it reads. With the
    lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return consumer != NULL and consumer.hot


cdef inline void direct_prepare(Op *op) noexcept nogil:
    """Before the op is posted."""
    op.overlapped.hEvent = <HANDLE>(<ULONG_PTR>op.source.consumer.event | 1)


cdef inline void direct_posted(Op *op) noexcept nogil:
    """The op is the kernel's."""
    cdef Consumer *consumer = op.source.consumer
    op.direct_next = consumer.direct
    consumer.direct = op
    consumer.direct_count += 1
    counter_add(COUNTER_direct_receives, 1)


cdef inline bint direct_done(Op *op) noexcept nogil:
    return not op_pending(&op.overlapped)


cdef void direct_reap(Consumer *consumer) noexcept nogil:
    """Complete the ops that are done."""
    cdef Op *done = NULL
    cdef Op *op
    cdef Op **link = &consumer.direct
    while link[0] != NULL:
        op = link[0]
        if direct_done(op):
            link[0] = op.direct_next
            consumer.direct_count -= 1
            op.direct_next = done
            done = op
        else:
            link = &op.direct_next
    while done != NULL:                                     # completing may post, and so change the list
        op = done
        done = op.direct_next
        op_dispatch(op)


cdef void direct_withdraw(Consumer *consumer, Source *source) noexcept nogil:
    """Take back the direct op of `source`, or all if NULL, and wait until the kernel has let go of it. What
    it brought in the last moment is delivered; nothing is posted in its place."""
    cdef Op *op
    cdef Op **link
    while True:
        link = &consumer.direct
        while link[0] != NULL and source != NULL and link[0].source != source:
            link = &link[0].direct_next
        op = link[0]
        if op == NULL:
            return
        op.withdrawn = True
        CancelIoEx(<HANDLE>(<Connection *>op.source).socket, &op.overlapped)
        while not direct_done(op):
            WaitForSingleObject(consumer.event, INFINITE)
        link[0] = op.direct_next
        consumer.direct_count -= 1
        op_dispatch(op)


cdef bint direct_yield(Connection *connection) noexcept nogil:
    """Before something is queued to be sent: take back the direct op, if there is one, and say so; the caller
    then has a receive posted on the port. With the lock held, which is given up meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    cdef Op *op
    if connection.send_head != NULL or consumer == NULL or consumer.thread != GetCurrentThreadId():
        return False
    op = consumer.direct
    while op != NULL and op.source != &connection.source:
        op = op.direct_next
    if op != NULL:
        connection_withdraw(connection)
    return op != NULL


cdef bint consumer_heat(Consumer *consumer) noexcept nogil:
    """From now on the consumer receives itself. False if there is no event or no timer to be had."""
    if consumer.event == NULL:
        consumer.event = CreateEventW(NULL, FALSE, FALSE, NULL)
    if consumer.timer == NULL:
        consumer.timer = CreateWaitableTimerExW(NULL, NULL, IOCPSOCK_TIMER_HIGH_RESOLUTION, SYNCHRONIZE | TIMER_MODIFY_STATE)
    consumer.hot = consumer.event != NULL and consumer.timer != NULL
    return consumer.hot


cdef void consumer_cool(Consumer *consumer) noexcept nogil:
    """Back to the port, before the consumer sleeps or ends: its direct receives are posted there."""
    cdef Source *sources[DIRECT_MOST]
    cdef Op *op = consumer.direct
    cdef int index, count = 0
    consumer.hot = False
    while op != NULL:
        source_hold(op.source)
        sources[count] = op.source
        count += 1
        op = op.direct_next
    direct_withdraw(consumer, NULL)
    for index in range(count):
        source_lock(sources[index])
        receiver_post(<Connection *>sources[index])
        source_unlock_changed(sources[index], connection_ready(<Connection *>sources[index]))
        source_drop(sources[index])


cdef DWORD direct_wait(Consumer *consumer, DWORD milliseconds) noexcept nogil:
    """Wait for the event at most so long, or nearly: WAIT_OBJECT_0 if it was set."""
    cdef HANDLE handles[2]
    cdef LARGE_INTEGER frequency, due
    cdef LONGLONG began, ended
    cdef DWORD result
    handles[0] = consumer.event
    handles[1] = consumer.timer
    QueryPerformanceFrequency(&frequency)
    QueryPerformanceCounter(<LARGE_INTEGER *>&began)
    due.QuadPart = -<LONGLONG>milliseconds * DIRECT_SPAN * 10000    # from now on, in units of 100 ns
    if consumer.coarse:
        SetWaitableTimer(consumer.timer, &due, 0, NULL, NULL, FALSE)
    result = WaitForMultipleObjects(2 if consumer.coarse else 1, handles, FALSE, milliseconds)
    if result == WAIT_TIMEOUT and not consumer.coarse:
        QueryPerformanceCounter(<LARGE_INTEGER *>&ended)
        consumer.coarse = ended - began > frequency.QuadPart * milliseconds * DIRECT_COARSE // 1000
    return result


cdef bint consumer_linger(Consumer *consumer, DWORD milliseconds) noexcept nogil:
    """Receive, and wait for news at most so long: whether there are any."""
    cdef DWORD result = WAIT_OBJECT_0
    counter_add(COUNTER_waits, 1)
    direct_reap(consumer)
    while result == WAIT_OBJECT_0:
        AcquireSRWLockExclusive(&consumer.lock)
        consumer.lingering = consumer.head == NULL
        ReleaseSRWLockExclusive(&consumer.lock)
        if not consumer.lingering:
            return True
        result = direct_wait(consumer, milliseconds)
        AcquireSRWLockExclusive(&consumer.lock)
        consumer.lingering = False
        ReleaseSRWLockExclusive(&consumer.lock)
        direct_reap(consumer)
    if consumer_has_ready(consumer):
        return True
    counter_add(COUNTER_waits_in_vain, 1)
    return False
