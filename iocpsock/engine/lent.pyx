# Lent: a connection whose socket somebody else uses as well.
#
# Whoever has a channel can ask Tcl for its handle, and an extension may receive and send on it without the
# channel: TclTLS's fast path has OpenSSL do so. The engine gives the handle out when it holds nothing of the
# stream itself: posted receives are taken back, and with bytes queued, or received and not read, it refuses,
# for it cannot put them back. From then on it posts no receive and queues nothing: reads and writes of the
# channel are calls on the non-blocking socket, and what the socket is ready for is learnt from polls of the
# socket driver (include/afd.h), one for each direction, which take no byte.
#
# A poll tells of a moment. Before the consumer is told that there is something to read the socket is looked
# at again, because whoever has the handle may have received everything meanwhile (lent_look). On real Windows
# a poll that could end at once may end by a packet all the same, or not: either is only a reason to look.
# Owner: the connection; a poll is an op like any other, and the closer awaits its packet. Threads: any, with
# the connection's lock held; lent_give takes it.

cdef enum:
    LENT_DIRECTIONS = 2             # polls: READY_READ is 1 and the first, READY_WRITE is 2 and the second


cdef SOCKET lent_give(Connection *connection, bint to_read) noexcept nogil:
    """The socket, for somebody who will use it, or INVALID_SOCKET if there is none, or if bytes of the stream
    are on their way in the engine: to send, or received and unread where the taker is `to_read`. On the
    consumer's thread."""
    cdef SOCKET sock = INVALID_SOCKET
    cdef bint given
    source_lock(&connection.source)
    given = lent_begin(connection) and not (to_read and connection.recv.unread)
    if given:
        sock = connection.socket
    if given and connection.lent.state == LENT_ASKED:
        connection.lent.state = LENT_OUT
        connection.lent.maybe = READY_READ | READY_WRITE    # nobody has looked yet
        receiver_looked(connection)
    elif connection.lent.state == LENT_ASKED:
        connection.lent.state = LENT_NOT
        if connection.source.interest & READY_READ:
            receiver_post(connection)
    connection_unlock(connection)
    return sock


cdef bint lent_begin(Connection *connection) noexcept nogil:
    """Have the engine let go of the socket, if it can. The lock is given up meanwhile. Not with a provider
    whose sockets the driver does not know by their handles: it could not be polled for them."""
    if connection.lent.state == LENT_OUT:
        return True
    if connection.socket == INVALID_SOCKET or connection.state == CONNECTION_FAILED:
        return True
    if not winsock.is_ifs or not winsock.is_base or connection.send.ops.first != NULL:
        return False
    connection.lent.state = LENT_ASKED
    direct_release(connection)
    receiver_withdraw(connection)
    while connection.recv.posted:
        source_wait(&connection.source, 0)
    return True


cdef void lent_poll(Connection *connection, int ready) noexcept nogil:
    """Hear of these READY_ bits: which hold is known at once, or by a packet."""
    cdef int direction
    if connection.state != CONNECTION_OPEN or connection.lent.over:
        return
    for direction in range(LENT_DIRECTIONS):
        if ready & (1 << direction) and connection.lent.polls[direction] == NULL:
            lent_post(connection, direction)


cdef void lent_await(Connection *connection, int ready) noexcept nogil:
    """See to it that the READY_ bits are heard of, whoever uses the socket. With the lock held."""
    if connection.lent.state == LENT_OUT:
        lent_poll(connection, ready)
    elif ready & READY_READ:
        receiver_post(connection)


cdef void lent_retry_later(Connection *connection) noexcept nogil:
    """A poll could not be posted for lack of memory: try again when time has passed. With the lock held."""
    counter_add(COUNTER_retries, 1)
    port_timer(&connection.recv.retry, &connection.source, CONNECTION_RETRY, lent_retry)


cdef void lent_retry(Source *source) noexcept nogil:
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    lent_poll(connection, source.interest | READY_READ)
    connection_unlock(connection)


cdef void lent_post(Connection *connection, int direction) noexcept nogil:
    cdef Op *op = op_new(sizeof(afd_poll), lent_complete, &connection.source)
    cdef int status
    connection.lent.maybe &= ~(1 << direction)
    if op == NULL:
        lent_retry_later(connection)
        return
    op.length = <DWORD>direction
    op_begin(op)
    status = afd_poll_packet(connection.socket, <afd_poll *>op.data, direction, &op.overlapped)
    if status == STATUS_PENDING:
        connection.lent.polls[direction] = op
        return
    op_finish(op, error_from_status(<ULONG_PTR>status))
    lent_record(connection, op)
    source_drop(&connection.source)


cdef void lent_record(Connection *connection, Op *op) noexcept nogil:
    """A poll is done: note what it says. One that fails has the next read or write find out why."""
    if op.error == WSAENOBUFS and connection.state == CONNECTION_OPEN:
        lent_retry_later(connection)
    elif op.error != WSA_OPERATION_ABORTED:
        connection.lent.over = op.error != 0 or afd_poll_over(<afd_poll *>op.data)
        connection.lent.maybe |= READY_READ | READY_WRITE if connection.lent.over else 1 << op.length
    op_free(op)


cdef void lent_complete(Op *op) noexcept nogil:
    """The packet of a poll was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    connection.lent.polls[op.length] = NULL
    lent_record(connection, op)
    connection_ended(connection)


cdef void lent_look(Connection *connection) noexcept nogil:
    """Before the consumer is told: is there something to read yet? A consumer that blocks would wait for it.
    Where there is no room any more it only learns so."""
    if not connection.lent.maybe & connection.source.interest & READY_READ:
        return
    if connection.state == CONNECTION_OPEN and not connection.lent.over \
            and not winsock_readable(connection.socket):
        lent_poll(connection, READY_READ)


cdef inline bint lent_polled(Connection *connection) noexcept nogil:
    """Whether a poll is the kernel's."""
    return connection.lent.polls[0] != NULL or connection.lent.polls[1] != NULL


cdef void lent_cancel(Connection *connection) noexcept nogil:
    """The connection is being closed: end the polls. Their packets tell when they have."""
    cdef int direction
    for direction in range(LENT_DIRECTIONS):
        if connection.lent.polls[direction] != NULL:
            CancelIoEx(<HANDLE>connection.socket, &connection.lent.polls[direction].overlapped)


cdef int lent_write(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """As sender_write, for what the kernel takes at once: nothing is queued."""
    cdef int sent = -1
    error[0] = WSAESHUTDOWN if sender_is_shut(connection) else connection.send.error
    if connection.state == CONNECTION_CONNECTING:
        error[0] = WSAEWOULDBLOCK
    elif not error[0]:
        sent = sender_try(connection, data, size, error)
        if sent < 0 and error[0] == WSAEWOULDBLOCK:
            lent_poll(connection, READY_WRITE)
        elif sent < 0:
            connection.send.error = error[0]
    return sent
