# Process: tells the consumer when a process has ended.
#
# The system waits for the process's handle, on a thread of its own, which only marks the source as ready.
# Owner: the runtime holds one reference, which process_close consumes. The handle stays the runtime's, open
# until then.
# Threads: process_ended runs on a thread of the system's; the others on any, without the lock.

cdef struct Process:
    Source source                   # first: a Source * to it is the Process *
    HANDLE wait                     # the registered wait
    bint ended


cdef Process *process_new(Port *port) noexcept nogil:
    """A process that is not waited for yet, or NULL if out of memory."""
    cdef Process *process = <Process *>memory_new(sizeof(Process))
    if process == NULL:
        return NULL
    port_hold(port)
    source_init(&process.source, SOURCE_PROCESS, port, process_release)
    counter_born(COUNTER_processes)
    return process


cdef void process_release(Source *source) noexcept nogil:
    counter_gone(COUNTER_processes)
    port_drop(source.port)
    memory_free(source, sizeof(Process))


cdef int process_watch(Process *process, HANDLE handle) noexcept nogil:
    """Notify the consumer of READY_READ when the process ends, once: 0 or a Win32 code."""
    process.source.interest = READY_READ
    if RegisterWaitForSingleObject(&process.wait, handle, <void *>process_ended, process, INFINITE,
                                   WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE):
        return 0
    process.wait = NULL
    return <int>GetLastError()


cdef void process_ended(void *argument, unsigned char timed_out) noexcept nogil:
    """The handle is signalled. The runtime's reference lasts until this has returned (process_close)."""
    cdef Process *process = <Process *>argument
    source_lock(&process.source)
    process.ended = True
    source_unlock_changed(&process.source, READY_READ)


cdef void process_close(Process *process) noexcept nogil:
    """Wait no more: consumes the runtime's reference. Blocks while process_ended runs."""
    if process.wait != NULL:
        UnregisterWaitEx(process.wait, INVALID_HANDLE_VALUE)
    source_attach(&process.source, NULL)
    source_drop(&process.source)
