# Memory: the engine's blocks, counted: `memory` is how many bytes it holds, recycled ones included,
# `allocations` how often it asked for some.
#
# Owner: whoever asked. Threads: any.

cdef void *memory_new(size_t size) noexcept nogil:
    """A zeroed block, or NULL when memory is exhausted."""
    cdef void *block = malloc(size)
    if block == NULL:
        return NULL
    memset(block, 0, size)
    counter_add(COUNTER_allocations, 1)
    counter_add(COUNTER_memory, <LONGLONG>size)
    return block


cdef void memory_free(void *block, size_t size) noexcept nogil:
    """Give back a block of memory_new's, with the size it was asked for."""
    counter_add(COUNTER_memory, -<LONGLONG>size)
    free(block)
