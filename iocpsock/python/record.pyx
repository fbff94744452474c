# Record: the piece in which TLS carries its bytes, as far as one has to know it to receive exactly one.
# Threads: any.

cdef enum:
    RECORD_HEADER = 5               # bytes: type, version (2), length (2)
    RECORD_MOST = RECORD_HEADER + (1 << 14) + 2048        # the longest record: RFC 5246, 6.2.3
    RECORD_FULL = 1 << 14           # bytes of a write in one record


cdef DWORD record_size(const unsigned char *header, DWORD got, bint first) noexcept nogil:
    """The size of a record of which so many bytes are there, as far as it is known. What is none has the size
    of a header: with no more than that OpenSSL knows what is wrong."""
    cdef DWORD size = RECORD_HEADER
    if got < RECORD_HEADER:
        return size
    if header[1] == 3:              # SSL 3.0 and all versions of TLS
        size += header[3] << 8 | header[4]
    elif first and header[0] & 0x80 and header[2] == 1:
        size = 2 + ((header[0] & 0x7F) << 8 | header[1])    # the hello of old clients, RFC 5246 E.2
    return size if RECORD_HEADER <= size <= RECORD_MOST else RECORD_HEADER
