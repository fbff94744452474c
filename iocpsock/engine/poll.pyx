# Poll: what a socket is ready for, if the engine does nothing else with it.
#
# The socket stays its owner's. It may be blocking or not, of any kind, and in anybody's completion port: the
# poll is a request to the socket driver, on a handle of the port's own (include/afd.h), and its packet comes
# to this port. One poll covers both directions. While it is posted and the wanted directions grow, it is
# cancelled, and its packet posts the next.
#
#     unwanted --poll_watch--> posted --packet, nothing wanted holds--> posted again
#                                |  packet, something holds
#                              ready, the consumer is notified --poll_take--> idle --poll_watch--> posted
#
# A poll describes one moment. The runtime acts on what it took, and then watches again: so events are
# level-triggered, and no event is older than what the runtime did last.
# Owner: the runtime holds one reference, which poll_close consumes; the posted op holds one.
# Threads: any, with the lock held unless stated.

cdef struct Poll:
    Source source                   # first: a Source * to it is the Poll *
    SOCKET socket                   # the system's own handle of the socket
    int wanted                      # READY_ bits
    int ready                       # READY_ bits that held at the end of the last poll
    int asked                       # READY_ bits of the posted poll
    Op *op                          # the posted poll, or NULL
    bint over                       # the socket was closed: it is polled no more


cdef int poll_open(Port *port) noexcept nogil:
    """Give the port a handle on which sockets can be polled: 0 or a Winsock code. On the drainer's thread."""
    cdef int status
    if port.poller != NULL:
        return 0
    status = afd_open(&port.poller)
    if status:
        port.poller = NULL
        return error_from_status(<ULONG_PTR><DWORD>status)
    if CreateIoCompletionPort(port.poller, port.handle, PORT_KEY, 0) == NULL:
        status = error_from_win32(GetLastError())
        CloseHandle(port.poller)
        port.poller = NULL
    return status


cdef Poll *poll_new(Port *port, SOCKET sock) noexcept nogil:
    """A poll of `sock`, or NULL if out of memory. Nothing is wanted yet. Without the lock."""
    cdef Poll *poll = <Poll *>memory_new(sizeof(Poll))
    if poll == NULL:
        return NULL
    port_hold(port)
    source_init(&poll.source, SOURCE_POLL, port, poll_release)
    poll.socket = winsock_ask_base(sock)
    counter_born(COUNTER_polls)
    return poll


cdef void poll_release(Source *source) noexcept nogil:
    counter_gone(COUNTER_polls)
    port_drop(source.port)
    memory_free(source, sizeof(Poll))


cdef void poll_watch(Poll *poll, int wanted) noexcept nogil:
    """Notify the consumer when one of these READY_ bits holds. Without the lock."""
    source_lock(&poll.source)
    poll.wanted = poll.source.interest = wanted
    poll.ready &= wanted
    if poll.op == NULL:
        poll_post(poll)
    elif wanted & ~poll.asked:
        CancelIoEx(poll.source.port.poller, &poll.op.overlapped)
    source_unlock_changed(&poll.source, poll.ready)


cdef int poll_take(Poll *poll) noexcept nogil:
    """READY_ bits that held a moment ago, each reported once for each watch. Without the lock."""
    cdef int ready
    source_lock(&poll.source)
    ready = poll.ready
    poll.ready = 0
    source_unlock(&poll.source)
    return ready


cdef void poll_post(Poll *poll) noexcept nogil:
    """Post the poll, unless nothing is wanted or something is ready. If it cannot be posted, the next call on
    the socket has the reason."""
    cdef Op *op
    cdef int status
    if not poll.wanted or poll.ready or poll.over:
        return
    op = op_new(sizeof(afd_poll), poll_complete, &poll.source)
    if op == NULL:
        poll.ready = poll.wanted
        return
    poll.asked = poll.wanted
    op_begin(op)
    status = afd_poll_any(poll.source.port.poller, poll.socket, <afd_poll *>op.data, poll.wanted & READY_READ,
                          poll.wanted & READY_WRITE, &op.overlapped)
    if status >= 0:                                         # NT_SUCCESS: a packet comes
        poll.op = op
        return
    op_free(op)
    source_drop(&poll.source)
    poll.ready = poll.wanted


cdef void poll_complete(Op *op) noexcept nogil:
    """The packet of a poll was dequeued."""
    cdef Poll *poll = <Poll *>op.source
    cdef afd_poll *found = <afd_poll *>op.data
    poll.op = NULL
    if op.error and op.error != WSA_OPERATION_ABORTED:
        poll.ready = poll.wanted
    elif not op.error:
        poll.over = afd_poll_closed(found)
        if afd_poll_readable(found):
            poll.ready |= READY_READ & poll.wanted
        if afd_poll_writable(found):
            poll.ready |= READY_WRITE & poll.wanted
    op_free(op)
    poll_post(poll)
    source_unlock_changed(&poll.source, poll.ready)


cdef void poll_close(Poll *poll) noexcept nogil:
    """The runtime polls no more: consumes its reference. Without the lock."""
    source_attach(&poll.source, NULL)
    source_lock(&poll.source)
    poll.wanted = poll.ready = 0
    if poll.op != NULL:
        CancelIoEx(poll.source.port.poller, &poll.op.overlapped)
    source_unlock(&poll.source)
    source_drop(&poll.source)
