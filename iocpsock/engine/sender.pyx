# Sender: the sending half of a connection.
#
# The engine first tries to send directly from the caller's memory; while the peer keeps up, nothing else is
# needed. What the kernel does not take, and what is sent before the connection exists, is copied to a queue
# of at most `sendlimit` bytes (rounded up to what one call passes). Overlapped WSASend calls gather and send
# the front of the queue. The runtime is notified that it may write again when the queue is half empty.
# Windows completes a send for which its own buffer has no room only when the peer has acknowledged all of it.
# So two sends are outstanding; with one, the stream would be empty for a round trip after each.
# They are posted under the connection's lock, in stream order, and may end in any order; the engine accounts
# for them in queue order. A send that sent only a part has to be the last: if the one behind it sent
# anything, the stream has a hole, and the engine ends the connection.
# A send that fails for lack of memory has sent nothing. It is retried with half the bytes; if even
# SENDER_LEAST bytes fail, it is retried after a delay. After any other error the rest of the queue is
# dropped, and the runtime's next call, read or write, reports the error.
#
#     the first -> ... -> send.waiting -> ... -> the last
#     |  posted: the kernel's  |  appended to, and posted next  |
#
# Threads: any, with the connection's lock held; sender_complete on a completion thread.

cdef enum:
    SENDER_GATHER = 64              # buffers in one WSASend
    SENDER_PIECE = 65536            # bytes of one send, if the system does not tell how many should be
                                    # outstanding: the most that TCP has in flight without window scaling
    SENDER_CLOSING = 16384          # the same while closing, if only the end of a send shows that the peer
                                    # takes data (winsock_acknowledged)
    SENDER_LEAST = 4096             # bytes to which a send that fails for lack of memory is reduced: one page


cdef inline bint sender_is_shut(Connection *connection) noexcept nogil:
    """Whether the runtime has shut down sending."""
    return connection.send.state == SENDING_SHUTDOWN or connection.send.state == SENDING_FINISHED


cdef int sender_try(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """Send what the kernel takes at once: the number of bytes, or -1."""
    cdef WSABUF buffer
    cdef DWORD sent = 0
    buffer.buf = <char *>data
    buffer.len = size
    if WSASend(connection.socket, &buffer, 1, &sent, 0, NULL, NULL):
        error[0] = error_last()
        if error[0] == WSAENOBUFS:                          # sending from the queue handles that
            error[0] = WSAEWOULDBLOCK
        return -1
    connection.send.begun = True
    counter_add(COUNTER_bytes_sent, sent)
    return <int>sent


cdef int sender_append(Connection *connection, const char *data, int size) noexcept nogil:
    """Copy to the queue: the number of bytes for which there was memory. The last op may have room, unless it
    is posted."""
    cdef Op *op = <Op *>queue_last(&connection.send.ops)
    cdef DWORD room, count
    cdef int appended = 0
    while appended < size:
        room = op.capacity - op.length if connection.send.waiting != NULL else 0
        if room == 0:
            count = <DWORD>(size - appended)
            op = op_new(count if count < OP_LARGE else OP_LARGE, sender_complete, &connection.source)
            if op == NULL:
                break
            sender_queue(connection, op)
            room = op.capacity
        count = <DWORD>(size - appended)
        if count > room:
            count = room
        memcpy(op.data + op.length, data + appended, count)
        op.length += count
        connection.send.bytes += count
        appended += <int>count
    return appended


cdef inline void sender_queue(Connection *connection, Op *op) noexcept nogil:
    queue_append(&connection.send.ops, &op.link, op)
    if connection.send.waiting == NULL:
        connection.send.waiting = op


cdef int sender_write(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """Send `size` bytes: how many were sent or queued, or -1 with a Winsock code in `error`, WSAEWOULDBLOCK
    if the queue is full. With the lock held."""
    cdef int taken = 0, bound = connection_bound()
    cdef bint yielded
    if connection.state != CONNECTION_OPEN and connection.state != CONNECTION_CONNECTING:
        error[0] = WSAENOTCONN
    elif sender_is_shut(connection):
        error[0] = WSAESHUTDOWN
    else:
        error[0] = connection.send.error
    if error[0]:
        return -1
    if connection.send.ops.first == NULL and connection.state == CONNECTION_OPEN:
        # The system may take all of a non-blocking send, however full its buffer is (Windows, Wine 10).
        taken = sender_try(connection, data, min(size, bound) if bound else size, error)
        if taken == size:
            return taken
        if taken < 0:
            if error[0] != WSAEWOULDBLOCK:
                connection.send.error = error[0]
                return -1
            taken = 0
    if not connection.send.uncapped \
            and connection.send.bytes >= <size_t>connection.settings.value[SETTING_sendlimit]:
        error[0] = WSAEWOULDBLOCK
        return -1
    yielded = direct_yield(connection)
    taken += sender_append(connection, data + taken, size - taken)
    if connection.state == CONNECTION_OPEN:                 # otherwise the connector posts it
        sender_post(connection)
    if yielded:
        receiver_post(connection)
    error[0] = connection.send.error
    if not error[0] and taken == 0:
        error[0] = WSAENOBUFS
    return -1 if error[0] else taken


cdef inline DWORD sender_limit(Connection *connection) noexcept nogil:
    """The most bytes of the next send, which is then posted alone; 0: no limit. A send posted while closing,
    or at the process's end, is small, so that it ends soon enough to show whether the peer takes data."""
    if (connection.state == CONNECTION_CLOSING or living.ending) and winsock.no_tcp_info and (
            connection.send.limit == 0 or connection.send.limit > SENDER_CLOSING):
        return SENDER_CLOSING
    return connection.send.limit


cdef inline size_t sender_piece(Connection *connection) noexcept nogil:
    """Bytes of each of the two sends: as many as the system wants outstanding to keep the stream full, so
    that it stays full when the other send ends. Together they are at most what the queue may hold, because
    the runtime refills the queue when half of it is sent."""
    cdef size_t half = <size_t>connection.settings.value[SETTING_sendlimit] // 2
    if connection.send.bytes <= SENDER_PIECE:
        return SENDER_PIECE
    return min(<size_t>winsock_ideal_backlog(connection.socket), half)


cdef Op *sender_gather(Connection *connection, WSABUF *buffers, int *count) noexcept nogil:
    """Fill `buffers` for the next send from the ops that are not posted, and return the first of them: its
    OVERLAPPED is used."""
    cdef DWORD limit = sender_limit(connection)
    cdef size_t most = limit if limit else sender_piece(connection), size
    cdef Op *head = connection.send.waiting
    cdef Op *op = head
    head.posted = 0
    count[0] = 0
    while op != NULL and count[0] < SENDER_GATHER:
        size = op.length - op.start
        if count[0] and head.posted + size > most:
            break
        if limit and size > limit:
            size = limit
        buffers[count[0]].buf = op.data + op.start
        buffers[count[0]].len = <DWORD>size
        head.posted += <DWORD>size
        count[0] += 1
        op = <Op *>queue_next(&op.link)
        if limit:
            break
    connection.send.waiting = op
    return head


cdef bint sender_may_post(Connection *connection) noexcept nogil:
    """Whether a send may be posted: a second one beside the first only if the system tells how many bytes
    should be outstanding. A limited send is posted alone, and none is posted behind one that sent only a
    part."""
    if connection.send.waiting == NULL or connection.send.error or connection.send.cut_short:
        return False
    return connection.send.posted == 0 or (connection.send.posted < SENDER_POSTED
                                           and not sender_limit(connection)
                                           and winsock_tells_backlog(connection.socket))


cdef void sender_post(Connection *connection) noexcept nogil:
    """Post sends from the front of the queue, as far as the rules allow. If the queue is empty, send the FIN
    that was requested."""
    cdef WSABUF buffers[SENDER_GATHER]
    cdef Op *head
    cdef int error, count
    while sender_may_post(connection):
        head = sender_gather(connection, buffers, &count)
        connection.send.ends[connection.send.posted] = head
        connection.send.posted += 1
        error = 0
        op_begin(head)
        if WSASend(connection.socket, buffers, count, NULL, 0, &head.overlapped, NULL):
            error = error_last()
        if error == WSA_IO_PENDING or (error == 0 and port_posts_packet()):
            connection.send.begun = True
            continue
        op_finish(head, -1 if error == 0 else error)
        source_drop(&connection.source)
        if not sender_ended(connection, head):
            return
    if connection.send.ops.first == NULL and connection.send.state == SENDING_SHUTDOWN:
        connection.send.state = SENDING_FINISHED
        # This fails after a reset; nobody needs the error.
        shutdown(connection.socket, SD_SEND)


cdef bint sender_ended(Connection *connection, Op *op) noexcept nogil:
    """A posted send has ended: account for the ended sends at the front of the queue. False if the next one
    must be delayed."""
    cdef DWORD out_of_buffers = 0
    cdef int index
    if op.error and op.error != WSAENOBUFS and not connection.send.error:
        sender_fail(connection, op.error)
    while connection.send.posted and connection.send.ends[0].done:
        connection.send.posted -= 1
        op = connection.send.ends[0]
        for index in range(connection.send.posted):
            connection.send.ends[index] = connection.send.ends[index + 1]
        sender_record(connection, op)
    if connection.send.posted:
        return True
    if connection.send.error:
        sender_drop(connection, connection.send.error)
        if connection.send.lost:
            receiver_cancel(connection)
        return True
    connection.send.waiting = <Op *>queue_first(&connection.send.ops)
    connection.send.cut_short = False
    out_of_buffers = connection.send.failed
    connection.send.failed = 0
    return out_of_buffers == 0 or sender_reduce(connection, out_of_buffers)


cdef void sender_record(Connection *connection, Op *op) noexcept nogil:
    """Remove from the front of the queue what the first of the posted sends has sent."""
    cdef DWORD sent = op.transferred, count
    counter_add(COUNTER_bytes_sent, sent)
    if connection.send.error:
        return                                              # the queue is dropped when no part of it is
                                                            # posted
    if connection.send.cut_short and sent:
        sender_fail(connection, WSAECONNABORTED)            # the stream has a hole
        return
    if sent < op.posted:
        connection.send.cut_short = True
    if op.error == WSAENOBUFS:
        connection.send.failed = op.posted if op.posted < OP_LARGE else OP_LARGE
    connection.send.bytes -= sent
    if sent and connection.send.limit:                      # memory is available again: double the next send
        connection.send.limit = connection.send.limit * 2 if connection.send.limit < OP_LARGE else 0
    while sent:
        op = <Op *>queue_first(&connection.send.ops)
        count = op.length - op.start
        if sent < count:                                    # the next send starts with the rest
            op.start += sent
            return
        sent -= count
        queue_remove(&op.link)
        op_free(op)


cdef void sender_fail(Connection *connection, int error) noexcept nogil:
    """Bytes that were reported to the runtime as sent are lost, so the stream ends here. Reads fail too,
    after the received data: a runtime that only waits for the answer would wait for ever. The close resets
    the connection, so that the peer does not take what it received for complete."""
    connection.send.error = connection.send.lost = error
    connection.send.state = SENDING_ABORTED
    winsock_reset(connection.socket)


cdef bint sender_reduce(Connection *connection, DWORD size) noexcept nogil:
    """A send of `size` bytes failed for lack of memory: halve the limit. False if the send is at its smallest
    already, and is retried after a delay."""
    connection.send.limit = size // 2
    if size > SENDER_LEAST:
        if connection.send.limit < SENDER_LEAST:
            connection.send.limit = SENDER_LEAST
        return True
    connection.send.limit = SENDER_LEAST
    sender_retry_later(connection)
    return False


cdef void sender_retry_later(Connection *connection) noexcept nogil:
    """A send could not be posted for lack of memory: retry after a delay. With the lock held."""
    counter_add(COUNTER_retries, 1)
    port_timer(&connection.send.retry, &connection.source, CONNECTION_RETRY, sender_retry)


cdef void sender_retry(Source *source) noexcept nogil:
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    if connection.state == CONNECTION_OPEN or connection.state == CONNECTION_CLOSING:
        sender_post(connection)
    connection_ended(connection)


cdef void sender_drop(Connection *connection, int error) noexcept nogil:
    """Nothing more is sent: free the queue, no part of which is posted."""
    connection.send.error = error
    connection_free_ops(&connection.send.ops)
    connection.send.waiting = NULL
    connection.send.bytes = 0


cdef void sender_cancel(Connection *connection) noexcept nogil:
    """Only for a connection that is being aborted: it is unknown how much of a cancelled send went out."""
    cdef int index
    for index in range(connection.send.posted):
        if not connection.send.ends[index].done:
            CancelIoEx(<HANDLE>connection.socket, &connection.send.ends[index].overlapped)


cdef void sender_complete(Op *op) noexcept nogil:
    """The packet of a send was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    if sender_ended(connection, op):
        sender_post(connection)
    connection_ended(connection)


cdef void sender_shutdown(Connection *connection) noexcept nogil:
    """The runtime sends no more: FIN follows the queued data. With the lock held."""
    if connection.send.state == SENDING:
        connection.send.state = SENDING_SHUTDOWN
    if connection.state == CONNECTION_OPEN or connection.state == CONNECTION_CLOSING:
        sender_post(connection)
