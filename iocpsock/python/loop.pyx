# Loop: the port of an event loop, which the loop's thread drains, and what it does with a ready source.
#
# One wait serves everything: transports, listeners, polls, and calls from other threads, which post a packet.
# The wait runs without the GIL. Then each ready source's object is called once, with the GIL. There is no
# socket pair and no helper thread.
#
# Owner: the EventLoop, which derives from this class. Its end leaves the port to the engine, which goes on
# closing the connections that are left (completion_inherit).
# Threads: the loop's, unless stated.

from asyncio.base_events import BaseEventLoop as _BaseEventLoop, MAXIMUM_SELECT_TIMEOUT as _LOOP_LONGEST
from heapq import heappop as _heappop

cdef extern from "Python.h":
    int loop_run_handlers "PyErr_CheckSignals"() except -1

cdef enum:
    LOOP_PASS = 128                 # sources that are served before callbacks run again
    LOOP_UNPOLLED = 8               # passes without a look at the port, while callbacks are ready and there are
                                    # no pipes: the clients of a named pipe count on the server's next pass
    LOOP_EXIT_TIME = 2000           # milliseconds for unsent data when the process ends
    LOOP_CANCELLED = 100            # timers above which the stock pass may sort out cancelled ones

cdef double loop_tick               # seconds of one count of the performance counter


cdef double loop_now() noexcept nogil:
    """Seconds since some moment: the performance counter, which `time.perf_counter` shows too."""
    cdef LONGLONG count = 0
    QueryPerformanceCounter(<LARGE_INTEGER *>&count)
    return count * loop_tick


cdef struct LoopInterrupt:          # a registered wait for Ctrl-C, if the wakeup file is somebody else's
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
    cdef bint ticks                 # nothing tells it of a signal
    cdef object callbacks           # asyncio's deque of Handles that are ready
    cdef object watched             # the keys of the selector, by handle
    cdef object piped               # the pipes
    cdef int unpolled               # passes since the last look at the port
    cdef bint hosted                # another thread waits at the port, and this one makes passes

    def __cinit__(self, *arguments, **options):
        cdef LONGLONG frequency = 0
        cdef int error = winsock_start()
        global loop_tick
        QueryPerformanceFrequency(<LARGE_INTEGER *>&frequency)
        loop_tick = 1.0 / frequency
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
        cdef Port *port = self.port
        if self.consumer != NULL:
            consumer_close(self.consumer)
            source_drain(self.consumer)
            consumer_drop(self.consumer)
            self.consumer = NULL
        if port != NULL:
            self.port = NULL                                # before another thread may call _wake
            with nogil:
                completion_inherit(port)
        return 0

    cdef int check_open(self) except -1:
        if self.consumer == NULL:
            raise RuntimeError("Event loop is closed")
        return 0

    def _share(self, callbacks, watched, pipes):
        """Let a pass look at asyncio's deque of ready Handles, at the selector's keys, and at the pipes."""
        self.callbacks, self.watched, self.piped = callbacks, watched, pipes

    @cython.binding(False)
    def time(self):
        """Seconds, as a float: the clock of `call_at`."""
        return loop_now()

    @cython.binding(False)
    def _run_once(self):
        """One pass: wait for what becomes ready and serve it, then run the callbacks that are ready now."""
        self.make_pass()

    cdef object make_pass(self):
        """In debug mode, and when cancelled timers have to be sorted out, the stock pass."""
        cdef double due, now
        cdef Py_ssize_t count
        self.check_open()
        scheduled = self._scheduled
        if self._debug or len(scheduled) > LOOP_CANCELLED:
            return _BaseEventLoop._run_once(self)
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            _heappop(scheduled)._scheduled = False
        timeout = None
        if self.callbacks or self._stopping:
            timeout = 0
        elif scheduled:
            due = scheduled[0]._when
            timeout = min(max(0.0, due - loop_now()), <double>_LOOP_LONGEST)
        if self.watched:
            self._process_events(self._selector.select(timeout))
        elif timeout != 0 or self.unpolled >= LOOP_UNPOLLED or self.waking or self._stopping or self.piped \
                or self.consumer.ready.first != NULL:
            self._drain(timeout)
            self.unpolled = 0
        else:
            self.unpolled += 1
        if scheduled:
            now = loop_now() + self._clock_resolution
            while scheduled:
                handle = scheduled[0]
                due = handle._when
                if due >= now:
                    break
                _heappop(scheduled)._scheduled = False
                self.callbacks.append(handle)
        for count in range(len(self.callbacks)):
            handle = self.callbacks.popleft()
            if not handle._cancelled:
                handle._run()
        handle = None                                       # no cycle with an exception's frame

    def _begin(self):
        """The loop starts to run, on the calling thread. Returns whether handlers of signals run there."""
        self.main = interrupt_is_for_us()
        self.ticks = False
        return self.main

    def _await_interrupt(self):
        """Let Ctrl-C end a wait of the loop, once. Its event may be set still by a signal that was handled
        long ago: then this ends one wait for nothing. Without an event the loop looks every 100 ms."""
        cdef HANDLE event
        self.ticks = python_sigint_event == NULL
        if self.ticks:
            return
        event = python_sigint_event()
        self.interrupt.port = self.port
        if not RegisterWaitForSingleObject(&self.interrupt.wait, event, <void *>loop_signalled,
                                           &self.interrupt, INFINITE,
                                           WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE):
            self.interrupt.wait = NULL
            oserror_raise(error_from_win32(GetLastError()))

    cdef object end_interrupt(self):
        if self.interrupt.wait != NULL:
            with nogil:
                UnregisterWaitEx(self.interrupt.wait, INVALID_HANDLE_VALUE)     # waits for the callback
            self.interrupt.wait = NULL

    def _rest(self):
        """The loop runs no more, for now."""
        self.main = False
        self.end_interrupt()

    cdef object signals(self):
        """Run the handlers of signals that have come."""
        if InterlockedExchange(&self.interrupt.signalled, 0):
            ResetEvent(python_sigint_event())               # before the handlers: the next signal sets it
            self.end_interrupt()
            self._await_interrupt()
        loop_run_handlers()

    @cython.binding(False)
    def _wake(self):
        """End the wait, this one or the next. Any thread."""
        if self.port != NULL and not InterlockedExchange(&self.waking, 1):
            port_wake(self.port)

    @cython.binding(False)
    def _drain(self, timeout):
        """Wait at most `timeout` seconds (None: for ever) until something is ready, and serve it."""
        cdef DWORD milliseconds = INFINITE
        cdef int count = 0
        cdef Source *source
        self.check_open()
        if timeout is not None:
            milliseconds = 0 if timeout <= 0 else port_wait_time(self.port, timeout)
        if self.ticks:
            milliseconds = min(milliseconds, <DWORD>INTERRUPT_TICK)
        if self.hosted:
            milliseconds = 0
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


    # What a loop in the main loop of Tk needs (iocpsock/_hosted.py).

    def _set_hosted(self, bint hosted):
        """Whether `_wait` waits, on another thread, and `_pass` makes the passes."""
        self.hosted = hosted
        self.consumer.thread = 0

    def _wait(self, timeout):
        """Wait at most `timeout` seconds (None: for ever) for packets, and dispatch them. On any thread, while
        the loop's makes no pass."""
        cdef DWORD milliseconds = INFINITE
        self.check_open()
        if timeout is not None:
            milliseconds = 0 if timeout <= 0 else port_wait_time(self.port, timeout)
        self.consumer.thread = GetCurrentThreadId()         # what it dispatches itself need not wake it
        with nogil:
            port_drain(self.port, milliseconds)

    def _pass(self):
        """Make a pass without waiting. Returns seconds until the next one is due, None if none is."""
        self.make_pass()
        self.consumer.thread = 0                            # what wants a pass ends the wait, on this thread too
        if self.callbacks or self._stopping or consumer_has_ready(self.consumer):
            return 0
        return max(0.0, self._scheduled[0]._when - loop_now()) if self._scheduled else None


def _flush_loops():
    """The process is about to end: wait until what was written to transports is sent, for LOOP_EXIT_TIME at
    most. Their loops have given up their ports."""
    with nogil:
        tcp_flush_all(GetTickCount64() + LOOP_EXIT_TIME)
