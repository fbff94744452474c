# Lock: lets one thread at a time do something that waits.
#
# It differs from a Python lock in how the wait for it ends: at the deadline and by Ctrl-C, like every wait
# here. Taking a free lock costs no system call.
# Owner: the object that contains it. Threads: Python's; the GIL guards the fields.

cdef struct Lock:
    bint taken
    DWORD thread                    # the thread that has it
    int waiting                     # threads that wait for it
    HANDLE event                    # wakes one of them; NULL until a thread has had to wait


cdef int lock_acquire(Lock *lock, Timeout *timeout) except -1:
    """Wait for the lock. TimeoutError at the deadline, the exception of a signal handler, or RuntimeError if
    this thread has the lock already."""
    cdef int error
    while lock.taken:
        if lock.thread == GetCurrentThreadId():             # a signal handler called this inside the call
            raise RuntimeError("reentrant call")
        if lock.event == NULL:
            lock.event = CreateEventW(NULL, FALSE, FALSE, NULL)
            if lock.event == NULL:
                oserror_raise(WSAENOBUFS)
        lock.waiting += 1
        with nogil:
            error = timeout_wait(timeout, lock.event)
        lock.waiting -= 1
        if error == WSAEINTR:
            if interrupt_ends_call():
                interrupt_raise()
        elif error:
            oserror_raise(error)
    lock.taken, lock.thread = True, GetCurrentThreadId()
    return 0


cdef int lock_release(Lock *lock) except -1:
    """Release the lock and wake a thread that waits for it."""
    lock.taken = False
    if lock.waiting:
        SetEvent(lock.event)
    return 0


cdef void lock_free(Lock *lock):
    if lock.event != NULL:
        CloseHandle(lock.event)
