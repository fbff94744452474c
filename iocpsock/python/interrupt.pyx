# Interrupt: Ctrl-C ends a wait on the engine at once.
#
# CPython sets an event at each SIGINT, and a wait of the main thread includes that event. The event may still
# be set by a signal that was handled long ago. The wait then finds no signal, and goes on. The wait resets
# the event before it runs the signal handlers, so a signal that arrives in between ends the next wait. If a
# handler raises, the call ends with its exception. If it returns, the call waits for the rest of its time
# (PEP 475).
# A future Python may not give access to its event. There a periodic timer replaces the event, and a wait of
# the main thread checks for a signal at each tick.
# Owner: CPython owns the event, the process the timer. Threads: the main thread. All others wait without the
# event.

import threading as _threading
from cpython.object cimport PyObject

cdef extern from "python_signals.h":
    int (*python_is_main_thread)()
    HANDLE (*python_sigint_event)()

cdef enum:
    INTERRUPT_TICK = 100            # milliseconds

cdef HANDLE interrupt_ticks         # the timer, from the first wait that needs it until the process ends

cdef extern from "Python.h":
    # Declared without Cython's exception check: the exception is raised at the end of the call.
    int interrupt_run_handlers "PyErr_CheckSignals"()
    void *interrupt_exception "PyErr_Occurred"()
    void interrupt_fetch "PyErr_Fetch"(PyObject **kind, PyObject **value, PyObject **trace)
    void interrupt_restore "PyErr_Restore"(PyObject *kind, PyObject *value, PyObject *trace)
    int Py_AddPendingCall(int (*function)(void *) noexcept, void *argument)

cdef struct Interruption:           # an exception that is raised after the end of a call
    PyObject *kind
    PyObject *value
    PyObject *trace

cdef Interruption interruption      # the main thread's


cdef bint interrupt_ends_call() noexcept with gil:
    """Run the signal handlers. True if one has raised: its exception is then set in this thread, until
    interrupt_raise."""
    if python_sigint_event != NULL:                         # the wait has reset the timer already
        ResetEvent(python_sigint_event())
    return interrupt_run_handlers() != 0


cdef bint interrupt_ends_call_with_data() noexcept with gil:
    """As interrupt_ends_call, for a call that has data to return: CPython raises the exception right after
    the call. If it cannot be postponed, it stays set in this thread, until interrupt_raise."""
    if not interrupt_ends_call():
        return False
    if interruption.kind == NULL and Py_AddPendingCall(interrupt_raise_late, NULL) == 0:
        interrupt_fetch(&interruption.kind, &interruption.value, &interruption.trace)
    return True


cdef int interrupt_raise_late(void *ignored) noexcept with gil:
    cdef Interruption late = interruption
    memset(&interruption, 0, sizeof(interruption))
    interrupt_restore(late.kind, late.value, late.trace)
    return -1


cdef int interrupt_raise() except -1:
    """Raise the exception of the handler, if there is one."""
    return -1 if interrupt_exception() != NULL else 0


cdef bint interrupt_is_for_us():
    """Whether the calling thread is the one in which signal handlers run."""
    if python_is_main_thread != NULL:
        return python_is_main_thread()
    return _threading.get_ident() == _threading.main_thread().ident


cdef HANDLE interrupt_event() except NULL:
    """Return the handle that is signalled when a signal may have come."""
    if python_sigint_event != NULL:
        return python_sigint_event()
    if interrupt_ticks == NULL:
        interrupt_start_ticking()
    return interrupt_ticks


cdef int interrupt_start_ticking() except -1:
    cdef LARGE_INTEGER due
    cdef HANDLE timer = CreateWaitableTimerExW(NULL, NULL, 0, SYNCHRONIZE | TIMER_MODIFY_STATE)
    global interrupt_ticks
    due.QuadPart = -INTERRUPT_TICK * 10_000                 # from now, in units of 100 ns
    if timer == NULL or not SetWaitableTimer(timer, &due, INTERRUPT_TICK, NULL, NULL, FALSE):
        oserror_raise(WSAENOBUFS)
    interrupt_ticks = timer
    return 0


cdef void interrupt_timeout(Timeout *limit, object timeout):
    """Begin a call with a timeout in seconds, or None."""
    timeout_begin(limit, interrupt_milliseconds(timeout))
    limit.interrupt = interrupt_event() if interrupt_is_for_us() else NULL
    limit.interrupted = interrupt_ends_call
    limit.asks = True


cdef DWORD interrupt_milliseconds(object timeout):
    """Convert a timeout in seconds, or None, to the engine's; rounded up, so that it never ends early."""
    if timeout is None:
        return TIMEOUT_FOREVER
    return <DWORD>min(int(timeout * 1000) + 1, 0x7FFFFFFF)
