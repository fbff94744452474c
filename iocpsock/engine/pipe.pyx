# Pipe: an overlapped handle of a pipe, whose packets come to a loop's port.
#
# One read is posted at a time, with a buffer of the engine's, and the next when the runtime has taken all
# of it: so a runtime that does not read holds one buffer, and the other end waits. Writes are queued, and
# the first of them is posted; small ones that wait together become one write. Every operation that succeeds
# queues a packet, even one that is done at once.
#
#     pipe_watch --> read posted --packet--> held, the consumer is notified --pipe_read--> read posted
#                                --broken--> over
#     pipe_write --> queued --> posted --packet--> the next one is posted
#
# A pipe is broken when its other end was closed: for a reader that is the end of the stream.
# Owner: the runtime holds one reference, which pipe_close consumes; each posted op holds one. The handle is
# the runtime's, which closes it after pipe_close: from then on the engine does not use it.
# Threads: any, with the lock held unless stated.

cdef struct Pipe:
    Source source                   # first: a Source * to it is the Pipe *
    HANDLE handle
    bint closed                     # the runtime is gone
    bint stream                     # no named pipe, so a read of no bytes is the end of the stream. In a pipe
                                    # it is a write of no bytes at the other end
    bint discards                   # what comes is dropped: reads only notice that the pipe is broken
    Op *connecting                  # the posted wait for a client, or NULL
    bint connected                  # it has ended, ...
    int connect_error               # ... with this Win32 code
    Op *reading                     # the posted read, or NULL
    Op *held                        # a read whose bytes are not all taken, or NULL
    DWORD size                      # bytes of the next read's buffer
    bint over                       # nothing more is read, because of ...
    int read_error                  # ... this Win32 code; 0: the end of the stream
    Op *writing                     # the posted write, or NULL
    Queue writes                    # ops that wait for it
    size_t bytes                    # that the system has not taken
    size_t low                      # ready to write at so many
    int write_error                 # Win32 code; nothing more is written


cdef Pipe *pipe_new(Port *port, HANDLE handle, int *error) noexcept nogil:
    """A pipe on an overlapped handle, which is associated with the port for life. NULL with a Win32 code if
    the handle is not overlapped, or in another port. Without the lock."""
    cdef Pipe *pipe
    if CreateIoCompletionPort(handle, port.handle, PORT_KEY, 0) == NULL:
        error[0] = <int>GetLastError()
        return NULL
    pipe = <Pipe *>memory_new(sizeof(Pipe))
    if pipe == NULL:
        error[0] = ERROR_NOT_ENOUGH_MEMORY
        return NULL
    port_hold(port)
    source_init(&pipe.source, SOURCE_PIPE, port, pipe_release)
    pipe.handle = handle
    pipe.stream = not GetNamedPipeInfo(handle, NULL, NULL, NULL, NULL)
    pipe.size = OP_SMALL
    counter_born(COUNTER_pipes)
    return pipe


cdef void pipe_release(Source *source) noexcept nogil:
    counter_gone(COUNTER_pipes)
    port_drop(source.port)
    memory_free(source, sizeof(Pipe))


cdef inline bint pipe_is_broken(int error) noexcept nogil:
    """Whether this Win32 code says that the other end was closed."""
    return error in (ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED, ERROR_NO_DATA, ERROR_HANDLE_EOF)


cdef int pipe_result(Op *op) noexcept nogil:
    """The packet of `op` was dequeued: its Win32 code, and in `transferred` the bytes. A message that is
    longer than the buffer is no error: the next read has the rest. For a socket, code 64 is a reset."""
    cdef int status = <int>op.overlapped.Internal
    cdef int error = 0
    if status < 0 and <DWORD>status != <DWORD>STATUS_BUFFER_OVERFLOW:
        error = <int>RtlNtStatusToDosError(status)
    op.transferred = 0 if error else <DWORD>op.overlapped.InternalHigh
    return WSAECONNRESET if error == ERROR_NETNAME_DELETED else error


cdef int pipe_ready(Pipe *pipe) noexcept nogil:
    """READY_ bits that hold."""
    cdef int ready = 0
    if pipe.held != NULL or pipe.over or pipe.connected:
        ready = READY_READ
    if pipe.write_error or pipe.bytes <= pipe.low:
        ready |= READY_WRITE
    return ready


cdef void pipe_watch(Pipe *pipe, int interest) noexcept nogil:
    """Notify the consumer while one of these READY_ bits holds, and in any case of a write that has failed. A
    read that is posted already goes on. Without the lock."""
    source_lock(&pipe.source)
    pipe.source.interest = interest | READY_WRITE if pipe.write_error else interest
    pipe_post_read(pipe)
    source_unlock_changed(&pipe.source, pipe_ready(pipe))


cdef void pipe_unpost(Op *op) noexcept nogil:
    """The op could not be posted. The caller has a reference to its source."""
    source_drop(op.source)
    op_free(op)


# -------------------------------------------------------------------------------- a client

cdef int pipe_listen(Pipe *pipe) noexcept nogil:
    """Wait until a client connects to this instance of a named pipe: READY_READ tells. 0 or a Win32 code: a
    pipe that is broken had a client that has gone. Without the lock."""
    cdef Op *op = op_new(0, pipe_listened, &pipe.source)
    cdef int error = ERROR_IO_PENDING
    if op == NULL:
        return ERROR_NOT_ENOUGH_MEMORY
    source_lock(&pipe.source)
    pipe.source.interest = READY_READ
    op_begin(op)
    if not ConnectNamedPipe(pipe.handle, &op.overlapped):
        error = <int>GetLastError()
    if error == ERROR_IO_PENDING:
        pipe.connecting = op
        error = 0
    else:
        pipe_unpost(op)
        if error == ERROR_PIPE_CONNECTED:
            pipe.connected = True
            error = 0
    source_unlock_changed(&pipe.source, pipe_ready(pipe))
    return error


cdef void pipe_listened(Op *op) noexcept nogil:
    """The packet of a wait for a client was dequeued."""
    cdef Pipe *pipe = <Pipe *>op.source
    pipe.connect_error = pipe_result(op)
    pipe.connected = True
    pipe.connecting = NULL
    op_free(op)
    source_unlock_changed(&pipe.source, pipe_ready(pipe))


cdef int pipe_take_client(Pipe *pipe, bint *connected) noexcept nogil:
    """Whether the wait for a client has ended, and its Win32 code. Reading may begin then. Without the
    lock."""
    cdef int error
    source_lock(&pipe.source)
    connected[0] = pipe.connected
    error = pipe.connect_error
    pipe.connected = False
    source_unlock(&pipe.source)
    return error


# -------------------------------------------------------------------------------- reading

cdef void pipe_post_read(Pipe *pipe) noexcept nogil:
    """Post a read, if the runtime wants one and has taken what came."""
    cdef Op *op
    cdef int error
    if pipe.closed or pipe.over or pipe.reading != NULL or pipe.held != NULL or pipe.connecting != NULL \
            or pipe.connected or not pipe.source.interest & READY_READ:
        return
    op = op_new(pipe.size, pipe_read_done, &pipe.source)
    if op == NULL:
        pipe_end_reading(pipe, ERROR_NOT_ENOUGH_MEMORY)
        return
    op_begin(op)
    if not ReadFile(pipe.handle, op.data, pipe.size, NULL, &op.overlapped):
        error = <int>GetLastError()
        if error != ERROR_IO_PENDING and error != ERROR_MORE_DATA:
            pipe_unpost(op)
            pipe_end_reading(pipe, error)
            return
    pipe.reading = op


cdef void pipe_end_reading(Pipe *pipe, int error) noexcept nogil:
    """Nothing more can be read. A handle that may only be written to cannot be watched by reads; a write will
    notice that the pipe is broken."""
    if pipe.discards and error == ERROR_ACCESS_DENIED:
        pipe.source.interest &= ~READY_READ
        return
    pipe.over = True
    pipe.read_error = 0 if pipe_is_broken(error) else error


cdef void pipe_read_done(Op *op) noexcept nogil:
    """The packet of a read was dequeued. If somebody else has cancelled the read, the next one is posted."""
    cdef Pipe *pipe = <Pipe *>op.source
    cdef int error = pipe_result(op)
    pipe.reading = NULL
    if error and error != ERROR_OPERATION_ABORTED or not error and not op.transferred and pipe.stream:
        pipe_end_reading(pipe, error)
    if pipe.closed or pipe.discards or not op.transferred:
        op_free(op)
        pipe_post_read(pipe)
    else:
        pipe.held = op
        if op.transferred == pipe.size:
            pipe.size = OP_LARGE
        elif op.transferred < OP_SMALL:
            pipe.size = OP_SMALL
    source_unlock_changed(&pipe.source, pipe_ready(pipe))


cdef inline DWORD pipe_unread(Pipe *pipe) noexcept nogil:
    """Bytes that pipe_read has for the runtime."""
    return pipe.held.transferred - pipe.held.start if pipe.held != NULL else 0


cdef DWORD pipe_read(Pipe *pipe, char *buffer, DWORD size) noexcept nogil:
    """Take at most so many bytes: how many. After the last of them the next read is posted."""
    cdef Op *op = pipe.held
    cdef DWORD count = min(size, pipe_unread(pipe))
    if count == 0:
        return 0
    memcpy(buffer, op.data + op.start, count)
    op.start += count
    if op.start == op.transferred:
        pipe.held = NULL
        op_free(op)
        pipe_post_read(pipe)
    return count


# -------------------------------------------------------------------------------- writing

cdef int pipe_write(Pipe *pipe, const char *data, size_t size) noexcept nogil:
    """Write all of it, now or later: 0 or a Win32 code."""
    cdef Op *op
    cdef size_t count
    while size and not pipe.write_error:
        op = <Op *>queue_last(&pipe.writes)
        if op == NULL or op.length == op.capacity:
            op = pipe_add_write(pipe, size)
        if op == NULL:
            return ERROR_NOT_ENOUGH_MEMORY
        count = min(size, <size_t>(op.capacity - op.length))
        memcpy(op.data + op.length, data, count)
        op.length += <DWORD>count
        op.posted += <DWORD>count
        pipe.bytes += count
        data += count
        size -= count
        if pipe.writing == NULL:
            pipe_post_write(pipe)
    return pipe.write_error


cdef Op *pipe_add_write(Pipe *pipe, size_t size) noexcept nogil:
    """An op at the end of the queue. While one is posted, more is likely to follow: it gets more room."""
    cdef size_t room = OP_LARGE if pipe.writes.first != NULL else OP_SMALL if pipe.writing != NULL else 0
    cdef Op *op = op_new(<DWORD>min(max(size, room), <size_t>OP_LARGE), pipe_write_done, &pipe.source)
    if op != NULL:
        queue_append(&pipe.writes, &op.link, op)
    return op


cdef void pipe_post_write(Pipe *pipe) noexcept nogil:
    """Post the first write of the queue."""
    cdef Op *op = <Op *>queue_take(&pipe.writes)
    if op != NULL:
        pipe_begin_write(pipe, op)


cdef void pipe_begin_write(Pipe *pipe, Op *op) noexcept nogil:
    """Post what is left of a write. op.posted: bytes of it that count in pipe.bytes."""
    cdef DWORD taken = 0
    cdef int error
    op_begin(op)
    if WriteFile(pipe.handle, op.data + op.start, op.length - op.start, &taken, &op.overlapped):
        taken = min(taken, op.posted)                       # the system has them; the packet still comes
        pipe.bytes -= taken
        op.posted -= taken
    else:
        error = <int>GetLastError()
        if error != ERROR_IO_PENDING:
            pipe_unpost(op)
            pipe_end_writing(pipe, error)
            return
    pipe.writing = op


cdef void pipe_end_writing(Pipe *pipe, int error) noexcept nogil:
    """Nothing more can be written: drop the queue."""
    cdef Op *op = <Op *>queue_take(&pipe.writes)
    pipe.write_error = ERROR_BROKEN_PIPE if pipe_is_broken(error) else error
    pipe.bytes = 0
    pipe.source.interest |= READY_WRITE
    while op != NULL:
        op_free(op)
        op = <Op *>queue_take(&pipe.writes)


cdef void pipe_write_done(Op *op) noexcept nogil:
    """The packet of a write was dequeued. A pipe that does not block may have taken a part."""
    cdef Pipe *pipe = <Pipe *>op.source
    cdef int error = pipe_result(op)
    pipe.writing = NULL
    op.start += op.transferred
    if error or not op.transferred:
        pipe_end_writing(pipe, error if error else ERROR_NO_DATA)
    else:
        pipe.bytes -= op.posted
    if pipe.write_error or op.start >= op.length:
        op_free(op)
        pipe_post_write(pipe)
    else:
        op.posted = op.length - op.start
        pipe.bytes += op.posted
        pipe_begin_write(pipe, op)
    source_unlock_changed(&pipe.source, pipe_ready(pipe))


# -------------------------------------------------------------------------------- the end

cdef void pipe_close(Pipe *pipe) noexcept nogil:
    """The runtime is done with it, and now closes the handle: consumes its reference. What was not written is
    dropped. Without the lock."""
    source_attach(&pipe.source, NULL)
    source_lock(&pipe.source)
    pipe.closed = True
    if pipe.connecting != NULL:
        CancelIoEx(pipe.handle, &pipe.connecting.overlapped)
    if pipe.reading != NULL:
        CancelIoEx(pipe.handle, &pipe.reading.overlapped)
    if pipe.writing != NULL:
        CancelIoEx(pipe.handle, &pipe.writing.overlapped)
    if pipe.held != NULL:
        op_free(pipe.held)
        pipe.held = NULL
    pipe_end_writing(pipe, ERROR_OPERATION_ABORTED)
    source_unlock(&pipe.source)
    source_drop(&pipe.source)
