# Pipes: a pipe of an event loop: to read from, to write to, or both.
#
# It is a flow on a pipe of the engine. A pipe that is only written to is read from as well, which tells when
# its other end is closed.
# Owner: the transport owns the engine's pipe and the pipe object, which owns the handle and is closed after
# the engine's pipe. The loop ends what is left when it closes (_abandon). Threads: the loop's.

cdef class _PipeTransport(_Flow):
    cdef Pipe *pipe                 # NULL: gone
    cdef object file                # the pipe object
    cdef object listening           # called with an exception or None when a client has come, or None
    cdef bint writable

    def __cinit__(self, *arguments, **options):
        self.kind = "pipe"

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
        self.loop, self.file, self.source = loop, file, &self.pipe.source
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
        """Call connection_made in the next pass."""
        self.deaf, self.writable = not readable, writable
        self.pipe.discards = not readable
        self.extra.update(extra or {})
        self.extra["pipe"] = self.file
        self.enter(self.loop, &self.pipe.source, protocol)
        self.loop.call_soon(self._begin, waiter, context=self.context)

    def _refuse(self, _Loop loop, file, protocol, waiter, extra, failure):
        """The handle cannot be read: asyncio tells the protocol, as of any other failure."""
        self.file = file
        self.extra.update(extra or {})
        self.extra["pipe"] = file
        self.enter(loop, NULL, protocol)
        loop.call_soon(self._begin, waiter, context=self.context)
        loop.call_soon(self._connection_lost, failure, context=self.context)

    # ---------------------------------------------------------------- what a flow asks for

    cdef int watch(self, int interest) except -1:
        pipe_watch(self.pipe, interest)
        return 0

    cdef int holds(self) noexcept:
        return pipe_ready(self.pipe)

    cdef size_t unsent(self) noexcept:
        return self.pipe.bytes

    cdef bint is_sent(self) noexcept:
        return self.pipe.bytes == 0

    cdef int send_error(self) noexcept:
        return self.pipe.write_error

    cdef int set_low(self, size_t low) except -1:
        self.pipe.low = low
        return 0

    cdef int put(self, const char *data, size_t size) except -1:
        return pipe_write(self.pipe, data, size)

    cdef object check_writable(self):
        if not self.writable:
            raise RuntimeError("the transport is only read from")

    # ---------------------------------------------------------------- a client of a named pipe

    cdef object notified(self):
        if self.listening is None:
            _Flow.notified(self)
        elif self.is_live():
            self.arrived()

    cdef object arrived(self):
        """The wait for a client has ended, most likely."""
        cdef bint connected = False
        cdef int error = pipe_take_client(self.pipe, &connected)
        if not connected:
            return
        failure = self.failure(error) if error else None
        listening, self.listening = self.listening, None
        self.loop.call_soon(listening, failure, context=self.context)

    # ---------------------------------------------------------------- reading

    cdef object read(self):
        cdef int rounds = 0
        cdef bint over = False, held
        while self.reads() and not over and rounds < FLOW_READS:
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
                    self.failed("buffer_updated" if self.receive is None else "data_received", failure)

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
            count = pipe_read(self.pipe, <char *>view.buf, <DWORD>min(view.len, FLOW_READ))
            source_unlock(&self.pipe.source)
        finally:
            PyBuffer_Release(&view)
        self.run(self.protocol.buffer_updated, count)

    cdef object end(self):
        """The other end was closed, or reading has failed."""
        self.over = True
        if self.pipe.read_error:
            self.fail(self.pipe.read_error, "Fatal read error on pipe transport")
        elif not self.deaf:
            self.end_of_stream()
        elif self.pipe.bytes:
            self._force_close(BrokenPipeError())
        else:
            self.close()
        self.rewatch()

    # ---------------------------------------------------------------- the end

    def _abandon(self):
        """The loop is closing: close the pipe, without a call of the protocol."""
        self.listening = None
        self.leave(0)

    cdef int release(self, int flags) except -1:
        """End the engine's pipe, and close the handle."""
        cdef Pipe *pipe = self.pipe
        if pipe != NULL:
            self.pipe, self.source = NULL, NULL
            pipe.source.context = NULL
            pipe_close(pipe)
            self.loop._pipes.discard(self)
        if self.file is not None:
            self.file.close()
        return 0
