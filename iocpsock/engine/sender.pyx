# Sender: the sending half of a connection.
#
# A send is tried directly from the caller's memory first; that is all there is to it as long as the peer keeps up. What the
# kernel does not take is copied to a queue of at most `sendcap` bytes (rounded up to what one call brings), and the queue is
# sent by one overlapped WSASend at a time that gathers its front. The host is told to go on when the queue is half empty.
# A send that fails for want of memory has sent nothing: it is tried again with half of it, and when even SENDER_LEAST bytes
# are too many, when time has passed. Any other error is kept, the queue behind it is dropped, and the next call of the host
# reports it.
# Threads: any, with the connection's lock held; sender_complete on a completion thread.

cdef enum:
    SENDER_GATHER = 16              # buffers in one WSASend, ...
    SENDER_BLIND = 65536            # ... and bytes where the system does not tell what the peer takes (winsock_acknowledged),
    SENDER_CLOSING = 16384          # and less while closing: there only the end of a send shows it, and a send ends whole
    SENDER_LEAST = 4096             # bytes to which a send that fails for want of memory is reduced: one page


cdef bint sender_ready(Connection *connection) noexcept nogil:
    return connection.send_error != 0 or connection.send_bytes <= <size_t>connection.settings.value[SETTING_sendcap] // 2


cdef int sender_direct(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """Give the kernel what it takes at once: the number of bytes, or -1."""
    cdef WSABUF buffer
    cdef DWORD sent = 0
    buffer.buf = <char *>data
    buffer.len = size
    if WSASend(connection.socket, &buffer, 1, &sent, 0, NULL, NULL):
        error[0] = error_last()
        if error[0] == WSAENOBUFS:                          # the queue finds its own way out of that
            error[0] = WSAEWOULDBLOCK
        return -1
    connection.send_begun = True
    counter_add(COUNTER_bytes_sent, sent)
    return <int>sent


cdef int sender_append(Connection *connection, const char *data, int size) noexcept nogil:
    """Copy to the queue's tail, which may have room unless it is being sent: how many bytes memory was found for."""
    cdef Op *op = connection.send_tail
    cdef DWORD room, count
    cdef int appended = 0
    while appended < size:
        room = 0
        if op != NULL and not op.gathered:
            room = op.capacity - op.length
        if room == 0:
            count = <DWORD>(size - appended)
            op = op_new(count if count < OP_LARGE else OP_LARGE, sender_complete, &connection.source)
            if op == NULL:
                break
            if connection.send_tail == NULL:
                connection.send_head = op
            else:
                connection.send_tail.next = op
            connection.send_tail = op
            room = op.capacity
        count = <DWORD>(size - appended)
        if count > room:
            count = room
        memcpy(op.data + op.length, data + appended, count)
        op.length += count
        connection.send_bytes += count
        appended += <int>count
    return appended


cdef int sender_put(Connection *connection, const char *data, int size, int *error) noexcept nogil:
    """Send `size` bytes: how many were taken (sent or queued), or -1 with a Winsock code in `error`, WSAEWOULDBLOCK when
    the queue is full. With the lock held."""
    cdef int taken = 0
    cdef bint yielded
    if connection.state == CONNECTION_CONNECTING:
        error[0] = WSAEWOULDBLOCK
    elif connection.state != CONNECTION_OPEN:
        error[0] = WSAENOTCONN
    elif connection.send_shutdown:
        error[0] = WSAESHUTDOWN
    else:
        error[0] = connection.send_error
    if error[0]:
        return -1
    if connection.send_head == NULL:
        taken = sender_direct(connection, data, size, error)
        if taken == size:
            return taken
        if taken < 0:
            if error[0] != WSAEWOULDBLOCK:
                connection.send_error = error[0]
                return -1
            taken = 0
    if connection.send_bytes >= <size_t>connection.settings.value[SETTING_sendcap]:
        error[0] = WSAEWOULDBLOCK
        return -1
    yielded = direct_yield(connection)
    taken += sender_append(connection, data + taken, size - taken)
    sender_post(connection)
    if yielded:
        receiver_post(connection)
    error[0] = connection.send_error
    if not error[0] and taken == 0:
        error[0] = WSAENOBUFS
    return -1 if error[0] else taken


cdef int sender_gather(Connection *connection, WSABUF *buffers) noexcept nogil:
    """Mark the front of the queue as part of the next send, and describe it: how many buffers, the first of at most
    so many bytes and alone, if there is a limit."""
    cdef Op *op = connection.send_head
    cdef DWORD limit = sender_limit(connection), bytes = 0
    cdef int count = 0
    while op != NULL and count < SENDER_GATHER and not (winsock.no_tcp_info and bytes >= SENDER_BLIND):
        buffers[count].buf = op.data + op.start
        buffers[count].len = op.length - op.start
        count += 1
        bytes += op.length - op.start
        op.gathered = True
        op = op.next
        if limit:
            if buffers[0].len > limit:
                buffers[0].len = limit
            break
    return count


cdef inline DWORD sender_limit(Connection *connection) noexcept nogil:
    """The most bytes of the next send; 0: no limit. What is posted while closing ends soon enough to show whether the peer takes
    anything."""
    if connection.state == CONNECTION_CLOSING and winsock.no_tcp_info and (
            connection.send_limit == 0 or connection.send_limit > SENDER_CLOSING):
        return SENDER_CLOSING
    return connection.send_limit


cdef bint sender_reduce(Connection *connection, DWORD size) noexcept nogil:
    """A send of `size` bytes failed for want of memory: is there a smaller one to try now? If not, time has to pass."""
    connection.send_limit = size // 2
    if size > SENDER_LEAST:
        if connection.send_limit < SENDER_LEAST:
            connection.send_limit = SENDER_LEAST
        return True
    connection.send_limit = SENDER_LEAST
    connection_starve(connection)
    return False


cdef void sender_post(Connection *connection) noexcept nogil:
    """Send the front of the queue, unless a send is under way; then, with nothing left, the FIN that was asked for."""
    cdef WSABUF buffers[SENDER_GATHER]
    cdef Op *head
    cdef int error, count
    while connection.send_head != NULL and connection.send_gathered == 0 and not connection.send_error:
        head = connection.send_head
        count = sender_gather(connection, buffers)
        error = 0
        op_post(head)
        if WSASend(connection.socket, buffers, count, NULL, 0, &head.overlapped, NULL):
            error = error_last()
        if error == WSA_IO_PENDING or (error == 0 and port_posts_packet()):
            connection.send_gathered = count
            connection.send_begun = True
            return
        op_settle(head, -1 if error == 0 else error)
        sender_account(connection, head)
        source_drop(&connection.source)
        if error == WSAENOBUFS and not sender_reduce(connection, buffers[0].len):
            return
    if connection.send_head == NULL and connection.send_shutdown and not connection.send_finished:
        connection.send_finished = True
        shutdown(connection.socket, SD_SEND)                # after a reset it fails, and there is nobody to tell


cdef void sender_account(Connection *connection, Op *head) noexcept nogil:
    """A gathered send is done: drop what was sent from the queue, or all of it after an error."""
    cdef DWORD sent = head.transferred, count
    cdef Op *op
    if head.error and head.error != WSAENOBUFS:
        connection.send_error = head.error
        connection_free_ops(connection.send_head)
        connection.send_head = connection.send_tail = NULL
        connection.send_bytes = 0
        return
    counter_add(COUNTER_bytes_sent, sent)
    connection.send_bytes -= sent
    if sent and connection.send_limit:                      # memory is back: twice as much the next time
        connection.send_limit = connection.send_limit * 2 if connection.send_limit < OP_LARGE else 0
    while sent:
        op = connection.send_head
        count = op.length - op.start
        if sent < count:                                    # a short send: the rest goes first next time
            op.start += sent
            break
        sent -= count
        connection.send_head = op.next
        if connection.send_head == NULL:
            connection.send_tail = NULL
        op_free(op)
    op = connection.send_head
    while op != NULL and op.gathered:
        op.gathered = False
        op = op.next


cdef void sender_complete(Op *op) noexcept nogil:
    """The packet of a send was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    cdef bint starved = op.error == WSAENOBUFS
    connection.send_gathered = 0
    sender_account(connection, op)
    if not starved or sender_reduce(connection, sender_limit(connection) if sender_limit(connection) else OP_LARGE):
        sender_post(connection)
    if connection.state == CONNECTION_CLOSING:
        closer_step(connection)
    source_unlock_changed(&connection.source, connection_ready(connection))


cdef void sender_shutdown(Connection *connection) noexcept nogil:
    """The host sends no more: FIN follows what is queued. With the lock held."""
    connection.send_shutdown = True
    if connection.state == CONNECTION_OPEN or connection.state == CONNECTION_CLOSING:
        sender_post(connection)
