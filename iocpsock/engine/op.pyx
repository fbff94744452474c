# Op: one overlapped operation, with the memory that the kernel reads or writes for it.
#
# Owner: from the posting call until its packet is dequeued, the kernel owns the op, whatever CancelIoEx
# returned; after that, the source (a connection or a listener) that posted it. A posted op holds a reference
# to its source. Ops come from free lists, one for each block size, and return to them: steady traffic
# allocates nothing.
# Threads: the source's lock is held to use an op that is not posted, and to handle the packet of one that
# was. Only an op that no other thread can reach needs no lock.

cdef enum:
    OP_MAGIC = 0x494F4350           # "IOCP": a packet whose OVERLAPPED lacks it is not the engine's
    OP_SMALL = PAGE_BYTES           # bytes of data: one page, the unit the kernel locks
    OP_LARGE = 65536                # bytes of data for busy connections; also the largest single send
    OP_TINY = 512                   # bytes of data: two socket addresses as AcceptEx requires them
    OP_CLASSES = 4                  # no data, OP_TINY, OP_SMALL, OP_LARGE
    OP_PAGED = 2                    # the class of OP_SMALL

ctypedef void (*op_completion)(Op *op) noexcept nogil

cdef struct Op:
    OVERLAPPED overlapped           # first: the kernel's pointer to it is the pointer to the op
    unsigned int magic
    int size_class
    op_completion complete          # called once per packet, on the thread that dequeued it, with the
                                    # source's lock held; it releases the lock
    Source *source                  # what posted it; referenced while posted
    Link link                       # in a queue of its source, or in the free list
    bint done                       # the packet was dequeued, or the call completed at once
    int error                       # Winsock code, valid when done
    DWORD transferred               # bytes, valid when done
    DWORD start                     # first byte of data not consumed yet
    DWORD length                    # bytes of data to send
    Link direct                     # in its consumer's queue of direct ops
    bint withdrawn                  # a receive that the engine cancelled: WSA_OPERATION_ABORTED then says
                                    # nothing about the stream
    DWORD posted                    # send: total bytes of the WSASend of which this is the first op
    DWORD capacity                  # bytes of data
    SOCKET socket                   # accept: the socket for the incoming connection
    void *owner                     # accept: the endpoint
    LONGLONG number                 # accept: counts in the order of posting, which is the order in which the
                                    # kernel fills them
    char *data                      # directly after the op; for OP_SMALL bytes a separate page ...
    Slab *slab                      # ... of this slab

cdef struct OpPool:
    SRWLOCK lock
    Queue free
    size_t kept

cdef OpPool op_pools[OP_CLASSES]


cdef inline DWORD op_class_bytes(int size_class) noexcept nogil:
    if size_class < 2:
        return 0 if size_class == 0 else OP_TINY
    return OP_SMALL if size_class == OP_PAGED else OP_LARGE


cdef inline size_t op_block(int size_class) noexcept nogil:
    """Size in bytes of the block that starts with the op."""
    return sizeof(Op) + (0 if size_class == OP_PAGED else op_class_bytes(size_class))


cdef inline int op_class(DWORD bytes) noexcept nogil:
    if bytes <= OP_TINY:
        return 0 if bytes == 0 else 1
    return OP_PAGED if bytes <= OP_SMALL else 3


cdef Op *op_make(int size_class) noexcept nogil:
    """Allocate an op and its data memory, with no other field set, or return NULL if out of memory."""
    cdef Op *op = <Op *>memory_new(op_block(size_class))
    if op == NULL:
        return NULL
    op.data = <char *>(op + 1)
    if size_class == OP_PAGED:
        op.data = page_new(&op.slab)
        if op.data == NULL:
            memory_free(op, op_block(size_class))
            return NULL
    return op


cdef void op_unmake(Op *op) noexcept nogil:
    if op.slab != NULL:
        page_free(op.data, op.slab)
    memory_free(op, op_block(op.size_class))


cdef Op *op_new(DWORD bytes, op_completion complete, Source *source) noexcept nogil:
    """A fresh op with at least `bytes` (at most OP_LARGE) bytes of data, or NULL if out of memory."""
    cdef int size_class = op_class(bytes)
    cdef OpPool *pool = &op_pools[size_class]
    cdef Op *op
    cdef char *data
    cdef Slab *slab
    AcquireSRWLockExclusive(&pool.lock)
    op = <Op *>queue_take(&pool.free)
    if op != NULL:
        pool.kept -= sizeof(Op) + op.capacity
    ReleaseSRWLockExclusive(&pool.lock)
    if op == NULL:
        op = op_make(size_class)
        if op == NULL:
            return NULL
    data, slab = op.data, op.slab
    memset(op, 0, sizeof(Op))
    op.data, op.slab = data, slab
    op.magic = OP_MAGIC
    op.size_class = size_class
    op.capacity = op_class_bytes(size_class)
    op.complete = complete
    op.source = source
    op.socket = INVALID_SOCKET
    counter_born(COUNTER_operations)
    return op


cdef void op_free(Op *op) noexcept nogil:
    """Return an op that is not posted to its free list or to the heap."""
    cdef OpPool *pool = &op_pools[op.size_class]
    cdef bint keep
    op.magic = 0
    counter_gone(COUNTER_operations)
    AcquireSRWLockExclusive(&pool.lock)
    keep = pool.kept < OP_KEEP_BYTES
    if keep:
        queue_prepend(&pool.free, &op.link, op)
        pool.kept += sizeof(Op) + op.capacity
    ReleaseSRWLockExclusive(&pool.lock)
    if not keep:
        op_unmake(op)


cdef inline void op_reset(OVERLAPPED *overlapped) noexcept nogil:
    """Call before an operation is posted on it: the status is pending until the operation ends, whether
    Winsock or the kernel would have set it."""
    memset(overlapped, 0, sizeof(OVERLAPPED))
    overlapped.Internal = <ULONG_PTR>STATUS_PENDING


cdef inline bint op_pending(OVERLAPPED *overlapped) noexcept nogil:
    """Whether the kernel still owns an operation that ends without a packet. Only the low half of the status
    counts, as in the SDK's HasOverlappedIoCompleted. What the kernel wrote before the status is read after
    it."""
    if <DWORD>overlapped.Internal == <DWORD>STATUS_PENDING:
        return True
    MemoryBarrier()
    return False


cdef inline void op_begin(Op *op) noexcept nogil:
    """Call before posting the op: from now on it also holds a reference to its source."""
    op_reset(&op.overlapped)
    op.done = False
    op.error = 0
    op.transferred = 0
    source_hold(op.source)


cdef inline void op_finish(Op *op, int error) noexcept nogil:
    """The kernel has released the op: store its result. `error` is a Winsock code, or -1 to read the op's own
    status."""
    op.error = error_from_status(op.overlapped.Internal) if error < 0 else error
    op.transferred = <DWORD>op.overlapped.InternalHigh if op.error == 0 else 0
    op.done = True


cdef void op_dispatch(Op *op) noexcept nogil:
    """The packet of `op` was dequeued. The result is stored, and op.complete called, under one hold of the
    lock: no other thread sees the result without its consequences."""
    cdef Source *source = op.source
    source_lock(source)
    op_finish(op, -1)
    op.complete(op)
    source_drop(source)
