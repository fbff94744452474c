# Page: memory for small operations, a page of the system each.
#
# The kernel locks the pages of a posted buffer, whole ones. A block of the heap of a page's size lies across
# two. So pages are cut from slabs: blocks of the heap with room for several aligned pages.
# Owner: whoever has a page; a slab lives as long as one of its pages is in use. Threads: any, under
# `pages.lock`.

cdef enum:
    PAGE_BYTES = 4096               # of a page of Windows on x64 and ARM64 ("dwPageSize" on Microsoft's page
                                    # SYSTEM_INFO)

cdef struct Slab:
    Link link                       # in the queue of slabs with unused pages
    void *unused                    # a list through the first words of its unused pages
    int used                        # behind it PAGE_SLAB pages, from the first aligned place on

cdef struct Pages:
    SRWLOCK lock
    Queue slabs                     # with unused pages

cdef Pages pages


cdef inline size_t page_slab_bytes() noexcept nogil:
    return sizeof(Slab) + (PAGE_SLAB + 1) * PAGE_BYTES


cdef Slab *page_new_slab() noexcept nogil:
    """A slab whose pages are all unused, in the list; or NULL."""
    cdef Slab *slab = <Slab *>memory_new(page_slab_bytes())
    cdef char *page
    cdef int _
    if slab == NULL:
        return NULL
    page = <char *>((<size_t>slab + sizeof(Slab) + PAGE_BYTES - 1) & ~<size_t>(PAGE_BYTES - 1))
    for _ in range(PAGE_SLAB):
        (<void **>page)[0] = slab.unused
        slab.unused = page
        page += PAGE_BYTES
    queue_prepend(&pages.slabs, &slab.link, slab)
    return slab


cdef char *page_new(Slab **owner) noexcept nogil:
    """A page, with what it held before, and in `owner` what page_free wants to know; or NULL when memory is
    exhausted."""
    cdef Slab *slab
    cdef void **page = NULL
    AcquireSRWLockExclusive(&pages.lock)
    slab = <Slab *>queue_first(&pages.slabs)
    if slab == NULL:
        slab = page_new_slab()
    if slab != NULL:
        page = <void **>slab.unused
        slab.unused = page[0]
        slab.used += 1
        if slab.unused == NULL:
            queue_remove(&slab.link)
    ReleaseSRWLockExclusive(&pages.lock)
    owner[0] = slab
    return <char *>page


cdef void page_free(char *page, Slab *slab) noexcept nogil:
    AcquireSRWLockExclusive(&pages.lock)
    if slab.unused == NULL:
        queue_prepend(&pages.slabs, &slab.link, slab)
    (<void **>page)[0] = slab.unused
    slab.unused = page
    slab.used -= 1
    if slab.used == 0:
        queue_remove(&slab.link)
    else:
        slab = NULL
    ReleaseSRWLockExclusive(&pages.lock)
    if slab != NULL:
        memory_free(slab, page_slab_bytes())
