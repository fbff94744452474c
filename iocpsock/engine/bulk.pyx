# Bulk: a caller that blocks until all of its bytes are sent, with two sends outstanding.
#
# Windows completes a send for which its own buffer has no room only when the peer has acknowledged all of it.
# With one send at a time, the stream would be empty for a round trip after each. So the bytes are sent in
# pieces, and the second piece is posted before the first has ended. One thread posts both, and accounts for
# both, in order. If the first does not send all of its bytes, or the wait for it ends early, the second is
# cancelled before the first, and the socket sends no more: otherwise the stream would have a hole.
# Owner: the calling thread, on its stack; both operations belong to its one GuardCall. Threads: any thread
# that may block.

cdef enum:
    BULK_SENDS = 2

cdef struct Bulk:
    Waiter *waiters[BULK_SENDS]
    int errors[BULK_SENDS]          # result of each post
    DWORD sizes[BULK_SENDS]
    int first                       # index of the first outstanding send
    int count                       # how many are outstanding


cdef int bulk_open(Bulk *bulk) noexcept nogil:
    """Take the waiters: 0, or WSAENOBUFS, and then there is nothing to close."""
    memset(bulk, 0, sizeof(Bulk))
    bulk.waiters[0] = waiter_take()
    if bulk.waiters[0] == NULL:
        return WSAENOBUFS
    bulk.waiters[1] = waiter_take()
    if bulk.waiters[1] == NULL:
        waiter_give(bulk.waiters[0])
        return WSAENOBUFS
    return 0


cdef void bulk_close(Bulk *bulk) noexcept nogil:
    waiter_give(bulk.waiters[0])
    waiter_give(bulk.waiters[1])


cdef int bulk_post(Bulk *bulk, GuardCall *call, const char *data, DWORD size, DWORD flags) noexcept nogil:
    """Post one piece behind the outstanding one, if any: 0 or a Winsock code. After a failure for lack of
    memory the caller retries when the earlier piece has ended."""
    cdef int index = (bulk.first + bulk.count) % BULK_SENDS
    cdef int error = waiter_post_send(bulk.waiters[index], call, data, size, flags)
    if error and error != WSA_IO_PENDING:
        return error
    bulk.errors[index] = error
    bulk.sizes[index] = size
    bulk.count += 1
    return 0


cdef int bulk_finish(Bulk *bulk, GuardCall *call, Timeout *timeout, DWORD *unsent) noexcept nogil:
    """Wait for the end of the first: 0, with the number of its bytes that were not sent in `unsent`, or a
    Winsock code, and then nothing is outstanding."""
    cdef int index = bulk.first
    cdef Timeout limited
    cdef Timeout *limit = waiter_limit(call, SO_SNDTIMEO, bulk.errors[index], timeout, &limited)
    cdef int error = waiter_finish(bulk.waiters[index], call, bulk.errors[index], limit, False)
    cdef DWORD sent = <DWORD>bulk.waiters[index].overlapped.InternalHigh if not error else 0
    counter_add(COUNTER_bytes_sent, sent)
    unsent[0] = bulk.sizes[index] - sent
    bulk.first = (index + 1) % BULK_SENDS
    bulk.count -= 1
    if unsent[0] and bulk.count:
        bulk_give_up(bulk, call)
        error = error if error else WSAECONNABORTED
    if error == TIMEOUT_EXPIRED:
        # It is unknown how much went out, as with an ordinary send().
        guard_break(call)
        error = WSAETIMEDOUT
    return error


cdef void bulk_give_up(Bulk *bulk, GuardCall *call) noexcept nogil:
    """Bytes are missing before the second send: cancel it. No send may follow whatever part of it went
    out."""
    guard_cancel(call)
    waiter_await(bulk.waiters[bulk.first], call)
    bulk.count = 0
    guard_break(call)


cdef int bulk_send(GuardCall *call, const char *data, size_t size, DWORD piece, DWORD flags,
                   Timeout *timeout) noexcept nogil:
    """Send all of `data` in pieces and wait, with only the socket's own timeout, until the kernel has taken
    it: 0 or a Winsock code."""
    cdef Bulk bulk
    cdef size_t posted = 0
    cdef DWORD next, unsent = 0
    cdef int error = bulk_open(&bulk), refused = 0
    if error:
        return error
    while not error and (posted < size or bulk.count):
        refused = 0
        while posted < size and bulk.count < BULK_SENDS and not refused:
            next = <DWORD>min(size - posted, piece)
            refused = bulk_post(&bulk, call, data + posted, next, flags)
            if not refused:
                posted += next
        if bulk.count:
            error = bulk_finish(&bulk, call, timeout, &unsent)
            posted -= unsent
        else:
            error = refused
    bulk_close(&bulk)
    return error
