# Resolver: name resolution off the caller's thread.
#
# GetAddrInfoW may block for seconds, so it runs on a few of the engine's own threads, started on demand and
# kept. (Windows' asynchronous GetAddrInfoExW leaves threads that outlive a clean-up, and cannot be cancelled
# everywhere.)
# Owner: the resolver owns a Lookup from resolver_submit until it has called done() with it, once; done() then
# owns the result. A caller that loses interest records that in its own object: done() is always called.
# Threads: resolver_submit on any; done() runs on a resolver thread with no lock held.

cdef enum:
    RESOLVER_THREADS = 4            # further lookups wait

ctypedef void (*resolver_done)(Lookup *lookup) noexcept nogil

cdef struct Lookup:
    Link link
    Source *source                  # the requester; referenced until done() has returned
    resolver_done done
    int port_number
    int family
    int error                       # Winsock code
    Address *result
    char host[ADDRESS_HOST_MAX]

cdef struct Resolver:
    SRWLOCK lock
    CONDITION_VARIABLE submitted
    Queue lookups                   # that no thread has taken
    int threads
    int idle                        # threads that wait for work
    int waiting                     # lookups in the queue

cdef Resolver resolver


cdef Lookup *resolver_lookup(Source *source, const char *host, int port_number, int family,
                             resolver_done done) noexcept nogil:
    """A lookup to submit, or NULL if out of memory or if the name is too long for a host name."""
    cdef size_t length = 0
    cdef Lookup *lookup
    while host[length]:
        length += 1
    if length >= ADDRESS_HOST_MAX:
        return NULL
    lookup = <Lookup *>memory_new(sizeof(Lookup))
    if lookup == NULL:
        return NULL
    memcpy(lookup.host, host, length)
    lookup.port_number = port_number
    lookup.family = family
    lookup.done = done
    lookup.source = source
    source_hold(source)
    counter_born(COUNTER_lookups)
    return lookup


cdef void resolver_free(Lookup *lookup) noexcept nogil:
    source_drop(lookup.source)
    memory_free(lookup, sizeof(Lookup))
    counter_gone(COUNTER_lookups)


cdef bint resolver_submit(Lookup *lookup) noexcept nogil:
    """Queue `lookup`, and start a thread if none is idle. False if there is no thread to serve it: then it
    frees the lookup."""
    cdef HANDLE thread
    cdef bint served
    AcquireSRWLockExclusive(&resolver.lock)
    if resolver.waiting >= resolver.idle and resolver.threads < RESOLVER_THREADS:
        thread = CreateThread(NULL, 0, <void *>&resolver_thread, NULL, 0, NULL)
        if thread != NULL:
            CloseHandle(thread)
            resolver.threads += 1
            counter_add(COUNTER_threads, 1)
    served = resolver.threads != 0
    if served:
        queue_append(&resolver.lookups, &lookup.link, lookup)
        resolver.waiting += 1
        WakeConditionVariable(&resolver.submitted)
    ReleaseSRWLockExclusive(&resolver.lock)
    if not served:
        resolver_free(lookup)
    return served


cdef DWORD resolver_thread(void *unused) noexcept nogil:
    """The body of a resolver thread."""
    cdef Lookup *lookup
    while True:
        AcquireSRWLockExclusive(&resolver.lock)
        resolver.idle += 1
        while resolver.lookups.first == NULL:
            SleepConditionVariableSRW(&resolver.submitted, &resolver.lock, INFINITE, 0)
        resolver.idle -= 1
        resolver.waiting -= 1
        lookup = <Lookup *>queue_take(&resolver.lookups)
        ReleaseSRWLockExclusive(&resolver.lock)
        lookup.error = address_lookup(lookup.host, lookup.port_number, lookup.family, False, False,
                                      &lookup.result)
        lookup.done(lookup)
        resolver_free(lookup)
    return 0
