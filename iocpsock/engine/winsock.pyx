# Winsock: start-up, the extension functions, and sockets made the way the engine needs them.
#
# Every socket is overlapped and not inheritable from its creation on, non-blocking for direct calls, and
# bound to the port with "skip on success", so that a call which finishes at once costs no packet. WSACleanup
# is never called: other users of Winsock in the process and operations still in flight must not lose it.
# Owner: the process. Threads: any, after winsock_start.

cdef enum:
    WINSOCK_VERSION = 0x0202
    WINSOCK_ADDRESS = 144           # bytes AcceptEx wants for an address: sizeof(sockaddr_storage) + 16
    WINSOCK_BACKLOG = 200           # the most that `listen` takes without a hint
    WINSOCK_IDEAL_BACKLOG = 65536   # bytes to have outstanding at least: what TCP has under way without
                                    # window scaling
    WINSOCK_TELLS = 1
    WINSOCK_TELLS_NOT = 2

cdef struct WinsockFunctions:
    SRWLOCK lock                    # serialises the start
    LONG started
    LPFN_ACCEPTEX AcceptEx
    LPFN_CONNECTEX ConnectEx
    LPFN_GETACCEPTEXSOCKADDRS GetAcceptExSockaddrs
    LPFN_TRANSMITFILE TransmitFile
    bint always_retries             # the system knows no SIO_TCP_INITIAL_RTO
    bint is_ifs                     # the sockets of every family are kernel handles
    bint is_base                    # and no provider is layered over the system's own
    bint no_tcp_info                # nor SIO_TCP_INFO
    int ideal_backlog               # WINSOCK_TELLS or WINSOCK_TELLS_NOT, once it was asked of a connection

cdef WinsockFunctions winsock


cdef int winsock_extension(SOCKET sock, const GUID *identifier, void *function) noexcept nogil:
    """Store the provider's extension function at `function`; 0 or a Winsock code."""
    cdef DWORD size = 0
    if WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, <void *>identifier, sizeof(GUID), function,
                sizeof(void *), &size, NULL, NULL):
        return error_last()
    return 0


cdef int winsock_start() noexcept nogil:
    """Start Winsock and look up its extension functions, once for the process, whoever comes first: 0 or a
    Winsock code. A start that failed is tried again by the next caller."""
    cdef int error = 0
    if flag_is_set(&winsock.started):
        return 0
    AcquireSRWLockExclusive(&winsock.lock)
    if not winsock.started:
        error = winsock_begin()
        if not error:
            flag_set(&winsock.started)
    ReleaseSRWLockExclusive(&winsock.lock)
    return error


cdef int winsock_begin() noexcept nogil:
    cdef WSADATA data
    cdef int error = WSAStartup(WINSOCK_VERSION, &data)
    cdef SOCKET probe
    if error:
        return error
    probe = winsock_socket(AF_INET)
    if probe == INVALID_SOCKET:
        return error_last()
    error = winsock_extension(probe, &acceptex_id, &winsock.AcceptEx)
    if not error:
        error = winsock_extension(probe, &connectex_id, &winsock.ConnectEx)
    if not error:
        error = winsock_extension(probe, &getacceptexsockaddrs_id, &winsock.GetAcceptExSockaddrs)
    if not error:
        error = winsock_extension(probe, &transmitfile_id, &winsock.TransmitFile)
    winsock_acknowledged(probe)                             # to learn whether the system tells
    closesocket(probe)
    return error if error else winsock_ask_providers()


cdef int winsock_ask_providers() noexcept nogil:
    """Ask once what sockets are, of each family, because a layered provider may stand over one of them only,
    as libuv found out: 0 or a Winsock code. The answer that is right for both holds for all."""
    cdef int families[2]
    cdef int index, error
    cdef SOCKET probe
    families[0] = AF_INET
    families[1] = AF_INET6
    winsock.is_ifs = winsock.is_base = True
    for index in range(2):
        probe = winsock_socket(families[index])
        if probe == INVALID_SOCKET:
            error = error_last()
            if error == WSAEMFILE or error == WSAENOBUFS:
                return error
            # This machine, or this process, has no such family.
            continue
        winsock.is_ifs = winsock.is_ifs and winsock_is_ifs(probe)
        winsock.is_base = winsock.is_base and winsock_ask_base(probe) == probe
        closesocket(probe)
    return 0


cdef ULONGLONG winsock_acknowledged(SOCKET sock) noexcept nogil:
    """Bytes that the peer has acknowledged, as far as the system tells; 0 where it does not."""
    cdef tcp_info_v0 info
    cdef DWORD version = 0, size = 0
    if winsock.no_tcp_info:
        return 0
    if WSAIoctl(sock, IOCPSOCK_SIO_TCP_INFO, &version, sizeof(version), &info, sizeof(info), &size, NULL,
                NULL):
        # Any other code may be the answer for a socket that is not connected.
        winsock.no_tcp_info = error_last() == WSAEOPNOTSUPP
        return 0
    return info.bytes_out - info.bytes_in_flight


cdef ULONG winsock_ideal_backlog(SOCKET sock) noexcept nogil:
    """Bytes that the system wants to have outstanding on a connected socket to keep its stream full, as far
    as it tells."""
    cdef ULONG bytes = 0
    cdef DWORD size = 0
    if winsock.ideal_backlog != WINSOCK_TELLS_NOT:
        if WSAIoctl(sock, IOCPSOCK_SIO_IDEAL_SEND_BACKLOG_QUERY, NULL, 0, &bytes, sizeof(bytes), &size, NULL,
                    NULL) == 0:
            winsock.ideal_backlog = WINSOCK_TELLS
        elif error_last() == WSAEOPNOTSUPP:
            winsock.ideal_backlog = WINSOCK_TELLS_NOT       # any other code is the answer for this connection
    return bytes if bytes > WINSOCK_IDEAL_BACKLOG else WINSOCK_IDEAL_BACKLOG


cdef bint winsock_tells_backlog(SOCKET sock) noexcept nogil:
    """Whether the system says that of its connections, one of which this is."""
    if not winsock.ideal_backlog:
        winsock_ideal_backlog(sock)
    return winsock.ideal_backlog == WINSOCK_TELLS


cdef SOCKET winsock_socket(int family) noexcept nogil:
    """A TCP socket of `family`, or INVALID_SOCKET with the reason in WSAGetLastError."""
    return WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT)


cdef int winsock_flag(SOCKET sock, int level, int option, int value) noexcept nogil:
    """Set an int-sized socket option: 0 or a Winsock code."""
    return error_last() if setsockopt(sock, level, option, <const char *>&value, sizeof(int)) else 0


cdef int winsock_nonblocking(SOCKET sock, bint on=True) noexcept nogil:
    """Calls without an OVERLAPPED return at once from now on, or may wait. Overlapped ones are not
    affected."""
    cdef u_long value = on
    return error_last() if ioctlsocket(sock, FIONBIO, &value) else 0


cdef void winsock_retry_once(SOCKET sock) noexcept nogil:
    """Have a refused connection attempt repeated once and soon. Older systems do not know the request, and
    need not be asked twice."""
    cdef DWORD ignored = 0
    if not winsock.always_retries and WSAIoctl(sock, IOCPSOCK_SIO_TCP_INITIAL_RTO, <void *>&initial_rto_once,
                                               sizeof(initial_rto_once), NULL, 0, &ignored, NULL, NULL):
        winsock.always_retries = error_last() == WSAEOPNOTSUPP


cdef void winsock_reset(SOCKET sock) noexcept nogil:
    """closesocket will send RST, at once, and leave nothing behind. Of a socket from AcceptEx only after
    winsock_accepted."""
    cdef linger hard
    hard.l_onoff = 1
    hard.l_linger = 0
    setsockopt(sock, SOL_SOCKET, SO_LINGER, <const char *>&hard, sizeof(hard))


cdef bint winsock_is_ifs(SOCKET sock) noexcept nogil:
    """Whether the socket is a real kernel handle. With a layered provider that wraps it in one of its own,
    "skip on success" would drop packets that the provider waits for (KB 2568167)."""
    cdef WSAPROTOCOL_INFOW info
    cdef int length = sizeof(WSAPROTOCOL_INFOW)
    if getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, <char *>&info, &length):
        return False
    return (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0


cdef inline SOCKET winsock_base(SOCKET sock) noexcept nogil:
    """The socket's handle in the system's own driver, below any layered provider."""
    return sock if winsock.is_base else winsock_ask_base(sock)


cdef SOCKET winsock_ask_base(SOCKET sock) noexcept nogil:
    """The same, by asking the socket. Microsoft's page "Winsock IOCTLs" says that a layered provider must not
    answer SIO_BASE_HANDLE itself; some do all the same, and wepoll and mio then ask for the handle that
    select() is to use."""
    cdef SOCKET base = sock
    cdef DWORD size = 0
    if WSAIoctl(sock, SIO_BASE_HANDLE, NULL, 0, &base, sizeof(base), &size, NULL, NULL) == 0:
        return base
    base = sock
    if WSAIoctl(sock, SIO_BSP_HANDLE_POLL, NULL, 0, &base, sizeof(base), &size, NULL, NULL) == 0:
        return base
    return sock


cdef int winsock_accepted(SOCKET listening, SOCKET sock) noexcept nogil:
    """Tell Winsock that AcceptEx has connected `sock`: 0 or a Winsock code. Before that, says Microsoft's
    page "AcceptEx function", it is no connected socket for shutdown, getpeername and the options, SO_LINGER
    among them; and the listening socket has to be open yet."""
    return error_last() if setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, <const char *>&listening,
                                      sizeof(SOCKET)) else 0


cdef int winsock_adopt(SOCKET listening, SOCKET sock, void *addresses, sockaddr_storage *peer) noexcept nogil:
    """Finish a socket that AcceptEx has connected: 0 with the peer's address, or a Winsock code."""
    cdef int error = winsock_accepted(listening, sock)
    if not error:
        winsock_peer(addresses, peer)
    return error


cdef void winsock_peer(void *addresses, sockaddr_storage *peer) noexcept nogil:
    """The peer's address in what AcceptEx has written: both addresses, and no data before them."""
    cdef sockaddr *local
    cdef sockaddr *remote = NULL
    cdef int local_length, remote_length = 0
    winsock.GetAcceptExSockaddrs(addresses, 0, WINSOCK_ADDRESS, WINSOCK_ADDRESS, &local, &local_length,
                                 &remote, &remote_length)
    memset(peer, 0, sizeof(sockaddr_storage))
    if remote != NULL and 0 < remote_length <= <int>sizeof(sockaddr_storage):
        memcpy(peer, remote, remote_length)


cdef int winsock_listen(SOCKET sock, int backlog) noexcept nogil:
    """Listen: 0 or a Winsock code. A number above what `listen` takes as such is passed as a hint."""
    if WINSOCK_BACKLOG < backlog < SOMAXCONN:
        backlog = IOCPSOCK_SOMAXCONN_HINT(min(backlog, 65535))
    return error_last() if listen(sock, backlog) else 0


cdef int winsock_connect_time(SOCKET sock) noexcept nogil:
    """Seconds for which a socket given to AcceptEx has been connected; -1 if it is not."""
    cdef int seconds = -1, length = sizeof(int)
    return -1 if getsockopt(sock, SOL_SOCKET, SO_CONNECT_TIME, <char *>&seconds, &length) else seconds


cdef bint winsock_listens(SOCKET sock) noexcept nogil:
    cdef int listens = 0, length = sizeof(int)
    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, <char *>&listens, &length) == 0 and listens != 0


cdef bint winsock_readable(SOCKET sock) noexcept nogil:
    """Whether a receive on a non-blocking socket would bring something: bytes, the end or an error. It takes
    nothing."""
    cdef char byte
    cdef WSABUF buffer
    cdef DWORD received = 0, flags = MSG_PEEK
    buffer.buf = &byte
    buffer.len = 1
    return WSARecv(sock, &buffer, 1, &received, &flags, NULL, NULL) == 0 or error_last() != WSAEWOULDBLOCK


cdef u_long winsock_unread(SOCKET sock) noexcept nogil:
    """Bytes that the kernel holds for this socket and nobody has received."""
    cdef u_long count = 0
    return 0 if ioctlsocket(sock, FIONREAD, &count) else count
