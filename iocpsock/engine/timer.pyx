# Timer: something that a source wants done when time has passed, unless it is disarmed before.
#
# Owner: a timer is a member of its source's object; while armed it holds a reference to the source. They
# stand in a queue in no order, which is gone through once the first of them can be due: those that are move
# to a second queue, from which they are taken one by one. So neither arming nor taking depends on how many
# there are. The completion threads look at it between batches, every PORT_TICK milliseconds while there are
# any.
# Threads: any; expire() runs on a completion thread with no lock held.

ctypedef void (*timer_proc)(Source *source) noexcept nogil

cdef struct Timer:
    Link link                       # in one of the queues
    ULONGLONG due                   # GetTickCount64 milliseconds; 0 while not armed
    Source *source
    timer_proc expire

cdef struct Timers:
    SRWLOCK lock
    Queue waiting
    Queue passed                    # their time is over, and nobody has taken them yet
    ULONGLONG first                 # none of those that wait is due before
    ULONGLONG last_tick
    LONG count                      # in both queues

cdef Timers timers


cdef bint timer_arm(Timer *timer, Source *source, DWORD milliseconds, timer_proc expire) noexcept nogil:
    """Call `expire(source)` after `milliseconds`; armed already, only the time and the procedure change. True
    if the list was empty before: then the caller has to make a completion thread look (port_timer
    does)."""
    cdef bint first = False
    AcquireSRWLockExclusive(&timers.lock)
    if timer.due == 0:
        source_hold(source)
        timer.source = source
        timers.count += 1
        first = timers.count == 1
    else:
        queue_remove(&timer.link)
    queue_append(&timers.waiting, &timer.link, timer)
    timer.expire = expire
    timer.due = GetTickCount64() + milliseconds
    if timers.waiting.first == timers.waiting.last or timer.due < timers.first:
        timers.first = timer.due
    ReleaseSRWLockExclusive(&timers.lock)
    return first


cdef void timer_forget(Timer *timer) noexcept nogil:
    """It is no longer armed, and its reference to the source is the caller's. With the lock held."""
    queue_remove(&timer.link)
    timer.due = 0
    timers.count -= 1


cdef void timer_disarm(Timer *timer) noexcept nogil:
    """Forget it, if it is armed. The caller holds a reference to the source of its own. expire() may be under
    way."""
    cdef bint armed
    AcquireSRWLockExclusive(&timers.lock)
    armed = timer.due != 0
    if armed:
        timer_forget(timer)
    ReleaseSRWLockExclusive(&timers.lock)
    if armed:
        source_drop(timer.source)


cdef void timer_sift(ULONGLONG now) noexcept nogil:
    """Move those that have passed to their queue. With the lock held."""
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
    """Disarm and return one timer that has passed, with its reference, or NULL. Takes the lock."""
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
    """Expire what is due."""
    cdef Timer *timer
    cdef Source *source
    while True:
        timer = timer_take_due(now)
        if timer == NULL:
            return
        source = timer.source
        timer.expire(source)
        source_drop(source)
