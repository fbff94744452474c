# Error: the one place where the engine translates completion codes to Winsock codes.
#
# A completion packet carries an NTSTATUS; a call that fails at once sets a Winsock or a Win32 code. The
# layers above always see a Winsock code (10004..11999, or 995 for a cancelled operation). The table is data:
# engine_tables.h.
# Threads: any; no state.

cdef int error_lookup(DWORD code) noexcept nogil:
    """The Winsock code in the table's row for `code`, or 0."""
    cdef int row
    for row in range(ERROR_ROWS):
        if error_table[row].code == code:
            return error_table[row].winsock
    return 0


cdef int error_from_win32(DWORD code) noexcept nogil:
    """The Winsock code for what GetLastError or WSAGetLastError returned; 0 stays 0."""
    cdef int winsock = error_lookup(code) if code else 0
    return winsock if winsock else <int>code


cdef int error_from_status(ULONG_PTR status) noexcept nogil:
    """The Winsock code for a completed operation's NTSTATUS (OVERLAPPED.Internal); 0 for success."""
    cdef int winsock
    if <int>status >= 0 and <DWORD>status != <DWORD>STATUS_TIMEOUT:
        # Success and informational statuses; the caller excludes STATUS_PENDING.
        return 0
    winsock = error_lookup(<DWORD>status)
    return winsock if winsock else error_from_win32(RtlNtStatusToDosError(<int>status))


cdef int error_last() noexcept nogil:
    """The Winsock code of the call that just failed on this thread."""
    return error_from_win32(<DWORD>WSAGetLastError())
