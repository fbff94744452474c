# Serving: a listening socket of an event loop: accepted connections become transports.
#
# A connection whose protocol factory, TLS or transport raises costs that connection only.
# Owner: the loop. The engine's listener owns the handle; the socket object of `server.sockets` lets go of it
# before the listener is closed. Threads: the loop's.

@cython.no_gc_clear                 # its end needs the socket object, which must let go of the handle
cdef class _Serving(_Notified):
    """`_Serving(loop, sock, arrived)`: calls arrived(transport) for each connection accepted on `sock`, which
    listens already; it returns the protocol and the server."""
    cdef _Loop loop
    cdef Listener *listener
    cdef object sock, model, arrived
    cdef object run                 # of the context in which the server was asked for

    def __init__(self, _Loop loop, sock, arrived):
        cdef int error
        self.loop, self.sock, self.arrived = loop, sock, arrived
        self.model = sock.family, sock.type, sock.proto
        self.run = _contextvars.copy_context().run
        self.listener = listener_new(loop.port)
        if self.listener == NULL:
            raise MemoryError("no memory for a listener")
        error = listener_add(self.listener, <SOCKET><size_t>sock.fileno(), sock.family)
        if error:
            listener_close(self.listener)
            self.listener = NULL
            oserror_raise(error)
        self.listener.source.context = <void *>self
        source_attach(&self.listener.source, loop.consumer)
        listener_watch(self.listener)

    def __dealloc__(self):
        self.close()

    cdef object notified(self):
        cdef Connection *connection
        cdef int more = READY_READ, count = 0
        while more and self.listener != NULL and count < LOOP_PASS:
            count += 1
            connection = listener_take(self.listener, &more)
            if connection != NULL:
                self.take(connection)
        if more and self.listener != NULL:
            consumer_push(self.loop.consumer, &self.listener.source)

    cdef object take(self, Connection *connection):
        cdef _Transport transport = self.loop._new_transport()
        transport.loop, transport.connection, transport.model = self.loop, connection, self.model
        try:
            self.run(self._adopt, transport)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            transport.release(CLOSER_ABORT)
            self.loop.call_exception_handler({
                "message": "Error on transport creation for incoming connection", "exception": failure})

    def _adopt(self, _Transport transport):
        protocol, server = self.arrived(transport)
        transport.adopt(self.loop, transport.connection, protocol, server, None)

    def close(self):
        if self.listener != NULL:
            self.listener.source.context = NULL
            self.sock.detach()
            listener_close(self.listener)
            self.listener = NULL
