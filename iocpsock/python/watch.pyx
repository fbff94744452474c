# Watch: a socket whose readiness a loop's selector reports.
# Owner: the selector. Threads: the loop's.

@cython.no_gc_clear                 # its end needs the loop's port
cdef class _Watch(_Notified):
    """`_Watch(loop, handle, found)`: polls the socket; appends (itself, READY_ bits) to `found`."""
    cdef Poll *poll
    cdef object found

    def __init__(self, _Loop loop, handle, found):
        self.found = found
        self.poll = poll_new(loop.port, <SOCKET><size_t>handle)
        if self.poll == NULL:
            raise MemoryError
        self.poll.source.context = <void *>self
        source_attach(&self.poll.source, loop.consumer)

    def __dealloc__(self):
        self.close()

    cdef object notified(self):
        cdef int ready = poll_take(self.poll)
        if ready:
            self.found.append((self, ready))

    def watch(self, int wanted):
        """Report these READY_ bits once, when they hold: 1 to read, 2 to write."""
        poll_watch(self.poll, wanted)

    def close(self):
        if self.poll != NULL:
            self.poll.source.context = NULL
            poll_close(self.poll)
            self.poll = NULL
