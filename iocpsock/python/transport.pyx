# Transport: a TCP connection of an event loop, as asyncio's protocols know it.
#
# It is a shell around a connection of the engine, whose packets come to the loop's port. Received bytes go
# from the engine's memory into one `bytes` object and to the protocol, in the pass in which their packet was
# dequeued: no future, no handle, no callback of the next pass. Whatever else asyncio does by a callback of the
# next pass (connection_made, connection_lost) is such a callback here.
#
#     OPEN --close, end of the stream--> CLOSING --all is sent--> LOST --next pass--> connection_lost
#       +------abort, an error------------------------------------^
#
# Owner: the loop keeps a reference until connection_lost. The transport owns the connection, and the engine
# the handle: the socket object for `get_extra_info("socket")` is made when it is asked for, and lets go of the
# handle before the connection is closed. Threads: the loop's.
import contextvars as _contextvars
import logging as _logging
from asyncio import BufferedProtocol as _BufferedProtocol
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES as _LOST_WRITES
from asyncio.trsock import TransportSocket as _TransportSocket

cdef object _logger = _logging.getLogger("asyncio")

cdef enum:
    TRANSPORT_HIGH = 64 * 1024      # asyncio's default water marks, bytes: high ...
    TRANSPORT_LOW = 16 * 1024       # ... and low
    TRANSPORT_READ = 256 * 1024     # bytes of one data_received, as asyncio's selector loop has it
    TRANSPORT_READS = 16            # reads of one connection in a pass
    TRANSPORT_SCRATCH = 64 * 1024   # bytes of a read whose size is not known before

cdef enum TransportState:
    TRANSPORT_OPEN
    TRANSPORT_CLOSING               # no more is read; what is queued is sent
    TRANSPORT_LOST                  # connection_lost is on its way, or was called

cdef char transport_scratch[TRANSPORT_SCRATCH]              # under the GIL


@cython.no_gc_clear                 # its end needs the loop, and the socket object that must let go of the handle
cdef class _Transport(_Notified):
    cdef _Loop loop
    cdef Connection *connection     # NULL: gone
    cdef object sock                # the socket object for the handle, or None until it is asked for
    cdef object model               # (family, type, proto) of that object
    cdef dict extra
    cdef object protocol
    cdef object receive             # data_received, or None for a BufferedProtocol
    cdef object context             # in which the protocol's methods run ...
    cdef object run                 # ... by this method of it
    cdef object server
    cdef int state
    cdef bint made                  # connection_made was called
    cdef bint left                  # its loop was closed while it was open: its end warns
    cdef bint begun                 # reading may start
    cdef bint paused                # by pause_reading
    cdef bint over                  # the end of the stream was received
    cdef bint shut                  # write_eof was called
    cdef bint full                  # pause_writing was called
    cdef size_t high
    cdef int lost_writes

    def __cinit__(self, *arguments, **options):
        self.high = TRANSPORT_HIGH
        self.extra = {}

    def __dealloc__(self):
        self.release(0)

    cdef object adopt(self, _Loop loop, Connection *connection, object protocol, object server, object waiter):
        """Begin with a connection, whose reference passes to the transport. Whoever awaits `waiter` goes on
        between connection_made and the first data_received."""
        self.loop, self.connection, self.server = loop, connection, server
        connection.send.uncapped, connection.send.low = True, TRANSPORT_LOW
        connection.source.context = <void *>self
        source_attach(&connection.source, loop.consumer)
        self.context = _contextvars.copy_context()
        self.run = self.context.run
        self.set_protocol(protocol)
        loop._living.add(self)
        loop._transports[connection.socket] = self          # add_reader refuses its handle
        if server is not None:
            loop._attach(server, self)
        loop.call_soon(self._begin, waiter)

    def _begin(self, waiter):
        if self.state == TRANSPORT_OPEN:
            self.made = True
            self.protocol.connection_made(self)
        if waiter is None:
            self._begin_reading()
        else:
            if not waiter.done():
                waiter.set_result(None)
            self.loop.call_soon(self._begin_reading)

    def _begin_reading(self):
        self.begun = True
        self.rewatch()

    cdef int rewatch(self) except -1:
        """Ask the engine for the events that matter now."""
        cdef int interest = 0
        if self.connection == NULL:
            return 0
        if self.begun and not self.paused and not self.over and self.state == TRANSPORT_OPEN:
            interest = READY_READ
        if self.full or self.state == TRANSPORT_CLOSING:
            interest |= READY_WRITE
        tcp_watch(self.connection, interest)
        return 0

    cdef bint reads(self):
        return self.state == TRANSPORT_OPEN and self.begun and not self.paused and not self.over

    cdef object notified(self):
        cdef int ready
        if self.connection == NULL:
            return
        ready = self.ready()
        if ready & READY_READ and self.reads():
            self.read()
        if self.connection != NULL and ready & READY_WRITE:
            self.written()
        if self.connection != NULL and self.ready():
            consumer_push(self.loop.consumer, &self.connection.source)

    cdef int ready(self):
        """READY_ bits that hold and are wanted."""
        cdef int ready
        source_lock(&self.connection.source)
        ready = connection_ready(self.connection) & self.connection.source.interest
        source_unlock(&self.connection.source)
        return ready

    # ---------------------------------------------------------------- receiving

    cdef object read(self):
        """Give the protocol what was received."""
        cdef int count, error = 0, rounds = 0
        cdef bint more = True
        while more and self.reads() and rounds < TRANSPORT_READS:
            rounds += 1
            try:
                count = self.read_buffered(&error) if self.receive is None else self.read_bytes(&error)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as failure:
                name = "buffer_updated" if self.receive is None else "data_received"
                self._fatal_error(failure, f"Fatal error: protocol.{name}() call failed.")
                return
            if count == 0:
                self.end()
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
        size = <Py_ssize_t>min(self.connection.recv.unread, <size_t>TRANSPORT_READ)
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
            count = receiver_read(self.connection, <char *>view.buf, <int>min(view.len, TRANSPORT_READ), error)
            source_unlock(&self.connection.source)
        finally:
            PyBuffer_Release(&view)
        if count > 0:
            self.run(self.protocol.buffer_updated, count)
        return count

    cdef object end(self):
        """The peer sends no more."""
        self.over = True
        if self.loop.get_debug():
            _logger.debug("%r received EOF", self)
        try:
            keeps_open = self.run(self.protocol.eof_received)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self._fatal_error(failure, "Fatal error: protocol.eof_received() call failed.")
            return
        if not keeps_open:
            self.close()
        self.rewatch()

    def is_reading(self):
        """Whether the protocol gets data: not after `pause_reading`, `close` or the end of the stream."""
        return not self.paused and self.state == TRANSPORT_OPEN

    def pause_reading(self):
        """Call data_received no more until `resume_reading`."""
        if self.state == TRANSPORT_OPEN and not self.paused:
            self.paused = True
            self.rewatch()

    def resume_reading(self):
        """Call data_received again."""
        if self.state == TRANSPORT_OPEN and self.paused:
            self.paused = False
            self.rewatch()

    # ---------------------------------------------------------------- sending

    def write(self, data):
        """Send bytes, a bytearray or a memoryview. What the system does not take is copied and sent later."""
        cdef Py_buffer view
        cdef Py_ssize_t done = 0
        cdef int taken = 0, error = 0
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self.shut:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        if self.state == TRANSPORT_LOST:
            self.lost_writes += 1
            if self.lost_writes > _LOST_WRITES:
                _logger.warning("socket.send() raised exception.")
            return
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        source_lock(&self.connection.source)
        while done < view.len and taken >= 0:
            taken = sender_write(self.connection, <const char *>view.buf + done,
                                 <int>min(view.len - done, <Py_ssize_t>0x40000000), &error)
            if taken > 0:
                done += taken
        source_unlock(&self.connection.source)
        PyBuffer_Release(&view)
        if taken < 0:
            self.fail(error, "Fatal write error on socket transport")
        else:
            self.check_high()

    def writelines(self, lines):
        """Send all of these together."""
        self.write(b"".join(lines))

    cdef object check_high(self):
        if not self.full and self.connection != NULL and self.connection.send.bytes > self.high:
            self.full = True
            self.tell("pause_writing", False)
            self.rewatch()

    cdef object tell(self, str name, bint enter):
        """Call pause_writing or resume_writing. The former within a call of `write`, which may come from the
        protocol: its context is entered already, and can be entered once only."""
        try:
            if enter:
                self.run(getattr(self.protocol, name))
            else:
                getattr(self.protocol, name)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self.loop.call_exception_handler({"message": f"protocol.{name}() failed", "exception": failure,
                                              "transport": self, "protocol": self.protocol})

    cdef object written(self):
        """The queue has become short, or sending has failed."""
        cdef int error = self.connection.send.error
        if error:
            self.fail(error, "Fatal write error on socket transport")
            return
        if self.full and self.connection.send.bytes <= self.connection.send.low:
            self.full = False
            self.tell("resume_writing", True)
        if self.connection != NULL:
            if self.state == TRANSPORT_CLOSING and self.connection.send.ops.first == NULL:
                self.lose(None)
            else:
                self.rewatch()

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Send FIN behind what was written. The peer may go on sending."""
        if self.state != TRANSPORT_OPEN or self.shut:
            return
        self.shut = True
        source_lock(&self.connection.source)
        sender_shutdown(self.connection)
        source_unlock(&self.connection.source)

    def get_write_buffer_size(self):
        """Bytes that the system has not taken yet."""
        return 0 if self.connection == NULL or self.state == TRANSPORT_LOST else self.connection.send.bytes

    def get_write_buffer_limits(self):
        """(low, high): the water marks in bytes."""
        return (self.connection.send.low if self.connection != NULL else 0), self.high

    def set_write_buffer_limits(self, high=None, low=None):
        """pause_writing is called above `high` bytes (default 65536, or four times `low`), resume_writing at
        `low` (default a quarter of `high`)."""
        if high is None:
            high = TRANSPORT_HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high = high
        if self.connection != NULL:
            self.connection.send.low = low
        self.check_high()

    # ---------------------------------------------------------------- the end

    # What asyncio's own fallback of sendfile asks a transport for.

    @property
    def _protocol_paused(self):
        return self.full

    @property
    def _loop(self):
        return self.loop

    def _state(self):
        return "open" if self.left else ("open", "closing", "closed")[self.state]

    def is_closing(self):
        return self.state != TRANSPORT_OPEN

    def close(self):
        """Read no more, send what was written, and call connection_lost(None)."""
        if self.state != TRANSPORT_OPEN:
            return
        self.state = TRANSPORT_CLOSING
        if self.connection.send.ops.first == NULL:
            self.lose(None)
        else:
            self.connection.send.low = 0
            self.rewatch()

    def abort(self):
        """Drop what was not sent, reset the connection, and call connection_lost(None)."""
        self._force_close(None)

    def _force_close(self, failure):
        if self.state != TRANSPORT_LOST:
            self.lose(failure)

    cdef object fail(self, int error, str message):
        """A call of Winsock has failed."""
        try:
            oserror_raise(error)
        except OSError as failure:
            self._fatal_error(failure, message)

    def _fatal_error(self, failure, message="Fatal error on transport"):
        if isinstance(failure, OSError):
            if self.loop.get_debug():
                _logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self.loop.call_exception_handler({"message": message, "exception": failure, "transport": self,
                                              "protocol": self.protocol})
        self._force_close(failure)

    cdef object lose(self, object failure):
        self.state = TRANSPORT_LOST
        if self.connection != NULL:
            tcp_watch(self.connection, 0)
        self.loop.call_soon(self._connection_lost, failure, context=self.context)

    def _connection_lost(self, failure):
        cdef bint whole = self.connection != NULL and self.connection.send.ops.first == NULL
        try:
            if self.made:
                self.protocol.connection_lost(failure)
        finally:
            self.get_extra_info("peername"), self.get_extra_info("sockname")    # they are known ever after
            self.release(0 if failure is None and whole else CLOSER_ABORT)
            server, loop = self.server, self.loop
            self.protocol = self.receive = self.run = self.context = self.server = None
            loop._living.discard(self)
            if server is not None:
                loop._detach(server, self)

    def _abandon(self):
        """The loop is closed: the engine sends what was written, and closes the connection. Nobody is told."""
        self.left = self.state == TRANSPORT_OPEN
        self.state = TRANSPORT_LOST
        self.release(0)

    cdef int release(self, int flags) except -1:
        """Give the connection to the engine, which closes it."""
        cdef Connection *connection = self.connection
        if connection == NULL:
            return 0
        self.connection = NULL
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

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol
        self.receive = None if isinstance(protocol, _BufferedProtocol) else protocol.data_received

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
