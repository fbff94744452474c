# Interrupt: Ctrl-C ends a wait on the engine at once.
#
# CPython sets an event at each SIGINT, so that a wait of the main thread can include it. The event may be left over from a
# signal that was handled long ago: then the wait finds out, and goes on. It is cleared before the handlers are asked, so
# that a signal that comes between is seen by the next wait. A handler that raises ends the call with its exception; after one
# that returns the call waits for the rest of its time (PEP 475).
# Owner: CPython, of the event. Threads: the main thread; all others wait without.

from cpython.object cimport PyObject

cdef extern from "python_signals.h":
    int _PyOS_IsMainThread()
    HANDLE _PyOS_SigintEvent()

cdef extern from "Python.h":
    int interrupt_run_handlers "PyErr_CheckSignals"()       # without Cython's check: the exception is for the end of the call
    void *interrupt_exception "PyErr_Occurred"()
    void interrupt_fetch "PyErr_Fetch"(PyObject **kind, PyObject **value, PyObject **trace)
    void interrupt_restore "PyErr_Restore"(PyObject *kind, PyObject *value, PyObject *trace)
    int Py_AddPendingCall(int (*function)(void *) noexcept, void *argument)

cdef struct Interruption:           # an exception that waits for the end of a call
    PyObject *kind
    PyObject *value
    PyObject *trace

cdef Interruption interruption      # the main thread's


cdef bint interrupt_ends_call() noexcept with gil:
    """Run the signal handlers. True if one has raised: its exception is then this thread's, until interrupt_raise."""
    ResetEvent(_PyOS_SigintEvent())
    return interrupt_run_handlers() != 0


cdef bint interrupt_ends_call_with_data() noexcept with gil:
    """As interrupt_ends_call, for a call that has something to return: the exception is raised right after it. If it cannot
    be put off, it stays this thread's, until interrupt_raise."""
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
    """Raise what the handler has raised."""
    return -1 if interrupt_exception() != NULL else 0


cdef void patience_of(Patience *patience, object timeout):
    """Begin a call with a time-out in seconds, or None."""
    patience_begin(patience, milliseconds_of(timeout))
    patience.interrupt = _PyOS_SigintEvent() if _PyOS_IsMainThread() else NULL
    patience.interrupted = interrupt_ends_call


cdef DWORD milliseconds_of(object timeout):
    """A time-out in seconds, or None, as the engine counts; rounded up, so that it never ends early."""
    if timeout is None:
        return PATIENCE_FOREVER
    return <DWORD>min(int(timeout * 1000) + 1, 0x7FFFFFFF)
