# Address: lists of socket addresses from name resolution.
#
# Owner: the holder of a list. Its addresses are copies of what GetAddrInfoW returned, so callers may order
# them and set their ports. Threads: the owner of the list.

cdef enum:
    ADDRESS_HOST_MAX = 1025         # bytes of a host name with its terminator: NI_MAXHOST

cdef struct Address:
    Address *next
    int family
    int length
    sockaddr_storage storage


cdef void address_list_free(Address *list) noexcept nogil:
    cdef Address *next
    while list != NULL:
        next = list.next
        memory_free(list, sizeof(Address))
        list = next


cdef Address *address_new(const sockaddr *source, int length) noexcept nogil:
    cdef Address *address = <Address *>memory_new(sizeof(Address))
    if address != NULL:
        memcpy(&address.storage, source, length)
        address.length = length
        address.family = source.sa_family
    return address


cdef inline void address_set_port(Address *address, int port_number) noexcept nogil:
    """The port has the same offset in sockaddr_in and sockaddr_in6."""
    (<sockaddr_in *>&address.storage).sin_port = htons(<u_short>port_number)


cdef inline int address_port(const sockaddr *address) noexcept nogil:
    return ntohs((<const sockaddr_in *>address).sin_port)


cdef bint address_same(const sockaddr *one, const sockaddr *other) noexcept nogil:
    """Whether both have the same host and port. Flow, scope and padding may differ."""
    if one.sa_family != other.sa_family or address_port(one) != address_port(other):
        return False
    if one.sa_family == AF_INET:
        return (<const sockaddr_in *>one).sin_addr.s_addr == (<const sockaddr_in *>other).sin_addr.s_addr
    return memcmp(&(<const sockaddr_in6 *>one).sin6_addr, &(<const sockaddr_in6 *>other).sin6_addr,
                  sizeof(in6_addr)) == 0


cdef bint address_is_loopback(const sockaddr *address) noexcept nogil:
    cdef const unsigned char *bytes
    cdef int index
    if address.sa_family == AF_INET:
        return (<const unsigned char *>&(<const sockaddr_in *>address).sin_addr)[0] == 127
    if address.sa_family != AF_INET6:
        return False
    bytes = <const unsigned char *>(<const sockaddr_in6 *>address).sin6_addr.s6_addr
    for index in range(15):
        if bytes[index]:
            return False
    return bytes[15] == 1


cdef bint address_is_unspecified(const sockaddr *address) noexcept nogil:
    """0.0.0.0, ::, or the first one mapped into IPv6."""
    cdef const unsigned char *bytes
    cdef int index
    if address.sa_family == AF_INET:
        return (<const sockaddr_in *>address).sin_addr.s_addr == 0
    if address.sa_family != AF_INET6:
        return False
    bytes = <const unsigned char *>(<const sockaddr_in6 *>address).sin6_addr.s6_addr
    for index in range(16):
        if bytes[index] and not ((index == 10 or index == 11) and bytes[index] == 0xFF):
            return False
    return True


cdef void address_any_to_loopback(Address *address) noexcept nogil:
    """Replace the unspecified address by loopback. On other systems connecting to it means this machine;
    Windows refuses it (WSAEADDRNOTAVAIL)."""
    cdef unsigned char *bytes
    if not address_is_unspecified(<const sockaddr *>&address.storage):
        return
    if address.family == AF_INET:
        (<sockaddr_in *>&address.storage).sin_addr.s_addr = htonl(0x7F000001)
    else:
        bytes = <unsigned char *>(<sockaddr_in6 *>&address.storage).sin6_addr.s6_addr
        if bytes[10]:
            bytes[12] = 127                                 # ::ffff:127.0.0.1
        bytes[15] = 1


cdef Address *address_list_copy(const ADDRINFOW *info, bint ipv4_first) noexcept nogil:
    """The TCP addresses of `info` in its order, or with IPv4 first. NULL if empty or out of memory."""
    cdef Address *head = NULL
    cdef Address **tail = &head
    cdef Address *address
    cdef const ADDRINFOW *item
    cdef int turn
    for turn in range(2 if ipv4_first else 1):
        item = info
        while item != NULL:
            if (item.ai_family == AF_INET or item.ai_family == AF_INET6) and (
                    not ipv4_first or (item.ai_family == AF_INET) == (turn == 0)):
                address = address_new(item.ai_addr, <int>item.ai_addrlen)
                if address == NULL:
                    address_list_free(head)
                    return NULL
                tail[0] = address
                tail = &address.next
            item = item.ai_next
    return head


cdef int address_lookup(const char *host, int port_number, int family, bint passive, bint numeric,
                        Address **list) noexcept nogil:
    """Resolve `host` (UTF-8; NULL for the unspecified or loopback address) on this thread: 0 or a Winsock
    code. `numeric` accepts only a literal address, which never blocks."""
    cdef ADDRINFOW hints
    cdef ADDRINFOW *info = NULL
    cdef WCHAR wide[ADDRESS_HOST_MAX]
    cdef WCHAR service[8]
    cdef int error
    list[0] = NULL
    if host != NULL and not MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, wide,
                                                ADDRESS_HOST_MAX):
        return WSAHOST_NOT_FOUND                            # not UTF-8, or longer than any host name
    address_format_port(port_number, service)
    memset(&hints, 0, sizeof(hints))
    hints.ai_family = family
    hints.ai_socktype = SOCK_STREAM
    hints.ai_flags = (AI_PASSIVE if passive else 0) | (AI_NUMERICHOST if numeric else 0)
    error = GetAddrInfoW(wide if host != NULL else NULL, service, &hints, &info)
    if error:
        return error
    list[0] = address_list_copy(info, passive)
    FreeAddrInfoW(info)
    return 0 if list[0] != NULL else WSAHOST_NOT_FOUND


cdef void address_format_port(int port_number, WCHAR *text) noexcept nogil:
    """Decimal digits of 0..65535 and a terminator."""
    cdef WCHAR digits[8]
    cdef int count = 0
    while True:
        digits[count] = <WCHAR>(c'0' + port_number % 10)
        port_number //= 10
        count += 1
        if port_number == 0:
            break
    while count:
        count -= 1
        text[0] = digits[count]
        text += 1
    text[0] = 0
