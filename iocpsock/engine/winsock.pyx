# Winsock: start-up, the extension functions, and sockets created as the engine needs them.
#
# Every socket is created overlapped and not inheritable. It is non-blocking for direct calls, and associated
# with the port with "skip on success", so that a call that succeeds at once costs no packet. WSACleanup is
# never called: other users of Winsock in the process, and pending operations, still need Winsock.
# Owner: the process. Threads: any, after winsock_start.

cdef enum:
    WINSOCK_VERSION = 0x0202
    WINSOCK_ADDRESS = 144           # bytes that AcceptEx needs for an address: sizeof(sockaddr_storage) + 16
    WINSOCK_BACKLOG = 200           # the largest backlog that `listen` takes without a hint
    WINSOCK_IDEAL_BACKLOG = 65536   # fewest bytes to have outstanding: what TCP has in flight without window
                                    # scaling
    WINSOCK_TELLS = 1
    WINSOCK_TELLS_NOT = 2

cdef struct WinsockFunctions:
    SRWLOCK lock                    # serialises the start
    LONG started
    LPFN_ACCEPTEX AcceptEx
    LPFN_CONNECTEX ConnectEx
    LPFN_GETACCEPTEXSOCKADDRS GetAcceptExSockaddrs
    LPFN_TRANSMITFILE TransmitFile
    bint always_retries             # the system does not support SIO_TCP_INITIAL_RTO
    bint is_ifs                     # the sockets of every family are kernel handles
    bint is_base                    # and no provider is layered over the system's own
    bint no_tcp_info                # the system does not support SIO_TCP_INFO
    int ideal_backlog               # WINSOCK_TELLS or WINSOCK_TELLS_NOT, once a connection was queried

cdef WinsockFunctions winsock


cdef int winsock_extension(SOCKET sock, const GUID *identifier, void *function) noexcept nogil:
    """Store the provider's extension function at `function`; 0 or a Winsock code."""
    cdef DWORD size = 0
    if WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, <void *>identifier, sizeof(GUID), function,
                sizeof(void *), &size, NULL, NULL):
        return error_last()
    return 0


cdef int winsock_start() noexcept nogil:
    """Start Winsock and look up its extension functions once per process, on the first call: 0 or a Winsock
    code. The next caller retries a failed start."""
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
    winsock_acknowledged(probe)                             # finds out whether the system reports it
    closesocket(probe)
    return error if error else winsock_ask_providers()


cdef int winsock_ask_providers() noexcept nogil:
    """Query once, for each family, what its sockets are: 0 or a Winsock code. A layered provider may cover
    only one family, as libuv found out. A property counts only if every existing family has it."""
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
            # This machine, or this process, does not have this family.
            continue
        winsock.is_ifs = winsock.is_ifs and winsock_is_ifs(probe)
        winsock.is_base = winsock.is_base and winsock_ask_base(probe) == probe
        closesocket(probe)
    return 0


cdef ULONGLONG winsock_acknowledged(SOCKET sock) noexcept nogil:
    """Bytes that the peer has acknowledged, or 0 if the system does not tell."""
    cdef tcp_info_v0 info
    cdef DWORD version = 0, size = 0
    if winsock.no_tcp_info:
        return 0
    if WSAIoctl(sock, IOCPSOCK_SIO_TCP_INFO, &version, sizeof(version), &info, sizeof(info), &size, NULL,
                NULL):
        # Any other code may be due to a socket that is not connected.
        winsock.no_tcp_info = error_last() == WSAEOPNOTSUPP
        return 0
    return info.bytes_out - info.bytes_in_flight


cdef ULONG winsock_ideal_backlog(SOCKET sock) noexcept nogil:
    """Bytes that the system wants outstanding on a connected socket to keep its stream full;
    WINSOCK_IDEAL_BACKLOG at least."""
    cdef ULONG bytes = 0
    cdef DWORD size = 0
    if winsock.ideal_backlog != WINSOCK_TELLS_NOT:
        if WSAIoctl(sock, IOCPSOCK_SIO_IDEAL_SEND_BACKLOG_QUERY, NULL, 0, &bytes, sizeof(bytes), &size, NULL,
                    NULL) == 0:
            winsock.ideal_backlog = WINSOCK_TELLS
        elif error_last() == WSAEOPNOTSUPP:
            winsock.ideal_backlog = WINSOCK_TELLS_NOT       # any other code is due to this connection
    return bytes if bytes > WINSOCK_IDEAL_BACKLOG else WINSOCK_IDEAL_BACKLOG


cdef bint winsock_tells_backlog(SOCKET sock) noexcept nogil:
    """Whether the system reports an ideal send backlog; `sock` is connected."""
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
    """Make calls without an OVERLAPPED return at once (`on`) or block. Overlapped calls are not affected."""
    cdef u_long value = on
    return error_last() if ioctlsocket(sock, FIONBIO, &value) else 0


cdef void winsock_retry_once(SOCKET sock) noexcept nogil:
    """Make Windows repeat a refused connection attempt once and soon. Older systems do not know this request,
    so it is not sent to them again."""
    cdef DWORD ignored = 0
    if not winsock.always_retries and WSAIoctl(sock, IOCPSOCK_SIO_TCP_INITIAL_RTO, <void *>&initial_rto_once,
                                               sizeof(initial_rto_once), NULL, 0, &ignored, NULL, NULL):
        winsock.always_retries = error_last() == WSAEOPNOTSUPP


cdef void winsock_reset(SOCKET sock) noexcept nogil:
    """Make closesocket send RST at once and leave no TIME_WAIT. On a socket from AcceptEx, call
    winsock_accepted first."""
    cdef linger hard
    hard.l_onoff = 1
    hard.l_linger = 0
    setsockopt(sock, SOL_SOCKET, SO_LINGER, <const char *>&hard, sizeof(hard))


cdef bint winsock_is_ifs(SOCKET sock) noexcept nogil:
    """Whether the socket is a real kernel handle. If a layered provider wraps it in its own handle, "skip on
    success" would drop packets for which the provider waits (KB 2568167)."""
    cdef WSAPROTOCOL_INFOW info
    cdef int length = sizeof(WSAPROTOCOL_INFOW)
    if getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, <char *>&info, &length):
        return False
    return (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0


cdef inline SOCKET winsock_base(SOCKET sock) noexcept nogil:
    """The socket's handle in the system's own driver, below any layered provider."""
    return sock if winsock.is_base else winsock_ask_base(sock)


cdef SOCKET winsock_ask_base(SOCKET sock) noexcept nogil:
    """The same, by a query of the socket. Microsoft's page "Winsock IOCTLs" says that a layered provider must
    not answer SIO_BASE_HANDLE itself. Some do all the same; then, like wepoll and mio, query the handle that
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
    """Report to Winsock that AcceptEx has connected `sock`: 0 or a Winsock code. Before that, shutdown,
    getpeername and the options, including SO_LINGER, do not treat it as connected (Microsoft's page "AcceptEx
    function"). The listening socket must still be open."""
    return error_last() if setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, <const char *>&listening,
                                      sizeof(SOCKET)) else 0


cdef int winsock_adopt(SOCKET listening, SOCKET sock, void *addresses, sockaddr_storage *peer) noexcept nogil:
    """Report a socket that AcceptEx has connected: 0 with the peer's address, or a Winsock code."""
    cdef int error = winsock_accepted(listening, sock)
    if not error:
        winsock_peer(addresses, peer)
    return error


cdef void winsock_peer(void *addresses, sockaddr_storage *peer) noexcept nogil:
    """The peer's address from AcceptEx's output, which holds both addresses and no data before them."""
    cdef sockaddr *local
    cdef sockaddr *remote = NULL
    cdef int local_length, remote_length = 0
    winsock.GetAcceptExSockaddrs(addresses, 0, WINSOCK_ADDRESS, WINSOCK_ADDRESS, &local, &local_length,
                                 &remote, &remote_length)
    memset(peer, 0, sizeof(sockaddr_storage))
    if remote != NULL and 0 < remote_length <= <int>sizeof(sockaddr_storage):
        memcpy(peer, remote, remote_length)


cdef int winsock_listen(SOCKET sock, int backlog) noexcept nogil:
    """Listen: 0 or a Winsock code. A `backlog` above WINSOCK_BACKLOG is passed as a hint."""
    if WINSOCK_BACKLOG < backlog < SOMAXCONN:
        backlog = IOCPSOCK_SOMAXCONN_HINT(min(backlog, 65535))
    return error_last() if listen(sock, backlog) else 0


cdef int winsock_connect_time(SOCKET sock) noexcept nogil:
    """Seconds for which a socket passed to AcceptEx has been connected; -1 if it is not."""
    cdef int seconds = -1, length = sizeof(int)
    return -1 if getsockopt(sock, SOL_SOCKET, SO_CONNECT_TIME, <char *>&seconds, &length) else seconds


cdef bint winsock_listens(SOCKET sock) noexcept nogil:
    cdef int listens = 0, length = sizeof(int)
    return getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, <char *>&listens, &length) == 0 and listens != 0


cdef bint winsock_readable(SOCKET sock) noexcept nogil:
    """Whether a receive on a non-blocking socket would return bytes, the end or an error. Receives
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
