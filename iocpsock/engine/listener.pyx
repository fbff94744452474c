# Listener: one listening socket per local address, and the connections that they accepted.
#
# Each endpoint (engine/endpoint.pyx) keeps AcceptEx operations ("slots") posted: `acceptcount` of them, or as
# many as the traffic needs. When one completes, the completion thread posts the next before it handles the
# connection. A failed accept costs only that one connection. When the system is short of handles or memory,
# the engine posts slots again after a pause. Accepted connections wait in a queue for the runtime. If it is
# full, or `maxconnections` are alive, no slot is posted, and the kernel's backlog holds the rest until it is
# full and refuses them. With the setting `acceptbufsize` an accept completes when the first bytes have
# arrived, and returns them. A timer closes a peer that sends nothing for `acceptdatatimeout` seconds.
# Owner: the runtime holds one reference, which listener_close consumes; each posted slot holds one. Threads
# create sockets and adopt connections without the lock, which guards the queues. A connection enters the
# queue, ordered by its slot's number, when its packet is dequeued; the runtime gets it once it is adopted.
# Threads: under source.lock; on a completion thread, listener_complete is called with it, listener_expire
# without.

cdef enum:
    LISTENER_QUEUE = 1024           # accepted connections that wait for the runtime
    LISTENER_RETRY_FIRST = 5        # milliseconds before a failed post of a slot is retried, doubling ...
    LISTENER_RETRY_LAST = 1000      # ... up to this
    LISTENER_WATCH = 1000           # milliseconds between checks for peers that have been silent too long
    LISTENER_ENDING = 1000          # most milliseconds that a close waits for the slots to end

cdef struct Listener:
    Source source                   # first: a Source * to it is the Listener *
    Settings settings
    int wanted_flags[CONNECTION_FLAGS]  # for future connections
    Queue endpoints
    bint closed
    Queue accepted                  # in order of completion, by slot within an endpoint; some are still being
                                    # adopted
    int waiting                     # how many
    int endpoint_count
    int connections                 # alive, of those that count for `maxconnections`
    DWORD retry                     # milliseconds of the last pause, 0 after a success
    Timer again                     # posts slots again after a pause
    Timer watchdog


cdef Listener *listener_new(Port *port) noexcept nogil:
    """A listener without endpoints, or NULL if out of memory. Its sockets, and those of its connections, are
    associated with the port."""
    cdef Listener *listener = <Listener *>memory_new(sizeof(Listener))
    if listener == NULL:
        return NULL
    port_hold(port)
    source_init(&listener.source, SOURCE_LISTENER, port, listener_release)
    settings_init(&listener.settings)
    connection_no_flags(listener.wanted_flags)
    counter_born(COUNTER_listeners)
    return listener


cdef void listener_release(Source *source) noexcept nogil:
    """The last reference is gone: no slot is posted."""
    cdef Listener *listener = <Listener *>source
    cdef Endpoint *endpoint = <Endpoint *>queue_take(&listener.endpoints)
    while endpoint != NULL:
        memory_free(endpoint, sizeof(Endpoint))
        endpoint = <Endpoint *>queue_take(&listener.endpoints)
    counter_gone(COUNTER_listeners)
    port_drop(source.port)
    memory_free(listener, sizeof(Listener))


cdef int listener_add(Listener *listener, SOCKET sock, int family) noexcept nogil:
    """Accept on `sock`, which listens already: 0, and then the listener owns it, or a Winsock code."""
    cdef Endpoint *endpoint
    cdef int error = port_associate_listener(listener.source.port, sock)
    if error:
        return error
    endpoint = <Endpoint *>memory_new(sizeof(Endpoint))
    if endpoint == NULL:
        return WSAENOBUFS
    endpoint.listener = listener
    endpoint.socket = sock
    endpoint.family = family
    endpoint.target = ENDPOINT_SLOTS
    source_lock(&listener.source)
    queue_append(&listener.endpoints, &endpoint.link, endpoint)
    listener.endpoint_count += 1
    source_unlock(&listener.source)
    listener_fill(listener)
    return 0


cdef int listener_slots(Endpoint *endpoint) noexcept nogil:
    """How many slots the endpoint should have. A limit on connections bounds it to its share of what remains;
    a listener may exceed the limit by one for each endpoint beyond the first."""
    cdef Listener *listener = endpoint.listener
    cdef int limit = listener.settings.value[SETTING_maxconnections], room
    cdef int count = listener.settings.value[SETTING_acceptcount]
    if count == 0:
        count = endpoint.target
    if limit:
        room = limit - listener.connections
        if room > 0 and room < listener.endpoint_count:
            return 1
        room = room // listener.endpoint_count if room > 0 else 0
        if room < count:
            return room
    return count


cdef Endpoint *listener_want(Listener *listener) noexcept nogil:
    """An endpoint with too few slots, for which the caller must now create one, or NULL."""
    cdef Endpoint *endpoint = NULL
    source_lock(&listener.source)
    if not listener.closed and listener.waiting < LISTENER_QUEUE:
        endpoint = <Endpoint *>queue_first(&listener.endpoints)
    while endpoint != NULL and endpoint.posted + endpoint.making >= listener_slots(endpoint):
        endpoint = <Endpoint *>queue_next(&endpoint.link)
    if endpoint != NULL:
        endpoint.making += 1
    source_unlock(&listener.source)
    return endpoint


cdef void listener_fill(Listener *listener) noexcept nogil:
    """Post every missing slot, unless the queue is full; a timer retries what cannot be posted. Without the
    lock, as wherever that is stated below, and with a reference held by the caller."""
    cdef Endpoint *endpoint = listener_want(listener)
    while endpoint != NULL and listener_post(endpoint) == 0:
        endpoint = listener_want(listener)


cdef void listener_pause(Listener *listener) noexcept nogil:
    """The system is short of resources: post slots again after a pause, each time a longer one."""
    counter_add(COUNTER_retries, 1)
    listener.retry = LISTENER_RETRY_FIRST if listener.retry == 0 else listener.retry * 2
    if listener.retry > LISTENER_RETRY_LAST:
        listener.retry = LISTENER_RETRY_LAST
    port_timer(&listener.again, &listener.source, listener.retry, listener_expire)


cdef void listener_expire(Source *source) noexcept nogil:
    listener_fill(<Listener *>source)


cdef inline DWORD listener_data(Listener *listener) noexcept nogil:
    """Size of the buffer for a connection's first bytes, for which an accept waits; 0: it does not wait."""
    return <DWORD>listener.settings.value[SETTING_acceptbufsize]


cdef Op *listener_make(Endpoint *endpoint, int *error) noexcept nogil:
    """A slot to be posted, with its socket, or NULL with a Winsock code. Without the lock."""
    cdef DWORD size = listener_data(endpoint.listener)
    cdef Op *op = op_new(size + 2 * WINSOCK_ADDRESS, listener_complete, &endpoint.listener.source)
    if op == NULL:
        error[0] = WSAENOBUFS
        return NULL
    op.owner = endpoint
    op.length = size
    op.socket = winsock_socket(endpoint.family)
    if op.socket == INVALID_SOCKET:
        error[0] = error_last()
        op_free(op)
        return NULL
    return op


cdef int listener_post(Endpoint *endpoint) noexcept nogil:
    """Post one AcceptEx, which `making` already counts: 0, or a Winsock code, and then a timer retries.
    Without the lock."""
    cdef Listener *listener = endpoint.listener
    cdef int error = 0
    cdef bint posted = False
    cdef Op *op = listener_make(endpoint, &error)
    source_lock(&listener.source)
    endpoint.making -= 1
    # Meanwhile the listener may have been closed, or `acceptbufsize` changed.
    if op != NULL and not listener.closed and op.length == listener_data(listener):
        error = endpoint_accept(endpoint, op)
        posted = not error
    if error and not listener.closed:
        counter_add(COUNTER_accept_failures, 1)
        listener_pause(listener)
    elif posted:
        listener.retry = 0
        if op.length and listener.watchdog.due == 0:
            port_timer(&listener.watchdog, &listener.source, LISTENER_WATCH, listener_watch_silence)
    source_unlock(&listener.source)
    if op != NULL and not posted:
        closesocket(op.socket)
        op_free(op)
    return error


cdef void listener_watch_silence(Source *source) noexcept nogil:
    """Cancel the slots whose peer has been connected too long without sending; their packets do the rest."""
    cdef Listener *listener = <Listener *>source
    cdef Endpoint *endpoint
    cdef Op *op
    cdef bint waiting = False
    cdef int limit = listener.settings.value[SETTING_acceptdatatimeout]
    source_lock(source)
    endpoint = <Endpoint *>queue_first(&listener.endpoints)
    while endpoint != NULL and not listener.closed:
        op = <Op *>queue_first(&endpoint.slots)
        while op != NULL:
            waiting = waiting or op.length
            if op.length and winsock_connect_time(op.socket) >= limit:
                CancelIoEx(<HANDLE>endpoint.socket, &op.overlapped)
            op = <Op *>queue_next(&op.link)
        endpoint = <Endpoint *>queue_next(&endpoint.link)
    if waiting:
        port_timer(&listener.watchdog, source, LISTENER_WATCH, listener_watch_silence)
    source_unlock(source)


cdef void listener_renew_slots(Listener *listener) noexcept nogil:
    """The slots' settings have changed: cancel the slots to which no peer has connected. Their packets post
    new ones. Without the lock."""
    cdef Endpoint *endpoint
    cdef Op *op
    source_lock(&listener.source)
    endpoint = <Endpoint *>queue_first(&listener.endpoints)
    while endpoint != NULL:
        op = <Op *>queue_first(&endpoint.slots)
        while op != NULL:
            if op.length != listener_data(listener) and winsock_connect_time(op.socket) < 0:
                CancelIoEx(<HANDLE>endpoint.socket, &op.overlapped)
            op = <Op *>queue_next(&op.link)
        endpoint = <Endpoint *>queue_next(&endpoint.link)
    source_unlock(&listener.source)
    listener_fill(listener)


cdef bint listener_adopt(Endpoint *endpoint, Op *op, Connection *connection) noexcept nogil:
    """Make an accepted socket an open connection. False on failure: the peer may be gone already. Without the
    lock."""
    cdef Listener *listener = endpoint.listener
    cdef sockaddr *local
    cdef sockaddr *peer
    cdef int local_length, peer_length
    connection.without_context = winsock_accepted(endpoint.socket, op.socket) != 0
    if connection.without_context or port_associate(listener.source.port, op.socket):
        return False
    connection.settings = listener.settings
    memcpy(connection.wanted_flags, listener.wanted_flags, sizeof(connection.wanted_flags))
    connection_apply_flags(connection)
    if op.transferred:
        receiver_preload(connection, op)
    winsock.GetAcceptExSockaddrs(op.data, op.length, WINSOCK_ADDRESS, WINSOCK_ADDRESS, &local, &local_length,
                                 &peer, &peer_length)
    if peer != NULL and 0 < peer_length <= <int>sizeof(sockaddr_in6):
        memcpy(&connection.peer, peer, peer_length)
        connection.peer_length = peer_length
    return True


cdef void listener_complete(Op *op) noexcept nogil:
    """The packet of an AcceptEx was dequeued."""
    cdef Listener *listener = <Listener *>op.source
    cdef Endpoint *endpoint = <Endpoint *>op.owner
    cdef Connection *connection = NULL
    cdef bint counts = False, adopted = False
    cdef bint out_of_buffers = op.error == WSAENOBUFS or op.error == WSAEMFILE
    endpoint_remove(endpoint, op)
    endpoint.adopting += 1
    if not listener.closed:
        endpoint_adapt(endpoint)
        if op.error == 0:
            connection = connection_new(op.socket, listener.source.port)
        if connection != NULL:
            connection.endpoint, connection.slot = endpoint, op.number
            counts = listener.settings.value[SETTING_maxconnections] != 0
            listener.connections += counts                  # before a new slot replaces it
            listener_enqueue(listener, connection)
        elif op.error != WSA_OPERATION_ABORTED:
            counter_add(COUNTER_accept_failures, 1)
        if out_of_buffers:
            listener_pause(listener)
    source_unlock(&listener.source)
    if not out_of_buffers:
        listener_fill(listener)
    if connection == NULL:
        endpoint_refuse(endpoint, op)
    else:
        adopted = listener_adopt(endpoint, op, connection)
    op_free(op)
    listener_arrive(endpoint, connection, adopted, counts)


cdef void listener_arrive(Endpoint *endpoint, Connection *connection, bint adopted,
                          bint counts) noexcept nogil:
    """A slot is complete: its connection, if any, is adopted, or has failed and leaves the queue. Without the
    lock."""
    cdef Listener *listener = endpoint.listener
    source_lock(&listener.source)
    endpoint.adopting -= 1
    if connection == NULL:
        source_unlock_changed(&listener.source, 0)
        return
    connection.arriving = False
    if adopted:
        if counts:
            source_hold(&listener.source)
            connection.origin = listener
            connection.departed = listener_departed
        counter_add(COUNTER_accepts, 1)
    else:
        counter_add(COUNTER_accept_failures, 1)
        listener.connections -= counts
        listener_dequeue(listener, connection)
    source_unlock_changed(&listener.source, listener_ready(listener))
    if not adopted:
        tcp_close(connection, CLOSER_ABORT)
        listener_fill(listener)


cdef void listener_departed(Listener *listener) noexcept nogil:
    """A counted connection is gone: drop its reference to the listener. With no lock held."""
    source_lock(&listener.source)
    listener.connections -= 1
    source_unlock(&listener.source)
    listener_fill(listener)
    source_drop(&listener.source)


cdef void listener_enqueue(Listener *listener, Connection *connection) noexcept nogil:
    """Append to the queue, but before any connection with a later slot of the same endpoint: threads that
    dequeue packets may overtake each other."""
    cdef Connection *item = <Connection *>queue_last(&listener.accepted)
    cdef Link *next = NULL
    while item != NULL and (item.endpoint != connection.endpoint or item.slot > connection.slot):
        if item.endpoint == connection.endpoint:
            next = &item.accepted
        item = <Connection *>queue_previous(&item.accepted)
    queue_insert(&listener.accepted, next, &connection.accepted, connection)
    connection.arriving = True
    listener.waiting += 1


cdef void listener_dequeue(Listener *listener, Connection *connection) noexcept nogil:
    """Remove it from any place in the queue."""
    queue_remove(&connection.accepted)
    listener.waiting -= 1


cdef inline int listener_ready(Listener *listener) noexcept nogil:
    cdef Connection *first = <Connection *>queue_first(&listener.accepted)
    return READY_READ if first != NULL and not first.arriving else 0


cdef void listener_watch(Listener *listener) noexcept nogil:
    """Notify the consumer of accepted connections from now on, and at once if there are any."""
    source_lock(&listener.source)
    listener.source.interest = READY_READ
    source_unlock_changed(&listener.source, listener_ready(listener))


cdef Connection *listener_take(Listener *listener, int *more) noexcept nogil:
    """The next accepted connection, with the runtime's reference, or NULL; `more`: what the listener is then
    ready for. Without the lock."""
    cdef Connection *connection = NULL
    cdef bint held_up
    source_lock(&listener.source)
    held_up = listener.waiting >= LISTENER_QUEUE
    if listener_ready(listener):
        connection = <Connection *>queue_first(&listener.accepted)
        listener_dequeue(listener, connection)
    more[0] = listener_ready(listener)
    source_unlock(&listener.source)
    if held_up:
        listener_fill(listener)
    return connection


cdef bint listener_wait(Listener *listener, ULONGLONG deadline) noexcept nogil:
    """Wait for a packet of the listener's, as source_wait does. A loop's listener is closed by the thread
    that drains its port, so this dequeues them."""
    cdef ULONGLONG now
    cdef Port *port = listener.source.port
    if port == &process_port or port.left:
        return source_wait(&listener.source, deadline)
    now = GetTickCount64()
    if deadline and now >= deadline:
        return False
    source_unlock(&listener.source)
    port_drain(port, <DWORD>(deadline - now) if deadline else PORT_TICK)
    source_lock(&listener.source)
    return True


cdef void listener_end(Listener *listener) noexcept nogil:
    """Cancel the slots and wait for their packets. Their connections are properly reset only while the
    listening socket is open, and the port stays in use while an operation on it is pending, as another
    thread's may be for a while. Then close each endpoint, but not while a thread adopts one of its
    connections. With the lock held, which the wait releases."""
    cdef ULONGLONG deadline = GetTickCount64() + LISTENER_ENDING
    cdef Endpoint *endpoint = <Endpoint *>queue_first(&listener.endpoints)
    while endpoint != NULL:
        CancelIoEx(<HANDLE>endpoint.socket, NULL)
        endpoint = <Endpoint *>queue_next(&endpoint.link)
    endpoint = <Endpoint *>queue_first(&listener.endpoints)
    while endpoint != NULL:
        while endpoint.adopting or endpoint.posted:
            if not listener_wait(listener, 0 if endpoint.adopting else deadline):
                break
        endpoint_close(endpoint)
        endpoint = <Endpoint *>queue_next(&endpoint.link)


cdef void listener_close(Listener *listener) noexcept nogil:
    """The runtime closes the listener: consumes its reference. When this returns the port is free, and
    connections that nobody took are reset."""
    cdef Connection *connection
    source_attach(&listener.source, NULL)
    source_lock(&listener.source)
    listener.closed = True
    listener_end(listener)
    listener.waiting = 0
    source_unlock_changed(&listener.source, 0)
    connection = <Connection *>queue_take(&listener.accepted)   # no other thread has it: it is closed
    while connection != NULL:
        tcp_close(connection, CLOSER_ABORT)
        connection = <Connection *>queue_take(&listener.accepted)
    timer_disarm(&listener.again)
    timer_disarm(&listener.watchdog)
    source_drop(&listener.source)
