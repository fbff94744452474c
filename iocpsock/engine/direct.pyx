# Direct: receives that end on their consumer's own event, without the port and without a completion thread.
#
# A consumer that is about to sleep for the next message of busy connections had better receive it itself: a
# completion thread that does so has to wake it up, which costs more than the receive. So a consumer that is
# `hot` posts the receives of its connections itself, all with its one event (whose low bit keeps their
# packets from the port), waits for that event (polling_wait), and looks which ops are done. The engine
# does not depend on it: nothing but these receives waits for the consumer, and before it sleeps, ends or
# blocks elsewhere it takes them back (direct_withdraw), to be posted on the port. While a send is outstanding
# no receive is cancelled but by a close: whether Windows ends the one alone is disputed (corefx 32981 against
# Go's deadlines). So a connection with a queue has no direct receive, and the one it has is taken back before
# the queue begins (direct_yield).
# The system clears the event whenever an op starts, so a wait for it is always preceded by a look.
# Owner: a direct op is in its consumer's list as long as it is posted. Threads: the consumer's, all of it,
# with no lock held unless it says so.

cdef enum:
    DIRECT_MOST = 64                # ops to look through after each wait; further connections use the port


cdef inline bint direct_wanted(Connection *connection) noexcept nogil:
    """Whether the next receive is to be posted by direct_post. With the connection's lock held."""
    cdef Consumer *consumer = connection.source.consumer
    return (consumer != NULL and consumer.hot and consumer.thread == GetCurrentThreadId() and connection.recv.posted == 0
            and connection.source.interest & READY_READ and not connection.recv.awaited and connection.send.head == NULL
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


cdef void direct_release(Connection *connection) noexcept nogil:
    """Before the caller, if it is the consumer's thread, blocks: the direct receive, if there is one, is
    taken back. With the lock held, which is given up meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    if consumer != NULL and consumer.direct != NULL and consumer.thread == GetCurrentThreadId():
        source_unlock(&connection.source)
        direct_withdraw(consumer, &connection.source)
        source_lock(&connection.source)


cdef bint direct_yield(Connection *connection) noexcept nogil:
    """Before something is queued to be sent: take back the direct op, if there is one, and say so; the caller
    then has a receive posted on the port. With the lock held, which is given up meanwhile."""
    cdef Consumer *consumer = connection.source.consumer
    cdef Op *op
    if connection.send.head != NULL or consumer == NULL or consumer.thread != GetCurrentThreadId():
        return False
    op = consumer.direct
    while op != NULL and op.source != &connection.source:
        op = op.direct_next
    if op != NULL:
        direct_release(connection)
    return op != NULL
