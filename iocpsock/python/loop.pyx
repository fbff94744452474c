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


cdef struct LoopInterrupt:          # a registered wait for Ctrl-C
    HANDLE wait                     # NULL: none
    LONG signalled
    Port *port


cdef void loop_signalled(void *argument, unsigned char timed_out) noexcept nogil:
    """Ctrl-C: end the loop's wait. On a thread of the system's."""
    cdef LoopInterrupt *interrupt = <LoopInterrupt *>argument
    InterlockedExchange(&interrupt.signalled, 1)
    port_wake(interrupt.port)


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
    cdef LoopInterrupt interrupt
    cdef bint main                  # it runs in the thread that runs signal handlers

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
            self.end()
            raise MemoryError("no completion port for an event loop")
        error = poll_open(self.port)
        if error:
            self.end()
            oserror_raise(error)

    def __dealloc__(self):
        self.end()

    def _end(self):
        """Give up the port. What is still being sent is sent by the engine."""
        self.end()

    cdef int end(self) except -1:
        """As `_end`. At the end of the interpreter a class may have lost its methods already."""
        if self.consumer != NULL:
            consumer_close(self.consumer)
            source_drain(self.consumer)
            consumer_drop(self.consumer)
            self.consumer = NULL
        if self.port != NULL:
            with nogil:
                completion_inherit(self.port)
            self.port = NULL
        return 0

    def _begin(self):
        """The loop starts to run, on the calling thread. In the main thread Ctrl-C ends its waits."""
        self.main = interrupt_is_for_us()
        self.interrupt.port = self.port
        if self.main and python_sigint_event != NULL:
            self.listen()

    cdef object listen(self):
        """Wait for Ctrl-C once. The event may be set still by a signal that was handled long ago: then this
        ends one wait of the loop for nothing."""
        if not RegisterWaitForSingleObject(&self.interrupt.wait, python_sigint_event(), <void *>loop_signalled,
                                           &self.interrupt, INFINITE,
                                           WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE):
            self.interrupt.wait = NULL
            oserror_raise(error_from_win32(GetLastError()))

    def _rest(self):
        """The loop runs no more, for now."""
        self.main = False
        if self.interrupt.wait != NULL:
            with nogil:
                UnregisterWaitEx(self.interrupt.wait, INVALID_HANDLE_VALUE)     # waits for the callback
            self.interrupt.wait = NULL

    cdef object signals(self):
        """Run the handlers of signals that have come."""
        if InterlockedExchange(&self.interrupt.signalled, 0):
            ResetEvent(python_sigint_event())               # before the handlers: the next signal sets it
            self._rest()
            self.main = True
            self.listen()
        loop_run_handlers()

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
        if self.main and python_sigint_event == NULL:
            milliseconds = min(milliseconds, <DWORD>INTERRUPT_TICK)
        self.consumer.thread = GetCurrentThreadId()
        if consumer_has_ready(self.consumer):
            milliseconds = 0
        with nogil:
            port_drain(self.port, milliseconds)
        InterlockedExchange(&self.waking, 0)
        if self.main:
            self.signals()
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
