# Direct: receives that end on their consumer's own event, without the port and without a completion thread.
#
# A consumer that is about to sleep for the next message of busy connections had better receive it itself: a
# completion thread that does so has to wake it up, which costs more than the receive. So a consumer that is
# `hot` posts the receives of its connections itself, all with its one event (whose low bit keeps their
# packets from the port), waits for that event (polling_wait), and looks which ops are done. The engine
# does not depend on it: nothing but these receives waits for the consumer, and before it sleeps, ends or
# blocks elsewhere it takes them back (direct_withdraw), to be posted on the port. While a send is outstanding
# no receive is cancelled but by a close: whether Windows ends the one alone is disputed (corefx 32981 against
# Go's timers). So a connection with a queue has no direct receive, and the one it has is taken back before
# the queue begins (direct_yield).
# The system clears the event whenever an op starts, so a wait for it is always preceded by a look.
# Owner: a direct op is in its consumer's list as long as it is posted. Threads: the consumer's, all of it,
# with no lock held unless it says so.

cdef enum:
    DIRECT_MOST = 64                # ops to look through after each wait; further connections use the port


cdef inline bint direct_wanted(Connection *connection) noexcept nogil:
    """Whether the next receive is to be posted by direct_post. With the connection's lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return (consumer != NULL and consumer.hot and consumer.thread == GetCurrentThreadId()
            and connection.source.interest & READY_READ and not connection.recv.awaited
            and connection.recv.posted == 0 and connection.send.ops.first == NULL
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
    queue_prepend(&consumer.direct, &op.direct, op)
    consumer.direct_count += 1
    counter_add(COUNTER_direct_receives, 1)


cdef inline void direct_remove(Consumer *consumer, Op *op) noexcept nogil:
    queue_remove(&op.direct)
    consumer.direct_count -= 1


cdef Op *direct_find(Consumer *consumer, Source *source) noexcept nogil:
    """The direct op of `source`, or the first if NULL; NULL: there is none."""
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
    # Completing may post, and so change the consumer's queue.
    while op != NULL:
        op_dispatch(op)
        op = <Op *>queue_take(&done)


cdef void direct_withdraw(Consumer *consumer, Source *source) noexcept nogil:
    """Take back the direct op of `source`, or all if NULL, and wait until the kernel has let go of it. What
    it brought in the last moment is delivered; nothing is posted in its place."""
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
    """Before the caller, if it is the consumer's thread, blocks: the direct receive, if there is one, is
    taken back. With the lock held, which is given up meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    if consumer != NULL and consumer.direct.first != NULL and consumer.thread == GetCurrentThreadId():
        source_unlock(&connection.source)
        direct_withdraw(consumer, &connection.source)
        source_lock(&connection.source)


cdef bint direct_yield(Connection *connection) noexcept nogil:
    """Before something is queued to be sent: take back the direct op, if there is one, and say so; the caller
    then has a receive posted on the port. With the lock held, which is given up meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    cdef Op *op
    if connection.send.ops.first != NULL or consumer == NULL or consumer.thread != GetCurrentThreadId():
        return False
    op = direct_find(consumer, &connection.source)
    if op != NULL:
        direct_release(connection)
    return op != NULL
