# Deadline: something that a source wants done when time has passed, unless it is disarmed before.
#
# Owner: a deadline is a member of its source's object; while armed it holds a reference to the source. They
# stand in a plain list, which is gone through once the first of them can be due: those that are move to a
# second list, from which they are taken one by one. So neither arming nor taking depends on how many there
# are. The completion threads look at it between batches, every PORT_TICK milliseconds while there are any.
# Threads: any; expire() runs on a completion thread with no lock held.

ctypedef void (*deadline_proc)(Source *source) noexcept nogil

cdef struct Deadline:
    Deadline *next
    Deadline *previous
    Deadline **list                 # the one in which it stands
    ULONGLONG due                   # GetTickCount64 milliseconds; 0 while not armed
    Source *source
    deadline_proc expire

cdef struct DeadlineList:
    SRWLOCK lock
    Deadline *waiting
    Deadline *passed                # their time is over, and nobody has taken them yet
    ULONGLONG first                 # none of those that wait is due before
    ULONGLONG last_tick
    LONG count                      # in both lists

cdef DeadlineList deadlines


cdef bint deadline_arm(Deadline *deadline, Source *source, DWORD milliseconds, deadline_proc expire) noexcept nogil:
    """Call `expire(source)` after `milliseconds`; armed already, only the time and the procedure change. True
    if the list was empty before: then the caller has to make a completion thread look (port_deadline
    does)."""
    cdef bint first = False
    AcquireSRWLockExclusive(&deadlines.lock)
    if deadline.due == 0:
        source_hold(source)
        deadline.source = source
        deadlines.count += 1
        first = deadlines.count == 1
    else:
        deadline_unlink(deadline)
    deadline_link(deadline, &deadlines.waiting)
    deadline.expire = expire
    deadline.due = GetTickCount64() + milliseconds
    if deadlines.waiting.next == NULL or deadline.due < deadlines.first:
        deadlines.first = deadline.due
    ReleaseSRWLockExclusive(&deadlines.lock)
    return first


cdef void deadline_link(Deadline *deadline, Deadline **list) noexcept nogil:
    """Put it into the list. With the lock held, as for all below that say nothing else."""
    deadline.list = list
    deadline.previous = NULL
    deadline.next = list[0]
    if list[0] != NULL:
        list[0].previous = deadline
    list[0] = deadline


cdef void deadline_unlink(Deadline *deadline) noexcept nogil:
    """Take it out of its list."""
    if deadline.previous == NULL:
        deadline.list[0] = deadline.next
    else:
        deadline.previous.next = deadline.next
    if deadline.next != NULL:
        deadline.next.previous = deadline.previous


cdef void deadline_forget(Deadline *deadline) noexcept nogil:
    """It is no longer armed, and its reference to the source is the caller's."""
    deadline_unlink(deadline)
    deadline.due = 0
    deadlines.count -= 1


cdef void deadline_disarm(Deadline *deadline) noexcept nogil:
    """Forget it, if it is armed. The caller holds a reference to the source of its own. expire() may be under
    way."""
    cdef bint armed
    AcquireSRWLockExclusive(&deadlines.lock)
    armed = deadline.due != 0
    if armed:
        deadline_forget(deadline)
    ReleaseSRWLockExclusive(&deadlines.lock)
    if armed:
        source_drop(deadline.source)


cdef void deadline_sift(ULONGLONG now) noexcept nogil:
    """Move those that have passed to their list."""
    cdef Deadline *deadline = deadlines.waiting
    cdef Deadline *next
    deadlines.first = ~<ULONGLONG>0
    while deadline != NULL:
        next = deadline.next
        if deadline.due <= now:
            deadline_unlink(deadline)
            deadline_link(deadline, &deadlines.passed)
        elif deadline.due < deadlines.first:
            deadlines.first = deadline.due
        deadline = next


cdef Deadline *deadline_take_due(ULONGLONG now) noexcept nogil:
    """Disarm and return one deadline that has passed, with its reference, or NULL. Takes the lock."""
    cdef Deadline *deadline
    AcquireSRWLockExclusive(&deadlines.lock)
    if deadlines.passed == NULL and deadlines.waiting != NULL and deadlines.first <= now:
        deadline_sift(now)
    deadline = deadlines.passed
    if deadline != NULL:
        deadline_forget(deadline)
    ReleaseSRWLockExclusive(&deadlines.lock)
    return deadline


cdef void deadline_tick(ULONGLONG now) noexcept nogil:
    """Expire what is due."""
    cdef Deadline *deadline
    cdef Source *source
    while True:
        deadline = deadline_take_due(now)
        if deadline == NULL:
            return
        source = deadline.source
        deadline.expire(source)
        source_drop(source)
