# Flag: says that something is there for good, made once by one thread, to threads that ask without a lock.
#
# A processor may show another's writes in another order: x64 does not, ARM64 does. So what the flag stands
# for is written before it and read after it.
# Owner: a member of what it tells of. Threads: set by one at a time, under the lock of whoever makes the
# thing; asked by any.


cdef inline void flag_set(LONG *flag) noexcept nogil:
    InterlockedExchange(flag, 1)                            # a full barrier


cdef inline bint flag_is_set(LONG *flag) noexcept nogil:
    """If so, all that was written before it was set is seen from here on."""
    if not flag[0]:
        return False
    MemoryBarrier()
    return True
