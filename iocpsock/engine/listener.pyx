# Listener: one listening socket for each local address, and the connections they accepted.
#
# Each endpoint keeps several AcceptEx operations ("slots") posted: `acceptcount` of them, or, when that is 0, as many as the
# traffic asks for: more once a burst has used up all of them, fewer again when it is over. When one completes, the
# completion thread posts the next before it looks at what arrived, so the endpoint never goes without; a failed accept (the
# peer was gone already) costs that one connection and nothing else. When the system is short of handles or memory, slots are
# posted again after a pause. Accepted connections wait in a queue of bounded length for the host; beyond it, or with
# `maxconnections` alive, slots are not posted until there is room, and the kernel's backlog holds, then refuses, the rest.
# With the setting `acceptbufsize` an accept completes only when the connection's first bytes are there, and brings them
# along. A peer that connects and says nothing would hold its slot for ever: a watchdog closes it after `acceptsilence`.
# Owner: the host holds one reference, which listener_close takes; each posted slot holds one.
# Threads: under source.lock; listener_complete is called with it on a completion thread, listener_expire takes it there.

cdef enum:
    LISTENER_QUEUE = 1024           # accepted connections that wait for the host
    LISTENER_RETRY_FIRST = 5        # milliseconds before a slot that could not be posted is tried again, doubling ...
    LISTENER_RETRY_LAST = 1000      # ... up to this
    LISTENER_WATCH = 1000           # milliseconds between looks for peers that have been silent for too long
    LISTENER_SLOTS = 8              # posted on an endpoint at least, when their number is fitted to the traffic ...
    LISTENER_SLOTS_MOST = 256       # ... and at most
    LISTENER_BURST = 10000          # milliseconds after which a burst counts as over
    LISTENER_ENDING = 1000          # milliseconds that a close waits at most for the slots to end

cdef struct Endpoint:
    Endpoint *next
    Listener *listener
    SOCKET socket
    int family
    int posted                      # slots
    int target                      # how many to post, fitted to the traffic
    ULONGLONG burst                 # GetTickCount64 milliseconds when they were last used up
    Op *slots                       # the posted ones

cdef struct Listener:
    Source source                   # first: a Source * to it is the Listener *
    Settings settings
    int wanted_flags[CONNECTION_FLAGS]  # of the connections to come
    Endpoint *endpoints
    bint closed
    Connection *head                # accepted, in order of completion
    Connection *tail
    int waiting                     # how many
    int endpoint_count
    int connections                 # alive, of those that count for `maxconnections`
    DWORD retry                     # milliseconds of the last pause, 0 when all is well
    Deadline deadline               # for trying again
    Deadline watchdog


cdef Listener *listener_new() noexcept nogil:
    """A listener without endpoints, or NULL when memory is exhausted."""
    cdef Listener *listener = <Listener *>memory_new(sizeof(Listener))
    if listener == NULL:
        return NULL
    source_init(&listener.source, SOURCE_LISTENER, listener_release)
    settings_init(&listener.settings)
    connection_no_flags(listener.wanted_flags)
    counter_born(COUNTER_listeners)
    return listener


cdef void listener_release(Source *source) noexcept nogil:
    """The last reference is gone: no slot is posted."""
    cdef Listener *listener = <Listener *>source
    cdef Endpoint *endpoint
    while listener.endpoints != NULL:
        endpoint = listener.endpoints
        listener.endpoints = endpoint.next
        memory_free(endpoint, sizeof(Endpoint))
    counter_gone(COUNTER_listeners)
    memory_free(listener, sizeof(Listener))


cdef int listener_add(Listener *listener, SOCKET sock, int family) noexcept nogil:
    """Accept on `sock`, which listens already and is taken over when this returns 0; otherwise a Winsock code."""
    cdef Endpoint *endpoint
    cdef Endpoint **tail
    cdef int error = port_associate_listener(sock)
    if error:
        return error
    endpoint = <Endpoint *>memory_new(sizeof(Endpoint))
    if endpoint == NULL:
        return WSAENOBUFS
    endpoint.listener = listener
    endpoint.socket = sock
    endpoint.family = family
    endpoint.target = LISTENER_SLOTS
    source_lock(&listener.source)
    tail = &listener.endpoints
    while tail[0] != NULL:
        tail = &tail[0].next
    tail[0] = endpoint
    listener.endpoint_count += 1
    listener_fill(listener)
    source_unlock(&listener.source)
    return 0


cdef int listener_bind(Address *address, int backlog, bint share, SOCKET *result) noexcept nogil:
    """A socket that listens on `address`: 0 or a Winsock code. `share` lets other sockets have the same port at the same
    time; otherwise nobody can take it away from us."""
    cdef int error = listener_bind_as(address, backlog, SO_REUSEADDR if share else SO_EXCLUSIVEADDRUSE, result)
    if not share and (error == WSAEADDRINUSE or error == WSAEACCES):
        # Windows refuses exclusiveness also while connections of an earlier listener on the port live on. Then the ordinary
        # way has to do, which a living listener still makes fail.
        error = listener_bind_as(address, backlog, 0, result)
    # Winsock has two words for a port that somebody has; this one if they, or the system, have it exclusively.
    return WSAEADDRINUSE if error == WSAEACCES else error


cdef int listener_bind_as(Address *address, int backlog, int sharing, SOCKET *result) noexcept nogil:
    """As listener_bind, with the socket option `sharing` set (0: none)."""
    cdef SOCKET sock = winsock_socket(address.family)
    cdef int error = 0
    if sock == INVALID_SOCKET:
        return error_last()
    if sharing:
        winsock_flag(sock, SOL_SOCKET, sharing, 1)
    if address.family == AF_INET6:
        winsock_flag(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    if bind(sock, <const sockaddr *>&address.storage, address.length) or listen(sock, backlog):
        error = error_last()
        closesocket(sock)
        return error
    result[0] = sock
    return 0


cdef int listener_slots(Endpoint *endpoint) noexcept nogil:
    """How many slots the endpoint should have. With a limit on connections its share of the room below that; a listener with
    several endpoints may exceed the limit by one for each further of them."""
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


cdef void listener_adapt(Endpoint *endpoint) noexcept nogil:
    """A slot was used: if all of them are, there should have been more; long after such a burst there may be fewer."""
    cdef ULONGLONG now = GetTickCount64()
    cdef Op *op = endpoint.slots
    while op != NULL and op.overlapped.Internal != <ULONG_PTR>STATUS_PENDING:
        op = op.next
    if op == NULL:
        endpoint.burst = now
        endpoint.target = endpoint.target * 2 if endpoint.target * 2 <= LISTENER_SLOTS_MOST else LISTENER_SLOTS_MOST
    elif endpoint.target > LISTENER_SLOTS and now - endpoint.burst > LISTENER_BURST:
        endpoint.target -= 1


cdef void listener_fill(Listener *listener) noexcept nogil:
    """Post every slot that is missing, unless the queue is full; what cannot be posted waits for the deadline."""
    cdef Endpoint *endpoint = listener.endpoints
    cdef int error = 0
    if listener.closed or listener.waiting >= LISTENER_QUEUE:
        return
    while endpoint != NULL:
        while endpoint.posted < listener_slots(endpoint) and not error:
            error = listener_post(endpoint)
        endpoint = endpoint.next
    if error:
        counter_add(COUNTER_accept_failures, 1)
        listener_pause(listener)
    else:
        listener.retry = 0


cdef void listener_pause(Listener *listener) noexcept nogil:
    """The system is short of something: post slots again after a while, each time a longer one."""
    counter_add(COUNTER_retries, 1)
    listener.retry = LISTENER_RETRY_FIRST if listener.retry == 0 else listener.retry * 2
    if listener.retry > LISTENER_RETRY_LAST:
        listener.retry = LISTENER_RETRY_LAST
    port_deadline(&listener.deadline, &listener.source, listener.retry, listener_expire)


cdef void listener_expire(Source *source) noexcept nogil:
    cdef Listener *listener = <Listener *>source
    source_lock(source)
    listener_fill(listener)
    source_unlock(source)


cdef int listener_post(Endpoint *endpoint) noexcept nogil:
    """Post one AcceptEx: 0 or a Winsock code."""
    cdef DWORD size = <DWORD>endpoint.listener.settings.value[SETTING_acceptbufsize]
    cdef Op *op = op_new(size + 2 * WINSOCK_ADDRESS, listener_complete, &endpoint.listener.source)
    cdef DWORD received = 0
    cdef int error
    if op == NULL:
        return WSAENOBUFS
    op.owner = endpoint
    op.length = size
    op.socket = winsock_socket(endpoint.family)
    if op.socket == INVALID_SOCKET:
        error = error_last()
        op_free(op)
        return error
    op_post(op)
    if not winsock.AcceptEx(endpoint.socket, op.socket, op.data, size, WINSOCK_ADDRESS, WINSOCK_ADDRESS, &received,
                            &op.overlapped):
        error = error_last()
        if error != WSA_IO_PENDING:
            closesocket(op.socket)
            op_free(op)
            source_drop(&endpoint.listener.source)
            return error
    endpoint.posted += 1
    op.next = endpoint.slots
    endpoint.slots = op
    if size and endpoint.listener.watchdog.due == 0:
        port_deadline(&endpoint.listener.watchdog, &endpoint.listener.source, LISTENER_WATCH, listener_watch_silence)
    return 0


cdef void listener_remove_slot(Endpoint *endpoint, Op *op) noexcept nogil:
    """The slot is not posted any more."""
    cdef Op **link = &endpoint.slots
    while link[0] != op:
        link = &link[0].next
    link[0] = op.next
    endpoint.posted -= 1


cdef void listener_watch_silence(Source *source) noexcept nogil:
    """End the slots whose peer has been connected for too long without sending: their packets do the rest."""
    cdef Listener *listener = <Listener *>source
    cdef Endpoint *endpoint
    cdef Op *op
    cdef bint waiting = False
    source_lock(source)
    endpoint = listener.endpoints
    while endpoint != NULL and not listener.closed:
        op = endpoint.slots
        while op != NULL:
            waiting = waiting or op.length
            if op.length and winsock_connect_time(op.socket) >= listener.settings.value[SETTING_acceptsilence]:
                CancelIoEx(<HANDLE>endpoint.socket, &op.overlapped)
            op = op.next
        endpoint = endpoint.next
    if waiting:
        port_deadline(&listener.watchdog, source, LISTENER_WATCH, listener_watch_silence)
    source_unlock(source)


cdef void listener_renew_slots(Listener *listener) noexcept nogil:
    """The settings of the slots have changed: those that no peer has connected to end, and their packets post new ones. With
    the lock held."""
    cdef Endpoint *endpoint = listener.endpoints
    cdef Op *op
    while endpoint != NULL:
        op = endpoint.slots
        while op != NULL:
            if op.length != <DWORD>listener.settings.value[SETTING_acceptbufsize] and winsock_connect_time(op.socket) < 0:
                CancelIoEx(<HANDLE>endpoint.socket, &op.overlapped)
            op = op.next
        endpoint = endpoint.next
    listener_fill(listener)


cdef Connection *listener_adopt(Endpoint *endpoint, Op *op) noexcept nogil:
    """Make a connection of an accepted socket, or close it and return NULL: the peer may be gone already."""
    cdef Connection *connection = NULL
    cdef sockaddr *local
    cdef sockaddr *peer
    cdef int local_length, peer_length
    if op.error == 0 and setsockopt(op.socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, <const char *>&endpoint.socket,
                                    sizeof(SOCKET)) == 0 and port_associate(op.socket) == 0:
        connection = connection_new(op.socket)
    if connection == NULL:
        winsock_reset(op.socket)
        closesocket(op.socket)
        return NULL
    connection.settings = endpoint.listener.settings
    memcpy(connection.wanted_flags, endpoint.listener.wanted_flags, sizeof(connection.wanted_flags))
    connection_apply_flags(connection)
    if op.transferred:
        receiver_prefill(connection, op)
    winsock.GetAcceptExSockaddrs(op.data, op.length, WINSOCK_ADDRESS, WINSOCK_ADDRESS, &local, &local_length, &peer, &peer_length)
    if peer != NULL and 0 < peer_length <= <int>sizeof(sockaddr_storage):
        memcpy(&connection.peer, peer, peer_length)
        connection.peer_length = peer_length
    return connection


cdef void listener_complete(Op *op) noexcept nogil:
    """The packet of an AcceptEx was dequeued."""
    cdef Listener *listener = <Listener *>op.source
    cdef Endpoint *endpoint = <Endpoint *>op.owner
    cdef Connection *connection
    cdef bint counts = op.error == 0 and listener.settings.value[SETTING_maxconnections] != 0
    listener_remove_slot(endpoint, op)
    if listener.closed:
        winsock_reset(op.socket)                            # the kernel may have accepted already: leave no TIME_WAIT
        closesocket(op.socket)
    else:
        listener.connections += counts                      # before there is a new slot in its place
        listener_adapt(endpoint)
        if op.error == WSAENOBUFS or op.error == WSAEMFILE:
            listener_pause(listener)
        else:
            listener_fill(listener)
        connection = listener_adopt(endpoint, op)
        if connection == NULL:
            counter_add(COUNTER_accept_failures, op.error != WSA_OPERATION_ABORTED)
            if counts:
                listener.connections -= 1
                listener_fill(listener)
        else:
            if counts:
                source_hold(&listener.source)
                connection.origin = listener
            listener_enqueue(listener, connection)
            counter_add(COUNTER_accepts, 1)
    op_free(op)
    source_unlock_changed(&listener.source, listener_ready(listener))


cdef void listener_departed(Listener *listener) noexcept nogil:
    """A connection that counted is gone, and its reference with it. With no lock held."""
    source_lock(&listener.source)
    listener.connections -= 1
    listener_fill(listener)
    source_unlock(&listener.source)
    source_drop(&listener.source)


cdef void listener_enqueue(Listener *listener, Connection *connection) noexcept nogil:
    if listener.tail == NULL:
        listener.head = connection
    else:
        listener.tail.next = connection
    listener.tail = connection
    listener.waiting += 1


cdef inline int listener_ready(Listener *listener) noexcept nogil:
    return READY_READ if listener.head != NULL else 0


cdef void listener_watch(Listener *listener) noexcept nogil:
    """The consumer wants to hear of accepted connections from now on, and at once if there are any."""
    source_lock(&listener.source)
    listener.source.interest = READY_READ
    source_unlock_changed(&listener.source, listener_ready(listener))


cdef Connection *listener_take(Listener *listener) noexcept nogil:
    """The next accepted connection, with the host's reference, or NULL. With the lock held."""
    cdef Connection *connection = listener.head
    if connection == NULL:
        return NULL
    listener.head = connection.next
    if listener.head == NULL:
        listener.tail = NULL
    connection.next = NULL
    listener.waiting -= 1
    listener_fill(listener)
    return connection


cdef void listener_end(Listener *listener) noexcept nogil:
    """Close the endpoints and wait for the packets of their slots: a socket keeps its port as long as an operation on it is
    under way, and that of another thread may be for a while after the close. With the lock held, which the wait releases."""
    cdef ULONGLONG deadline = GetTickCount64() + LISTENER_ENDING
    cdef Endpoint *endpoint = listener.endpoints
    while endpoint != NULL:
        closesocket(endpoint.socket)
        endpoint.socket = INVALID_SOCKET
        endpoint = endpoint.next
    endpoint = listener.endpoints
    while endpoint != NULL and (endpoint.posted == 0 or source_wait(&listener.source, deadline)):
        if endpoint.posted == 0:
            endpoint = endpoint.next


cdef void listener_close(Listener *listener) noexcept nogil:
    """The host lets go: takes its reference. The port is free when this returns; connections nobody took are reset."""
    cdef Connection *connection
    cdef Connection *next
    source_attach(&listener.source, NULL)
    source_lock(&listener.source)
    listener.closed = True
    listener_end(listener)
    connection = listener.head
    listener.head = listener.tail = NULL
    listener.waiting = 0
    source_unlock_changed(&listener.source, 0)
    while connection != NULL:
        next = connection.next
        connection_close(connection, CLOSER_ABORT)
        connection = next
    deadline_disarm(&listener.deadline)
    deadline_disarm(&listener.watchdog)
    source_drop(&listener.source)
