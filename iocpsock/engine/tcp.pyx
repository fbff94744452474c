# Tcp: what a runtime does with a whole connection: watch, wait, close. Receiver and sender transfer its
# bytes.
#
# Threads: any, with no lock held unless stated; tcp_watch and tcp_detach on the consumer's thread.

cdef int tcp_look(Connection *connection) noexcept nogil:
    """READY_ bits that hold now, before the consumer is notified: a lent socket is checked again. With the
    lock held."""
    if connection.lent.state == LENT_OUT:
        lent_look(connection)
    return connection_ready(connection)


cdef void tcp_watch(Connection *connection, int interest) noexcept nogil:
    """Notify the consumer of these READY_ bits from now on, and at once if one holds already."""
    source_lock(&connection.source)
    connection.source.interest = interest
    connection.recv.awaited = False
    lent_await(connection, interest)
    connection_unlock(connection)


cdef bint tcp_wait(Connection *connection, int ready, ULONGLONG deadline) noexcept nogil:
    """Block until one of the READY_ bits holds; False once the deadline (0: none) has passed. With the lock
    held."""
    cdef bint waiting = True
    if ready & READY_READ:
        connection.recv.awaited = True
        direct_release(connection)
    while waiting and not connection_ready(connection) & ready:
        lent_await(connection, ready)
        if connection_ready(connection) & ready:
            break
        waiting = source_wait(&connection.source, deadline)
    return waiting


cdef void tcp_detach(Connection *connection) noexcept nogil:
    """The connection no longer notifies its consumer. On the consumer's thread."""
    source_lock(&connection.source)
    direct_release(connection)
    source_unlock(&connection.source)
    source_attach(&connection.source, NULL)


cdef void tcp_close(Connection *connection, int flags) noexcept nogil:
    """The runtime closes the connection: consumes its reference. Returns at once; the engine completes the
    close."""
    tcp_detach(connection)
    source_lock(&connection.source)
    if connection.state == CONNECTION_CONNECTING:
        if connection.send.ops.first == NULL or closer_resets(connection, flags):
            connector_cancel(connection)
        else:
            source_hold(&connection.source)
            connection.connector.closing = True
            closer_limit(connection, connector_expire)
    elif connection.state == CONNECTION_OPEN:
        closer_begin(connection, flags)
    elif connection.state == CONNECTION_FAILED:
        connector_drop_socket(connection)
    source_unlock_changed(&connection.source, 0)
    source_drop(&connection.source)


cdef bint tcp_flush(Connection *connection, ULONGLONG deadline) noexcept nogil:
    """Wait until the connection's queue is sent and, if it is being closed, until it is closed. False once
    the deadline has passed."""
    cdef bint waiting = True
    source_lock(&connection.source)
    while waiting and (connection.state == CONNECTION_CLOSING or (connection.send.ops.first != NULL and (
            connection.state == CONNECTION_OPEN or connection.state == CONNECTION_CONNECTING))):
        waiting = source_wait(&connection.source, deadline)
    source_unlock(&connection.source)
    return waiting


cdef void tcp_flush_all(ULONGLONG deadline) noexcept nogil:
    """The process is about to end: wait until each connection has sent its queue, and then cancel its
    receives. Windows closes the connections that the runtime does not close, and resets one with a posted
    receive."""
    cdef Connection *connection = connection_living(NULL)
    living.ending = True
    while connection != NULL:
        if tcp_flush(connection, deadline):
            source_lock(&connection.source)
            if connection.state == CONNECTION_OPEN:
                receiver_withdraw(connection)
            source_unlock(&connection.source)
        connection = connection_living(connection)


cdef void tcp_go_on() noexcept nogil:
    """The process does not end after all."""
    living.ending = False
