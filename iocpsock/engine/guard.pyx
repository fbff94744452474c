# Guard: keeps a socket's handle open while calls use it, so that Windows cannot reuse its value for another
# socket.
#
# One thread may close a runtime's socket while another is about to post an operation on it. Windows may give
# the value of a closed handle to the next socket, and the operation would act on that socket. So a call
# enters the guard before it uses the handle, and leaves it afterwards. The closing thread marks the guard,
# cancels posted operations, and waits briefly for the calls inside; if some are still inside then, the last
# of them closes the handle.
# An operation is posted under the guard's lock, after a check that the guard is open. So no call posts after
# the mark, and the closing thread sees every operation posted before it. A call that posts nothing and may
# block, such as a send without an OVERLAPPED on a socket that was made blocking, runs inside the guard but
# without its lock.
#
#     GUARD_OPEN --guard_close--> GUARD_CLOSED      the calls inside end; no call enters or posts
#         |
#         +------guard_close----> GUARD_DETACHED    the same, but the handle lives on in other hands: what was
#                                                   posted to be sent goes on, and nobody closes the handle
#
# Owner: the runtime owns the Guard, and keeps it while a call is inside. A GuardCall belongs to the calling
# thread, on its stack, or to an object that uses the handle for longer than one call.
# Threads: any. The lock is held while an operation is posted, never during a wait for one. A thread that
# holds a lock of its runtime first tries guard_try_enter and guard_try_leave.

cdef enum GuardState:
    GUARD_OPEN
    GUARD_CLOSED
    GUARD_DETACHED

cdef enum GuardUse:                 # what a posted operation does with the stream
    GUARD_TAKES                     # receives, accepts or polls: it can be cancelled without effect
    GUARD_GIVES                     # sends: after a cancellation it is unknown how much went out
    GUARD_CONNECTS

cdef enum:
    GUARD_LEAVING = 1000            # most milliseconds that a close waits for the calls of other threads to
                                    # leave

cdef struct GuardCall:
    Guard *guard                    # NULL: the handle is the engine's own, and no other thread closes it
    Link link                       # in the queue of the guard
    DWORD thread                    # the calling thread; 0: an object that outlives calls
    SOCKET socket
    OVERLAPPED *posted              # owned by the kernel now, or NULL ...
    OVERLAPPED *behind              # ... as is this send, posted behind it, or NULL ...
    SOCKET target                   # ... and the handle on which they were posted
    int use

cdef struct Guard:
    SRWLOCK lock
    CONDITION_VARIABLE left         # broadcast when a call has left a guard that is not open
    int state
    bint orphaned                   # closed, and the closing thread has stopped waiting: the last call to
                                    # leave closes the handle
    SOCKET socket
    SOCKET base                     # its handle below layered providers; INVALID_SOCKET until it is queried
    bint blocking                   # the runtime wants the handle to be blocking, and it is so once ...
    int timed                       # ... this many sends that need it non-blocking have ended
    int send_error                  # Winsock code with which every further send fails, because one was
                                    # cancelled
    Queue calls                     # the calls inside


cdef void guard_init(Guard *guard, SOCKET sock) noexcept nogil:
    """Guard this handle. No call may be inside."""
    memset(guard, 0, sizeof(Guard))
    guard.socket = sock
    guard.base = INVALID_SOCKET
    if sock == INVALID_SOCKET:
        guard.state = GUARD_CLOSED


cdef int guard_enter(Guard *guard, GuardCall *call) noexcept nogil:
    """Begin a call: 0, WSAENOTSOCK if the guard is not open, or the Winsock code if Winsock cannot be
    started."""
    cdef int error = winsock_start()
    memset(call, 0, sizeof(GuardCall))
    if error:
        return error
    AcquireSRWLockExclusive(&guard.lock)
    return guard_add(guard, call)


cdef bint guard_try_enter(Guard *guard, GuardCall *call, int *error) noexcept nogil:
    """As guard_enter, with the result in `error`, but only without waiting: False if it would have to
    wait."""
    if not flag_is_set(&winsock.started) or not TryAcquireSRWLockExclusive(&guard.lock):
        return False
    memset(call, 0, sizeof(GuardCall))
    error[0] = guard_add(guard, call)
    return True


cdef int guard_add(Guard *guard, GuardCall *call) noexcept nogil:
    """With the lock held, which it releases."""
    cdef bint is_open = guard.state == GUARD_OPEN
    if is_open:
        call.guard = guard
        call.socket = guard.socket
        call.thread = GetCurrentThreadId()
        queue_prepend(&guard.calls, &call.link, call)
    ReleaseSRWLockExclusive(&guard.lock)
    return 0 if is_open else WSAENOTSOCK


cdef void guard_own(GuardCall *call, SOCKET sock) noexcept nogil:
    """Begin a call on one of the engine's own handles. It need not leave."""
    memset(call, 0, sizeof(GuardCall))
    call.socket = sock


cdef void guard_leave(GuardCall *call) noexcept nogil:
    """End a call that has nothing posted any more."""
    AcquireSRWLockExclusive(&call.guard.lock)
    guard_remove(call)


cdef bint guard_try_leave(GuardCall *call) noexcept nogil:
    """As guard_leave, but only without waiting: False if it would have to wait or to close the handle."""
    if not TryAcquireSRWLockExclusive(&call.guard.lock):
        return False
    if call.guard.orphaned:
        ReleaseSRWLockExclusive(&call.guard.lock)
        return False
    guard_remove(call)
    return True


cdef void guard_remove(GuardCall *call) noexcept nogil:
    """With the lock held, which it releases."""
    cdef Guard *guard = call.guard
    cdef bint last
    queue_remove(&call.link)
    call.guard = NULL
    last = guard.calls.first == NULL and guard.orphaned
    if last:
        guard.orphaned = False
        closesocket(guard.socket)
    if guard.state != GUARD_OPEN:
        WakeAllConditionVariable(&guard.left)
    ReleaseSRWLockExclusive(&guard.lock)


cdef int guard_begin(GuardCall *call, int use) noexcept nogil:
    """Call before an operation is posted: 0 with the lock held, which guard_posted releases, or a Winsock
    code."""
    cdef Guard *guard = call.guard
    cdef int error = 0
    call.use = use
    if guard == NULL:
        return 0
    AcquireSRWLockExclusive(&guard.lock)
    if guard.state != GUARD_OPEN:
        error = WSAENOTSOCK
    elif use == GUARD_GIVES:
        error = guard.send_error
    if error:
        ReleaseSRWLockExclusive(&guard.lock)
    return error


cdef int guard_check(GuardCall *call, int use) noexcept nogil:
    """Check before a call that posts nothing: 0, or the Winsock code with which it fails."""
    cdef int error = guard_begin(call, use)
    if not error and call.guard != NULL:
        ReleaseSRWLockExclusive(&call.guard.lock)
    return error


cdef void guard_set_blocking(Guard *guard, bint blocking) noexcept nogil:
    """The runtime has changed the blocking mode of its handle. The handle stays non-blocking while a timed
    send needs that."""
    AcquireSRWLockExclusive(&guard.lock)
    guard.blocking = blocking
    if guard.timed and guard.state == GUARD_OPEN and blocking:
        winsock_nonblocking(guard.socket)
    ReleaseSRWLockExclusive(&guard.lock)


cdef void guard_begin_timed(GuardCall *call) noexcept nogil:
    """A call begins to send with a timeout, and needs a non-blocking handle."""
    cdef Guard *guard = call.guard
    if guard == NULL:
        return
    AcquireSRWLockExclusive(&guard.lock)
    if guard.timed == 0 and guard.blocking and guard.state == GUARD_OPEN:
        winsock_nonblocking(guard.socket)
    guard.timed += 1
    ReleaseSRWLockExclusive(&guard.lock)


cdef void guard_end_timed(GuardCall *call) noexcept nogil:
    cdef Guard *guard = call.guard
    if guard == NULL:
        return
    AcquireSRWLockExclusive(&guard.lock)
    guard.timed -= 1
    if guard.timed == 0 and guard.blocking and guard.state == GUARD_OPEN:
        winsock_nonblocking(guard.socket, False)
    ReleaseSRWLockExclusive(&guard.lock)


cdef int guard_posted(GuardCall *call, SOCKET target, OVERLAPPED *overlapped, int error) noexcept nogil:
    """Call after the posting call, which returned `error`: returns the same. Records the operation if it is
    pending."""
    call.target = target
    if error == WSA_IO_PENDING and call.posted == NULL:
        call.posted = overlapped
    elif error == WSA_IO_PENDING:
        call.behind = overlapped
    if call.guard != NULL:
        ReleaseSRWLockExclusive(&call.guard.lock)
    return error


cdef void guard_cancel(GuardCall *call) noexcept nogil:
    """Cancel the operations of this call: first the one behind, which must not go out without the other."""
    if call.behind != NULL:
        CancelIoEx(<HANDLE>call.target, call.behind)
    if call.posted != NULL:
        CancelIoEx(<HANDLE>call.target, call.posted)


cdef void guard_ended(GuardCall *call, OVERLAPPED *overlapped) noexcept nogil:
    """The kernel has released this operation of the call."""
    if call.posted != overlapped and call.behind != overlapped:
        return
    if call.guard != NULL:
        AcquireSRWLockExclusive(&call.guard.lock)
    if call.posted == overlapped:
        call.posted = call.behind
    call.behind = NULL
    if call.guard != NULL:
        ReleaseSRWLockExclusive(&call.guard.lock)


cdef void guard_break(GuardCall *call) noexcept nogil:
    """A send was cancelled, and an unknown part of it went out: no send may follow."""
    if call.guard != NULL:
        AcquireSRWLockExclusive(&call.guard.lock)
        call.guard.send_error = WSAECONNABORTED
        ReleaseSRWLockExclusive(&call.guard.lock)


cdef SOCKET guard_base(GuardCall *call) noexcept nogil:
    """The handle of the call's socket below any layered provider."""
    cdef Guard *guard = call.guard
    if guard == NULL:
        return winsock_base(call.socket)
    if guard.base == INVALID_SOCKET:
        guard.base = winsock_base(call.socket)              # two threads that query at once get the same
                                                            # answer
    return guard.base


cdef void guard_close(Guard *guard, int state) noexcept nogil:
    """From now on no call enters or posts. Cancels pending operations, except sends and connects on a handle
    that stays open."""
    cdef GuardCall *call
    AcquireSRWLockExclusive(&guard.lock)
    if guard.state == GUARD_OPEN:
        guard.state = state
        call = <GuardCall *>queue_first(&guard.calls)
        while call != NULL:
            if state == GUARD_CLOSED or call.use == GUARD_TAKES:
                guard_cancel(call)
            call = <GuardCall *>queue_next(&call.link)
        if state == GUARD_CLOSED and guard.calls.first != NULL:
            CancelIoEx(<HANDLE>guard.socket, NULL)          # also the operation of a call that blocks in the
                                                            # kernel
    ReleaseSRWLockExclusive(&guard.lock)


cdef void guard_wait(Guard *guard) noexcept nogil:
    """After guard_close: wait until the calls of other threads have left, up to GUARD_LEAVING. A call of this
    thread may be inside too: a signal handler may close the socket on which its thread waits. An object
    leaves with the last call that uses it."""
    cdef DWORD thread = GetCurrentThreadId()
    cdef Timeout timeout
    cdef GuardCall *call
    cdef DWORD left
    memset(&timeout, 0, sizeof(timeout))
    timeout_begin(&timeout, GUARD_LEAVING)
    AcquireSRWLockExclusive(&guard.lock)
    while True:
        call = <GuardCall *>queue_first(&guard.calls)
        while call != NULL and (call.thread == thread or call.thread == 0):
            call = <GuardCall *>queue_next(&call.link)
        left = timeout_left(&timeout)
        if call == NULL or left == 0:
            break
        SleepConditionVariableSRW(&guard.left, &guard.lock, left, 0)
    ReleaseSRWLockExclusive(&guard.lock)


cdef int guard_finish(Guard *guard) noexcept nogil:
    """Close the handle, or leave that to the last call inside: 0 or a Winsock code."""
    cdef bint empty
    AcquireSRWLockExclusive(&guard.lock)
    empty = guard.calls.first == NULL
    guard.orphaned = not empty
    if not empty:
        CancelIoEx(<HANDLE>guard.socket, NULL)
    ReleaseSRWLockExclusive(&guard.lock)
    return error_last() if empty and closesocket(guard.socket) else 0
