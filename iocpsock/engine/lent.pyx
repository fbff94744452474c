# Lent: a connection whose socket other code uses as well.
#
# Any code that has a channel can ask Tcl for its handle, and an extension may receive and send on it without
# the channel: in TclTLS's fast path OpenSSL does so. The engine gives the handle out only when it holds no
# bytes of the stream. It cancels posted receives. It refuses while bytes are queued to send, or received but
# unread, because it cannot put them back.
# From then on it posts no receive and queues nothing: reads and writes of the channel are direct calls on the
# non-blocking socket. The engine learns what the socket is ready for by polls of the socket driver
# (include/afd.h), one for each direction, which take no bytes.
#
# A poll describes one moment. Before the engine notifies the consumer that the socket is readable, it checks
# the socket again, because the other code may have received everything meanwhile (lent_look). On real Windows
# a poll whose condition holds already may end at once or by a packet: either only causes that check.
# Owner: the connection. A poll is an ordinary op, and the closer waits for its packet. Threads: any, with the
# connection's lock held; lent_give acquires it.

cdef enum:
    LENT_DIRECTIONS = 2             # polls: READY_READ is 1 and the first, READY_WRITE is 2 and the second


cdef SOCKET lent_give(Connection *connection, bint to_read) noexcept nogil:
    """The socket, for other code that will use it. INVALID_SOCKET if there is none, or if the engine holds
    bytes of the stream: queued to send or, if the other code is `to_read`, received but unread. On the
    consumer's thread."""
    cdef SOCKET sock = INVALID_SOCKET
    cdef bint given
    source_lock(&connection.source)
    given = lent_begin(connection) and not (to_read and connection.recv.unread)
    if given:
        sock = connection.socket
    if given and connection.lent.state == LENT_ASKED:
        connection.lent.state = LENT_OUT
        connection.lent.maybe = READY_READ | READY_WRITE    # not checked yet
        receiver_looked(connection)
    elif connection.lent.state == LENT_ASKED:
        connection.lent.state = LENT_NOT
        if connection.source.interest & READY_READ:
            receiver_post(connection)
    connection_unlock(connection)
    return sock


cdef bint lent_begin(Connection *connection) noexcept nogil:
    """Make the engine stop using the socket, if it can. Releases the lock meanwhile. False with a layered
    provider whose handles are not those of the socket driver: the driver could not poll its sockets."""
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
    """Poll for these READY_ bits. A poll ends at once or by a packet."""
    cdef int direction
    if connection.state != CONNECTION_OPEN or connection.lent.over:
        return
    for direction in range(LENT_DIRECTIONS):
        if ready & (1 << direction) and connection.lent.polls[direction] == NULL:
            lent_post(connection, direction)


cdef void lent_await(Connection *connection, int ready) noexcept nogil:
    """Ensure that the engine learns when the READY_ bits hold, for a lent or an ordinary socket. With the
    lock held."""
    if connection.lent.state == LENT_OUT:
        lent_poll(connection, ready)
    elif ready & READY_READ:
        receiver_post(connection)


cdef void lent_retry_later(Connection *connection) noexcept nogil:
    """A poll could not be posted for lack of memory: retry after a delay. With the lock held."""
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
    """A poll is done: record its result. If it failed, the next read or write returns the reason."""
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
    """Before the consumer is notified: if there is no longer anything to read, poll again. A consumer that
    blocks would wait for data. If there is no longer room to send, its write only returns WSAEWOULDBLOCK."""
    if not connection.lent.maybe & connection.source.interest & READY_READ:
        return
    if connection.state == CONNECTION_OPEN and not connection.lent.over \
            and not winsock_readable(connection.socket):
        lent_poll(connection, READY_READ)


cdef inline bint lent_polled(Connection *connection) noexcept nogil:
    """Whether a poll is posted."""
    return connection.lent.polls[0] != NULL or connection.lent.polls[1] != NULL


cdef void lent_cancel(Connection *connection) noexcept nogil:
    """The connection is being closed: cancel the polls. Their packets show when they have ended."""
    cdef int direction
    for direction in range(LENT_DIRECTIONS):
        if connection.lent.polls[direction] != NULL:
            CancelIoEx(<HANDLE>connection.socket, &connection.lent.polls[direction].overlapped)


cdef int lent_write(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """As sender_write, but send only what the kernel takes at once, and queue nothing."""
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
