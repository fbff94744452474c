# Connector: the connecting phase of a connection: a name is resolved, its addresses are tried in turn.
#
# Every pair of a remote and a local address of the same family is tried, each with a new socket, because one
# that failed to connect keeps state. The next attempt is made by the thread that learnt of the failure of the
# last one, so a connection makes progress without its runtime. Windows' own time-out ends each attempt.
# Owner: the connection, until it is open, failed or closed. Threads: any, with the connection's lock held;
# connector_complete is called with it on a completion thread; connector_resolved, on a resolver thread, takes
# it.

cdef struct Connector:
    Address *remote                 # owned lists
    Address *local
    Address *next_remote            # the pair to try next
    Address *next_local
    int local_port                  # of the unspecified address, when there is no local list
    Op *op                          # the posted ConnectEx
    bint cancelled                  # its packet is awaited yet
    bint closing                    # the runtime let go, having sent something (engine/closer.pyx)


cdef Connection *connector_new(Address *local, int local_port) noexcept nogil:
    """A connection that will connect from one of the addresses in `local` (taken over; NULL for any, from
    `local_port`). NULL when memory is exhausted."""
    cdef Connector *connector = <Connector *>memory_new(sizeof(Connector))
    cdef Connection *connection
    if connector != NULL:
        connector.local = local
        connector.local_port = local_port
        connection = connection_new(INVALID_SOCKET)
        if connection != NULL:
            connection.connector = connector
            return connection
        memory_free(connector, sizeof(Connector))
    address_list_free(local)
    return NULL


cdef void connector_start(Connection *connection, Address *remote) noexcept nogil:
    """Begin with the addresses in `remote` (taken over). The state then tells: CONNECTING, or FAILED when all
    failed at once."""
    cdef Address *address = remote
    cdef Connector *connector
    while address != NULL:
        address_any_to_loopback(address)
        address = address.next
    source_lock(&connection.source)
    if connection.state != CONNECTION_CONNECTING:           # closed while its name was resolved
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
    """Resolve the name on a resolver thread and go on from there. False when memory or threads are
    exhausted."""
    cdef Lookup *lookup = resolver_lookup(&connection.source, host, port_number, family, connector_resolved)
    return lookup != NULL and resolver_submit(lookup)


cdef void connector_resolved(Lookup *lookup) noexcept nogil:
    """The resolver's answer."""
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
    """The connecting phase is over, one way or the other."""
    cdef Connector *connector = connection.connector
    connection.connector = NULL
    address_list_free(connector.remote)
    address_list_free(connector.local)
    memory_free(connector, sizeof(Connector))


cdef void connector_fail(Connection *connection, int error) noexcept nogil:
    """There will be no connection, and what was sent to it is lost."""
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
    """There will be no connection, and nobody wants to know."""
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
    """Try pairs until an attempt is under way or none is left."""
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
    """ConnectEx needs a bound socket: 0 or a Winsock code. Where any port will do, ask for one as `connect`
    itself would get it, if need be one that others have too, for other peers. A system that cannot gives one
    that is free for all."""
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
    """Post one ConnectEx: 0 when it is under way (or done), or a Winsock code. The socket of the last attempt
    goes only now: the last of all is kept, because the runtime may ask for its address."""
    cdef Connector *connector = connection.connector
    cdef int error
    cdef Op *op
    connector_drop_socket(connection)
    connection.socket = winsock_socket(remote.family)
    if connection.socket == INVALID_SOCKET:
        return error_last()
    error = port_associate(connection.socket)
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
    """The attempt succeeded: 0, or the Winsock code for which it is given up after all."""
    cdef bint closing
    if setsockopt(connection.socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0):
        return error_last()                                 # without it shutdown and getpeername would fail
    connection.state = CONNECTION_OPEN
    counter_add(COUNTER_connects, 1)
    closing = connection.connector.closing
    connector_finish(connection)
    if closing:
        closer_flush(connection)
        return 0
    lent_await(connection, connection.source.interest & READY_READ)
    # What was sent by now, and the FIN if that was all.
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
    """The runtime lets go of a connection that is connecting: end the attempt; its packet, if one is under
    way, does the rest."""
    cdef Connector *connector = connection.connector
    connector.cancelled = True
    if connector.op != NULL:
        CancelIoEx(<HANDLE>connection.socket, &connector.op.overlapped)
    else:
        connector_end(connection)


cdef void connector_expire(Source *source) noexcept nogil:
    """The runtime let go before there was a connection, and a bound of the time for what it has sent is
    reached."""
    cdef Connection *connection = <Connection *>source
    source_lock(source)
    if connection.state != CONNECTION_CONNECTING:           # there is one by now
        source_unlock(source)
        closer_expire(source)
        return
    if closer_has_time(connection):
        closer_limit(connection, connector_expire)
    else:
        connector_cancel(connection)
    source_unlock_changed(source, 0)
