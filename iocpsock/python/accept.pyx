# Accept: a listening socket accepts ahead of its calls (engine/acceptor.pyx), or by one operation a call.
#
# It accepts ahead from its second blocking accept on, because many sockets accept only once, and only as long
# as nothing but its own object can use its handle. The acceptor's sockets are socket objects of ours, made
# before their connections arrive: making an object for a handle costs a system call, which is then made in a
# lull. Until an object is taken, only the acceptor's slot holds it.
# Owner: the socket object holds its _Acceptor, and so does each call that uses it. Threads: any Python
# thread.

from cpython.ref cimport Py_DECREF, Py_INCREF

cdef enum:
    ACCEPT_DIGITS = 65              # bytes of a numeric address with its terminator: INET6_ADDRSTRLEN

# Not a method written in Python, in which Ctrl-C could end the close half way.
cdef object _close = _core.socket.close

@cython.no_gc_clear                 # __dealloc__ needs the guard
cdef class _Acceptor:
    """Owns an acceptor of the engine and the socket objects in its slots. It is inside the guard of the
    listening socket as long as it exists, because it uses the handle until then."""
    cdef Acceptor *acceptor
    cdef _Guard guard
    cdef GuardCall call

    def __dealloc__(self):
        if self.acceptor != NULL:
            accept_free(self.acceptor)
        if self.call.guard != NULL:
            call_leave(&self.call)


cdef object accept_claim(void *owner):
    """Return a socket object and take over the acceptor's reference to it."""
    connection = <object>owner
    Py_DECREF(connection)
    return connection


cdef object accept_drop(Acceptor *acceptor):
    """Close the sockets that the acceptor no longer uses to wait for connections."""
    cdef void *owner = acceptor_drop(acceptor)
    while owner != NULL:
        _close(accept_claim(owner))
        owner = acceptor_drop(acceptor)


cdef object accept_free(Acceptor *acceptor):
    """End and free an acceptor, and close its sockets."""
    with nogil:
        acceptor_end(acceptor)
    accept_drop(acceptor)
    acceptor_free(acceptor)


cdef object accept_peer(sockaddr_storage *peer):
    """Return a peer's address in Python's form."""
    cdef char host[ACCEPT_DIGITS]
    cdef sockaddr_in6 *ipv6 = <sockaddr_in6 *>peer
    host[0] = 0
    if peer.ss_family == AF_INET:
        inet_ntop(AF_INET, &(<sockaddr_in *>peer).sin_addr, host, ACCEPT_DIGITS)
    else:
        inet_ntop(AF_INET6, &ipv6.sin6_addr, host, ACCEPT_DIGITS)
    name = host.decode("ascii"), address_port(<sockaddr *>peer)
    return name if peer.ss_family == AF_INET else (*name, ntohl(ipv6.sin6_flowinfo), ipv6.sin6_scope_id)


cdef object accept_expose(object self, bint to_select):
    """From now on others may use the socket's handle, and must see its connections: the socket stops
    accepting ahead. The next calls of accept return the connections that were accepted already. If the handle
    is given out `to_select`, select reports it as readable while there are any."""
    cdef _Acceptor holder = self._acceptor
    cdef _Guard guard = self._guard
    self._shown = True
    guard.asks = True
    if holder is not None:
        with nogil:
            acceptor_stop(holder.acceptor, to_select)
        accept_drop(holder.acceptor)


cdef _Acceptor accept_holder(object self, SOCKET sock):
    """Return the object that accepts ahead for this socket, or None if each call posts its own operation."""
    cdef _Acceptor holder = self._acceptor
    if holder is not None or self._shown or self._acceptcount < 0:
        return holder
    holder = _Acceptor()
    holder.guard = call_enter(self, &holder.call)
    holder.call.thread = 0
    holder.acceptor = acceptor_new(sock, _family(self), self._acceptcount)
    if holder.acceptor == NULL:
        oserror_raise(WSAENOBUFS)
    if self._acceptor is None and not self._shown:          # another thread may have been here meanwhile
        self._acceptor = holder
    return self._acceptor


cdef object accept_supply(object self, _Acceptor holder, AcceptCall *call):
    """Make the sockets that the acceptor needs, and post them. If the system has no more sockets, the
    acceptor works with fewer. The GIL is released once for all of them, because taking it again takes long
    among many busy threads."""
    cdef SOCKET socks[ENDPOINT_SLOTS]
    cdef void *owners[ENDPOINT_SLOTS]
    cdef int index, count, posted
    made = []
    try:
        while len(made) < call.missing:
            made.append(socket(_family(self), _type(self), self.proto))
    except OSError as error:
        if not error.winerror:
            raise
        call.refused = error.winerror
    count = len(made)
    for index in range(count):
        socks[index] = _fileno(made[index])
        owners[index] = <void *>made[index]
        Py_INCREF(made[index])
    with nogil:
        posted = acceptor_post(holder.acceptor, call, socks, owners, count)
    for index in range(posted, count):
        _close(accept_claim(owners[index]))


cdef object accept_taken(object self, AcceptCall *call):
    """Return (socket, address of its peer) for an accepted connection, or None if the peer is gone already,
    which needs no report."""
    if call.owner != NULL:
        connection = accept_claim(call.owner)
    else:
        connection = socket(_family(self), _type(self), self.proto, call.socket)
    if not call.failure:
        return connection, accept_peer(&call.peer)
    _close(connection)


cdef object accept_ready(object self, AcceptCall *call):
    """Return (socket, address of its peer) for a connection that is accepted already, or None."""
    cdef _Acceptor holder = self._acceptor
    cdef bint found = holder is not None
    taken = None
    while found and taken is None:
        with nogil:
            found = acceptor_take(holder.acceptor, call)
        if found:
            taken = accept_taken(self, call)
    return taken


cdef object accept_ahead(object self, _Acceptor holder, AcceptCall *call, int *error):
    """Wait for the acceptor: (socket, address of its peer) of the next connection, or None with a Winsock
    code."""
    taken = None
    while taken is None:
        with nogil:
            error[0] = acceptor_accept(holder.acceptor, call)
        if error[0] == ACCEPTOR_WANTS:
            accept_supply(self, holder, call)
        elif error[0]:
            return None
        else:
            taken = accept_taken(self, call)
    return taken


cdef object accept_once(object self, GuardCall *inside, AcceptCall *call, int *error):
    """As accept_ahead, by an operation of this call's own."""
    cdef int family = _family(self)
    call.owner, call.failure = NULL, 0
    with nogil:
        error[0] = waiter_accept(inside, family, &call.timeout, &call.socket, &call.peer)
    return None if error[0] else accept_taken(self, call)


cdef object accept_one(object self, object timeout):
    """Return (socket, address of its peer) of the next connection."""
    cdef AcceptCall call
    cdef _Inside inside = _Inside.__new__(_Inside)
    cdef _Acceptor holder
    cdef int error = WSA_OPERATION_ABORTED
    memset(&call, 0, sizeof(call))
    if not call_waits(self, timeout):
        taken = accept_ready(self, &call)
        if taken is None:
            handle, address = call_inherited(self, self._accept, ())
            taken = socket(_family(self), _type(self), self.proto, handle), address
        return taken
    taken = None
    inside.guard = call_enter(self, &inside.call)
    try:
        if not self._listens:                               # without listen, AcceptEx might wait for ever
            if not winsock_listens(inside.call.socket):
                oserror_raise(WSAEINVAL)
            self._listens = True
            # This accept may be the only one.
            holder = accept_holder(self, inside.call.socket) if self._acceptcount > 0 else None
        else:
            holder = accept_holder(self, inside.call.socket)
        interrupt_timeout(&call.timeout, timeout)
        if holder is not None:
            taken = accept_ahead(self, holder, &call, &error)
        if error == WSA_OPERATION_ABORTED:                  # there are no slots, or the acceptor was stopped
            taken = accept_once(self, &inside.call, &call, &error)
        if error:
            call_raise(inside.guard, error)
    finally:
        # If the socket is closed and this is its last call, the acceptor leaves the guard first.
        holder = None
        call_leave(&inside.call)
    return taken
