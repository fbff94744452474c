/* calls.c - the calls that make, name, configure and end a socket.
 *
 * Threads: any.
 */
#include "layer.h"
#include <mstcpip.h>

enum { LISTEN_MOST = 200, REUSE_UNICASTPORT = 0x3007 };
#define INITIAL_RTO _WSAIOW(IOC_VENDOR, 17)

int WSAAPI strict_WSAStartup(WORD version, WSADATA *data)
{
    layer_enter("WSAStartup");
    outside_watch();
    return WSAStartup(version, data);
}

SOCKET WSAAPI strict_WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                                DWORD flags)
{
    SOCKET s;
    layer_enter("WSASocketW");
    layer_lock();                               /* from its first moment on the handle has a record */
    s = WSASocketW(family, type, protocol, info, group, flags);
    if (s != INVALID_SOCKET)
        sock_new(s, family, 0, "WSASocketW");
    layer_unlock();
    return s;
}

struct sock *sock_enter(SOCKET s, const char *call, LONG_PTR value)
{
    struct sock *sock;
    layer_enter(call);
    layer_lock();
    sock = sock_need(s, call);
    history_add(&sock->history, call, NULL, value);
    return sock;
}

int WSAAPI strict_bind(SOCKET s, const struct sockaddr *address, int length)
{
    struct sock *sock = sock_enter(s, "bind", ntohs((u_short)address_port(address)));
    int result = bind_played(sock, address, length);
    layer_unlock();
    return result;
}

int WSAAPI strict_listen(SOCKET s, int backlog)
{
    struct sock *sock = sock_enter(s, "listen", backlog);
    int result;
    if (backlog < 0)
        backlog = -backlog < LISTEN_MOST ? LISTEN_MOST : -backlog;  /* SOMAXCONN_HINT */
    else if (backlog > LISTEN_MOST && backlog != SOMAXCONN)
        backlog = LISTEN_MOST;
    layer_unlock();
    result = listen(s, backlog);
    if (!result) {
        sock->listening = 1;
        sock->backlog = backlog < 1 ? 1 : backlog;
    }
    return result;
}

/* Without the context of AcceptEx or ConnectEx Winsock takes the socket for one that is not connected (rule
 * 4). */
static int lacks_context(struct sock *sock)
{
    if (!play(PLAY_context) || (sock->context != CONTEXT_ACCEPTED && sock->context != CONTEXT_CONNECTED))
        return 0;
    WSASetLastError(WSAENOTCONN);
    return 1;
}

int WSAAPI strict_shutdown(SOCKET s, int how)
{
    int lacks = lacks_context(sock_enter(s, "shutdown", how));
    layer_unlock();
    if (lacks)
        WSASetLastError(WSAENOTCONN);
    return lacks ? SOCKET_ERROR : shutdown(s, how);
}

int WSAAPI strict_getpeername(SOCKET s, struct sockaddr *address, int *length)
{
    int lacks = lacks_context(sock_enter(s, "getpeername", 0));
    layer_unlock();
    if (lacks)
        WSASetLastError(WSAENOTCONN);
    return lacks ? SOCKET_ERROR : getpeername(s, address, length);
}

int WSAAPI strict_getsockname(SOCKET s, struct sockaddr *address, int *length)
{
    struct sock *sock = sock_enter(s, "getsockname", 0);
    int port = sock->played_port, result;
    layer_unlock();
    result = getsockname(s, address, length);
    if (!result && port)
        /* In the same place for refused families. */
        ((struct sockaddr_in *)address)->sin_port = (u_short)port;
    return result;
}

int WSAAPI strict_closesocket(SOCKET s)
{
    layer_enter("closesocket");
    return close_played(s, "closesocket");
}

int WSAAPI strict_ioctlsocket(SOCKET s, long command, u_long *argument)
{
    struct sock *sock = sock_enter(s, "ioctlsocket", *argument);
    int result;
    layer_unlock();
    result = ioctlsocket(s, command, argument);
    if (!result && command == (long)FIONBIO)
        sock->mode = *argument ? MODE_NONBLOCKING : MODE_BLOCKING;
    return result;
}

static int is_address_option(int level, int option)
{
    if (level == IPPROTO_IPV6)
        return option == IPV6_V6ONLY;
    return level == SOL_SOCKET && (option == SO_EXCLUSIVEADDRUSE || option == SO_REUSEADDR
                                   || option == REUSE_UNICASTPORT);
}

/* SO_UPDATE_ACCEPT_CONTEXT: the value is the listening socket that accepted, and the blocking mode comes from
 * it (rule 5). */
static void check_accept_context(struct sock *sock, const char *value, int length)
{
    static const char call[] = "setsockopt SO_UPDATE_ACCEPT_CONTEXT";
    struct sock *listener;
    if (length != (int)sizeof(SOCKET))
        violation(5, call, sock, NULL, "with a value of %d bytes", length);
    if (sock->context != CONTEXT_ACCEPTED)
        violation(5, call, sock, NULL, "on a socket that AcceptEx has not connected, or twice");
    listener = sock_find(*(const SOCKET *)value);
    if (!listener || !listener->listening)
        violation(5, call, sock, NULL, "with %#llx, which does not listen",
                  (unsigned long long)*(const SOCKET *)value);
    if (sock->listener != listener->handle)
        violation(5, call, sock, NULL, "with %#llx, another listening socket",
                  (unsigned long long)*(const SOCKET *)value);
}

static void inherit_mode(struct sock *sock)
{
    struct sock *listener = sock_find(sock->listener);
    u_long nonblocking = listener && listener->mode == MODE_NONBLOCKING;
    if (listener && listener->mode != MODE_UNKNOWN && play(PLAY_inherit)
        && !ioctlsocket(sock->handle, FIONBIO, &nonblocking))
        sock->mode = listener->mode;
}

int WSAAPI strict_setsockopt(SOCKET s, int level, int option, const char *value, int length)
{
    struct sock *sock = sock_enter(s, "setsockopt", option);
    int updates_accept = level == SOL_SOCKET && option == SO_UPDATE_ACCEPT_CONTEXT;
    int updates_connect = level == SOL_SOCKET && option == SO_UPDATE_CONNECT_CONTEXT;
    int refused = 0, result;
    if (is_address_option(level, option)) {
        if (sock->bound && !sock->hosts)
            violation(15, "setsockopt", sock, NULL, "of option %#x on a socket that is bound", option);
        refused = level == SOL_SOCKET && *(const int *)value
            && ((option == SO_EXCLUSIVEADDRUSE && sock->reuse)
                || (option == SO_REUSEADDR && sock->exclusive));
        /* By the host, and the engine learns it by such a refusal. */
        refused = refused || sock->bound;
    }
    if (updates_accept)
        check_accept_context(sock, value, length);
    if (updates_connect && sock->context != CONTEXT_CONNECTED)
        violation(4, "setsockopt SO_UPDATE_CONNECT_CONTEXT", sock, NULL,
                  "on a socket that ConnectEx has not connected");
    if (level == SOL_SOCKET && option == SO_LINGER && (sock->context == CONTEXT_ACCEPTED
                                                       || sock->context == CONTEXT_CONNECTED))
        violation(4, "setsockopt SO_LINGER", sock, NULL, "without the context, which has no effect");
    layer_unlock();
    if (refused)
        WSASetLastError(WSAEINVAL);
    result = refused ? SOCKET_ERROR : setsockopt(s, level, option, value, length);
    if (result)
        return result;
    layer_lock();
    if (updates_accept)
        inherit_mode(sock);
    if (updates_accept || updates_connect)
        sock->context = CONTEXT_UPDATED;
    if (level == SOL_SOCKET && option == SO_EXCLUSIVEADDRUSE)
        sock->exclusive = *(const int *)value;
    if (level == SOL_SOCKET && option == SO_REUSEADDR)
        sock->reuse = *(const int *)value;
    if (level == SOL_SOCKET && option == SO_LINGER) {
        sock->lingers = ((const struct linger *)value)->l_onoff;
        sock->linger_time = ((const struct linger *)value)->l_linger;
    }
    layer_unlock();
    return 0;
}

int WSAAPI strict_getsockopt(SOCKET s, int level, int option, char *value, int *length)
{
    int result;
    sock_enter(s, "getsockopt", option);
    layer_unlock();
    result = getsockopt(s, level, option, value, length);
    if (!result && option == SO_PROTOCOL_INFOW && level == SOL_SOCKET && !play(PLAY_ifs))
        ((WSAPROTOCOL_INFOW *)value)->dwServiceFlags1 &= ~XP1_IFS_HANDLES;
    return result;
}

BOOL PASCAL strict_AcceptEx(SOCKET, SOCKET, void *, DWORD, DWORD, DWORD, DWORD *, OVERLAPPED *);
BOOL PASCAL strict_ConnectEx(SOCKET, const struct sockaddr *, int, void *, DWORD, DWORD *, OVERLAPPED *);
BOOL PASCAL strict_TransmitFile(SOCKET, HANDLE, DWORD, DWORD, OVERLAPPED *, TRANSMIT_FILE_BUFFERS *, DWORD);

/* If `in` asks for the function with this identifier, keep it and give ours. */
#define TAKE_OVER(identifier, kept, ours) \
    if (!memcmp(in, &identifier, sizeof(GUID))) \
        kept = *(__typeof__(kept) *)out, *(__typeof__(kept) *)out = ours

int WSAAPI strict_WSAIoctl(SOCKET s, DWORD control, void *in, DWORD in_size, void *out, DWORD out_size,
                           DWORD *returned,
                           OVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    static const GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX,
        transmit_id = WSAID_TRANSMITFILE;
    struct sock *sock = sock_enter(s, "WSAIoctl", control);
    int result;
    if (control == INITIAL_RTO && play(PLAY_refusal)) {     /* Wine knows no such request */
        sock->rtt = *(USHORT *)in;
        sock->retries = ((UCHAR *)in)[2];
        if (sock->retries == 0xFE)                          /* TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS */
            sock->retries = 0;
    }
    layer_unlock();
    if (control == INITIAL_RTO && play(PLAY_refusal))
        return 0;
    result = WSAIoctl(s, control, in, in_size, out, out_size, returned, overlapped, routine);
    if (result == 0 && control == SIO_GET_EXTENSION_FUNCTION_POINTER) {
        TAKE_OVER(accept_id, real_AcceptEx, strict_AcceptEx);
        TAKE_OVER(connect_id, real_ConnectEx, strict_ConnectEx);
        TAKE_OVER(transmit_id, real_TransmitFile, strict_TransmitFile);
    }
    return result;
}
