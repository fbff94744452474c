# Turn: who of several threads may do something that waits, one after another.
#
# As a lock, but waiting for one's turn ends as every wait does here: at the deadline, and by Ctrl-C. Asking
# for a turn that nobody has costs no call of the system's.
# Owner: the object it is a part of. Threads: Python's; the GIL guards the fields.

cdef struct Turn:
    bint taken
    DWORD thread                    # whose it is
    int waiting                     # threads that wait for it
    HANDLE event                    # wakes one of them; NULL until the first has had to wait


cdef int turn_take(Turn *turn, Patience *patience) except -1:
    """Wait for the turn. TimeoutError, what a signal handler raises, and RuntimeError if this thread has it
    already."""
    cdef int error
    while turn.taken:
        if turn.thread == GetCurrentThreadId():             # a signal handler, inside the call
            raise RuntimeError("reentrant call")
        if turn.event == NULL:
            turn.event = CreateEventW(NULL, FALSE, FALSE, NULL)
            if turn.event == NULL:
                oserror_raise(WSAENOBUFS)
        turn.waiting += 1
        with nogil:
            error = patience_wait(patience, turn.event)
        turn.waiting -= 1
        if error == WSAEINTR:
            if interrupt_ends_call():
                interrupt_raise()
        elif error:
            oserror_raise(error)
    turn.taken, turn.thread = True, GetCurrentThreadId()
    return 0


cdef int turn_give(Turn *turn) except -1:
    """Let the next have it."""
    turn.taken = False
    if turn.waiting:
        SetEvent(turn.event)
    return 0


cdef void turn_free(Turn *turn):
    if turn.event != NULL:
        CloseHandle(turn.event)
