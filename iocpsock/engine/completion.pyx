# Completion: the threads that drain the process's port, and those that drain the port of a loop that has
# ended.
#
# Owner: the process. The process's port and its threads live until it ends. The DLL is pinned, because a
# completion thread may be executing in it at any time. Nothing runs in DllMain. At process exit Windows
# terminates the threads wherever they are; so they hold no lock across a call out and own nothing that must
# be written back.
# Threads: completion_thread is the completion thread. There are two at first. Whenever all are busy, one more
# is started, up to one per CPU or the setting `threads`. A completion thread blocks only in the dequeue,
# never calls Tcl or Python, and checks the timers between batches.

cdef enum:
    COMPLETION_THREADS = 2          # completion threads at the start
    COMPLETION_STACK = 262144       # bytes of stack reserved for each

cdef struct Completion:
    LONG started
    LONG limit                      # of completion threads
    LONG threads                    # completion threads that exist
    LONG busy                       # completion threads that are processing packets
    SRWLOCK lock                    # serialises the start

cdef Completion completion


cdef int completion_pin() noexcept nogil:
    """Keep the DLL for the process's life: 0 or a Winsock code."""
    cdef HMODULE module
    if GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                          <const WCHAR *>&completion_thread, &module):
        return 0
    return error_from_win32(GetLastError())


cdef int completion_open() noexcept nogil:
    """Pin the DLL, create the process's port and start its threads: 0 or a Winsock code."""
    cdef int error = completion_pin()
    cdef LONG index
    if error:
        return error
    completion.limit = settings_of_process(SETTING_threads)
    if completion.limit == 0:
        completion.limit = <LONG>GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)
    if completion.limit < 1:
        completion.limit = 1
    process_port.handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0)
    if process_port.handle == NULL:
        return error_from_win32(GetLastError())
    for index in range(min(completion.limit, <LONG>COMPLETION_THREADS)):
        error = completion_add_thread()
        if error and index == 0:
            CloseHandle(process_port.handle)
            return error
    return 0                                                # fewer threads than CPUs still serve every packet


cdef int completion_create(void *body, void *argument) noexcept nogil:
    """Start a thread: 0 or a Winsock code."""
    cdef HANDLE thread = CreateThread(NULL, COMPLETION_STACK, body, argument,
                                      STACK_SIZE_PARAM_IS_A_RESERVATION, NULL)
    if thread == NULL:
        return error_from_win32(GetLastError())
    CloseHandle(thread)
    return 0


cdef int completion_add_thread() noexcept nogil:
    """Start one more thread, unless the limit is reached: 0 or a Winsock code."""
    cdef int error
    if InterlockedIncrement(&completion.threads) > completion.limit:
        InterlockedDecrement(&completion.threads)
        return 0
    InterlockedIncrement(&process_port.awake)
    error = completion_create(<void *>&completion_thread, NULL)
    if error:
        InterlockedDecrement(&process_port.awake)
        InterlockedDecrement(&completion.threads)
        return error
    counter_add(COUNTER_threads, 1)
    return 0


cdef int completion_start() noexcept nogil:
    """Start Winsock and the process's port once per process, on the first call: 0 or a Winsock code."""
    cdef int error = 0
    if flag_is_set(&completion.started):
        return 0
    AcquireSRWLockExclusive(&completion.lock)
    if not completion.started:
        error = winsock_start()
        if not error:
            error = completion_open()
        if not error:                                       # the next caller retries a failed start
            flag_set(&completion.started)
    ReleaseSRWLockExclusive(&completion.lock)
    return error


cdef DWORD completion_thread(void *unused) noexcept nogil:
    """The body of a completion thread."""
    cdef OVERLAPPED_ENTRY entries[PORT_BATCH]
    cdef ULONG count
    while True:
        count = port_dequeue(&process_port, entries, INFINITE)
        if count:
            if InterlockedIncrement(&completion.busy) >= completion.threads \
                    and completion.threads < completion.limit:
                completion_add_thread()
            port_dispatch(entries, count)
            InterlockedDecrement(&completion.busy)
        if timers.count:
            port_tick()
    return 0


cdef void completion_inherit(Port *port) noexcept nogil:
    """The loop that drained this port has ended: consumes its reference. A thread goes on draining while
    sources are left, which are being closed. Without memory for a thread the caller does it."""
    port.left = True
    MemoryBarrier()
    if port.references == 1:
        port_drop(port)
    elif completion_create(<void *>&completion_inherited, port):
        completion_inherited(port)


cdef DWORD completion_inherited(void *argument) noexcept nogil:
    """Drain a port until no source belongs to it."""
    cdef Port *port = <Port *>argument
    while port.references > 1:
        port_drain(port, INFINITE)
    port_drop(port)
    return 0
