# Direct: receives that signal their consumer's own event, without the port and without a completion thread.
#
# A consumer that is about to sleep until the next message on a busy connection does better to receive it
# itself: a completion thread that receives it has to wake the consumer, which costs more than the receive. So
# a `hot` consumer posts the receives of its connections itself, all with its one event, whose low bit keeps
# their packets from the port. It waits for that event (polling_wait), and then checks which ops are done.
# The engine does not depend on the consumer: only these receives wait for it. Before the consumer sleeps,
# ends or blocks elsewhere, it cancels them (direct_withdraw), and they are posted on the port.
# While a send is outstanding, only a close cancels a receive: it is disputed whether Windows then ends only
# the receive (corefx 32981 against Go's timers). So a connection with a send queue has no direct receive:
# direct_yield cancels it before the queue begins.
# Windows clears the event whenever an op starts, so the consumer checks the ops before every wait.
# Owner: a direct op is in its consumer's list while it is posted. Threads: the consumer's only, with no lock
# held unless stated.

cdef enum:
    DIRECT_MOST = 64                # most ops to check after each wait; further connections use the port


cdef inline bint direct_wanted(Connection *connection) noexcept nogil:
    """Whether the next receive is to be posted as a direct one. With the connection's lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return (consumer != NULL and consumer.hot and consumer.thread == GetCurrentThreadId()
            and connection.source.interest & READY_READ and not connection.recv.awaited
            and connection.recv.posted == 0 and connection.send.ops.first == NULL
            and consumer.direct_count < DIRECT_MOST)


cdef inline bint direct_left(Connection *connection) noexcept nogil:
    """Whether the consumer's thread is to post the next receive, when it reads. With the lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return consumer != NULL and consumer.hot


cdef inline void direct_prepare(Op *op) noexcept nogil:
    """Call before the op is posted."""
    op.overlapped.hEvent = <HANDLE>(<ULONG_PTR>op.source.consumer.event | 1)


cdef inline void direct_posted(Op *op) noexcept nogil:
    """Call after the op was posted."""
    cdef Consumer *consumer = op.source.consumer
    queue_prepend(&consumer.direct, &op.direct, op)
    consumer.direct_count += 1
    counter_add(COUNTER_direct_receives, 1)


cdef inline void direct_remove(Consumer *consumer, Op *op) noexcept nogil:
    queue_remove(&op.direct)
    consumer.direct_count -= 1


cdef Op *direct_find(Consumer *consumer, Source *source) noexcept nogil:
    """The direct op of `source` (NULL: the first of all), or NULL if there is none."""
    cdef Op *op = <Op *>queue_first(&consumer.direct)
    while op != NULL and source != NULL and op.source != source:
        op = <Op *>queue_next(&op.direct)
    return op


cdef inline bint direct_done(Op *op) noexcept nogil:
    return not op_pending(&op.overlapped)


cdef void direct_reap(Consumer *consumer) noexcept nogil:
    """Complete the ops that are done."""
    cdef Queue done
    cdef Op *op = <Op *>queue_first(&consumer.direct)
    cdef Op *next
    memset(&done, 0, sizeof(done))
    while op != NULL:
        next = <Op *>queue_next(&op.direct)
        if direct_done(op):
            direct_remove(consumer, op)
            queue_prepend(&done, &op.direct, op)
        op = next
    op = <Op *>queue_take(&done)
    # A completion may post another op, and so change the consumer's queue.
    while op != NULL:
        op_dispatch(op)
        op = <Op *>queue_take(&done)


cdef void direct_withdraw(Consumer *consumer, Source *source) noexcept nogil:
    """Cancel the direct op of `source`, or all if NULL, and wait until the kernel has released it. Data that
    it still received are delivered; no receive is posted in its place."""
    cdef Op *op
    while True:
        op = direct_find(consumer, source)
        if op == NULL:
            return
        op.withdrawn = True
        CancelIoEx(<HANDLE>(<Connection *>op.source).socket, &op.overlapped)
        while not direct_done(op):
            WaitForSingleObject(consumer.event, INFINITE)
        direct_remove(consumer, op)
        op_dispatch(op)


cdef void direct_release(Connection *connection) noexcept nogil:
    """Call before blocking: if the caller is the consumer's thread, cancel the direct receive, if any. With
    the lock held, which is released meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    if consumer != NULL and consumer.direct.first != NULL and consumer.thread == GetCurrentThreadId():
        source_unlock(&connection.source)
        direct_withdraw(consumer, &connection.source)
        source_lock(&connection.source)


cdef bint direct_yield(Connection *connection) noexcept nogil:
    """Call before data are queued to send: cancel the direct op, and return True if there was one. The caller
    then posts a receive on the port. With the lock held, which is released meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    cdef Op *op
    if connection.send.ops.first != NULL or consumer == NULL or consumer.thread != GetCurrentThreadId():
        return False
    op = direct_find(consumer, &connection.source)
    if op != NULL:
        direct_release(connection)
    return op != NULL
