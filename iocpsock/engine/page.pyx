# Page: memory for small operations, one system page each.
#
# The kernel locks whole pages for a posted buffer. A heap block of a page's size lies across two pages. So
# pages are cut from slabs: heap blocks with room for several aligned pages.
# Owner: the holder of a page; a slab lives while one of its pages is in use. Threads: any, under
# `pages.lock`.

cdef enum:
    PAGE_BYTES = 4096               # the page size of Windows on x64 and ARM64 ("dwPageSize" on Microsoft's
                                    # page SYSTEM_INFO)

cdef struct Slab:
    Link link                       # in the queue of slabs with unused pages
    void *unused                    # a list linked through the first word of each unused page
    int used                        # pages in use; PAGE_SLAB pages follow, from the first aligned address

cdef struct Pages:
    SRWLOCK lock
    Queue slabs                     # with unused pages

cdef Pages pages


cdef inline size_t page_slab_bytes() noexcept nogil:
    return sizeof(Slab) + (PAGE_SLAB + 1) * PAGE_BYTES


cdef Slab *page_new_slab() noexcept nogil:
    """A new slab, with all its pages unused, in the queue; NULL if out of memory."""
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
    """A page, which is not cleared, and in `owner` the slab for page_free; NULL if out of memory."""
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
