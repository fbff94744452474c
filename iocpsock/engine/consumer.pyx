# Source and Consumer: who has something to say, and who is told.
#
# A Source is the head of a connection or a listener: its lock, its reference count, and the consumer that
# wants to hear of it. A Consumer is whoever is told: a Tcl thread, a thread blocked in a call, an event loop.
# The engine puts a source that has news on its consumer's ready queue and wakes the consumer once for the
# whole batch; what the news is, the consumer asks the source itself. A caller that blocks on one source
# without an event loop waits on `changed` instead.
#
# Owner: references. A source is held by its host (channel, Python object), by each posted op and by each
# place in a ready queue; a consumer by its host and by each source attached to it.
# Threads: any. Lock order: source, then consumer; wake() is called with neither held.

cdef enum SourceKind:
    SOURCE_CONNECTION = 1
    SOURCE_LISTENER

cdef enum:                          # what a source can be ready for, and what a consumer asks for
    READY_READ = 1                  # data, end of file or an error to be received; a connection to be accepted
    READY_WRITE = 2                 # room to send, or an error to learn

ctypedef void (*consumer_wake_proc)(void *argument) noexcept nogil
ctypedef void (*source_free_proc)(Source *source) noexcept nogil

cdef struct Consumer:
    SRWLOCK lock
    LONG references
    DWORD thread                    # the thread that drains the queue: it needs no waking
    Source *head
    Source *tail
    bint closed                     # the host is gone: no wake() begins any more
    LONG waking                     # wake() calls under way
    CONDITION_VARIABLE idle         # waking came down to 0
    consumer_wake_proc wake
    void *argument
    LONGLONG filled                 # performance counter when news came to the empty queue
    bint hot                        # it posts and completes its receives itself (engine/direct.pyx)
    bint lingering                  # its thread waits for the event
    HANDLE event                    # auto-reset; NULL before it was first hot
    HANDLE timer                    # ends its waits where the clock is coarse
    bint coarse                     # a wait of its has lasted much longer than asked
    Op *direct                      # its receives on the event
    int direct_count

cdef struct Source:
    SRWLOCK lock
    CONDITION_VARIABLE changed      # broadcast at every change that a blocked caller may wait for
    LONG references
    int kind
    source_free_proc release        # frees the object of which this is the head
    Consumer *consumer              # held; NULL when nobody listens
    Source *ready_next
    LONG queued                     # 1 while in a ready queue, which then also holds a reference
    int interest                    # READY_ bits that the consumer wants to hear of
    void *context                   # the host's object for this source; the engine never follows it


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
    source_hold(source)
    source.ready_next = NULL
    wake = consumer.head == NULL and consumer.thread != GetCurrentThreadId()
    if consumer.tail == NULL:
        consumer.head = source
    else:
        consumer.tail.ready_next = source
    consumer.tail = source
    if wake:
        QueryPerformanceCounter(<LARGE_INTEGER *>&consumer.filled)
    if wake and consumer.lingering:
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
    source = consumer.head
    if source != NULL:
        consumer.head = source.ready_next
        if consumer.head == NULL:
            consumer.tail = NULL
        InterlockedExchange(&source.queued, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    return source


cdef Source *consumer_next(Consumer *consumer) noexcept nogil:
    """The next ready source that is still attached to `consumer`, with a reference, or NULL when there is
    none. A source that went to another consumer between the news and now is passed on to that one."""
    cdef Source *source
    cdef bint ours
    while True:
        source = consumer_pop(consumer)
        if source == NULL:
            return NULL
        source_lock(source)
        ours = source.consumer == consumer
        source_unlock(source)
        if ours:
            return source
        source_notify(source)
        source_drop(source)


cdef void consumer_remove(Consumer *consumer, Source *source) noexcept nogil:
    """Take `source` out of the ready queue if it is there."""
    cdef Source *before = NULL
    cdef Source *item
    AcquireSRWLockExclusive(&consumer.lock)
    item = consumer.head
    while item != NULL and item != source:
        before = item
        item = item.ready_next
    if item != NULL:
        if before == NULL:
            consumer.head = item.ready_next
        else:
            before.ready_next = item.ready_next
        if consumer.tail == item:
            consumer.tail = before
        InterlockedExchange(&source.queued, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    if item != NULL:
        source_drop(source)


cdef bint consumer_has_ready(Consumer *consumer) noexcept nogil:
    cdef bint ready
    AcquireSRWLockExclusive(&consumer.lock)
    ready = consumer.head != NULL
    ReleaseSRWLockExclusive(&consumer.lock)
    return ready


cdef void consumer_close(Consumer *consumer) noexcept nogil:
    """The host goes away: empty the queue, let wake() calls under way end, give up the host's reference."""
    cdef Source *source
    AcquireSRWLockExclusive(&consumer.lock)
    consumer.closed = True
    while consumer.waking:
        SleepConditionVariableSRW(&consumer.idle, &consumer.lock, INFINITE, 0)
    ReleaseSRWLockExclusive(&consumer.lock)
    while True:
        source = consumer_next(consumer)
        if source == NULL:
            break
        source_drop(source)
    consumer_drop(consumer)


cdef void source_init(Source *source, int kind, source_free_proc release) noexcept nogil:
    """Prepare the zeroed head of an object; the caller holds the first reference."""
    source.references = 1
    source.kind = kind
    source.release = release


cdef inline void source_hold(Source *source) noexcept nogil:
    InterlockedIncrement(&source.references)


cdef bint source_hold_living(Source *source) noexcept nogil:
    """Hold a source that may be about to go; False if its last reference is gone already."""
    cdef LONG references = source.references
    cdef LONG seen
    while references:
        seen = InterlockedCompareExchange(&source.references, references + 1, references)
        if seen == references:
            return True
        references = seen
    return False


cdef void source_drop(Source *source) noexcept nogil:
    if InterlockedDecrement(&source.references) == 0:
        if source.consumer != NULL:
            consumer_drop(source.consumer)
        source.release(source)


cdef inline void source_lock(Source *source) noexcept nogil:
    AcquireSRWLockExclusive(&source.lock)


cdef inline void source_unlock(Source *source) noexcept nogil:
    ReleaseSRWLockExclusive(&source.lock)


cdef void source_unlock_changed(Source *source, int ready) noexcept nogil:
    """Release the lock after a change: wake blocked callers, and tell the consumer if `ready` has what it
    asked for."""
    cdef bint notify = ready & source.interest and source.consumer != NULL
    WakeAllConditionVariable(&source.changed)
    ReleaseSRWLockExclusive(&source.lock)
    if notify:
        source_notify(source)


cdef void source_notify(Source *source) noexcept nogil:
    """Put `source` on its consumer's ready queue. A consumer that closes meanwhile may have been replaced:
    try again."""
    cdef Consumer *consumer
    cdef bint delivered = False
    while not delivered:
        source_lock(source)
        consumer = source.consumer
        if consumer != NULL and not consumer.closed:
            consumer_hold(consumer)
        else:
            consumer = NULL
        source_unlock(source)
        if consumer == NULL:
            return
        delivered = consumer_push(consumer, source)
        consumer_drop(consumer)


cdef void source_attach(Source *source, Consumer *consumer) noexcept nogil:
    """From now on `consumer` (or nobody, if NULL) hears of this source, once it has said in what it is
    interested."""
    cdef Consumer *old
    if consumer != NULL:
        consumer_hold(consumer)
    source_lock(source)
    old = source.consumer
    source.consumer = consumer
    source.interest = 0
    source_unlock(source)
    if old != NULL:
        consumer_remove(old, source)
        consumer_drop(old)


cdef bint source_wait(Source *source, ULONGLONG deadline) noexcept nogil:
    """Sleep until `changed` (the lock is held before and after); False once GetTickCount64() has passed
    `deadline`. A deadline of 0 is none. Wakes may be spurious: the caller tests its condition in a loop."""
    cdef ULONGLONG now
    if deadline == 0:
        SleepConditionVariableSRW(&source.changed, &source.lock, INFINITE, 0)
        return True
    now = GetTickCount64()
    if now >= deadline:
        return False
    SleepConditionVariableSRW(&source.changed, &source.lock, <DWORD>(deadline - now), 0)
    return True
