# Polling: a consumer that receives on its own thread while its messages arrive in quick succession.
#
# While it does so it is `hot`: the receives of its connections are direct (engine/direct.pyx), and it waits
# for their event.
# A wait for 1 millisecond ends at a tick of the system's clock, so it may last 15.6 (Microsoft's page "Wait
# functions"). Once a consumer has measured such a wait, a high-resolution timer, which does not depend on the
# ticks, bounds its waits. Setting it for each wait costs one more system call, which a finer clock does not
# need. On a system without such timers no consumer is ever hot.
# Threads: the consumer's only, with no lock held.

cdef enum:
    POLLING_SPAN = 2                # the timer ends a wait after this many times its duration, if the clock
                                    # would end it later
    POLLING_COARSE = 8              # a wait that lasts more than this many times its duration shows a coarse
                                    # clock


cdef bint polling_begin(Consumer *consumer) noexcept nogil:
    """Make the consumer hot. False if the event or the timer cannot be created."""
    if consumer.event == NULL:
        consumer.event = CreateEventW(NULL, FALSE, FALSE, NULL)
    if consumer.timer == NULL:
        consumer.timer = CreateWaitableTimerExW(NULL, NULL, IOCPSOCK_TIMER_HIGH_RESOLUTION,
                                                SYNCHRONIZE | TIMER_MODIFY_STATE)
    consumer.hot = consumer.event != NULL and consumer.timer != NULL
    return consumer.hot


cdef void polling_end(Consumer *consumer) noexcept nogil:
    """Call before the consumer sleeps or ends: cancel its direct receives, and post them on the port
    instead."""
    cdef Source *sources[DIRECT_MOST]
    cdef Op *op = <Op *>queue_first(&consumer.direct)
    cdef int index, count = 0
    consumer.hot = False
    while op != NULL:
        source_hold(op.source)
        sources[count] = op.source
        count += 1
        op = <Op *>queue_next(&op.direct)
    direct_withdraw(consumer, NULL)
    for index in range(count):
        source_lock(sources[index])
        receiver_post(<Connection *>sources[index])
        connection_unlock(<Connection *>sources[index])
        source_drop(sources[index])


cdef DWORD polling_sleep(Consumer *consumer, DWORD milliseconds) noexcept nogil:
    """Wait for the event for about `milliseconds` at most: WAIT_OBJECT_0 if it was set."""
    cdef HANDLE handles[2]
    cdef LARGE_INTEGER frequency, due
    cdef LONGLONG began, ended
    cdef DWORD result
    handles[0] = consumer.event
    handles[1] = consumer.timer
    QueryPerformanceFrequency(&frequency)
    QueryPerformanceCounter(<LARGE_INTEGER *>&began)
    due.QuadPart = -<LONGLONG>milliseconds * POLLING_SPAN * 10000   # relative, in units of 100 ns
    if consumer.coarse:
        SetWaitableTimer(consumer.timer, &due, 0, NULL, NULL, FALSE)
    result = WaitForMultipleObjects(2 if consumer.coarse else 1, handles, FALSE, milliseconds)
    if result == WAIT_TIMEOUT and not consumer.coarse:
        QueryPerformanceCounter(<LARGE_INTEGER *>&ended)
        consumer.coarse = ended - began > frequency.QuadPart * milliseconds * POLLING_COARSE // 1000
    return result


cdef bint polling_wait(Consumer *consumer, DWORD milliseconds) noexcept nogil:
    """Complete direct receives, and wait up to `milliseconds` for a ready source: whether there is one."""
    cdef DWORD result = WAIT_OBJECT_0
    counter_add(COUNTER_waits, 1)
    direct_reap(consumer)
    while result == WAIT_OBJECT_0:
        AcquireSRWLockExclusive(&consumer.lock)
        consumer.parked = consumer.ready.first == NULL
        ReleaseSRWLockExclusive(&consumer.lock)
        if not consumer.parked:
            return True
        result = polling_sleep(consumer, milliseconds)
        AcquireSRWLockExclusive(&consumer.lock)
        consumer.parked = False
        ReleaseSRWLockExclusive(&consumer.lock)
        direct_reap(consumer)
    if consumer_has_ready(consumer):
        return True
    counter_add(COUNTER_waits_in_vain, 1)
    return False
