# Flow: what the transports of connections and of pipes have in common: what asyncio's protocols know.
#
# Received bytes go from the engine's memory into one `bytes` object and to the protocol, in the pass in which
# their packet was dequeued: no future, no handle, no callback of the next pass. Whatever else asyncio does by
# a callback of the next pass (connection_made, connection_lost) is such a callback here.
#
#     OPEN --close, end of the stream--> CLOSING --all is sent--> LOST --next pass--> connection_lost
#       +------abort, an error------------------------------------^
#
# Owner: the loop keeps a reference until connection_lost. What the flow runs on is a source of the engine,
# which belongs to the derived class. Threads: the loop's.
import contextvars as _contextvars
import logging as _logging
from asyncio import BufferedProtocol as _BufferedProtocol
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES as _LOST_WRITES

cdef object _logger = _logging.getLogger("asyncio")

cdef enum:
    FLOW_HIGH = 64 * 1024           # asyncio's default water marks, bytes: high ...
    FLOW_LOW = 16 * 1024            # ... and low
    FLOW_READ = 256 * 1024          # bytes of one data_received, as asyncio's selector loop has it
    FLOW_READS = 16                 # reads of one source in a pass

cdef enum FlowState:
    FLOW_OPEN
    FLOW_CLOSING                    # no more is read; what is queued is sent
    FLOW_LOST                       # connection_lost is on its way, or was called


@cython.no_gc_clear                 # the end of a connection needs its loop and its socket object
cdef class _Flow(_Notified):
    cdef _Loop loop
    cdef Source *source             # NULL: gone
    cdef dict extra
    cdef object protocol            # None: the flow was abandoned, or connection_lost was called
    cdef object receive             # data_received, or None for a BufferedProtocol
    cdef object context             # in which the protocol's methods run ...
    cdef object run                 # ... by this method of it
    cdef str kind                   # in messages
    cdef int state
    cdef bint deaf                  # nothing is received: the protocol has no data_received
    cdef bint begun                 # reading may start
    cdef bint paused                # by pause_reading
    cdef bint over                  # the end of the stream was received
    cdef bint full                  # pause_writing was called
    cdef size_t high, low
    cdef int lost_writes

    def __cinit__(self, *arguments, **options):
        self.high, self.low = FLOW_HIGH, FLOW_LOW
        self.extra = {}

    # What each kind of source does in its own way.

    cdef int watch(self, int interest) except -1:
        """Be notified while one of these READY_ bits holds."""

    cdef int holds(self) noexcept:
        """READY_ bits that hold. With the source's lock."""

    cdef object read(self):
        """Give the protocol what was received."""

    cdef int put(self, const char *data, size_t size) except -1:
        """Send all of it, now or later: 0 or an error's code."""

    cdef size_t unsent(self) noexcept:
        """Bytes that the system has not taken yet."""

    cdef bint is_sent(self) noexcept:
        """Whether nothing is being sent."""

    cdef int send_error(self) noexcept:
        """The code of the error that ended sending, or 0."""

    cdef int set_low(self, size_t low) except -1:
        """READY_WRITE holds at so many bytes."""

    cdef int release(self, int flags) except -1:
        """Give the source to the engine, which closes it. `flags` are CLOSER_'s."""

    # ---------------------------------------------------------------- the protocol

    cdef object enter(self, _Loop loop, Source *source, object protocol):
        """The protocol's methods run in a copy of the present context."""
        self.loop, self.source = loop, source
        self.context = _contextvars.copy_context()
        self.run = self.context.run
        self.set_protocol(protocol)

    def _begin(self, waiter):
        """Whoever awaits `waiter` goes on between connection_made and the first data_received."""
        if self.protocol is None:
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

    cdef bint reads(self):
        return self.state == FLOW_OPEN and self.begun and not self.paused and not self.over

    cdef int rewatch(self) except -1:
        """Ask the engine for the events that matter now."""
        cdef int interest = 0
        if self.source == NULL or self.state == FLOW_LOST:
            return 0
        if self.reads():
            interest = READY_READ
        if self.full or self.state == FLOW_CLOSING:
            interest |= READY_WRITE
        return self.watch(interest)

    cdef bint is_live(self):
        return self.source != NULL and self.state != FLOW_LOST

    cdef object notified(self):
        cdef int ready
        if not self.is_live():
            return
        ready = self.ready()
        if ready & READY_READ and self.reads():
            self.read()
        if ready & READY_WRITE and self.is_live():
            self.written()
        if self.is_live() and self.ready():
            consumer_push(self.loop.consumer, self.source)

    cdef int ready(self):
        """READY_ bits that hold and are wanted."""
        cdef int ready
        source_lock(self.source)
        ready = self.holds() & self.source.interest
        source_unlock(self.source)
        return ready

    cdef object failed(self, str name, object failure):
        self._fatal_error(failure, f"Fatal error: protocol.{name}() call failed.")

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol
        no_bytes = self.deaf or isinstance(protocol, _BufferedProtocol)
        self.receive = None if no_bytes else protocol.data_received

    def get_extra_info(self, name, default=None):
        return self.extra.get(name, default)

    # ---------------------------------------------------------------- receiving

    cdef object end_of_stream(self):
        """The peer sends no more."""
        if self.loop.get_debug():
            _logger.debug("%r received EOF", self)
        try:
            keeps_open = self.run(self.protocol.eof_received)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self.failed("eof_received", failure)
            return
        if not keeps_open:
            self.close()

    def is_reading(self):
        """Whether the protocol gets data: not after `pause_reading`, `close` or the end of the stream."""
        return not self.deaf and not self.paused and self.state == FLOW_OPEN

    def pause_reading(self):
        """Call data_received no more until `resume_reading`."""
        if self.is_reading():
            self.paused = True
            self.rewatch()

    def resume_reading(self):
        """Call data_received again."""
        if self.state == FLOW_OPEN and self.paused:
            self.paused = False
            self.rewatch()

    # ---------------------------------------------------------------- sending

    @cython.binding(False)          # a call costs a third of what it costs with a function object
    def write(self, data):
        """Send bytes, a bytearray or a memoryview. What the system does not take is copied and sent later."""
        cdef Py_buffer view
        cdef int error
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        self.check_writable()
        if not data:
            return
        if not self.is_live():
            self.lost_writes += 1
            if self.lost_writes > _LOST_WRITES:
                _logger.warning("socket.send() raised exception.")    # asyncio's words
            return
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        source_lock(self.source)
        error = self.put(<const char *>view.buf, <size_t>view.len)
        source_unlock(self.source)
        PyBuffer_Release(&view)
        if error:
            self.fail(error, f"Fatal write error on {self.kind} transport")
        else:
            self.check_high()

    cdef object check_writable(self):
        """Raise if the transport cannot be written to."""

    def writelines(self, lines):
        """Send all of these together."""
        self.write(b"".join(lines))

    cdef object check_high(self):
        if not self.full and self.is_live() and self.unsent() > self.high:
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
            self.report(f"protocol.{name}() failed", failure)

    cdef object written(self):
        """The queue has become short, or sending has failed."""
        cdef int error = self.send_error()
        if error:
            self.fail(error, f"Fatal write error on {self.kind} transport")
            return
        if self.full and self.unsent() <= self.low:
            self.full = False
            self.tell("resume_writing", True)
        if self.state == FLOW_CLOSING and self.source != NULL and self.is_sent():
            self.lose(None)
        else:
            self.rewatch()

    def get_write_buffer_size(self):
        """Bytes that the system has not taken yet."""
        return self.unsent() if self.is_live() else 0

    def get_write_buffer_limits(self):
        """(low, high): the water marks in bytes."""
        return self.low, self.high

    def set_write_buffer_limits(self, high=None, low=None):
        """pause_writing is called above `high` bytes (default 65536, or four times `low`), resume_writing at
        `low` (default a quarter of `high`)."""
        if high is None:
            high = FLOW_HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high, self.low = high, low
        if self.source != NULL and self.state == FLOW_OPEN:
            self.set_low(low)
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
        return ("open", "closing", "closed")[self.state]

    def is_closing(self):
        return self.state != FLOW_OPEN or self.source == NULL

    def close(self):
        """Read no more, send what was written, and call connection_lost(None)."""
        if self.is_closing():
            return
        self.state = FLOW_CLOSING
        if self.send_error():                               # it is not reported yet
            self.fail(self.send_error(), f"Fatal write error on {self.kind} transport")
        elif self.is_sent():
            self.lose(None)
        else:
            self.set_low(0)
            self.rewatch()

    def abort(self):
        """Drop what was not sent, reset the connection, and call connection_lost(None)."""
        self._force_close(None)

    def _force_close(self, failure):
        if self.is_live():
            self.lose(failure)

    cdef object failure(self, int error):
        """The exception for an error's code."""
        try:
            oserror_raise(error)
        except OSError as failure:
            return failure

    cdef object fail(self, int error, str message):
        """A call of the system has failed."""
        self._fatal_error(self.failure(error), message)

    cdef object report(self, str message, object failure):
        self.loop.call_exception_handler({"message": message, "exception": failure, "transport": self,
                                          "protocol": self.protocol})

    def _fatal_error(self, failure, message="Fatal error on transport"):
        if not isinstance(failure, OSError):
            self.report(message, failure)
        elif self.loop.get_debug():
            _logger.debug("%r: %s", self, message, exc_info=failure)
        self._force_close(failure)

    cdef object lose(self, object failure):
        self.state = FLOW_LOST
        self.watch(0)
        self.loop.call_soon(self._connection_lost, failure, context=self.context)

    def _connection_lost(self, failure):
        cdef bint whole = failure is None and self.source != NULL and self.is_sent()
        try:
            if self.protocol is not None:
                self.protocol.connection_lost(failure)
        finally:
            self.leave(0 if whole else CLOSER_ABORT)

    cdef object leave(self, int flags):
        """connection_lost was called, or nobody is to be told."""
        self.release(flags)
        self.protocol = self.receive = self.run = self.context = None
