# Wakeup: signals end a loop's wait. CPython writes a byte to a file descriptor at each signal, on whatever
# thread the signal arrives; the descriptor is a pipe's, whose other end this reads.
#
# Nobody looks at the bytes: the loop runs the handlers of signals after each wait.
# Owner: the EventLoop, which closes it before it gives up its port. Threads: the loop's.

cdef class _Wakeup:
    """`_Wakeup(loop, handle)`: reads from an overlapped pipe, and ends the loop's wait when something comes.
    The handle stays the caller's, open until `close`."""
    cdef Pipe *pipe

    def __init__(self, _Loop loop, handle):
        cdef int error = 0
        self.pipe = pipe_new(loop.port, <HANDLE><size_t>handle, &error)
        if self.pipe == NULL:
            oserror_raise(error)
        self.pipe.discards = True
        pipe_watch(self.pipe, READY_READ)

    def __dealloc__(self):
        self.close()

    def close(self):
        """Read no more."""
        if self.pipe != NULL:
            pipe_close(self.pipe)
            self.pipe = NULL
