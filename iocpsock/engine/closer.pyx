# Closer: the end of a connection.
#
# A graceful close delivers what was sent. The engine cancels the receives and waits for their packets: on
# Windows, closing a socket with a pending receive resets the connection. It then flushes the send queue. If
# the peer has sent bytes that nobody read, it sends FIN and discards for a while what still arrives: closing
# with unread bytes resets the connection too, and may cost the peer the last of the data sent to it. If
# nothing was ever sent, there is nothing to lose: it does not drain, and the reset shows the peer at once
# that nobody reads. Last, it closes the socket.
# A connection that is still connecting is closed in this way once it is open, if something was sent;
# otherwise the attempt is cancelled.
# The `linger` setting bounds the flush: when its time is over, or at once if it is 0, the engine resets the
# connection. Without it, the engine does so when the peer has taken no byte for `closetimeout` seconds.
# Either clock runs only while something is unsent.
# Each step starts when the one before is complete, on the thread that completed it. CancelIoEx is only a
# request: no op is freed before its packet.
#
#     closer_flush        the receives are cancelled, the queue is sent    bounded by `linger`, `closetimeout`
#         |  no op is posted, the queue is empty or lost
#     closer_drain        FIN went; what the peer still sends is thrown away    64 KiB or 2 seconds at most
#         |  the stream has ended, or enough was thrown away (left out where nothing is unread)
#     closesocket         CLOSED
#
# Threads: any, with the connection's lock held.

cdef enum:
    CLOSER_DRAIN_BYTES = 64 * 1024  # the most bytes discarded, ...
    CLOSER_DRAIN_TIME = 2000        # ... in at most this many milliseconds (iocp.md 5.2: 64 KB or 1-2 s)
    CLOSER_LOOKS = 4                # checks of what the peer has taken, during `closetimeout`
    CLOSER_ABORT = 1                # tcp_close: reset instead of FIN, nothing is flushed


cdef void closer_begin(Connection *connection, int flags) noexcept nogil:
    """Start closing an open connection. Holds a reference until the close is complete."""
    source_hold(&connection.source)
    if closer_resets(connection, flags):
        closer_reset(connection)
    closer_flush(connection)


cdef inline bint closer_resets(Connection *connection, int flags) noexcept nogil:
    return flags & CLOSER_ABORT or connection.settings.value[SETTING_linger] == 0


cdef void closer_leave(Connection *connection) noexcept nogil:
    """The socket is closed. Drops the close's reference: the caller has one of its own."""
    timer_disarm(&connection.close.timer)
    timer_disarm(&connection.recv.retry)
    timer_disarm(&connection.send.retry)
    connection.state = CONNECTION_CLOSED
    connection.close.step = NULL
    source_drop(&connection.source)


cdef void closer_flush(Connection *connection) noexcept nogil:
    """Start the flush. If the runtime closed the connection while it was connecting, the timer runs already;
    the connection that now exists counts as progress."""
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
    """Bound the flush: by `linger` in total, or by `closetimeout` since the peer last took data, which is
    checked several times."""
    cdef DWORD milliseconds = <DWORD>connection.settings.value[SETTING_linger] * 1000
    if connection.settings.value[SETTING_linger] < 0:
        closer_progress(connection)
        milliseconds = <DWORD>settings_of_process(SETTING_closetimeout) * 1000 // CLOSER_LOOKS
    if milliseconds:
        port_timer(&connection.close.timer, &connection.source, milliseconds, expire)


cdef bint closer_progress(Connection *connection) noexcept nogil:
    """Has the peer taken data in the last `closetimeout` seconds?"""
    cdef ULONGLONG seconds = <ULONGLONG>settings_of_process(SETTING_closetimeout)
    return GetTickCount64() - closer_seen(connection) < seconds * 1000


cdef bint closer_has_time(Connection *connection) noexcept nogil:
    """After the timer has expired: whether the flush may continue. Not if `linger` bounds it."""
    return connection.settings.value[SETTING_linger] < 0 \
        and (settings_of_process(SETTING_closetimeout) == 0 or closer_progress(connection))


cdef ULONGLONG closer_seen(Connection *connection) noexcept nogil:
    """When the peer was last seen to take data, by the end of a send or by what the system reports.
    GetTickCount64."""
    cdef ULONGLONG taken = winsock_acknowledged(connection.socket)
    cdef ULONGLONG now = GetTickCount64()
    if connection.close.seen == 0 or taken != connection.close.taken \
            or connection.send.bytes != connection.close.bytes:
        connection.close.seen = now
        connection.close.taken = taken
        connection.close.bytes = connection.send.bytes
    return connection.close.seen


cdef void closer_reset(Connection *connection) noexcept nogil:
    """Make closesocket send RST, and give up what is queued. Cancels the posted sends."""
    if not connection.without_context:                      # without it the option has no effect
        winsock_reset(connection.socket)
    connection.recv.state = RECEIVING_ENDED
    connection.send.error = WSAECONNABORTED
    connection.send.state = SENDING_ABORTED
    sender_cancel(connection)


cdef void closer_step(Connection *connection) noexcept nogil:
    """Continue the close as far as possible. May drop the close's reference: the caller has one of its
    own."""
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
    """Whether the peer has sent, or may be sending, bytes that nobody read, and a reset may cost it data that
    the engine sent. A lent socket may belong to another process by now: then that process receives what still
    arrives, and sends the end of the stream."""
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
    """Post a receive whose data are discarded. False if the stream has ended or the receive failed."""
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
    """The time is over: the flush ends with a reset, or the drain with its next packet. A peer that has taken
    data since gets more time, unless `linger` is set."""
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    if connection.close.drain != NULL:
        connection.close.state = CLOSING_EXPIRED
        CancelIoEx(<HANDLE>connection.socket, &connection.close.drain.overlapped)
    elif connection.state == CONNECTION_CLOSED:
        pass                                                # closed meanwhile
    elif closer_has_time(connection):
        closer_limit(connection, closer_expire)
    else:
        connection.close.state = CLOSING_EXPIRED
        closer_reset(connection)
        closer_step(connection)
    source_unlock_changed(source, 0)
