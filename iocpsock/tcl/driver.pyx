# Driver: the Tcl channel driver over a connection or a listener.
#
# Owner: Tcl uses the table of the driver's functions. A record (tcl/channel.pyx) lives from driver_new to
# driver_close.
# Threads: all on the Tcl thread that has the channel. A blocking operation waits on the engine's object
# directly, so no event handler runs during the wait.

cdef enum:
    DRIVER_EXIT_TIME = 800         # milliseconds for unsent data when Tcl ends: in all, or since the peer
                                   # last took some
    DRIVER_EXIT_LOOK = 100         # milliseconds between two looks at whether the peer took some

cdef struct DriverExit:
    ULONGLONG deadline              # once Tcl is ending: when all waiting stops; 0 before that

cdef DriverExit driver_exit
cdef Tcl_ChannelType driver_type
cdef SRWLOCK driver_type_lock


cdef void driver_start() noexcept nogil:
    """Fill in the driver's table, once for the process."""
    AcquireSRWLockExclusive(&driver_type_lock)
    driver_type.typeName = b"tcp"
    driver_type.version = TCL_CHANNEL_VERSION
    # Tcl 8.6 calls this for a full close, and close2Proc for a half-close.
    driver_type.closeProc = driver_close
    driver_type.close2Proc = driver_close_half        # 9.0 calls only this, without flags for a full close
    driver_type.inputProc = driver_input
    driver_type.outputProc = driver_output
    driver_type.setOptionProc = option_set
    driver_type.getOptionProc = option_get
    driver_type.watchProc = driver_watch
    driver_type.getHandleProc = driver_handle
    driver_type.blockModeProc = driver_block_mode
    driver_type.threadActionProc = driver_thread_action
    ReleaseSRWLockExclusive(&driver_type_lock)


cdef Channel *driver_new(Connection *connection, Listener *listener) noexcept nogil:
    """Make the Tcl channel for a connection or a listener, and take over the runtime's reference to it. The
    channel is not registered in any interpreter yet."""
    cdef Channel *channel = <Channel *>Tcl_Alloc(sizeof(Channel))
    cdef char name[32]
    memset(channel, 0, sizeof(Channel))
    channel.connection = connection
    channel.listener = listener
    channel.event = driver_event
    channel.blocking = True
    channel_source(channel).context = channel
    snprintf(name, sizeof(name), b"sock%016llx", <unsigned long long>channel)
    channel.channel = Tcl_CreateChannel(&driver_type, name, channel, 0 if listener != NULL
                                        else TCL_READABLE | TCL_WRITABLE)
    if connection != NULL:
        Tcl_SetChannelOption(NULL, channel.channel, b"-translation", b"auto crlf")
    Tcl_SetChannelOption(NULL, channel.channel, b"-eofchar", b"")
    return channel


cdef void driver_event(Channel *channel) noexcept nogil:
    """A connection became ready. Notify Tcl of those watched conditions that hold now. The handlers may close
    the channel."""
    cdef Source *source = channel_source(channel)
    cdef int ready, mask = 0
    source_lock(source)
    ready = tcp_look(channel.connection)
    source_unlock(source)
    if ready & READY_READ:
        mask |= TCL_READABLE
    if ready & READY_WRITE:
        mask |= TCL_WRITABLE
    mask &= channel.watched
    if mask:
        notifier_tell(channel)
        Tcl_NotifyChannel(channel.channel, mask)


cdef void driver_watch(void *data, int mask) noexcept nogil:
    """Tcl sets which conditions it watches. Tcl calls this again after each notification, so the events
    repeat as long as the conditions hold."""
    cdef Channel *channel = <Channel *>data
    channel.watched = mask & (TCL_READABLE | TCL_WRITABLE)
    notifier_untell(channel)
    if channel.connection != NULL:
        tcp_watch(channel.connection, (READY_READ if mask & TCL_READABLE else 0)
                         | (READY_WRITE if mask & TCL_WRITABLE else 0))
        if channel.connection.source.queued:
            # A foreign message loop may sleep without a call of notifier_setup.
            tcl_poll_now()


cdef int driver_connected(Channel *channel) noexcept nogil:
    """Called before an operation on the stream, with the lock held. A blocking channel waits here for the
    connection. Return 0, or the Winsock code that the operation fails with."""
    cdef Connection *connection = channel.connection
    while connection.state == CONNECTION_CONNECTING:
        if not channel.blocking:
            return WSAEWOULDBLOCK
        if not source_wait(&connection.source, driver_exit.deadline):
            return WSAETIMEDOUT
    if connection.state == CONNECTION_OPEN:
        return 0
    connection.send.error = 0                               # the script learns of it now
    return WSAENOTCONN


cdef int driver_input(void *data, char *buffer, int size, int *error) noexcept nogil:
    """Tcl reads: return a count of bytes, 0 at the end of the stream, or -1 with an errno."""
    cdef Channel *channel = <Channel *>data
    cdef Connection *connection = channel.connection
    cdef int count = -1, code
    source_lock(&connection.source)
    code = driver_connected(channel)
    if not code:
        count = receiver_read(connection, buffer, size, &code)
        while count < 0 and code == WSAEWOULDBLOCK and channel.blocking:
            if not tcp_wait(connection, READY_READ, driver_exit.deadline):
                code = WSAETIMEDOUT
                break
            count = receiver_read(connection, buffer, size, &code)
    source_unlock(&connection.source)
    # A background fcopy goes on reading after a close of the reading side, until its first byte.
    if count > 0 and channel.input_closed:
        count, code = -1, WSAESHUTDOWN
    if count >= 0 or code == WSAECONNRESET:             # Tcl treats a reset as the end of the stream
        error[0] = 0
        return count if count >= 0 else 0
    error[0] = failure_errno(code)
    return -1


cdef int driver_output(void *data, const char *buffer, int size, int *error) noexcept nogil:
    """Tcl writes: return how many bytes were taken, or -1 with an errno. A non-blocking channel takes bytes
    before it is connected. At exit Tcl offers the remaining data of a non-blocking channel only once, because
    no event loop runs any more. So at exit such a write waits for room too."""
    cdef Channel *channel = <Channel *>data
    cdef Connection *connection = channel.connection
    cdef bint waits = channel.blocking or driver_exit.deadline != 0
    cdef int count = -1, code
    source_lock(&connection.source)
    code = driver_connected(channel)
    if not code or (code == WSAEWOULDBLOCK and not channel.blocking):
        code = 0
        count = driver_put(connection, buffer, size, &code)
        while count < 0 and code == WSAEWOULDBLOCK and waits:
            if not (driver_drain(channel) if driver_exit.deadline and not connection.lent.state
                    else tcp_wait(connection, READY_WRITE, driver_exit.deadline)):
                code = WSAETIMEDOUT if channel.blocking else WSAEWOULDBLOCK
                break
            count = driver_put(connection, buffer, size, &code)
        if count >= 0 and waits:
            count = driver_flushed(channel, count, &code)
    source_unlock(&connection.source)
    channel_wrote(channel, count)
    if count < 0 and code == WSAEWOULDBLOCK:
        driver_refused(channel)
    error[0] = 0 if count >= 0 else failure_errno(code)
    return count


cdef inline int driver_put(Connection *connection, const char *buffer, int size, int *error) noexcept nogil:
    if connection.lent.state:
        return lent_write(connection, buffer, size, error)
    return sender_write(connection, buffer, size, error)


cdef void driver_refused(Channel *channel) noexcept nogil:
    """A write was refused. Tcl holds the data and offers it again when there is room."""
    cdef TclThread *thread = notifier_thread()
    if thread != NULL:
        queue_prepend(&thread.refused, &channel.refused, channel)


cdef void driver_flush_refused() noexcept nogil:
    """Tcl ends. Make it offer the data that it holds for this thread's channels, as if there were room. The
    first call makes Tcl offer the full buffers, the second one the part-filled buffer behind them, which Tcl
    would not offer any more."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    cdef Channel *channel
    cdef Source *source
    while thread != NULL and thread.refused.first != NULL and driver_exit_left():
        channel = <Channel *>queue_first(&thread.refused)
        source = channel_source(channel)
        source_hold(source)
        Tcl_NotifyChannel(channel.channel, TCL_WRITABLE)
        # Otherwise the channel is closed, or Tcl offers nothing.
        if source.context != NULL and channel.wrote > 0:
            Tcl_NotifyChannel(channel.channel, TCL_WRITABLE)
        elif source.context != NULL:
            channel_wrote(channel, 0)
        source_drop(source)


cdef int driver_flushed(Channel *channel, int count, int *error) noexcept nogil:
    """A blocking write is done when the kernel has the bytes: they then outlive the process. This holds for
    every write at exit too, because Tcl does not close every channel then. Return `count`, or -1 with a
    Winsock code. With the lock held."""
    cdef Connection *connection = channel.connection
    driver_drain(channel)
    if connection.send.error:
        error[0] = connection.send.error
        return -1
    return count


cdef bint driver_drain(Channel *channel) noexcept nogil:
    """Wait until the kernel has the written bytes. False when the time for an exit is over. A blocking
    channel extends that time whenever its peer takes some: the stock command waits for ever there. With the
    lock held."""
    cdef Connection *connection = channel.connection
    cdef ULONGLONG now, latest, seen = 0
    while connection.send.ops.first != NULL and not connection.send.error:
        if driver_exit.deadline == 0:
            source_wait(&connection.source, 0)
            continue
        latest = closer_seen(connection)
        if channel.blocking and seen and latest > seen:
            driver_exit_begin()
        seen = latest
        now = GetTickCount64()
        if now >= driver_exit.deadline:
            return False
        source_wait(&connection.source, min(driver_exit.deadline, now + DRIVER_EXIT_LOOK))
    if channel.blocking and driver_exit.deadline:
        driver_exit_begin()
    return True


cdef void driver_exit_begin() noexcept nogil:
    """Tcl begins to end, or a peer took data during the exit: wait at most DRIVER_EXIT_TIME from now on."""
    driver_exit.deadline = GetTickCount64() + DRIVER_EXIT_TIME


cdef bint driver_exit_left() noexcept nogil:
    """Whether any of that time is left."""
    return GetTickCount64() < driver_exit.deadline


cdef int driver_block_mode(void *data, int mode) noexcept nogil:
    (<Channel *>data).blocking = mode != TCL_MODE_NONBLOCKING
    return 0


cdef int driver_handle(void *data, int direction, void **handle) noexcept nogil:
    """Give the caller the SOCKET of a connection, which it may use from now on, or of a listener's first
    address. No call on that socket blocks."""
    cdef Channel *channel = <Channel *>data
    cdef SOCKET sock = INVALID_SOCKET
    cdef Endpoint *endpoint
    if channel.connection != NULL:
        sock = lent_give(channel.connection, direction & TCL_READABLE)
    else:
        endpoint = <Endpoint *>queue_first(&channel.listener.endpoints)
        if endpoint != NULL:
            sock = endpoint.socket
            # AcceptEx works on a non-blocking socket too. An accepted socket has its own mode.
            winsock_nonblocking(sock)
    handle[0] = <void *>sock
    return TCL_OK if sock != INVALID_SOCKET else TCL_ERROR


cdef int driver_close(void *data, Tcl_Interp *interp) noexcept nogil:
    """Close the channel: 0 or an errno. The engine still sends the bytes that the channel has taken. When Tcl
    ends, this waits for them until the deadline. The other channels are closed after that in any case,
    because the process may go on without Tcl."""
    cdef Channel *channel = <Channel *>data
    cdef Source *source = channel_source(channel)
    cdef int code = 0
    source.context = NULL
    notifier_untell(channel)
    channel_wrote(channel, 0)
    if channel.event_queued:
        Tcl_DeleteEvents(notifier_discard, source)
    if channel.listener != NULL:
        listener_close(channel.listener)
        channel.closed(channel.server)
    else:
        source_hold(source)
        code = driver_untold(channel)
        tcp_close(channel.connection, 0)
        if driver_exit.deadline:
            tcp_flush(channel.connection, driver_exit.deadline)
        source_drop(source)
    Tcl_Free(channel)
    return failure_errno(code) if code else 0


cdef int driver_untold(Channel *channel) noexcept nogil:
    """Called before the close. Return the Winsock code if the script has written to a connection that failed
    later, and has not learnt of the failure; otherwise 0. A blocking channel that has written waits for the
    connection."""
    cdef Connection *connection = channel.connection
    cdef int code = 0
    source_lock(&connection.source)
    if connection.state == CONNECTION_CONNECTING and connection.send.ops.first != NULL and channel.blocking:
        code = driver_connected(channel)
    elif connection.state == CONNECTION_FAILED:
        code = connection.send.error
    source_unlock(&connection.source)
    return code


cdef int driver_close_half(void *data, Tcl_Interp *interp, int flags) noexcept nogil:
    """Close one side: 0 or an errno. Tcl 9 announces every full close as a close of the reading side, while
    output is still to come. So closing the reading side shuts nothing down: arriving data would then reset
    the connection. The channel's reads and writes report a failure of the stream."""
    cdef Channel *channel = <Channel *>data
    cdef Connection *connection = channel.connection
    cdef int code = 0
    if not flags & (TCL_CLOSE_READ | TCL_CLOSE_WRITE):
        return driver_close(data, interp)
    if connection == NULL:
        return 0
    if flags & TCL_CLOSE_READ:
        channel.input_closed = True
    source_lock(&connection.source)
    if connection.state != CONNECTION_OPEN and connection.state != CONNECTION_CONNECTING:
        code = WSAENOTCONN
    elif flags & TCL_CLOSE_WRITE:
        sender_shutdown(connection)
    source_unlock(&connection.source)
    return failure_errno(code) if code else 0


cdef void driver_thread_action(void *data, int action) noexcept nogil:
    """The channel enters or leaves a thread: at its creation, its close, and a transfer between threads."""
    cdef Channel *channel = <Channel *>data
    cdef Source *source = channel_source(channel)
    cdef TclThread *thread
    if action != TCL_CHANNEL_THREAD_INSERT:
        if channel.event_queued:
            Tcl_DeleteEvents(notifier_discard, source)
            channel.event_queued = False
        notifier_untell(channel)
        channel_wrote(channel, 0)
        if channel.connection != NULL:
            tcp_detach(channel.connection)
        else:
            source_attach(source, NULL)
        return
    thread = notifier_thread()
    if thread != NULL:
        source_attach(source, thread.consumer)
    if channel.listener != NULL:
        listener_watch(channel.listener)
    else:
        driver_watch(channel, channel.watched)
