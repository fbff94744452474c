# Flag: tells threads that read it without a lock that something exists for good, which one thread created
# once.
#
# A processor may see another's writes in a different order: not on x64, but on ARM64. So what the flag stands
# for is written before it and read after it.
# Owner: a member of what it describes. Threads: set by one thread at a time, under the lock of the creation;
# read by any.


cdef inline void flag_set(LONG *flag) noexcept nogil:
    InterlockedExchange(flag, 1)                            # a full barrier


cdef inline bint flag_is_set(LONG *flag) noexcept nogil:
    """If True, all that was written before the flag was set is visible from here on."""
    if not flag[0]:
        return False
    MemoryBarrier()
    return True
