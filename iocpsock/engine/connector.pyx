# Connector: the connecting phase of a connection: a name is resolved, and its addresses are tried in turn.
#
# The connector tries every pair of a remote and a local address of the same family, each with a new socket,
# because a socket that failed to connect keeps state. The thread that learns of a failure starts the next
# attempt, so a connection makes progress without its runtime. Windows' own timeout ends each attempt.
# Owner: the connection, until it is open, failed or closed. Threads: any, with the connection's lock held;
# connector_complete is called with it on a completion thread; connector_resolved acquires it on a resolver
# thread.

cdef struct Connector:
    Address *remote                 # owned lists
    Address *local
    Address *next_remote            # the pair to try next
    Address *next_local
    int local_port                  # of the unspecified address, when there is no local list
    Op *op                          # the posted ConnectEx
    bint cancelled                  # the attempt was cancelled, but its packet has not arrived
    bint closing                    # the runtime closed the connection after sending data (engine/closer.pyx)


cdef Connection *connector_new(Address *local, int local_port) noexcept nogil:
    """A connection that will connect from one of the addresses in `local` (ownership passes; NULL for any,
    from `local_port`). NULL if out of memory."""
    cdef Connector *connector = <Connector *>memory_new(sizeof(Connector))
    cdef Connection *connection
    if connector != NULL:
        connector.local = local
        connector.local_port = local_port
        connection = connection_new(INVALID_SOCKET, &process_port)
        if connection != NULL:
            connection.connector = connector
            return connection
        memory_free(connector, sizeof(Connector))
    address_list_free(local)
    return NULL


cdef void connector_start(Connection *connection, Address *remote) noexcept nogil:
    """Start connecting to the addresses in `remote` (ownership passes). The state is then CONNECTING, OPEN,
    or FAILED if all failed at once."""
    cdef Address *address = remote
    cdef Connector *connector
    while address != NULL:
        address_any_to_loopback(address)
        address = address.next
    source_lock(&connection.source)
    if connection.state != CONNECTION_CONNECTING:           # closed while the name was resolved
        source_unlock(&connection.source)
        address_list_free(remote)
        return
    connector = connection.connector
    connector.remote = connector.next_remote = remote
    connector.next_local = connector.local
    connector_next(connection)
    connection_unlock(connection)


cdef bint connector_resolve(Connection *connection, const char *host, int port_number,
                            int family) noexcept nogil:
    """Resolve the name on a resolver thread, which then starts connecting. False if out of memory or
    threads."""
    cdef Lookup *lookup = resolver_lookup(&connection.source, host, port_number, family, connector_resolved)
    return lookup != NULL and resolver_submit(lookup)


cdef void connector_resolved(Lookup *lookup) noexcept nogil:
    """The resolver has a result."""
    cdef Connection *connection = <Connection *>lookup.source
    cdef Address *result = lookup.result
    source_lock(&connection.source)
    if connection.state != CONNECTION_CONNECTING:           # closed meanwhile
        source_unlock(&connection.source)
        address_list_free(result)
        return
    if lookup.error:
        connector_fail(connection, lookup.error)
    connection_unlock(connection)
    if not lookup.error:
        connector_start(connection, result)


cdef void connector_finish(Connection *connection) noexcept nogil:
    """The connecting phase is over, with or without success."""
    cdef Connector *connector = connection.connector
    connection.connector = NULL
    address_list_free(connector.remote)
    address_list_free(connector.local)
    memory_free(connector, sizeof(Connector))


cdef void connector_fail(Connection *connection, int error) noexcept nogil:
    """Connecting has failed, and what was sent is lost."""
    counter_add(COUNTER_connect_failures, 1)
    if connection.connector.closing:
        connector_end(connection)
        return
    connection.state = CONNECTION_FAILED
    connection.connect_error = connection.pending_error = error
    connector_finish(connection)
    if connection.send.ops.first != NULL:
        sender_drop(connection, WSAENOTCONN)


cdef void connector_end(Connection *connection) noexcept nogil:
    """Give up a connection that the runtime has closed: nothing is reported."""
    cdef bint closing = connection.connector.closing
    connector_drop_socket(connection)
    connection.state = CONNECTION_CLOSED
    connector_finish(connection)
    if closing:
        closer_leave(connection)


cdef void connector_drop_socket(Connection *connection) noexcept nogil:
    if connection.socket != INVALID_SOCKET:
        closesocket(connection.socket)
        connection.socket = INVALID_SOCKET


cdef void connector_next(Connection *connection) noexcept nogil:
    """Try pairs until an attempt is pending or none is left."""
    cdef Connector *connector = connection.connector
    cdef Address *remote
    cdef Address *local
    cdef int error = connection.connect_error if connection.connect_error else WSAEAFNOSUPPORT
    while connector.next_remote != NULL:
        remote = connector.next_remote
        local = connector.next_local
        connector.next_local = local.next if local != NULL else NULL
        if connector.next_local == NULL:
            connector.next_remote = remote.next
            connector.next_local = connector.local
        if local != NULL and local.family != remote.family:
            continue
        error = connector_attempt(connection, remote, local)
        if error == 0:
            return
    connector_fail(connection, error)


cdef int connector_bind(SOCKET sock, Address *remote, Address *local, int local_port) noexcept nogil:
    """Bind the socket, as ConnectEx requires: 0 or a Winsock code. If any port will do, ask Windows to choose
    it as `connect` would: it may be one that other sockets use for other peers. A system without that option
    chooses a port that no other socket uses."""
    cdef Address unspecified
    if local == NULL:
        memset(&unspecified, 0, sizeof(unspecified))
        unspecified.storage.ss_family = <unsigned short>remote.family
        unspecified.length = remote.length
        address_set_port(&unspecified, local_port)
        local = &unspecified
    if not address_port(<const sockaddr *>&local.storage):
        winsock_flag(sock, SOL_SOCKET, IOCPSOCK_SO_REUSE_UNICASTPORT, 1)
    return error_last() if bind(sock, <const sockaddr *>&local.storage, local.length) else 0


cdef int connector_attempt(Connection *connection, Address *remote, Address *local) noexcept nogil:
    """Post one ConnectEx: 0 if it is pending (or done), or a Winsock code. The previous attempt's socket is
    closed only now: the last one of all is kept, because the runtime may ask for its address."""
    cdef Connector *connector = connection.connector
    cdef int error
    cdef Op *op
    connector_drop_socket(connection)
    connection.socket = winsock_socket(remote.family)
    if connection.socket == INVALID_SOCKET:
        return error_last()
    error = port_associate(connection.source.port, connection.socket)
    connection_apply_flags(connection)
    if not error:
        error = connector_bind(connection.socket, remote, local, connector.local_port)
    if error:
        return error
    if address_is_loopback(<const sockaddr *>&remote.storage):
        winsock_retry_once(connection.socket)
    op = op_new(0, connector_complete, &connection.source)
    if op == NULL:
        return WSAENOBUFS
    op_begin(op)
    connection.connect_tried = True
    if not winsock.ConnectEx(connection.socket, <const sockaddr *>&remote.storage, remote.length, NULL, 0,
                             NULL, &op.overlapped):
        error = error_last()
    if error == WSA_IO_PENDING or (error == 0 and port_posts_packet()):
        connector.op = op
        return 0
    op_free(op)
    source_drop(&connection.source)
    return error if error else connector_established(connection)


cdef int connector_established(Connection *connection) noexcept nogil:
    """The attempt succeeded: 0, or the Winsock code for which it counts as failed after all."""
    cdef bint closing
    if setsockopt(connection.socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0):
        return error_last()                                 # without it shutdown and getpeername fail
    connection.state = CONNECTION_OPEN
    counter_add(COUNTER_connects, 1)
    closing = connection.connector.closing
    connector_finish(connection)
    if closing:
        closer_flush(connection)
        return 0
    lent_await(connection, connection.source.interest & READY_READ)
    # Send what was queued meanwhile, and the FIN if it was requested.
    sender_post(connection)
    return 0


cdef void connector_complete(Op *op) noexcept nogil:
    """The packet of a ConnectEx was dequeued."""
    cdef Connection *connection = <Connection *>op.source
    cdef int error = op.error
    op_free(op)
    connection.connector.op = NULL
    if connection.connector.cancelled:
        connector_end(connection)
    else:
        if not error:
            error = connector_established(connection)
        if error:
            connection.connect_error = error
            connector_next(connection)
    connection_unlock(connection)


cdef void connector_cancel(Connection *connection) noexcept nogil:
    """The runtime closes a connection that is connecting: cancel the attempt. If one is pending, its packet
    completes the close."""
    cdef Connector *connector = connection.connector
    connector.cancelled = True
    if connector.op != NULL:
        CancelIoEx(<HANDLE>connection.socket, &connector.op.overlapped)
    else:
        connector_end(connection)


cdef void connector_expire(Source *source) noexcept nogil:
    """The runtime closed the connection while it was connecting, and the time to send its data has
    expired."""
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    if connection.state != CONNECTION_CONNECTING:           # it is open or closed by now
        source_unlock(source)
        closer_expire(source)
        return
    if closer_has_time(connection):
        closer_limit(connection, connector_expire)
    else:
        connector_cancel(connection)
    source_unlock_changed(source, 0)
