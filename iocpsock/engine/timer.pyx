# Timer: calls a procedure for a source after a time, unless it is disarmed before.
#
# Owner: a timer is a member of its source's object; while armed it holds a reference to the source. Timers
# wait in an unordered queue. When the first of them can be due, the queue is scanned: due timers move to a
# second queue, from which they are taken one by one. So the cost of arming or taking one does not depend on
# their number. Whoever drains a port checks the queue between batches, every PORT_TICK milliseconds while any
# timer is armed.
# Threads: any; expire() runs on a thread that drains a port, with no lock held.

ctypedef void (*timer_proc)(Source *source) noexcept nogil

cdef struct Timer:
    Link link                       # in one of the queues
    ULONGLONG due                   # GetTickCount64 milliseconds; 0 while not armed
    Source *source
    timer_proc expire

cdef struct Timers:
    SRWLOCK lock
    Queue waiting
    Queue passed                    # due, but not taken yet
    ULONGLONG first                 # no timer in `waiting` is due before this
    ULONGLONG last_tick
    LONG count                      # in both queues

cdef Timers timers


cdef void timer_arm(Timer *timer, Source *source, DWORD milliseconds, timer_proc expire) noexcept nogil:
    """Call `expire(source)` after `milliseconds`. For an armed timer, only the time and the procedure change.
    The caller wakes a thread that checks the timers, if none is awake (port_timer does)."""
    AcquireSRWLockExclusive(&timers.lock)
    if timer.due == 0:
        source_hold(source)
        timer.source = source
        timers.count += 1
    else:
        queue_remove(&timer.link)
    queue_append(&timers.waiting, &timer.link, timer)
    timer.expire = expire
    timer.due = GetTickCount64() + milliseconds
    if timers.waiting.first == timers.waiting.last or timer.due < timers.first:
        timers.first = timer.due
    ReleaseSRWLockExclusive(&timers.lock)


cdef void timer_forget(Timer *timer) noexcept nogil:
    """Disarm it: the caller then owns its reference to the source. With the lock held."""
    queue_remove(&timer.link)
    timer.due = 0
    timers.count -= 1


cdef void timer_disarm(Timer *timer) noexcept nogil:
    """Disarm it, if it is armed. The caller holds its own reference to the source. expire() may be
    running."""
    cdef bint armed
    AcquireSRWLockExclusive(&timers.lock)
    armed = timer.due != 0
    if armed:
        timer_forget(timer)
    ReleaseSRWLockExclusive(&timers.lock)
    if armed:
        source_drop(timer.source)


cdef void timer_sift(ULONGLONG now) noexcept nogil:
    """Move due timers to `passed`. With the lock held."""
    cdef Timer *timer = <Timer *>queue_first(&timers.waiting)
    cdef Timer *next
    timers.first = ~<ULONGLONG>0
    while timer != NULL:
        next = <Timer *>queue_next(&timer.link)
        if timer.due <= now:
            queue_remove(&timer.link)
            queue_append(&timers.passed, &timer.link, timer)
        elif timer.due < timers.first:
            timers.first = timer.due
        timer = next


cdef Timer *timer_take_due(ULONGLONG now) noexcept nogil:
    """Disarm and return one due timer, with its reference, or NULL. Acquires the lock."""
    cdef Timer *timer
    AcquireSRWLockExclusive(&timers.lock)
    if timers.passed.first == NULL and timers.waiting.first != NULL and timers.first <= now:
        timer_sift(now)
    timer = <Timer *>queue_first(&timers.passed)
    if timer != NULL:
        timer_forget(timer)
    ReleaseSRWLockExclusive(&timers.lock)
    return timer


cdef void timer_tick(ULONGLONG now) noexcept nogil:
    """Call expire() for each due timer."""
    cdef Timer *timer
    cdef Source *source
    while True:
        timer = timer_take_due(now)
        if timer == NULL:
            return
        source = timer.source
        timer.expire(source)
        source_drop(source)
