/* closing.c - how a peer sees each way to end a connection: FIN, or RST. */
#include "probe.h"

SUBJECT(closing,
    {"closing.idle", "closesocket, nothing pending or unread: the peer sees", "FIN", TRUE},
    {"closing.pending", "closesocket with a receive pending", "RST", TRUE},
    {"closing.pending_code", "that receive ends with", "either", TRUE},
    {"closing.cancelled", "closesocket after the pending receive was cancelled and ended", "FIN", TRUE},
    {"closing.unread", "closesocket over unread bytes", "RST", TRUE},
    {"closing.unread_fin", "the same, after shutdown(SD_SEND)", "FIN, then RST", TRUE},
    {"closing.linger", "closesocket with linger {1, 0}", "RST", TRUE},
    {"closing.sent_linger", "the same, right after a send of 10 bytes", "either", FALSE},
    {"closing.graceful", "shutdown(SD_SEND), receive to the end, closesocket", "FIN", TRUE},
    {"closing.accepted_early", "AcceptEx, linger {1, 0} before SO_UPDATE_ACCEPT_CONTEXT", "FIN", TRUE},
    {"closing.accepted_late", "AcceptEx, linger {1, 0} after SO_UPDATE_ACCEPT_CONTEXT", "RST", TRUE},
    {"closing.reset_unread", "a reset behind 10 bytes that the peer has not received: it sees",
     "either", TRUE},
    {"closing.process", "the process of a pending receive is ended", "RST", TRUE},
    {"closing.linger_mode", "closesocket, non-blocking, linger {1, 5}, 16 MiB unsent", "WOULDBLOCK", TRUE})

static char memory[1 << 16];
static struct watcher peer_watch;

static void linger(SOCKET sock, u_short seconds)
{
    struct linger value = {1, seconds};
    setsockopt(sock, SOL_SOCKET, SO_LINGER, (char *)&value, sizeof value);
}

static struct pair watched_pair(void)
{
    struct pair pair = make_pair();
    watch(&peer_watch, pair.peer);
    return pair;
}

static void ask_plain(void)
{
    struct pair pair = watched_pair();
    closesocket(pair.ours);
    answer("closing.idle", "%s", seen(&peer_watch));

    pair = watched_pair();
    linger(pair.ours, 0);
    closesocket(pair.ours);
    answer("closing.linger", "%s", seen(&peer_watch));

    pair = watched_pair();
    linger(pair.ours, 0);
    send(pair.ours, memory, 10, 0);
    closesocket(pair.ours);
    answer("closing.sent_linger", "%s", seen(&peer_watch));
}

static void ask_pending(void)
{
    struct pair pair = watched_pair();
    struct op op;
    post_receive(&op, pair.ours, memory, sizeof memory);
    closesocket(pair.ours);
    answer("closing.pending", "%s", seen(&peer_watch));
    answer("closing.pending_code", "%s",
           op_ended(&op, PATIENCE) ? code_name(op_result(&op, NULL)) : "does not end");

    pair = watched_pair();
    post_receive(&op, pair.ours, memory, sizeof memory);
    CancelIoEx((HANDLE)pair.ours, &op.overlapped);
    op_ended(&op, PATIENCE);
    closesocket(pair.ours);
    answer("closing.cancelled", "%s", seen(&peer_watch));
}

static void ask_unread(void)
{
    struct pair pair = watched_pair();
    send(pair.peer, memory, 10, 0);
    Sleep(LULL); /* the bytes arrive */
    closesocket(pair.ours);
    answer("closing.unread", "%s", seen(&peer_watch));

    pair = watched_pair();
    send(pair.peer, memory, 10, 0);
    Sleep(LULL);
    shutdown(pair.ours, SD_SEND);
    closesocket(pair.ours);
    answer("closing.unread_fin", "%s", seen(&peer_watch));

    pair = make_pair();
    send(pair.ours, memory, 10, 0);
    Sleep(LULL);
    linger(pair.ours, 0);
    closesocket(pair.ours);
    Sleep(LULL); /* the reset arrives */
    watch(&peer_watch, pair.peer);
    answer("closing.reset_unread", "%s", seen(&peer_watch));
}

static void ask_graceful(void)
{
    struct pair pair = watched_pair();
    size_t got;
    shutdown(pair.ours, SD_SEND);
    answer("closing.graceful", "%s", seen(&peer_watch));
    closesocket(pair.peer);
    drain(pair.ours, memory, sizeof memory, PATIENCE, &got);
    closesocket(pair.ours);
}

static void ask_accepted(const char *name, BOOL late)
{
    static char addresses[2 * (sizeof(SOCKADDR_STORAGE) + 16)];
    USHORT number;
    SOCKET listener = make_listener(5, &number), accepting = make_socket(), peer = make_socket();
    struct sockaddr_in address = loopback(number);
    LPFN_ACCEPTEX accept_ex = (LPFN_ACCEPTEX)extension(listener, (GUID)WSAID_ACCEPTEX);
    struct op op = {0};
    DWORD got;
    op.overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    op.code = accept_ex(listener, accepting, addresses, 0, sizeof addresses / 2, sizeof addresses / 2, &got,
                        &op.overlapped)
                  ? 0
                  : WSAGetLastError();
    if (connect(peer, (struct sockaddr *)&address, sizeof address) || !op_ended(&op, PATIENCE)
        || op_result(&op, NULL))
        give_up("AcceptEx", op_result(&op, NULL));
    watch(&peer_watch, peer);
    if (late
        && setsockopt(accepting, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&listener, sizeof listener))
        give_up("SO_UPDATE_ACCEPT_CONTEXT", WSAGetLastError());
    linger(accepting, 0);
    closesocket(accepting);
    answer(name, "%s", seen(&peer_watch));
}

static void ask_process(void)
{
    USHORT number;
    SOCKET listener = make_listener(5, &number), peer;
    HANDLE process = start_doomed(number);
    fd_set set;
    struct timeval limit = {10, 0};
    FD_ZERO(&set);
    FD_SET(listener, &set);
    if (select(0, &set, NULL, NULL, &limit) != 1)
        give_up("select", WSAGetLastError());
    peer = accept(listener, NULL, NULL);
    if (recv(peer, memory, 1, 0) != 1) /* it has posted its receive */
        give_up("recv", WSAGetLastError());
    watch(&peer_watch, peer);
    TerminateProcess(process, 0);
    WaitForSingleObject(process, PATIENCE);
    answer("closing.process", "%s", seen(&peer_watch));
}

static void ask_linger_mode(void)
{
    enum { SIZE = 16 << 20 };
    struct pair pair = make_pair();
    u_long yes = 1;
    char *message = calloc(1, SIZE);
    ioctlsocket(pair.ours, FIONBIO, &yes);
    while (send(pair.ours, message, 65536, 0) > 0)
        continue;
    linger(pair.ours, 5);
    answer("closing.linger_mode", "%s", code_name(closesocket(pair.ours) ? WSAGetLastError() : 0));
}

static void ask(void)
{
    ask_plain();
    ask_pending();
    ask_unread();
    ask_graceful();
    ask_accepted("closing.accepted_early", FALSE);
    ask_accepted("closing.accepted_late", TRUE);
    ask_process();
    ask_linger_mode();
}
