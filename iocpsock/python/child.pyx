# Child: tells an event loop when a process has ended.
# Owner: the loop, in `_children`, until the process has ended or the loop closes. Threads: the loop's.

cdef class _Child(_Notified):
    """`_Child(loop, handle, ended)`: calls ended() once when the process with this handle ends. The handle
    stays open until then, or until `close`."""
    cdef _Loop loop
    cdef Process *process
    cdef object ended

    def __init__(self, _Loop loop, handle, ended):
        cdef int error
        self.loop, self.ended = loop, ended
        self.process = process_new(loop.port)
        if self.process == NULL:
            raise MemoryError("no memory to wait for a process")
        self.process.source.context = <void *>self
        source_attach(&self.process.source, loop.consumer)
        error = process_watch(self.process, <HANDLE><size_t>handle)
        if error:
            self.close()
            oserror_raise(error)
        loop._children.add(self)

    def __dealloc__(self):
        if self.process != NULL:                # with its loop, which was never closed
            self.process.source.context = NULL
            with nogil:
                process_close(self.process)

    cdef object notified(self):
        if self.process != NULL and self.process.ended:
            ended = self.ended
            self.close()
            try:
                ended()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as failure:
                self.loop.call_exception_handler({"message": "the end of a process was not handled",
                                                  "exception": failure})

    def close(self):
        """Wait no more."""
        cdef Process *process = self.process
        if process == NULL:
            return
        self.process = NULL
        self.ended = None
        process.source.context = NULL
        with nogil:
            process_close(process)
        self.loop._children.discard(self)
