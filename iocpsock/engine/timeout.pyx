# Timeout: how long a blocked caller waits, and what may end its wait early.
#
# A wait ends with its operation, at the deadline, or when the runtime's interrupt event is set. In the last
# case the caller asks the runtime whether the call ends; if not, it waits for the remaining time.
# Owner: the caller, on its stack, for one call. Threads: the calling thread.

cdef enum:
    TIMEOUT_FOREVER = INFINITE     # a timeout in milliseconds
    TIMEOUT_EXPIRED = WAIT_TIMEOUT  # the deadline has passed; WSAETIMEDOUT: the network's own timeout has

ctypedef bint (*timeout_proc)() noexcept nogil

cdef struct Timeout:
    ULONGLONG deadline              # of timeout_clock; 0: none
    HANDLE interrupt                # the runtime's event that also wakes the caller; NULL: none
    timeout_proc interrupted       # asks the runtime after an interrupt: true to end the call
    bint asks                       # the socket may have its own timeout: a caller that has to wait queries
                                    # it


cdef ULONGLONG timeout_clock() noexcept nogil:
    """Milliseconds since an arbitrary moment. GetTickCount64 has a resolution of 16, which would cut short
    waits even shorter."""
    cdef LARGE_INTEGER frequency, count
    QueryPerformanceFrequency(&frequency)
    QueryPerformanceCounter(&count)
    return <ULONGLONG>(count.QuadPart // frequency.QuadPart * 1000
                       + count.QuadPart % frequency.QuadPart * 1000 // frequency.QuadPart)


cdef inline void timeout_begin(Timeout *timeout, DWORD milliseconds) noexcept nogil:
    """Set the deadline to `milliseconds` from now."""
    timeout.deadline = 0 if milliseconds == TIMEOUT_FOREVER else timeout_clock() + milliseconds


cdef DWORD timeout_left(Timeout *timeout) noexcept nogil:
    cdef ULONGLONG now
    if timeout.deadline == 0:
        return INFINITE
    now = timeout_clock()
    return <DWORD>(timeout.deadline - now) if now < timeout.deadline else 0


cdef int timeout_wait(Timeout *timeout, HANDLE event) noexcept nogil:
    """Wait for `event`: 0 when it is set, TIMEOUT_EXPIRED, WSAEINTR when the interrupt event is set, or
    another Winsock code."""
    cdef HANDLE handles[2]
    cdef DWORD milliseconds, outcome
    handles[0] = event
    handles[1] = timeout.interrupt
    while True:
        milliseconds = timeout_left(timeout)
        outcome = WaitForMultipleObjects(1 if timeout.interrupt == NULL else 2, handles, FALSE, milliseconds)
        if outcome == WAIT_OBJECT_0:
            return 0
        if outcome == WAIT_OBJECT_0 + 1:
            return WSAEINTR
        if outcome != WAIT_TIMEOUT:
            return error_from_win32(GetLastError())
        if milliseconds == 0 or timeout_left(timeout) == 0:
            return TIMEOUT_EXPIRED
