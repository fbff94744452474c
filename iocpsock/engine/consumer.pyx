# Consumer: who is told that a source has news: a Tcl thread, a thread blocked in a call, an event loop.
#
# The engine puts a source that has news on its consumer's ready queue and wakes the consumer once for the
# whole batch; what the news is, the consumer asks the source itself.
#
# Owner: references. A consumer is held by its runtime and by each source attached to it. A place in its ready
# queue holds a reference to the source.
# Threads: any. Lock order: source, then consumer; wake() is called with neither held.

ctypedef void (*consumer_wake_proc)(void *argument) noexcept nogil

cdef struct Consumer:
    SRWLOCK lock
    LONG references
    DWORD thread                    # the thread that drains the queue: it needs no waking
    Queue ready                     # of sources
    bint closed                     # the runtime is gone: no wake() begins any more
    LONG waking                     # wake() calls under way
    CONDITION_VARIABLE idle         # waking came down to 0
    consumer_wake_proc wake
    void *argument
    LONGLONG filled                 # performance counter when news came to the empty queue
    bint hot                        # it posts and completes its receives itself (engine/direct.pyx)
    bint parked                     # its thread waits for the event
    HANDLE event                    # auto-reset; NULL before it was first hot
    HANDLE timer                    # ends its waits where the clock is coarse
    bint coarse                     # a wait of its has lasted much longer than asked
    Queue direct                    # its receives on the event
    int direct_count


cdef Consumer *consumer_new(consumer_wake_proc wake, void *argument) noexcept nogil:
    """A consumer drained by the calling thread, or NULL when memory is exhausted. `wake(argument)` runs on
    any thread."""
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
    """Put `source` on the ready queue, unless it stands there already. The first one on an empty queue wakes
    the consumer: whoever finds the queue filled has not slept since. False if the consumer is closed."""
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
    """Take the first ready source, with the queue's reference, or NULL."""
    cdef Source *source
    AcquireSRWLockExclusive(&consumer.lock)
    source = <Source *>queue_take(&consumer.ready)
    if source != NULL:
        InterlockedExchange(&source.queued, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    return source


cdef bint consumer_remove(Consumer *consumer, Source *source) noexcept nogil:
    """Take `source` out of the ready queue: whether it was there, and the caller has the queue's
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
    """The runtime goes away: no source is put on the queue any more, and the wake() calls under way have
    ended."""
    AcquireSRWLockExclusive(&consumer.lock)
    consumer.closed = True
    while consumer.waking:
        SleepConditionVariableSRW(&consumer.idle, &consumer.lock, INFINITE, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
