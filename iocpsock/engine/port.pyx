# Port: the engine's completion port and the threads that drain it; also the engine's start, once per process.
#
# Owner: the process. The port and its threads live until it ends. The DLL is pinned, because a completion
# thread may be executing in it at any time. Nothing runs in DllMain. At process exit Windows terminates the
# threads wherever they are; so they hold no lock across a call out and own nothing that must be written back.
# Threads: port_thread is the completion thread. There are two at first. Whenever all are busy, one more is
# started, up to one per CPU or the setting `threads`. A completion thread blocks only in the dequeue, never
# calls Tcl or Python, and checks the timers between batches.

cdef enum:
    PORT_BATCH = 16                 # packets per dequeue; small, because a slow packet delays the others of
                                    # its batch
    PORT_THREADS = 2                # completion threads at the start
    PORT_TICK = 100                 # milliseconds between checks of the timers, while any is armed
    PORT_STACK = 262144             # bytes of stack reserved for each completion thread
    PORT_KEY = 0x10C9               # the completion key of every handle that the engine associates

cdef struct Port:
    HANDLE handle
    LONG started
    LONG limit                      # of completion threads
    LONG threads                    # completion threads that exist
    LONG busy                       # completion threads that are processing packets
    SRWLOCK lock                    # serialises the start

cdef Port port


cdef int port_open() noexcept nogil:
    """Pin the DLL, create the port and start its threads: 0 or a Winsock code."""
    cdef HMODULE module
    cdef int error
    cdef LONG index
    port.limit = settings_of_process(SETTING_threads)
    if port.limit == 0:
        port.limit = <LONG>GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)
    if port.limit < 1:
        port.limit = 1
    if not GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                              <const WCHAR *>&port_thread, &module):
        return error_from_win32(GetLastError())
    port.handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0)
    if port.handle == NULL:
        return error_from_win32(GetLastError())
    for index in range(min(port.limit, <LONG>PORT_THREADS)):
        error = port_add_thread()
        if error and index == 0:
            CloseHandle(port.handle)
            return error
    return 0                                                # fewer threads than CPUs still serve every packet


cdef int port_add_thread() noexcept nogil:
    """Start one more thread, unless the limit is reached: 0 or a Winsock code."""
    cdef HANDLE thread
    cdef int error
    if InterlockedIncrement(&port.threads) > port.limit:
        InterlockedDecrement(&port.threads)
        return 0
    thread = CreateThread(NULL, PORT_STACK, <void *>&port_thread, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION,
                          NULL)
    if thread == NULL:
        error = error_from_win32(GetLastError())
        InterlockedDecrement(&port.threads)
        return error
    CloseHandle(thread)
    counter_add(COUNTER_threads, 1)
    return 0


cdef int port_start() noexcept nogil:
    """Start Winsock and the port once per process, on the first call: 0 or a Winsock code."""
    cdef int error = 0
    if flag_is_set(&port.started):
        return 0
    AcquireSRWLockExclusive(&port.lock)
    if not port.started:
        error = winsock_start()
        if not error:
            error = port_open()
        if not error:                                       # the next caller retries a failed start
            flag_set(&port.started)
    ReleaseSRWLockExclusive(&port.lock)
    return error


cdef int port_associate_listener(SOCKET sock) noexcept nogil:
    """Associate a listening socket with the port for life: 0 or a Winsock code. Every AcceptEx on it queues a
    packet."""
    if CreateIoCompletionPort(<HANDLE>sock, port.handle, PORT_KEY, 0) == NULL:
        return error_from_win32(GetLastError())
    return 0


cdef int port_associate(SOCKET sock) noexcept nogil:
    """Associate `sock` with the port for life and make it non-blocking for direct calls: 0 or a Winsock code.
    An operation that succeeds at once queues no packet (see port_posts_packet)."""
    if CreateIoCompletionPort(<HANDLE>sock, port.handle, PORT_KEY, 0) == NULL:
        return error_from_win32(GetLastError())
    if winsock.is_ifs and not SetFileCompletionNotificationModes(
            <HANDLE>sock, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE):
        return error_from_win32(GetLastError())
    return winsock_nonblocking(sock)


cdef inline bint port_posts_packet() noexcept nogil:
    """After an overlapped call that succeeded at once: is a packet queued all the same?"""
    return not winsock.is_ifs


cdef DWORD port_thread(void *unused) noexcept nogil:
    """The body of a completion thread."""
    cdef OVERLAPPED_ENTRY entries[PORT_BATCH]
    cdef ULONG count
    while True:
        count = 0
        if GetQueuedCompletionStatusEx(port.handle, entries, PORT_BATCH, &count,
                                       PORT_TICK if timers.count else INFINITE, FALSE):
            if InterlockedIncrement(&port.busy) >= port.threads and port.threads < port.limit:
                port_add_thread()
            port_dispatch(entries, count)
            InterlockedDecrement(&port.busy)
        if timers.count:
            port_tick()
    return 0


cdef void port_dispatch(OVERLAPPED_ENTRY *entries, ULONG count) noexcept nogil:
    """Dispatch a batch of packets."""
    cdef ULONG index
    cdef Op *op
    for index in range(count):
        op = <Op *>entries[index].lpOverlapped
        if op != NULL and entries[index].lpCompletionKey == PORT_KEY and op.magic == OP_MAGIC:
            op_dispatch(op)


cdef void port_tick() noexcept nogil:
    """Expire due timers, at most once every PORT_TICK milliseconds."""
    cdef ULONGLONG now = GetTickCount64()
    if now - timers.last_tick >= PORT_TICK:
        timers.last_tick = now                           # a race here only causes one extra check
        timer_tick(now)


cdef void port_timer(Timer *timer, Source *source, DWORD milliseconds, timer_proc expire) noexcept nogil:
    """Arm a timer. The packet wakes one completion thread from its unlimited wait. If the system has no
    memory for that packet, the next packet of any kind wakes one."""
    if timer_arm(timer, source, milliseconds, expire):
        PostQueuedCompletionStatus(port.handle, 0, PORT_KEY, NULL)
