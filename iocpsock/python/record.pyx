# Record: as much of TLS's record format as is needed to receive exactly one record.
# Threads: any.

cdef enum:
    RECORD_HEADER = 5               # bytes: type, version (2), length (2)
    RECORD_MOST = RECORD_HEADER + (1 << 14) + 2048        # the longest record: RFC 5246, 6.2.3
    RECORD_FULL = 1 << 14           # bytes of a write in one record


cdef DWORD record_size(const unsigned char *header, DWORD got, bint first) noexcept nogil:
    """Return the size of a record of which `got` bytes have arrived: that of a header until the header is
    complete. Anything that is not a record has the size of a header: OpenSSL needs no more to report the
    error."""
    cdef DWORD size = RECORD_HEADER
    if got < RECORD_HEADER:
        return size
    if header[1] == 3:              # SSL 3.0 and all versions of TLS
        size += header[3] << 8 | header[4]
    elif first and header[0] & 0x80 and header[2] == 1:
        size = 2 + ((header[0] & 0x7F) << 8 | header[1])    # the ClientHello of old clients, RFC 5246 E.2
    return size if RECORD_HEADER <= size <= RECORD_MOST else RECORD_HEADER
