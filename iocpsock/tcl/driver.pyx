# Driver: the Tcl channel driver over a connection or a listener.
#
# Owner: Tcl has the table of the driver's functions. A record (tcl/channel.pyx) lives from driver_new to
# driver_close.
# Threads: all on the Tcl thread that has the channel. A blocking operation waits on the engine's object
# directly, so no event handler runs meanwhile.

cdef enum:
    DRIVER_EXIT_TIME = 800         # milliseconds for what is unsent when Tcl ends, in all or since the peer
                                   # took something, ...
    DRIVER_EXIT_LOOK = 100         # ... which is looked at so often

cdef struct DriverExit:
    ULONGLONG deadline              # once Tcl is ending: when to stop waiting for anything; 0 before that

cdef DriverExit driver_exit
cdef Tcl_ChannelType driver_type
cdef SRWLOCK driver_type_lock


cdef void driver_start() noexcept nogil:
    """Fill in the driver's table, once for the process."""
    AcquireSRWLockExclusive(&driver_type_lock)
    driver_type.typeName = b"tcp"
    driver_type.version = TCL_CHANNEL_VERSION
    # 8.6 calls this for a full close and close2Proc for half of one.
    driver_type.closeProc = driver_close
    driver_type.close2Proc = driver_close_half        # 9.0 calls only this, with no flag for a full close
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
    """Make the Tcl channel for a connection or a listener, whose host reference it takes over. Not registered
    in any interpreter yet."""
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
    """There was news of a connection: tell Tcl what it watches for and is true now. The handlers may close
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
    """What Tcl wants to hear of. Called again after each notification, which makes the events repeat as long
    as they hold."""
    cdef Channel *channel = <Channel *>data
    channel.watched = mask & (TCL_READABLE | TCL_WRITABLE)
    notifier_untell(channel)
    if channel.connection != NULL:
        tcp_watch(channel.connection, (READY_READ if mask & TCL_READABLE else 0)
                         | (READY_WRITE if mask & TCL_WRITABLE else 0))
        if channel.connection.source.queued:
            # A foreign message loop may sleep without asking notifier_setup.
            tcl_poll_now()


cdef int driver_connected(Channel *channel) noexcept nogil:
    """Before an operation on the stream, which waits for the connection if it blocks; with the lock held: 0,
    or the Winsock code it fails with."""
    cdef Connection *connection = channel.connection
    while connection.state == CONNECTION_CONNECTING:
        if not channel.blocking:
            return WSAEWOULDBLOCK
        if not source_wait(&connection.source, driver_exit.deadline):
            return WSAETIMEDOUT
    if connection.state == CONNECTION_OPEN:
        return 0
    connection.send.error = 0                               # the script hears of it
    return WSAENOTCONN


cdef int driver_input(void *data, char *buffer, int size, int *error) noexcept nogil:
    """Tcl reads: a count of bytes, 0 at the end of the stream, -1 with an errno."""
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
    # A copy in the background goes on reading, up to the first byte.
    if count > 0 and channel.input_closed:
        count, code = -1, WSAESHUTDOWN
    if count >= 0 or code == WSAECONNRESET:             # a reset ends the stream, as everywhere in Tcl
        error[0] = 0
        return count if count >= 0 else 0
    error[0] = failure_errno(code)
    return -1


cdef int driver_output(void *data, const char *buffer, int size, int *error) noexcept nogil:
    """Tcl writes: how many bytes were taken, or -1 with an errno. Without blocking they are taken before
    there is a connection. At exit Tcl offers what a non-blocking channel still holds once, and there is no
    event loop any more to come back for it: then such a write waits for room too."""
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
    """A write was refused: Tcl holds what there is to send, and offers it when there is room."""
    cdef TclThread *thread = notifier_thread()
    if thread != NULL:
        queue_prepend(&thread.refused, &channel.refused, channel)


cdef void driver_flush_refused() noexcept nogil:
    """Tcl ends. Have it offer what it holds of this thread's channels, as if there were room: full buffers at
    first, and with the second call the part-filled one behind them, which it would not offer any more."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    cdef Channel *channel
    cdef Source *source
    while thread != NULL and thread.refused.first != NULL and driver_exit_left():
        channel = <Channel *>queue_first(&thread.refused)
        source = channel_source(channel)
        source_hold(source)
        Tcl_NotifyChannel(channel.channel, TCL_WRITABLE)
        # Otherwise it is closed, or there is nothing to be had.
        if source.context != NULL and channel.wrote > 0:
            Tcl_NotifyChannel(channel.channel, TCL_WRITABLE)
        elif source.context != NULL:
            channel_wrote(channel, 0)
        source_drop(source)


cdef int driver_flushed(Channel *channel, int count, int *error) noexcept nogil:
    """A blocking write is done when the kernel has the bytes, which then outlive the process; so is each at
    exit, because Tcl does not close every channel then: `count`, or -1 with a Winsock code. With the lock
    held."""
    cdef Connection *connection = channel.connection
    driver_drain(channel)
    if connection.send.error:
        error[0] = connection.send.error
        return -1
    return count


cdef bint driver_drain(Channel *channel) noexcept nogil:
    """Wait until the kernel has what was written. False when the time of an exit is over, which a channel
    that blocks extends as often as its peer takes something: the stock command waits there for ever. With the
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
    """Tcl is ending, or was, and somebody has taken something: so long from now on is waited at most."""
    driver_exit.deadline = GetTickCount64() + DRIVER_EXIT_TIME


cdef bint driver_exit_left() noexcept nogil:
    """Whether some of that time is left."""
    return GetTickCount64() < driver_exit.deadline


cdef int driver_block_mode(void *data, int mode) noexcept nogil:
    (<Channel *>data).blocking = mode != TCL_MODE_NONBLOCKING
    return 0


cdef int driver_handle(void *data, int direction, void **handle) noexcept nogil:
    """The SOCKET of a connection, which the caller may use from now on, or of a listener's first address. No
    call on it blocks."""
    cdef Channel *channel = <Channel *>data
    cdef SOCKET sock = INVALID_SOCKET
    cdef Endpoint *endpoint
    if channel.connection != NULL:
        sock = lent_give(channel.connection, direction & TCL_READABLE)
    else:
        endpoint = <Endpoint *>queue_first(&channel.listener.endpoints)
        if endpoint != NULL:
            sock = endpoint.socket
            # AcceptEx works on it all the same; an accepted socket has its own mode.
            winsock_nonblocking(sock)
    handle[0] = <void *>sock
    return TCL_OK if sock != INVALID_SOCKET else TCL_ERROR


cdef int driver_close(void *data, Tcl_Interp *interp) noexcept nogil:
    """The channel ends; what it has taken is still sent. When Tcl ends that is waited for, a bounded time;
    then the other channels are closed all the same, because the process may go on without Tcl. 0 or an
    errno."""
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
    """Before the close: 0, or the Winsock code of what the script has written in vain, to a connection that
    then failed, and has not heard of. A channel that blocks waits for the connection if it has written to
    it."""
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
    """Half a close: 0 or an errno. Tcl 9 announces every full close as a close of the reading side, with
    output still to come, so nothing is shut down for that: data that arrives would then reset the connection.
    What the stream failed with is told by its reads and writes."""
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
