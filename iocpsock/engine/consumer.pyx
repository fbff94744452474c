# Consumer: the party that is notified when a source becomes ready: a Tcl thread, a thread blocked in a call,
# an event loop.
#
# The engine puts a ready source on its consumer's ready queue and wakes the consumer once for the whole
# batch. The consumer then asks the source what it is ready for.
#
# Owner: references. The runtime (Tcl or Python) and each attached source hold a reference to the consumer.
# Each entry in its ready queue holds a reference to the source.
# Threads: any. Lock order: source, then consumer; wake() is called with neither lock held.

ctypedef void (*consumer_wake_proc)(void *argument) noexcept nogil

cdef struct Consumer:
    SRWLOCK lock
    LONG references
    DWORD thread                    # the thread that drains the queue; it is not woken for its own pushes
    Queue ready                     # of sources
    bint closed                     # the runtime is gone: no new wake() call begins
    LONG waking                     # wake() calls in progress
    CONDITION_VARIABLE idle         # signalled when `waking` has dropped to 0
    consumer_wake_proc wake
    void *argument
    LONGLONG filled                 # performance counter when a source was last put on the empty queue
    bint hot                        # its own thread posts and completes its receives (engine/direct.pyx)
    bint parked                     # its thread waits for the event
    HANDLE event                    # auto-reset; NULL until the consumer is first hot
    HANDLE timer                    # bounds its waits where the clock is coarse
    bint coarse                     # one of its waits lasted much longer than requested
    Queue direct                    # its posted receives that use the event
    int direct_count


cdef Consumer *consumer_new(consumer_wake_proc wake, void *argument) noexcept nogil:
    """Create a consumer that the calling thread drains, or return NULL if out of memory. `wake(argument)`
    runs on any thread."""
    cdef Consumer *consumer = <Consumer *>memory_new(sizeof(Consumer))
    if consumer == NULL:
        return NULL
    consumer.references = 1
    consumer.thread = GetCurrentThreadId()
    consumer.wake = wake
    consumer.argument = argument
    counter_add(COUNTER_consumers, 1)
    return consumer


cdef inline void consumer_hold(Consumer *consumer) noexcept nogil:
    InterlockedIncrement(&consumer.references)


cdef void consumer_drop(Consumer *consumer) noexcept nogil:
    if InterlockedDecrement(&consumer.references) == 0:
        counter_add(COUNTER_consumers, -1)
        if consumer.event != NULL:
            CloseHandle(consumer.event)
        if consumer.timer != NULL:
            CloseHandle(consumer.timer)
        memory_free(consumer, sizeof(Consumer))


cdef bint consumer_push(Consumer *consumer, Source *source) noexcept nogil:
    """Put `source` on the ready queue, unless it is there already. Only the first source on an empty queue
    wakes the consumer: while the queue is not empty, the consumer has not slept since that wake. False if the
    consumer is closed."""
    cdef bint wake
    if InterlockedExchange(&source.queued, 1):
        return True
    AcquireSRWLockExclusive(&consumer.lock)
    if consumer.closed:
        InterlockedExchange(&source.queued, 0)
        ReleaseSRWLockExclusive(&consumer.lock)
        return False
    InterlockedIncrement(&source.references)                # the queue's
    wake = consumer.ready.first == NULL and consumer.thread != GetCurrentThreadId()
    queue_append(&consumer.ready, &source.ready, source)
    if wake:
        QueryPerformanceCounter(<LARGE_INTEGER *>&consumer.filled)
    if wake and consumer.parked:
        SetEvent(consumer.event)
        wake = False
    if wake:
        consumer.waking += 1
    ReleaseSRWLockExclusive(&consumer.lock)
    if wake:
        consumer.wake(consumer.argument)
        AcquireSRWLockExclusive(&consumer.lock)
        consumer.waking -= 1
        if consumer.waking == 0:
            WakeAllConditionVariable(&consumer.idle)
        ReleaseSRWLockExclusive(&consumer.lock)
    return True


cdef Source *consumer_pop(Consumer *consumer) noexcept nogil:
    """Remove and return the first ready source, with the queue's reference, or NULL."""
    cdef Source *source
    AcquireSRWLockExclusive(&consumer.lock)
    source = <Source *>queue_take(&consumer.ready)
    if source != NULL:
        InterlockedExchange(&source.queued, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    return source


cdef bint consumer_remove(Consumer *consumer, Source *source) noexcept nogil:
    """Remove `source` from the ready queue. True if it was there: the caller then owns the queue's
    reference."""
    cdef bint there
    AcquireSRWLockExclusive(&consumer.lock)
    there = source.ready.queue == &consumer.ready
    if there:
        queue_remove(&source.ready)
        InterlockedExchange(&source.queued, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    return there


cdef bint consumer_has_ready(Consumer *consumer) noexcept nogil:
    cdef bint ready
    AcquireSRWLockExclusive(&consumer.lock)
    ready = consumer.ready.first != NULL
    ReleaseSRWLockExclusive(&consumer.lock)
    return ready


cdef void consumer_close(Consumer *consumer) noexcept nogil:
    """The runtime goes away. On return no source is put on the queue any more, and every wake() call has
    ended."""
    AcquireSRWLockExclusive(&consumer.lock)
    consumer.closed = True
    while consumer.waking:
        SleepConditionVariableSRW(&consumer.idle, &consumer.lock, INFINITE, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
