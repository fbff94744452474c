# Accept: how a listening socket accepts, ahead of its calls (engine/acceptor.pyx) or by an operation for each.
#
# It accepts ahead from its first blocking accept on, as long as nothing but its own object can look at its handle.
# Owner: the socket object holds its _Acceptor, and so does each call under way. Threads: any Python thread.

cdef enum:
    ACCEPT_DIGITS = 65              # bytes of a numeric address with its terminator: INET6_ADDRSTRLEN

cdef class _Acceptor:
    """Owns an engine's acceptor."""
    cdef Acceptor *acceptor

    def __dealloc__(self):
        if self.acceptor != NULL:
            acceptor_free(self.acceptor)


cdef object accept_peer(sockaddr_storage *peer):
    """An address as Python writes it."""
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
    """From now on others may look at the socket's handle, and must see its connections: nothing is accepted ahead any more.
    What was, is what the next calls of accept return, and whoever has the handle `to_select` on it is told to make them."""
    cdef _Acceptor holder = self._acceptor
    self._shown = True
    if holder is not None:
        with nogil:
            acceptor_stop(holder.acceptor, to_select)


cdef _Acceptor accept_holder(object self, SOCKET sock):
    """What accepts for this socket, or None if each call is to post an operation of its own."""
    cdef _Acceptor holder = self._acceptor
    if holder is not None or self._shown or self._acceptcount < 0:
        return holder
    holder = _Acceptor()
    holder.acceptor = acceptor_new(sock, _family(self), self._acceptcount)
    if holder.acceptor == NULL:
        raise_error(WSAENOBUFS)
    if self._acceptor is None and not self._shown:          # another thread may have been here meanwhile
        self._acceptor = holder
    return self._acceptor


cdef object accept_one(object self, object timeout):
    """(handle, address of the peer) of the next connection."""
    cdef Patience patience
    cdef sockaddr_storage peer
    cdef SOCKET sock, accepted = INVALID_SOCKET
    cdef _Acceptor holder = self._acceptor
    cdef int family = _family(self), error = 0
    if holder is not None:
        with nogil:
            error = acceptor_take(holder.acceptor, &accepted, &peer)
        if not error:
            return accepted, accept_peer(&peer)
    if not waits(self, timeout):
        return self._accept()
    error = engine_start()
    if error:
        raise_error(error)
    sock = handle_of(self)
    if not self._listens:                                   # where it does not, AcceptEx might wait for ever
        if not self.getsockopt(_core.SOL_SOCKET, _core.SO_ACCEPTCONN):
            raise_error(WSAEINVAL)
        self._listens = True
    holder = accept_holder(self, sock)
    patience_of(&patience, timeout)
    self._waiters += 1
    try:
        error = WSA_OPERATION_ABORTED
        if holder is not None:
            with nogil:
                error = acceptor_accept(holder.acceptor, &patience, &accepted, &peer)
            if error == WSA_OPERATION_ABORTED and self._closed:
                raise_closed()
        if error == WSA_OPERATION_ABORTED:                  # there are no slots, or they ended meanwhile
            with nogil:
                error = waiter_accept(sock, family, &patience, &accepted, &peer)
        if error:
            raise_failure(self, error)
    finally:
        self._waiters -= 1
    return accepted, accept_peer(&peer)
