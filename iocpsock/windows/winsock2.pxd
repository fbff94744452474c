# Winsock 2: sockets, addresses, overlapped calls and the Microsoft extensions (mswsock.h). Declarations only.
from iocpsock.windows.kernel32 cimport BOOL, DWORD, HANDLE, OVERLAPPED, WCHAR

cdef extern from "winsock2.h" nogil:
    ctypedef size_t SOCKET
    ctypedef unsigned int GROUP
    ctypedef unsigned long u_long
    ctypedef unsigned short u_short

    ctypedef struct WSABUF:
        u_long len
        char *buf
    ctypedef struct WSADATA:
        unsigned short wVersion
    ctypedef struct GUID:
        unsigned long Data1
    ctypedef struct in_addr:
        u_long s_addr
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_in:
        unsigned short sin_family
        u_short sin_port
        in_addr sin_addr
    struct sockaddr_storage:
        unsigned short ss_family
    struct linger:
        u_short l_onoff
        u_short l_linger
    ctypedef struct WSAPROTOCOL_INFOW:
        DWORD dwServiceFlags1

    enum:
        AF_UNSPEC
        AF_INET
        AF_INET6
        SOCK_STREAM
        MSG_PEEK
        MSG_PUSH_IMMEDIATE
        IPPROTO_TCP
        IPPROTO_IPV6
        IPV6_V6ONLY
        TCP_NODELAY
        SOL_SOCKET
        SO_ACCEPTCONN
        SO_RCVTIMEO
        SO_SNDTIMEO
        SO_ERROR
        SO_KEEPALIVE
        SO_LINGER
        SO_RCVBUF
        SO_SNDBUF
        SO_REUSEADDR
        SO_EXCLUSIVEADDRUSE
        SO_UPDATE_ACCEPT_CONTEXT
        SO_UPDATE_CONNECT_CONTEXT
        SO_PROTOCOL_INFOW
        XP1_IFS_HANDLES
        SOMAXCONN
        SD_RECEIVE
        SD_SEND
        SOCKET_ERROR
        WSA_FLAG_OVERLAPPED
        WSA_FLAG_NO_HANDLE_INHERIT
        WSA_IO_PENDING
        WSAEINTR
        WSAEWOULDBLOCK
        WSAECONNRESET
        WSAECONNABORTED
        WSAENOTCONN
        WSAESHUTDOWN
        WSAETIMEDOUT
        WSAEINVAL
        WSAEACCES
        WSAEMFILE
        WSAEOPNOTSUPP
        WSAEPROTONOSUPPORT
        WSAENOBUFS
        WSAENOTSOCK
        WSAEADDRINUSE
        WSAEAFNOSUPPORT
        WSA_OPERATION_ABORTED
        WSA_NOT_ENOUGH_MEMORY
        WSAHOST_NOT_FOUND
        WSASERVICE_NOT_FOUND
        WSATYPE_NOT_FOUND
        WSANO_DATA
        SIO_GET_EXTENSION_FUNCTION_POINTER
        SIO_BASE_HANDLE

    SOCKET INVALID_SOCKET
    # Winsock's macros whose values are "negative" unsigned longs, which a C enum constant cannot hold
    long FIONBIO
    long FIONREAD

    int WSAStartup(unsigned short version, WSADATA *data)
    int WSAGetLastError()
    SOCKET WSASocketW(int family, int kind, int protocol, void *info, GROUP group, DWORD flags)
    int closesocket(SOCKET socket)
    int bind(SOCKET socket, const sockaddr *address, int length)
    int listen(SOCKET socket, int backlog)
    int shutdown(SOCKET socket, int how)
    int ioctlsocket(SOCKET socket, long command, u_long *argument)
    int setsockopt(SOCKET socket, int level, int option, const char *value, int length)
    int getsockopt(SOCKET socket, int level, int option, char *value, int *length)
    int getsockname(SOCKET socket, sockaddr *address, int *length)
    int getpeername(SOCKET socket, sockaddr *address, int *length)
    int WSAIoctl(SOCKET socket, DWORD code, void *input, DWORD input_size, void *output, DWORD output_size,
                 DWORD *returned, OVERLAPPED *overlapped, void *routine)
    int WSARecv(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                OVERLAPPED *overlapped, void *routine)
    int WSASend(SOCKET socket, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags, OVERLAPPED *overlapped,
                void *routine)
    u_short htons(u_short value)
    u_short ntohs(u_short value)
    u_long htonl(u_long value)
    u_long ntohl(u_long value)

cdef extern from "ws2tcpip.h" nogil:
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in6:
        unsigned short sin6_family
        u_short sin6_port
        u_long sin6_flowinfo
        in6_addr sin6_addr
        u_long sin6_scope_id
    ctypedef struct ADDRINFOW:
        int ai_flags
        int ai_family
        int ai_socktype
        int ai_protocol
        size_t ai_addrlen
        sockaddr *ai_addr
        ADDRINFOW *ai_next
    enum:
        AI_PASSIVE
        AI_NUMERICHOST
        AI_NUMERICSERV
        NI_NUMERICHOST
        NI_NUMERICSERV
        NI_MAXHOST
        NI_MAXSERV

    int GetAddrInfoW(const WCHAR *node, const WCHAR *service, const ADDRINFOW *hints, ADDRINFOW **result)
    void FreeAddrInfoW(ADDRINFOW *list)
    int getnameinfo(const sockaddr *address, int length, char *host, DWORD host_size, char *service,
                    DWORD service_size, int flags)
    const char *inet_ntop(int family, const void *address, char *text, size_t size)
    struct servent:
        short s_port
    servent *getservbyname(const char *name, const char *protocol)

cdef extern from "mswsock.h" nogil:
    enum:
        SIO_BSP_HANDLE_POLL
        SO_CONNECT_TIME
    ctypedef BOOL (*LPFN_ACCEPTEX)(SOCKET listener, SOCKET accepted, void *buffer, DWORD receive,
                                   DWORD local_size,
                                   DWORD remote_size, DWORD *received, OVERLAPPED *overlapped) noexcept
    ctypedef void (*LPFN_GETACCEPTEXSOCKADDRS)(void *buffer, DWORD receive, DWORD local_size,
                                               DWORD remote_size,
                                               sockaddr **local, int *local_length, sockaddr **remote,
                                               int *remote_length) noexcept
    ctypedef BOOL (*LPFN_CONNECTEX)(SOCKET socket, const sockaddr *address, int length, void *data,
                                    DWORD data_size, DWORD *sent, OVERLAPPED *overlapped) noexcept
    ctypedef BOOL (*LPFN_TRANSMITFILE)(SOCKET socket, HANDLE file, DWORD size, DWORD piece,
                                       OVERLAPPED *overlapped, void *around, DWORD flags) noexcept
