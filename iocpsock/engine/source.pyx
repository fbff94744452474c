# Source: the head of a connection or a listener: its lock, its reference count, and the consumer that is
# notified.
#
# A caller that blocks on one source, without an event loop, waits on `changed` instead.
# Owner: references. The runtime (channel, Python object), each posted op and each entry in a ready queue hold
# one.
# Threads: any. Lock order: source, then consumer.

cdef enum SourceKind:
    SOURCE_CONNECTION = 1
    SOURCE_LISTENER
    SOURCE_POLL
    SOURCE_PIPE
    SOURCE_PROCESS

cdef enum:                          # what a source can be ready for, and what a consumer asks for
    READY_READ = 1                  # data, end of file or an error to receive; a connection to accept
    READY_WRITE = 2                 # room to send, or an error to report

ctypedef void (*source_free_proc)(Source *source) noexcept nogil

cdef struct Source:
    SRWLOCK lock
    CONDITION_VARIABLE changed      # broadcast at every change that a blocked caller may wait for
    LONG references
    int kind
    source_free_proc release        # frees the object of which this is the head
    Port *port                      # where the packets of its operations come; holds a reference
    Consumer *consumer              # holds a reference; NULL: no consumer is attached
    Link ready                      # in a ready queue, which then holds a reference; under the consumer's
                                    # lock ...
    LONG queued                     # ... and 1 while it is in the queue
    int interest                    # READY_ bits that the consumer wants to be notified of
    void *context                   # the runtime's object for this source; the engine never dereferences it


cdef void source_init(Source *source, int kind, Port *port, source_free_proc release) noexcept nogil:
    """Initialise the zeroed head of an object. The caller holds the first reference, and has taken one to the
    port, which `release` drops."""
    source.port = port
    source.references = 1
    source.kind = kind
    source.release = release


cdef inline void source_hold(Source *source) noexcept nogil:
    InterlockedIncrement(&source.references)


cdef bint source_hold_living(Source *source) noexcept nogil:
    """Take a reference to a source that may be going away. False if its last reference is gone already."""
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


cdef bint source_wait(Source *source, ULONGLONG deadline) noexcept nogil:
    """Sleep until `changed`, with the lock held before and after. False once GetTickCount64() has reached
    `deadline`; 0 means no deadline. Wakes may be spurious: the caller tests its condition in a loop."""
    cdef ULONGLONG now
    if deadline == 0:
        SleepConditionVariableSRW(&source.changed, &source.lock, INFINITE, 0)
        return True
    now = GetTickCount64()
    if now >= deadline:
        return False
    SleepConditionVariableSRW(&source.changed, &source.lock, <DWORD>(deadline - now), 0)
    return True


cdef void source_notify(Source *source) noexcept nogil:
    """Put `source` on its consumer's ready queue. If that consumer closes meanwhile, another may have
    replaced it: try again."""
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


cdef void source_unlock_changed(Source *source, int ready) noexcept nogil:
    """Release the lock after a change. Wake blocked callers, and notify the consumer if `ready` has a bit
    that it asked for."""
    cdef bint notify = ready & source.interest and source.consumer != NULL
    WakeAllConditionVariable(&source.changed)
    ReleaseSRWLockExclusive(&source.lock)
    if notify:
        source_notify(source)


cdef void source_attach(Source *source, Consumer *consumer) noexcept nogil:
    """Make `consumer` (NULL: none) the one that this source notifies, as soon as the consumer has set its
    interest."""
    cdef Consumer *old
    if consumer != NULL:
        consumer_hold(consumer)
    source_lock(source)
    old = source.consumer
    source.consumer = consumer
    source.interest = 0
    source_unlock(source)
    if old != NULL:
        if consumer_remove(old, source):
            source_drop(source)
        consumer_drop(old)


cdef Source *source_next(Consumer *consumer) noexcept nogil:
    """The next ready source that is still attached to `consumer`, with a reference, or NULL. A source that
    was attached to another consumer after it was queued is passed on to that consumer."""
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


cdef void source_drain(Consumer *consumer) noexcept nogil:
    """The consumer is closed: empty its queue."""
    cdef Source *source = source_next(consumer)
    while source != NULL:
        source_drop(source)
        source = source_next(consumer)
