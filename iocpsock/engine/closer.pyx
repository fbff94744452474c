# Closer: the end of a connection.
#
# A graceful close keeps what was sent: receives are cancelled and their packets awaited (a socket closed with
# a receive pending resets the connection on Windows), the send queue is flushed, and if the peer has sent
# bytes that nobody read, FIN goes out and what still comes is thrown away for a while, because closing over
# unread bytes resets the connection too and may cost the peer the last of our data; where nothing was ever
# sent there is nothing to lose, and the peer learns at once that nobody listens. Then the socket is closed. A
# connection that is still being made is closed like that once it is there, if something was sent, and
# otherwise given up. The `linger` setting bounds the flush: when its time is over, or at once if it is 0, the
# connection is reset; without it that happens when the peer has not taken a byte for `closetimeout` seconds.
# The clock of either runs only while something is unsent: a close with nothing to send needs none. Each step
# is taken when the one before is complete, on whatever thread completed it; CancelIoEx is only a request, and
# nothing is freed before its packet.
#
#     closer_flush        the receives are cancelled, the queue is sent    bounded by `linger`, `closetimeout`
#         |  no op is posted, the queue is empty or lost
#     closer_drain        FIN went; what the peer still sends is thrown away    64 KiB or 2 seconds at most
#         |  the stream has ended, or enough was thrown away (left out where nothing is unread)
#     closesocket         CLOSED
#
# Threads: any, with the connection's lock held.

cdef enum:
    CLOSER_DRAIN_BYTES = 64 * 1024  # thrown away at most, ...
    CLOSER_DRAIN_TIME = 2000        # ... for at most so many milliseconds (iocp.md 5.2: 64 KB or 1-2 s)
    CLOSER_LOOKS = 4                # looks at what the peer has taken, in the time of `closetimeout`
    CLOSER_ABORT = 1                # tcp_close: reset instead of FIN, nothing is flushed


cdef void closer_begin(Connection *connection, int flags) noexcept nogil:
    """Start closing an open connection; a reference for the time it takes."""
    source_hold(&connection.source)
    if closer_resets(connection, flags):
        closer_reset(connection)
    closer_flush(connection)


cdef inline bint closer_resets(Connection *connection, int flags) noexcept nogil:
    return flags & CLOSER_ABORT or connection.settings.value[SETTING_linger] == 0


cdef void closer_leave(Connection *connection) noexcept nogil:
    """The socket is closed. Gives up the reference for the time of closing: the caller has one of its own."""
    timer_disarm(&connection.close.timer)
    timer_disarm(&connection.recv.retry)
    timer_disarm(&connection.send.retry)
    connection.state = CONNECTION_CLOSED
    connection.close.step = NULL
    source_drop(&connection.source)


cdef void closer_flush(Connection *connection) noexcept nogil:
    """Send what is queued. The time for it is running already if the runtime let go before there was a
    connection; that there is one now is progress."""
    connection.state = CONNECTION_CLOSING
    connection.close.state = CLOSING_FLUSH
    connection.close.step = closer_step
    connection.close.seen = 0
    receiver_cancel(connection)
    lent_cancel(connection)
    if connection.send.ops.first != NULL and connection.close.timer.due == 0:
        closer_limit(connection, closer_expire)
    sender_post(connection)
    closer_step(connection)


cdef void closer_limit(Connection *connection, timer_proc expire) noexcept nogil:
    """Bound the flush: by `linger` altogether, or by `closetimeout` since the peer took something, which is
    looked at several times."""
    cdef DWORD milliseconds = <DWORD>connection.settings.value[SETTING_linger] * 1000
    if connection.settings.value[SETTING_linger] < 0:
        closer_progress(connection)
        milliseconds = <DWORD>settings_of_process(SETTING_closetimeout) * 1000 // CLOSER_LOOKS
    if milliseconds:
        port_timer(&connection.close.timer, &connection.source, milliseconds, expire)


cdef bint closer_progress(Connection *connection) noexcept nogil:
    """Has the peer taken something in the last `closetimeout` seconds?"""
    cdef ULONGLONG seconds = <ULONGLONG>settings_of_process(SETTING_closetimeout)
    return GetTickCount64() - closer_seen(connection) < seconds * 1000


cdef bint closer_has_time(Connection *connection) noexcept nogil:
    """Whether a bound of the flush that was reached is not the last: `linger` is."""
    return connection.settings.value[SETTING_linger] < 0 \
        and (settings_of_process(SETTING_closetimeout) == 0 or closer_progress(connection))


cdef ULONGLONG closer_seen(Connection *connection) noexcept nogil:
    """When the peer was last seen to have taken something, by the end of a send or by the system's own
    account. GetTickCount64."""
    cdef ULONGLONG taken = winsock_acknowledged(connection.socket)
    cdef ULONGLONG now = GetTickCount64()
    if connection.close.seen == 0 or taken != connection.close.taken \
            or connection.send.bytes != connection.close.bytes:
        connection.close.seen = now
        connection.close.taken = taken
        connection.close.bytes = connection.send.bytes
    return connection.close.seen


cdef void closer_reset(Connection *connection) noexcept nogil:
    """Make closesocket send RST, and forget what is queued but not posted."""
    winsock_reset(connection.socket)
    connection.recv.state = RECEIVING_ENDED
    connection.send.error = WSAECONNABORTED
    connection.send.state = SENDING_ABORTED
    sender_cancel(connection)


cdef void closer_step(Connection *connection) noexcept nogil:
    """Go on with closing as far as possible. May give up the reference for the time of closing: the caller
    has one of its own."""
    if connection.recv.posted or connection.send.posted:
        return
    if connection.close.drain != NULL or lent_polled(connection):
        return
    if connection.send.ops.first != NULL and not connection.send.error:
        return
    if closer_must_drain(connection):
        sender_shutdown(connection)                         # otherwise closesocket sends FIN
        if closer_drain(connection):
            return
    closesocket(connection.socket)
    connection.socket = INVALID_SOCKET
    closer_leave(connection)


cdef bint closer_must_drain(Connection *connection) noexcept nogil:
    """Whether the peer has sent, or may be sending, bytes that nobody read, and may lose something of ours by
    a reset. What a lent socket still brings may be another process' by now, as is the end of what it
    sends."""
    if connection.lent.state or connection.recv.state >= RECEIVING_ENDED:
        return False
    if connection.send.error or not connection.send.begun or connection.close.state == CLOSING_EXPIRED:
        return False
    if connection.close.drained >= CLOSER_DRAIN_BYTES:
        return False
    if connection.close.drained or connection.recv.unread:
        return True
    return winsock_unread(connection.socket) != 0


cdef bint closer_drain(Connection *connection) noexcept nogil:
    """Post a receive into the void. False if the stream has ended or it failed."""
    cdef Op *op = op_new(OP_SMALL, closer_drain_complete, &connection.source)
    cdef WSABUF buffer
    cdef DWORD flags = 0
    cdef int error = 0
    while op != NULL:
        buffer.buf = op.data
        buffer.len = op.capacity
        op_begin(op)
        if WSARecv(connection.socket, &buffer, 1, NULL, &flags, &op.overlapped, NULL):
            error = error_last()
        if error == WSA_IO_PENDING or (error == 0 and port_posts_packet()):
            connection.close.drain = op
            if connection.close.state != CLOSING_DRAIN:
                connection.close.state = CLOSING_DRAIN
                port_timer(&connection.close.timer, &connection.source, CLOSER_DRAIN_TIME, closer_expire)
            return True
        op_finish(op, -1 if error == 0 else error)
        source_drop(&connection.source)
        closer_drained(connection, op)
        if not closer_must_drain(connection):
            op_free(op)
            return False
    return False


cdef void closer_drained(Connection *connection, Op *op) noexcept nogil:
    connection.close.drained += op.transferred
    if op.error or op.transferred == 0:
        connection.recv.state = RECEIVING_ENDED


cdef void closer_drain_complete(Op *op) noexcept nogil:
    """The packet of a draining receive was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    connection.close.drain = NULL
    closer_drained(connection, op)
    op_free(op)
    closer_step(connection)
    source_unlock_changed(&connection.source, 0)


cdef void closer_expire(Source *source) noexcept nogil:
    """The peer had its time: what is not sent by now is not sent, and the drain ends with its next packet. A
    peer that has taken something since gets more, unless `linger` counts."""
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    if connection.close.drain != NULL:
        connection.close.state = CLOSING_EXPIRED
        CancelIoEx(<HANDLE>connection.socket, &connection.close.drain.overlapped)
    elif connection.state == CONNECTION_CLOSED:
        pass                                                # in the meantime
    elif closer_has_time(connection):
        closer_limit(connection, closer_expire)
    else:
        connection.close.state = CLOSING_EXPIRED
        closer_reset(connection)
        closer_step(connection)
    source_unlock_changed(source, 0)
