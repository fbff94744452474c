# Lock: who of several threads may do something that waits, one after another.
#
# As a lock, but waiting for one's turn ends as every wait does here: at the deadline, and by Ctrl-C. Asking
# for a turn that nobody has costs no call of the system's.
# Owner: the object it is a part of. Threads: Python's; the GIL guards the fields.

cdef struct Lock:
    bint taken
    DWORD thread                    # whose it is
    int waiting                     # threads that wait for it
    HANDLE event                    # wakes one of them; NULL until the first has had to wait


cdef int lock_acquire(Lock *lock, Timeout *timeout) except -1:
    """Wait for the lock. TimeoutError, what a signal handler raises, and RuntimeError if this thread has it
    already."""
    cdef int error
    while lock.taken:
        if lock.thread == GetCurrentThreadId():             # a signal handler, inside the call
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
    """Let the next have it."""
    lock.taken = False
    if lock.waiting:
        SetEvent(lock.event)
    return 0


cdef void lock_free(Lock *lock):
    if lock.event != NULL:
        CloseHandle(lock.event)
