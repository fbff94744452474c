# Memory: the engine's heap blocks, counted: `memory` is the number of bytes held, including recycled blocks,
# `allocations` the number of allocations.
#
# Owner: the caller of memory_new. Threads: any.

cdef void *memory_new(size_t size) noexcept nogil:
    """A zeroed block, or NULL if out of memory."""
    cdef void *block = malloc(size)
    if block == NULL:
        return NULL
    memset(block, 0, size)
    counter_add(COUNTER_allocations, 1)
    counter_add(COUNTER_memory, <LONGLONG>size)
    return block


cdef void memory_free(void *block, size_t size) noexcept nogil:
    """Free a block from memory_new, with the size that was requested."""
    counter_add(COUNTER_memory, -<LONGLONG>size)
    free(block)
