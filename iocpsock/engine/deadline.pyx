# Deadline: something that a source wants done when time has passed, unless it is disarmed before.
#
# Owner: a deadline is a member of its source's object; while armed it holds a reference to the source. There are few (closing
# connections, accept slots that wait for memory), so a plain list is searched. The completion threads look at it between
# batches, every PORT_TICK milliseconds while it is not empty.
# Threads: any; expire() runs on a completion thread with no lock held.

ctypedef void (*deadline_proc)(Source *source) noexcept nogil

cdef struct Deadline:
    Deadline *next
    Deadline *previous
    ULONGLONG due                   # GetTickCount64 milliseconds; 0 while not armed
    Source *source
    deadline_proc expire

cdef struct DeadlineList:
    SRWLOCK lock
    Deadline *head
    ULONGLONG last_tick
    LONG count

cdef DeadlineList deadlines


cdef bint deadline_arm(Deadline *deadline, Source *source, DWORD milliseconds, deadline_proc expire) noexcept nogil:
    """Call `expire(source)` after `milliseconds`; armed already, only the time and the procedure change. True if the list was empty before:
    then the caller has to make a completion thread look (port_deadline does)."""
    cdef bint first = False
    AcquireSRWLockExclusive(&deadlines.lock)
    if deadline.due == 0:
        source_hold(source)
        deadline.source = source
        deadline.previous = NULL
        deadline.next = deadlines.head
        if deadlines.head != NULL:
            deadlines.head.previous = deadline
        deadlines.head = deadline
        deadlines.count += 1
        first = deadlines.count == 1
    deadline.expire = expire
    deadline.due = GetTickCount64() + milliseconds
    ReleaseSRWLockExclusive(&deadlines.lock)
    return first


cdef void deadline_unlink(Deadline *deadline) noexcept nogil:
    """With the list's lock held: the deadline is no longer armed, and its reference to the source is the caller's."""
    if deadline.previous == NULL:
        deadlines.head = deadline.next
    else:
        deadline.previous.next = deadline.next
    if deadline.next != NULL:
        deadline.next.previous = deadline.previous
    deadline.due = 0
    deadlines.count -= 1


cdef void deadline_disarm(Deadline *deadline) noexcept nogil:
    """Forget it, if it is armed. The caller holds a reference to the source of its own. expire() may be under way."""
    cdef bint armed
    AcquireSRWLockExclusive(&deadlines.lock)
    armed = deadline.due != 0
    if armed:
        deadline_unlink(deadline)
    ReleaseSRWLockExclusive(&deadlines.lock)
    if armed:
        source_drop(deadline.source)


cdef Deadline *deadline_take_due(ULONGLONG now) noexcept nogil:
    """Disarm and return one deadline that has passed, with its reference, or NULL."""
    cdef Deadline *deadline
    AcquireSRWLockExclusive(&deadlines.lock)
    deadline = deadlines.head
    while deadline != NULL and deadline.due > now:
        deadline = deadline.next
    if deadline != NULL:
        deadline_unlink(deadline)
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
