# Loop: the port of an event loop, which the loop's thread drains, and what it does with a ready source.
#
# One wait serves everything: transports, listeners, polls, and calls from other threads, which post a packet.
# The wait runs without the GIL. Then each ready source's object is called once, with the GIL. There is no
# socket pair and no helper thread.
#
# Owner: the EventLoop, which derives from this class. Its end leaves the port to the engine, which goes on
# closing the connections that are left (completion_inherit).
# Threads: the loop's, unless stated.

cdef extern from "Python.h":
    int loop_run_handlers "PyErr_CheckSignals"() except -1

cdef enum:
    LOOP_PASS = 128                 # sources that are served before callbacks run again


cdef class _Notified:
    """The object of a source that belongs to a loop. `source.context` refers to it without a reference: it
    clears that when it goes."""

    cdef object notified(self):
        """The source is ready. Raises nothing but SystemExit and KeyboardInterrupt."""


cdef void loop_wake(void *argument) noexcept nogil:
    port_wake(<Port *>argument)


cdef class _Loop:
    cdef Port *port
    cdef Consumer *consumer
    cdef LONG waking                # a packet that ends the wait is on its way
    cdef HANDLE interrupt           # the registered wait for Ctrl-C, or NULL

    def __cinit__(self, *arguments, **options):
        cdef int error = winsock_start()
        if not error:
            error = completion_pin()
        if error:
            oserror_raise(error)
        self.port = port_new()
        if self.port != NULL:
            self.consumer = consumer_new(loop_wake, self.port)
        if self.consumer == NULL:
            self._end()
            raise MemoryError("no completion port for an event loop")
        error = poll_open(self.port)
        if error:
            self._end()
            oserror_raise(error)

    def __dealloc__(self):
        self._end()

    def _end(self):
        """Give up the port. What is still being sent is sent by the engine."""
        if self.consumer != NULL:
            consumer_close(self.consumer)
            source_drain(self.consumer)
            consumer_drop(self.consumer)
            self.consumer = NULL
        if self.port != NULL:
            with nogil:
                completion_inherit(self.port)
            self.port = NULL

    def _wake(self):
        """End the wait, this one or the next. Any thread."""
        if self.port != NULL and not InterlockedExchange(&self.waking, 1):
            port_wake(self.port)

    def _drain(self, timeout):
        """Wait at most `timeout` seconds (None: for ever) until something is ready, and serve it."""
        cdef DWORD milliseconds = INFINITE
        cdef int count = 0
        cdef Source *source
        if timeout is not None:
            milliseconds = 0 if timeout <= 0 else interrupt_milliseconds(timeout)
        self.consumer.thread = GetCurrentThreadId()
        if consumer_has_ready(self.consumer):
            milliseconds = 0
        with nogil:
            port_drain(self.port, milliseconds)
        InterlockedExchange(&self.waking, 0)
        loop_run_handlers()
        while count < LOOP_PASS:
            source = source_next(self.consumer)
            if source == NULL:
                break
            count += 1
            try:
                if source.context != NULL:
                    (<_Notified><object>source.context).notified()
            finally:
                source_drop(source)
