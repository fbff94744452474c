/* operations.c - the overlapped calls, and receives and sends without an OVERLAPPED.
 *
 * Each looks at the socket's state first, posts a shadow (shadow.c), and may have its end held back (held.c).
 * Threads: any.
 */
#include "layer.h"

/* The socket that a call uses, with the lock held from here on; NULL, and not held: it fails with the last
 * error. */
static struct sock *use(SOCKET s, const char *call)
{
    struct sock *sock;
    layer_enter(call);
    layer_lock();
    sock = sock_need(s, call);
    if (sock->broken) {
        WSASetLastError(sock->broken);
        layer_unlock();
        return NULL;
    }
    return sock;
}

static void need_nonblocking(struct sock *sock, const char *call)
{
    if (sock->mode == MODE_BLOCKING)
        violation(8, call, sock, NULL, "without an OVERLAPPED on a blocking socket");
}

/* Has the peer reset the connection? Then nothing that came before it may be received any more (rule 27). */
static int is_reset(struct sock *sock)
{
    WSAPOLLFD poll = {sock->handle, POLLOUT, 0};
    u_long unread = 0;
    if (!play(PLAY_reset) || sock->context == CONTEXT_NONE || ioctlsocket(sock->handle, FIONREAD, &unread)
        || !unread)
        return 0;                               /* nothing to lose */
    if (WSAPoll(&poll, 1, 0) > 0 && poll.revents & POLLERR) {
        history_add(&sock->history, "reset by its peer", NULL, poll.revents);
        sock->broken = WSAECONNRESET;
    }
    return sock->broken;
}

/* The last error is what op_returned makes of it: whether the call failed. */
static int finish(struct op *op, int failed)
{
    int error = op_returned(op, failed ? WSAGetLastError() : 0);
    WSASetLastError(error);
    return error != 0;
}

int WSAAPI strict_WSARecv(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                          OVERLAPPED *overlapped,
                          LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    struct sock *sock = use(s, "WSARecv");
    struct op *op;
    WSABUF whole;
    if (!sock)
        return SOCKET_ERROR;
    if (is_reset(sock)) {
        WSASetLastError(sock->broken);
        layer_unlock();
        return SOCKET_ERROR;
    }
    if (!overlapped) {
        need_nonblocking(sock, "WSARecv");
        history_add(&sock->history, "WSARecv at once", NULL, buffers[0].len);
        layer_unlock();
        return WSARecv(s, buffers, count, received, flags, NULL, NULL);
    }
    op = op_begin(OP_RECEIVE, sock, overlapped, buffers, count);
    layer_unlock();
    if (!op)
        return SOCKET_ERROR;
    whole.buf = op->copy;
    whole.len = op->size;
    return finish(op, WSARecv(s, &whole, 1, received, flags, &op->shadow, routine)) ? SOCKET_ERROR : 0;
}

int WSAAPI strict_WSASend(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                          OVERLAPPED *overlapped,
                          LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    struct sock *sock = use(s, "WSASend");
    struct op *op;
    WSABUF whole;
    if (!sock)
        return SOCKET_ERROR;
    if (!overlapped) {
        need_nonblocking(sock, "WSASend");
        history_add(&sock->history, "WSASend at once", NULL, buffers[0].len);
        sock->sent += buffers[0].len;
        layer_unlock();
        return WSASend(s, buffers, count, sent, flags, NULL, NULL);
    }
    op = op_begin(OP_SEND, sock, overlapped, buffers, count);
    held_prepare(op);
    sock->sent += op->size;
    layer_unlock();
    whole.buf = op->copy;
    whole.len = op->size;
    return finish(op, WSASend(s, &whole, 1, sent, flags, &op->shadow, routine)) ? SOCKET_ERROR : 0;
}

/* One handle of a socket knows nothing of what was done with another: ask. */
static int listens(SOCKET s)
{
    int answer = 0, length = sizeof answer;
    return !getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, (char *)&answer, &length) && answer;
}

BOOL PASCAL strict_AcceptEx(SOCKET listener, SOCKET accepted, void *buffer, DWORD size, DWORD local_size,
                            DWORD peer_size,
                            DWORD *received, OVERLAPPED *overlapped)
{
    struct sock *sock = use(listener, "AcceptEx"), *fresh;
    DWORD least = sizeof(struct sockaddr_in) + 16;
    WSABUF whole = {size + local_size + peer_size, buffer};
    struct op *op;
    if (!sock)
        return FALSE;
    fresh = sock_need(accepted, "AcceptEx");
    if (sock->family == AF_INET6)
        least = sizeof(struct sockaddr_in6) + 16;
    if (!sock->listening && !listens(listener))
        violation(7, "AcceptEx", sock, NULL, "on a socket that does not listen");
    if (fresh->bound || fresh->context != CONTEXT_NONE)
        violation(7, "AcceptEx", fresh, NULL, "for a socket that is bound or connected");
    if (local_size < least || peer_size < least)
        violation(7, "AcceptEx", sock, NULL, "with room for addresses of %lu and %lu bytes", local_size,
                  peer_size);
    op = op_begin(OP_ACCEPT, sock, overlapped, &whole, 1);
    op->file = (HANDLE)accepted;
    layer_unlock();
    return !finish(op, !real_AcceptEx(listener, accepted, op->copy, size, local_size, peer_size, received,
                                      &op->shadow));
}

BOOL PASCAL strict_ConnectEx(SOCKET s, const struct sockaddr *address, int length, void *data, DWORD size,
                             DWORD *sent,
                             OVERLAPPED *overlapped)
{
    struct sock *sock = use(s, "ConnectEx");
    struct sockaddr_storage target;
    struct op *op;
    int error = 0;
    if (!sock)
        return FALSE;
    if (!sock->bound)
        violation(6, "ConnectEx", sock, NULL, "on a socket that is not bound");
    if (play(PLAY_wildcard) && address_is(address, 0))
        error = WSAEADDRNOTAVAIL;
    if (sock->context != CONTEXT_NONE)
        error = WSAEISCONN;
    if (error) {
        WSASetLastError(error);
        layer_unlock();
        return FALSE;
    }
    op = op_begin(OP_CONNECT, sock, overlapped, NULL, 0);
    memcpy(&op->target, address, length);
    op->target_length = length;
    held_prepare(op);
    target = op->target;
    address_map((struct sockaddr *)&target);
    layer_unlock();
    if (!held_starts(op)) {
        WSASetLastError(WSA_IO_PENDING);
        return !finish(op, 1);
    }
    return !finish(op, !real_ConnectEx(s, (struct sockaddr *)&target, length, data, size, sent, &op->shadow));
}

BOOL PASCAL strict_TransmitFile(SOCKET s, HANDLE file, DWORD size, DWORD piece, OVERLAPPED *overlapped,
                                TRANSMIT_FILE_BUFFERS *around, DWORD flags)
{
    struct sock *sock = use(s, "TransmitFile");
    struct op *op;
    if (!sock)
        return FALSE;
    op = op_begin(OP_TRANSMIT, sock, overlapped, NULL, 0);
    op->file = file;
    op->file_size = size;
    op->piece = piece;
    op->file_flags = flags;
    held_prepare(op);
    sock->sent += 1;
    layer_unlock();
    if (!held_starts(op)) {
        WSASetLastError(WSA_IO_PENDING);
        return !finish(op, 1);
    }
    return !finish(op, !real_TransmitFile(s, file, size, piece, &op->shadow, around, flags));
}

BOOL WINAPI strict_CancelIoEx(HANDLE file, OVERLAPPED *overlapped)
{
    struct sock *sock;
    struct op *op;
    OVERLAPPED *shadow = overlapped;
    BOOL result;
    layer_enter("CancelIoEx");
    layer_lock();
    sock = sock_any((SOCKET)file, "CancelIoEx");
    history_add(&sock->history, "CancelIoEx", overlapped, 0);
    op = overlapped ? op_pending(overlapped) : NULL;
    if (op && op->sock != sock)
        violation(21, "CancelIoEx", sock, op, "on %p, of an operation on another handle", file);
    if (overlapped && !op && (DWORD)overlapped->Internal == (DWORD)STATUS_PENDING)
        violation(21, "CancelIoEx", sock, NULL, "of %p, which was never posted", overlapped);
    if (op) {
        op->cancelled = 1;
        shadow = &op->shadow;
        if (held_cancel(op)) {
            layer_unlock();
            return TRUE;
        }
    }
    for (op = NULL; !overlapped && (op = op_next(op));)
        if (op->sock == sock) {
            op->cancelled = 1;
            held_cancel(op);
        }
    layer_unlock();
    if (overlapped && shadow == overlapped) {
        SetLastError(ERROR_NOT_FOUND);
        return FALSE;
    }
    result = CancelIoEx(file, shadow);
    return result;
}
