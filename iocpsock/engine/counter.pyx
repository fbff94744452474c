# Counter: how many of each object exist, and have ever existed. Names and order: include/engine_tables.h.
#
# Owner: the process, for ever. Threads: any (interlocked).

cdef enum:
    COUNTER_CAPACITY = 32           # at least COUNTER_COUNT, which is a C constant that Cython cannot size an
                                    # array with

cdef LONGLONG counter_live[COUNTER_CAPACITY]
cdef LONGLONG counter_total[COUNTER_CAPACITY]


cdef inline void counter_add(int counter, LONGLONG amount) noexcept nogil:
    """Add `amount` to an event or quantity; negative for consumers and memory that go. Threads never go:
    those of the port and of the resolver live until the process ends."""
    InterlockedExchangeAdd64(&counter_total[counter], amount)


cdef inline void counter_born(int counter) noexcept nogil:
    InterlockedExchangeAdd64(&counter_live[counter], 1)
    InterlockedExchangeAdd64(&counter_total[counter], 1)


cdef inline void counter_gone(int counter) noexcept nogil:
    InterlockedExchangeAdd64(&counter_live[counter], -1)


cdef LONGLONG counter_read_live(int counter) noexcept nogil:
    return InterlockedExchangeAdd64(&counter_live[counter], 0)


cdef LONGLONG counter_read_total(int counter) noexcept nogil:
    return InterlockedExchangeAdd64(&counter_total[counter], 0)
