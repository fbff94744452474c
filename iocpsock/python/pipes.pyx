# Pipes: a pipe of an event loop, as asyncio's protocols know it: to read from, to write to, or both.
#
# A shell around a pipe of the engine, as python/transport.pyx is one around a connection, with the same
# states. A pipe that is only written to is read from as well, which tells when its other end is closed.
# Owner: the loop keeps a reference until connection_lost, and ends what is left when it closes (_abandon).
# The transport owns the engine's pipe and the pipe object, which owns the handle and is closed after the
# engine's pipe. Threads: the loop's.

cdef class _PipeTransport(_Notified):
    cdef _Loop loop
    cdef Pipe *pipe                 # NULL: gone
    cdef object file                # the pipe object
    cdef dict extra
    cdef object listening           # called with an exception or None when a client has come, or None
    cdef object protocol
    cdef object receive             # data_received, or None for a BufferedProtocol
    cdef object context             # in which the protocol's methods run ...
    cdef object run                 # ... by this method of it
    cdef int state
    cdef bint readable, writable
    cdef bint begun                 # reading may start
    cdef bint paused                # by pause_reading
    cdef bint over                  # the end of the stream was received
    cdef bint full                  # pause_writing was called
    cdef size_t high, low
    cdef int lost_writes

    def __cinit__(self, *arguments, **options):
        self.high, self.low = TRANSPORT_HIGH, TRANSPORT_LOW
        self.extra = {}

    def __dealloc__(self):
        if self.pipe != NULL:                   # with its loop, which was never closed
            self.pipe.source.context = NULL
            pipe_close(self.pipe)

    def _open(self, _Loop loop, file):
        """Take over a pipe object with an overlapped handle."""
        cdef HANDLE handle = <HANDLE><size_t>file.fileno()
        cdef int error = 0
        self.pipe = pipe_new(loop.port, handle, &error)
        if self.pipe == NULL:
            oserror_raise(error)
        self.loop, self.file = loop, file
        self.pipe.low = self.low
        self.pipe.source.context = <void *>self
        source_attach(&self.pipe.source, loop.consumer)
        loop._pipes.add(self)

    def _listen(self, arrived):
        """Call arrived(None) when a client has connected to this instance of a named pipe, or
        arrived(exception)."""
        cdef int error
        self.listening = arrived
        self.context = _contextvars.copy_context()
        error = pipe_listen(self.pipe)
        if error:
            oserror_raise(error)

    def _start(self, protocol, waiter, bint readable, bint writable, extra):
        """Begin. Whoever awaits `waiter` goes on between connection_made and the first data_received."""
        self.readable, self.writable = readable, writable
        self.pipe.discards = not readable
        self.extra.update(extra or {})
        self.extra["pipe"] = self.file
        self.context = _contextvars.copy_context()
        self.run = self.context.run
        self.set_protocol(protocol)
        self.loop.call_soon(self._begin, waiter, context=self.context)

    def _begin(self, waiter):
        if self.protocol is None:               # abandoned
            return
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
        if self.pipe == NULL or self.state == TRANSPORT_LOST:
            return 0
        if self.reads():
            interest = READY_READ
        if self.full or self.state == TRANSPORT_CLOSING:
            interest |= READY_WRITE
        pipe_watch(self.pipe, interest)
        return 0

    cdef bint reads(self):
        return self.state == TRANSPORT_OPEN and self.begun and not self.paused and not self.over

    cdef object notified(self):
        cdef int ready
        if self.pipe == NULL or self.state == TRANSPORT_LOST:
            return
        if self.listening is not None:
            self.arrived()
            return
        ready = self.ready()
        if ready & READY_READ and self.reads():
            self.read()
        if self.pipe != NULL and self.state != TRANSPORT_LOST and ready & READY_WRITE:
            self.written()
        if self.pipe != NULL and self.state != TRANSPORT_LOST and self.ready():
            consumer_push(self.loop.consumer, &self.pipe.source)

    cdef object arrived(self):
        """The wait for a client has ended, most likely."""
        cdef bint connected = False
        cdef int error = pipe_take_client(self.pipe, &connected)
        if not connected:
            return
        failure = self.failure(error) if error else None
        listening, self.listening = self.listening, None
        self.loop.call_soon(listening, failure, context=self.context)

    cdef int ready(self):
        """READY_ bits that hold and are wanted."""
        cdef int ready
        source_lock(&self.pipe.source)
        ready = pipe_ready(self.pipe) & self.pipe.source.interest
        source_unlock(&self.pipe.source)
        return ready

    # ---------------------------------------------------------------- reading

    cdef object read(self):
        """Give the protocol what has come."""
        cdef int rounds = 0
        cdef bint over = False, held
        while self.reads() and not over and rounds < TRANSPORT_READS:
            rounds += 1
            source_lock(&self.pipe.source)
            over = self.pipe.over and self.pipe.held == NULL
            held = self.pipe.held != NULL
            source_unlock(&self.pipe.source)
            if over:
                self.end()
            elif not held:
                return
            else:
                try:
                    self.read_buffered() if self.receive is None else self.read_bytes()
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as failure:
                    name = "buffer_updated" if self.receive is None else "data_received"
                    self._fatal_error(failure, f"Fatal error: protocol.{name}() call failed.")

    cdef object read_bytes(self):
        cdef DWORD size = pipe_unread(self.pipe)            # `held` changes on this thread only
        data = PyBytes_FromStringAndSize(NULL, size)
        source_lock(&self.pipe.source)
        pipe_read(self.pipe, PyBytes_AsString(data), size)
        source_unlock(&self.pipe.source)
        self.run(self.receive, data)

    cdef object read_buffered(self):
        cdef Py_buffer view
        cdef DWORD count
        buffer = self.run(self.protocol.get_buffer, -1)
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            if not view.len:
                raise RuntimeError("get_buffer() returned an empty buffer")
            source_lock(&self.pipe.source)
            count = pipe_read(self.pipe, <char *>view.buf, <DWORD>min(view.len, TRANSPORT_READ))
            source_unlock(&self.pipe.source)
        finally:
            PyBuffer_Release(&view)
        self.run(self.protocol.buffer_updated, count)

    cdef object end(self):
        """The other end was closed, or reading has failed."""
        self.over = True
        if self.pipe.read_error:
            self.fail(self.pipe.read_error, "Fatal read error on pipe transport")
        elif self.readable:
            self.end_of_stream()
        elif self.pipe.bytes:
            self._force_close(BrokenPipeError())
        else:
            self.close()
        self.rewatch()

    cdef object end_of_stream(self):
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

    def is_reading(self):
        """Whether the protocol gets data: not after `pause_reading`, `close` or the end of the stream."""
        return self.readable and not self.paused and self.state == TRANSPORT_OPEN

    def pause_reading(self):
        if self.readable and self.state == TRANSPORT_OPEN and not self.paused:
            self.paused = True
            self.rewatch()

    def resume_reading(self):
        if self.state == TRANSPORT_OPEN and self.paused:
            self.paused = False
            self.rewatch()

    # ---------------------------------------------------------------- writing

    def write(self, data):
        """Write bytes, a bytearray or a memoryview, now or later, from a copy."""
        cdef Py_buffer view
        cdef int error
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__}")
        if not self.writable:
            raise RuntimeError("the transport is only read from")
        if not data:
            return
        if self.state == TRANSPORT_LOST or self.pipe == NULL:
            self.lost_writes += 1
            if self.lost_writes > _LOST_WRITES:
                _logger.warning("pipe write() after the pipe was lost.")
            return
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        source_lock(&self.pipe.source)
        error = pipe_write(self.pipe, <const char *>view.buf, <size_t>view.len)
        source_unlock(&self.pipe.source)
        PyBuffer_Release(&view)
        if error:
            self.fail(error, "Fatal write error on pipe transport")
        else:
            self.check_high()

    cdef object check_high(self):
        if not self.full and self.pipe != NULL and self.pipe.bytes > self.high:
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
        """The queue has become short, or a write has failed."""
        if self.pipe.write_error:
            self.fail(self.pipe.write_error, "Fatal write error on pipe transport")
            return
        if self.full and self.pipe.bytes <= self.pipe.low:
            self.full = False
            self.tell("resume_writing", True)
        if self.pipe != NULL:
            if self.state == TRANSPORT_CLOSING and self.pipe.bytes == 0:
                self.lose(None)
            else:
                self.rewatch()

    def get_write_buffer_size(self):
        """Bytes that the system has not taken yet."""
        return self.pipe.bytes if self.pipe != NULL and self.state != TRANSPORT_LOST else 0

    def get_write_buffer_limits(self):
        """(low, high): the water marks in bytes."""
        return self.low, self.high

    def set_write_buffer_limits(self, high=None, low=None):
        """pause_writing is called above `high` bytes (default 65536, or four times `low`), resume_writing at
        `low` (default a quarter of `high`)."""
        if high is None:
            high = TRANSPORT_HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high, self.low = high, low
        if self.pipe != NULL and self.state == TRANSPORT_OPEN:
            self.pipe.low = low
        self.check_high()

    # ---------------------------------------------------------------- the end

    @property
    def _protocol_paused(self):
        return self.full

    def _state(self):
        return ("open", "closing", "closed")[self.state]

    def is_closing(self):
        return self.state != TRANSPORT_OPEN or self.pipe == NULL

    def close(self):
        """Read no more, write what is queued, and call connection_lost(None)."""
        if self.state != TRANSPORT_OPEN or self.pipe == NULL:
            return
        self.state = TRANSPORT_CLOSING
        if self.pipe.write_error:               # it is not reported yet
            self.fail(self.pipe.write_error, "Fatal write error on pipe transport")
        elif self.pipe.bytes == 0:
            self.lose(None)
        else:
            self.pipe.low = 0
            self.rewatch()

    def abort(self):
        """Drop what is queued, and call connection_lost(None)."""
        self._force_close(None)

    def _abandon(self):
        """The loop is closing: close the pipe, without a call of the protocol."""
        self.protocol = self.receive = self.run = self.context = self.listening = None
        self.release()

    def _force_close(self, failure):
        if self.state != TRANSPORT_LOST and self.pipe != NULL:
            self.lose(failure)

    cdef object failure(self, int error):
        """The exception for a Win32 code."""
        try:
            oserror_raise(error)
        except OSError as failure:
            return failure

    cdef object fail(self, int error, str message):
        self._fatal_error(self.failure(error), message)

    def _fatal_error(self, failure, message="Fatal error on pipe transport"):
        if isinstance(failure, OSError):
            if self.loop.get_debug():
                _logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self.loop.call_exception_handler({"message": message, "exception": failure, "transport": self,
                                              "protocol": self.protocol})
        self._force_close(failure)

    cdef object lose(self, object failure):
        self.state = TRANSPORT_LOST
        pipe_watch(self.pipe, 0)
        self.loop.call_soon(self._connection_lost, failure, context=self.context)

    def _connection_lost(self, failure):
        try:
            if self.protocol is not None:
                self.protocol.connection_lost(failure)
        finally:
            self.protocol = self.receive = self.run = self.context = None
            self.release()

    cdef int release(self) except -1:
        """End the engine's pipe, and close the handle."""
        cdef Pipe *pipe = self.pipe
        if pipe == NULL:
            return 0
        self.pipe = NULL
        pipe.source.context = NULL
        pipe_close(pipe)
        self.file.close()
        self.loop._pipes.discard(self)
        return 0

    # ---------------------------------------------------------------- what it is

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol
        self.receive = None if isinstance(protocol, _BufferedProtocol) or not self.readable \
            else protocol.data_received

    def get_extra_info(self, name, default=None):
        """"pipe": the pipe object; "addr": the address of a named pipe."""
        return self.extra.get(name, default)
