# Receiver: the receiving half of a connection.
#
# The engine posts up to `recvcount` receives at a time, each with an engine buffer, while the runtime keeps
# up. Posted buffers and buffers with unread bytes together hold at most `recvlimit` bytes, except that one
# buffer is always allowed. So a runtime that does not read holds a bounded amount of memory, and TCP slows
# the peer down.
# In mode `zero` one receive without a buffer is posted instead, which costs an idle connection no memory and
# no locked page; when it ends, the runtime reads directly. Mode `auto` is `zero` while there are many
# connections.
# A receive that fails for lack of memory has taken no byte from the stream. The next one is posted without a
# buffer; if that fails too, it is retried after a delay.
# Receives are posted, and appended to the connection's list, under the connection's lock. So the list is in
# the kernel's order, and only its head is delivered: completion threads may finish receives in any order.
# While no receive is posted or queued, a read first tries to receive directly into the caller's memory.
# Threads: any, with the connection's lock held; receiver_complete on a completion thread.

cdef bint receiver_zero(Connection *connection) noexcept nogil:
    """Whether the next receive is posted without a buffer."""
    cdef int mode = connection.settings.value[SETTING_recvmode]
    return mode == RECV_ZERO or connection.recv.state == RECEIVING_UNBUFFERED or (
        mode == RECV_AUTO
        and counter_live[COUNTER_connections] > settings_of_process(SETTING_manyconnections))


cdef inline DWORD receiver_size(Connection *connection) noexcept nogil:
    """Bytes of the next receive buffer."""
    cdef int size = connection.settings.value[SETTING_recvbufsize]
    return <DWORD>size if size else connection.recv.size


cdef inline void receiver_set(Connection *connection, int state) noexcept nogil:
    """Set the state, unless the stream has ended: a later completion does not undo that."""
    if connection.recv.state < RECEIVING_ENDED:
        connection.recv.state = state


cdef inline void receiver_over(Connection *connection, int error) noexcept nogil:
    """The end of the stream (`error` 0) or an error is being delivered."""
    connection.recv.state = RECEIVING_OVER
    connection.recv.error = error


cdef inline void receiver_looked(Connection *connection) noexcept nogil:
    """The runtime has read after the zero-byte receive ended: leave RECEIVING_SIGNALLED."""
    if connection.recv.state == RECEIVING_SIGNALLED:
        connection.recv.state = RECEIVING


cdef void receiver_record(Connection *connection, Op *op) noexcept nogil:
    """A receive is done: note the end of the stream, and adapt the size of the next buffer."""
    if op.length == 0 and not op.error:
        receiver_set(connection, RECEIVING_SIGNALLED)
        return
    if op.error or op.transferred == 0:
        receiver_set(connection, RECEIVING_ENDED)
        return
    connection.recv.unread += op.transferred
    counter_add(COUNTER_bytes_received, op.transferred)
    if op.transferred == op.length:
        connection.recv.size = OP_LARGE
    elif op.transferred < OP_SMALL:
        connection.recv.size = OP_SMALL


cdef int receiver_post_one(Connection *connection, DWORD size) noexcept nogil:
    """Post one receive of `size` bytes at the end of the queue: 0, or the Winsock code of an immediate
    failure. Windows may hold back data that arrived without TCP's PSH flag until the buffer is full
    (Microsoft's page "WSARecv function", flags). A small receive asks for them at once. A large one is posted
    while the traffic fills it, and should end only when it is full."""
    cdef Op *op = op_new(size, receiver_complete, &connection.source)
    cdef WSABUF buffer
    cdef DWORD flags = MSG_PUSH_IMMEDIATE if 0 < size <= OP_SMALL else 0
    cdef int error = 0
    cdef bint direct = direct_wanted(connection)
    if op == NULL:
        return WSAENOBUFS
    op.length = size
    buffer.buf = op.data
    buffer.len = size
    op_begin(op)
    if direct:
        direct_prepare(op)
    if WSARecv(connection.socket, &buffer, 1, NULL, &flags, &op.overlapped, NULL):
        error = error_last()
    if error == WSAENOBUFS:
        op_free(op)
        source_drop(&connection.source)
        return error
    receiver_append(connection, op)
    if error == WSA_IO_PENDING or (error == 0 and not direct and port_posts_packet()):
        connection.recv.posted += 1
        if direct:
            direct_posted(op)
        return 0
    op_finish(op, -1 if error == 0 else error)
    receiver_record(connection, op)
    receiver_remove_signal(connection)
    source_drop(&connection.source)
    return error


cdef void receiver_append(Connection *connection, Op *op) noexcept nogil:
    queue_append(&connection.recv.ops, &op.link, op)
    connection.recv.held += op.capacity


cdef void receiver_retry_later(Connection *connection) noexcept nogil:
    """A receive could not be posted for lack of memory: retry after a delay. With the lock held."""
    counter_add(COUNTER_retries, 1)
    port_timer(&connection.recv.retry, &connection.source, CONNECTION_RETRY, receiver_retry)


cdef void receiver_retry(Source *source) noexcept nogil:
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    receiver_post(connection)
    connection_unlock(connection)


cdef void receiver_post(Connection *connection) noexcept nogil:
    """Post as many receives as the rules allow. In a process that is ending, post only for a caller that
    waits: Windows resets a connection if it closes the handle while a receive is posted. A lent connection is
    polled instead: other code may want its bytes."""
    cdef size_t limit = <size_t>connection.settings.value[SETTING_recvlimit]
    cdef DWORD size
    cdef int error = 0
    if connection.lent.state or (living.ending and not connection.recv.awaited):
        return
    while not error and connection.state == CONNECTION_OPEN and not connection.send.lost \
            and connection.recv.state <= RECEIVING_UNBUFFERED \
            and connection.recv.posted < connection.settings.value[SETTING_recvcount]:
        size = 0 if receiver_zero(connection) else receiver_size(connection)
        if size == 0 and connection.recv.ops.first != NULL:
            return                                          # it waits until the list is empty
        if connection.recv.held and connection.recv.held + size > limit:
            return
        error = receiver_post_one(connection, size)
        if error == WSAENOBUFS and connection.recv.ops.first == NULL:
            if size == 0:
                receiver_retry_later(connection)
            else:
                receiver_set(connection, RECEIVING_UNBUFFERED)
                error = 0


cdef void receiver_remove_signal(Connection *connection) noexcept nogil:
    """Remove a zero-byte receive that succeeded: the state has recorded it. It is the head, because it was
    posted to an empty list."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    if connection.recv.state == RECEIVING_SIGNALLED and op != NULL and op.done and op.length == 0:
        receiver_remove(connection, op)


cdef void receiver_remove(Connection *connection, Op *op) noexcept nogil:
    """Remove and free an op that has nothing more to deliver, at any place in the queue."""
    queue_remove(&op.link)
    connection.recv.held -= op.capacity
    op_free(op)


cdef void receiver_complete(Op *op) noexcept nogil:
    """The packet of a receive was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    cdef bint out_of_buffers = op.error == WSAENOBUFS
    cdef bint wait = out_of_buffers and op.length == 0
    cdef bint withdrawn = op.withdrawn
    connection.recv.posted -= 1
    if out_of_buffers:
        receiver_set(connection, RECEIVING_UNBUFFERED)
        receiver_remove(connection, op)
    elif op.error == WSA_OPERATION_ABORTED and (withdrawn or connection.send.lost
                                                or connection.state == CONNECTION_CLOSING):
        receiver_remove(connection, op)                     # the engine cancelled it: not the end
    else:
        receiver_record(connection, op)
    receiver_remove_signal(connection)
    if connection.state == CONNECTION_CLOSING:
        pass                                                # the close continues below
    elif wait:
        receiver_retry_later(connection)
    elif not withdrawn and (out_of_buffers or not direct_left(connection)):
        # After a failure for lack of memory the consumer is not notified, so it would not read and post.
        receiver_post(connection)
    connection_ended(connection)


cdef void receiver_withdraw(Connection *connection) noexcept nogil:
    """Cancel the posted receives of an open connection. Data that one of them still receives can be read. The
    caller ensures that nothing is posted meanwhile and that no send is outstanding."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    while op != NULL:
        if not op.done:
            op.withdrawn = True
            CancelIoEx(<HANDLE>connection.socket, &op.overlapped)
        op = <Op *>queue_next(&op.link)


cdef int receiver_try(Connection *connection, char *buffer, int size, int *error) noexcept nogil:
    """Receive directly into the caller's memory, only while no receive is posted or queued. Returns as
    receiver_read does."""
    cdef WSABUF target
    cdef DWORD received = 0, flags = 0
    target.buf = buffer
    target.len = size
    if WSARecv(connection.socket, &target, 1, &received, &flags, NULL, NULL):
        error[0] = error_last()
        receiver_looked(connection)
        if error[0] == WSAENOBUFS:                          # receiver_post handles that
            error[0] = WSAEWOULDBLOCK
        if error[0] != WSAEWOULDBLOCK:
            receiver_over(connection, error[0])
        return -1
    if <int>received < size:                                # the socket is drained
        receiver_looked(connection)
    if received == 0 and size > 0:
        receiver_over(connection, 0)
    counter_add(COUNTER_bytes_received, received)
    return <int>received


cdef void receiver_remove_first(Connection *connection) noexcept nogil:
    """Remove the head, which is done and consumed. If it ended the stream, record how."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    if op.error or op.transferred == 0:
        receiver_over(connection, op.error)
    receiver_remove(connection, op)


cdef int receiver_copy(Connection *connection, char *buffer, int size) noexcept nogil:
    """Deliver up to `size` bytes from the front of the list."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    cdef int count, copied = 0
    while op != NULL and op.done and connection.recv.state != RECEIVING_OVER:
        if op.error == 0 and op.transferred:
            if copied == size:
                break
            count = <int>(op.transferred - op.start)
            if count > size - copied:
                count = size - copied
            memcpy(buffer + copied, op.data + op.start, count)
            op.start += <DWORD>count
            copied += count
            connection.recv.unread -= <size_t>count
            if op.start < op.transferred:
                break
        elif copied:
            # Return the data now; the next read returns the end.
            break
        receiver_remove_first(connection)
        op = <Op *>queue_first(&connection.recv.ops)
    return copied


cdef int receiver_read(Connection *connection, char *buffer, int size, int *error) noexcept nogil:
    """Read received bytes: their count, 0 at the end of the stream, or -1 with a Winsock code in `error`
    (WSAEWOULDBLOCK if there are none yet; then a receive is posted). With the lock held, on an open
    connection."""
    cdef int copied = 0
    if connection.recv.ops.first == NULL and connection.recv.state < RECEIVING_ENDED:
        copied = receiver_try(connection, buffer, size, error)
        if copied < 0 and error[0] == WSAEWOULDBLOCK:
            receiver_post(connection)
        if copied >= 0 or error[0] != WSAEWOULDBLOCK:
            return copied
    copied = receiver_copy(connection, buffer, size)
    if copied:
        receiver_post(connection)
        return copied
    receiver_looked(connection)
    error[0] = WSAEWOULDBLOCK
    if connection.recv.state == RECEIVING_OVER:
        error[0] = connection.recv.error
        return -1 if error[0] else 0
    if connection.send.lost and connection.recv.ops.first == NULL:
        error[0] = connection.send.lost
    return -1


cdef void receiver_preload(Connection *connection, Op *source) noexcept nogil:
    """Queue the bytes that came with an accept as if a receive had returned them. If out of memory, end the
    stream with an error: its first bytes must not be missing."""
    cdef Op *op = op_new(source.transferred, receiver_complete, &connection.source)
    if op == NULL:
        receiver_over(connection, WSAENOBUFS)
        return
    memcpy(op.data, source.data, source.transferred)
    op.done = True
    op.length = op.transferred = source.transferred
    receiver_append(connection, op)
    receiver_record(connection, op)


cdef void receiver_cancel(Connection *connection) noexcept nogil:
    """Cancel all posted receives that are not cancelled yet."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    while op != NULL:
        if not op.done and not op.withdrawn:
            CancelIoEx(<HANDLE>connection.socket, &op.overlapped)
        op = <Op *>queue_next(&op.link)
