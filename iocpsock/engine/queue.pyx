# Queue: a list whose links are members of the queued objects, so that queueing allocates nothing, and removal
# from any place takes constant time.
#
# Owner: the holder of the queue. A link belongs to its object, which can be in one queue per link.
# Threads: under the lock of the queue's owner.

cdef struct Link:                   # zero: in no queue
    Link *next
    Link *previous
    Queue *queue                    # that it is in; NULL: none
    void *owner                     # the object of which it is a member

cdef struct Queue:                  # zero: empty
    Link *first
    Link *last


cdef inline void *queue_owner(Link *link) noexcept nogil:
    return link.owner if link != NULL else NULL


cdef inline void *queue_first(Queue *queue) noexcept nogil:
    """The object at the front, or NULL."""
    return queue_owner(queue.first)


cdef inline void *queue_last(Queue *queue) noexcept nogil:
    """The object at the end, or NULL."""
    return queue_owner(queue.last)


cdef inline void *queue_next(Link *link) noexcept nogil:
    """The object after this one, or NULL."""
    return queue_owner(link.next)


cdef inline void *queue_previous(Link *link) noexcept nogil:
    """The object before this one, or NULL."""
    return queue_owner(link.previous)


cdef inline void queue_insert(Queue *queue, Link *next, Link *link, void *owner) noexcept nogil:
    """Insert `owner`, whose `link` is in no queue, before `next`; NULL: at the end."""
    link.queue = queue
    link.owner = owner
    link.next = next
    link.previous = queue.last if next == NULL else next.previous
    if link.previous == NULL:
        queue.first = link
    else:
        link.previous.next = link
    if next == NULL:
        queue.last = link
    else:
        next.previous = link


cdef inline void queue_append(Queue *queue, Link *link, void *owner) noexcept nogil:
    queue_insert(queue, NULL, link, owner)


cdef inline void queue_prepend(Queue *queue, Link *link, void *owner) noexcept nogil:
    queue_insert(queue, queue.first, link, owner)


cdef inline void queue_remove(Link *link) noexcept nogil:
    """Remove it from its queue. It must be in one."""
    if link.previous == NULL:
        link.queue.first = link.next
    else:
        link.previous.next = link.next
    if link.next == NULL:
        link.queue.last = link.previous
    else:
        link.next.previous = link.previous
    link.next = link.previous = NULL
    link.queue = NULL


cdef inline void *queue_take(Queue *queue) noexcept nogil:
    """Remove and return the object at the front, or NULL."""
    cdef Link *link = queue.first
    if link != NULL:
        queue_remove(link)
    return queue_owner(link)
