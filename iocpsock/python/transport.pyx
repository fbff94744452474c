# Transport: a TCP connection of an event loop.
#
# It is a flow on a connection of the engine, whose packets come to the loop's port.
#
# Owner: the transport owns the connection, and the engine the handle: the socket object for
# `get_extra_info("socket")` is made when it is asked for, and lets go of the handle before the connection is
# closed. Threads: the loop's.
from asyncio.trsock import TransportSocket as _TransportSocket

cdef enum:
    TRANSPORT_SCRATCH = 64 * 1024   # bytes of a read whose size is not known before
    TRANSPORT_PIECE = 0x40000000    # bytes of one write to the engine

cdef char transport_scratch[TRANSPORT_SCRATCH]              # under the GIL


cdef class _Transport(_Flow):
    cdef Connection *connection     # NULL: gone
    cdef object sock                # the socket object for the handle, or None until it is asked for
    cdef object model               # (family, type, proto) of that object
    cdef object server
    cdef bint left                  # its loop was closed while it was open: its end warns
    cdef bint shut                  # write_eof was called

    def __cinit__(self, *arguments, **options):
        self.kind = "socket"

    def __dealloc__(self):
        self.release(0)

    cdef object adopt(self, _Loop loop, Connection *connection, protocol, server, waiter):
        """Begin with a connection, whose reference passes to the transport."""
        self.connection, self.server = connection, server
        connection.send.uncapped = True
        connection.source.context = <void *>self
        source_attach(&connection.source, loop.consumer)
        self.enter(loop, &connection.source, protocol)
        self.set_low(self.low)
        loop._living.add(self)
        loop._transports[connection.socket] = self          # add_reader refuses its handle
        if server is not None:
            loop._attach(server, self)
        loop.call_soon(self._begin, waiter)

    # ---------------------------------------------------------------- what a flow asks for

    cdef int watch(self, int interest) except -1:
        tcp_watch(self.connection, interest)
        return 0

    cdef int holds(self) noexcept:
        return connection_ready(self.connection)

    cdef size_t unsent(self) noexcept:
        return self.connection.send.bytes

    cdef bint is_sent(self) noexcept:
        return self.connection.send.ops.first == NULL

    cdef int send_error(self) noexcept:
        return self.connection.send.error

    cdef int set_low(self, size_t low) except -1:
        self.connection.send.low = <DWORD>min(low, <size_t>0xFFFFFFFF)
        return 0

    cdef int put(self, const char *data, size_t size) except -1:
        cdef int taken = 0, error = 0
        while size:
            taken = sender_write(self.connection, data, <int>min(size, <size_t>TRANSPORT_PIECE), &error)
            if taken < 0:
                return error
            data += taken
            size -= taken
        return 0

    # ---------------------------------------------------------------- receiving

    cdef object read(self):
        cdef int count, error = 0, rounds = 0
        cdef bint more = True
        while more and self.reads() and rounds < FLOW_READS:
            rounds += 1
            try:
                count = self.read_buffered(&error) if self.receive is None else self.read_bytes(&error)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as failure:
                self.failed("buffer_updated" if self.receive is None else "data_received", failure)
                return
            if count == 0:
                self.over = True
                self.end_of_stream()
                self.rewatch()
            elif count < 0 and error != WSAEWOULDBLOCK:
                self.fail(error, "Fatal read error on socket transport")
            if count <= 0 or self.connection == NULL:
                return
            source_lock(&self.connection.source)
            if not connection_readable(self.connection):
                receiver_post(self.connection)              # a read past the engine's memory has posted none
            more = connection_readable(self.connection)
            source_unlock(&self.connection.source)

    cdef int read_bytes(self, int *error) except -2:
        """Read and call data_received: the number of bytes, 0 at the end, -1 with a Winsock code in
        `error`."""
        cdef int count
        cdef Py_ssize_t size
        source_lock(&self.connection.source)
        size = <Py_ssize_t>min(self.connection.recv.unread, <size_t>FLOW_READ)
        if size == 0:
            count = receiver_read(self.connection, transport_scratch, TRANSPORT_SCRATCH, error)
        source_unlock(&self.connection.source)
        if size:
            data = PyBytes_FromStringAndSize(NULL, size)
            source_lock(&self.connection.source)
            count = receiver_read(self.connection, PyBytes_AsString(data), <int>size, error)
            source_unlock(&self.connection.source)
            if 0 < count < size:
                data = data[:count]
        elif count > 0:
            data = PyBytes_FromStringAndSize(transport_scratch, count)
        if count > 0:
            self.run(self.receive, data)
        return count

    cdef int read_buffered(self, int *error) except -2:
        """Read into the protocol's buffer: as read_bytes."""
        cdef Py_buffer view
        cdef int count
        buffer = self.run(self.protocol.get_buffer, -1)
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            if not view.len:
                raise RuntimeError("get_buffer() returned an empty buffer")
            source_lock(&self.connection.source)
            count = receiver_read(self.connection, <char *>view.buf, <int>min(view.len, FLOW_READ), error)
            source_unlock(&self.connection.source)
        finally:
            PyBuffer_Release(&view)
        if count > 0:
            self.run(self.protocol.buffer_updated, count)
        return count

    # ---------------------------------------------------------------- sending

    cdef object check_writable(self):
        if self.shut:
            raise RuntimeError("Cannot call write() after write_eof()")

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Send FIN behind what was written. The peer may go on sending."""
        if self.state != FLOW_OPEN or self.shut:
            return
        self.shut = True
        source_lock(self.source)
        sender_shutdown(self.connection)
        source_unlock(self.source)

    # ---------------------------------------------------------------- the end

    def _state(self):
        return "open" if self.left else _Flow._state(self)

    def _abandon(self):
        """The loop is closed: the engine sends what was written, and closes the connection. Nobody is
        told."""
        self.left = self.state == FLOW_OPEN
        self.state = FLOW_LOST
        self.release(0)

    cdef object leave(self, int flags):
        self.get_extra_info("peername"), self.get_extra_info("sockname")    # they are known ever after
        _Flow.leave(self, flags)
        server, self.server = self.server, None
        self.loop._living.discard(self)
        if server is not None:
            self.loop._detach(server, self)

    cdef int release(self, int flags) except -1:
        cdef Connection *connection = self.connection
        if connection == NULL:
            return 0
        self.connection, self.source = NULL, NULL
        connection.source.context = NULL
        if self.sock is not None:
            self.sock.detach()
        source_hold(&connection.source)
        with nogil:
            tcp_close(connection, flags)
            # The close waits for the packets of the cancelled receives. The loop may not run again soon.
            if connection.state != CONNECTION_CLOSED and self.loop.port != NULL:
                port_drain(self.loop.port, 0)
            source_drop(&connection.source)
        return 0

    # ---------------------------------------------------------------- what it is

    def get_extra_info(self, name, default=None):
        """"socket", "sockname", "peername", and what the loop has added."""
        if name not in self.extra and self.connection != NULL:
            if name == "socket":
                self.extra[name] = _TransportSocket(self.socket())
            elif name == "sockname" or name == "peername":
                sock = self.socket()
                try:
                    self.extra[name] = sock.getsockname() if name == "sockname" else sock.getpeername()
                except OSError:
                    self.extra[name] = None
        return self.extra.get(name, default)

    cdef object socket(self):
        if self.sock is None:
            family, kind, protocol = self.model
            self.sock = _stdlib.socket(family, kind, protocol, self.connection.socket)
        return self.sock


def _connected(_Loop loop, sock, protocol, waiter, extra, server):
    """A transport of a connected socket object, which it takes over. None if the handle cannot be associated
    with the loop's port, most likely because it is in another one."""
    cdef SOCKET handle = <SOCKET><size_t>sock.fileno()
    cdef _Transport transport
    cdef Connection *connection
    cdef int error = port_associate(loop.port, handle)
    if error:
        return None
    connection = connection_new(handle, loop.port)
    if connection == NULL:
        raise MemoryError("no memory for a connection")
    connection_apply_flags(connection)
    transport = loop._new_transport()
    transport.sock = sock
    transport.extra.update(extra or {})
    for name, ask in (("sockname", sock.getsockname), ("peername", sock.getpeername)):
        if name not in transport.extra:
            try:
                transport.extra[name] = ask()
            except OSError:
                transport.extra[name] = None
    transport.adopt(loop, connection, protocol, server, waiter)
    return transport
