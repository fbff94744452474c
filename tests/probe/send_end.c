/* send_end.c - when an overlapped send ends, and what TCP tells of a connection. */
#include "probe.h"

SUBJECT(send_end,
    {"send_end.small", "a send of 1 KiB, the peer does not receive: it ends", "at once", TRUE},
    {"send_end.middle", "of 64 KiB", "at once", TRUE},
    {"send_end.large", "of 256 KiB", "either", FALSE},
    {"send_end.huge", "of 16 MiB", "when the peer has received most of it", TRUE},
    {"send_end.received", "and has the peer then received (bytes)", "either", FALSE},
    {"send_end.second", "a second 1 KiB send behind a pending one of 16 MiB ends", "after it", TRUE},
    {"send_end.direct", "a non-blocking send of 16 MiB without OVERLAPPED", "takes a part", TRUE},
    {"send_end.taken", "and takes (bytes)", "either", FALSE},
    {"send_end.buffer", "SO_SNDBUF of a new socket", "either", FALSE},
    {"send_end.push", "WSARecv with MSG_PUSH_IMMEDIATE", "taken", TRUE},
    {"send_end.tcp_info", "SIO_TCP_INFO, version 0", "ok", TRUE},
    {"send_end.backlog_code", "SIO_IDEAL_SEND_BACKLOG_QUERY", "ok", TRUE},
    {"send_end.backlog", "and says (bytes)", "either", FALSE})

enum { HUGE_SIZE = 16 << 20 };
enum { PUSH_IMMEDIATE = 0x20 }; /* winsock2.h of Windows 8; not in every SDK's */
static const DWORD TCP_INFO_QUERY = _WSAIORW(IOC_VENDOR, 39);   /* SIO_TCP_INFO, mstcpip.h, Windows 10 1703 */
static const DWORD IDEAL_BACKLOG_QUERY = _IOR('t', 123, ULONG); /* SIO_IDEAL_SEND_BACKLOG_QUERY, ws2def.h */

static char *memory;

/* A send to a peer that receives only when it does not end by itself; how much the peer had received at its
 * end. */
static const char *how_it_ends(ULONG size, size_t *received)
{
    struct pair pair = make_pair();
    struct op op;
    size_t got = 0;
    *received = 0;
    post_send(&op, pair.ours, memory, size);
    if (op_ended(&op, LULL))
        return op_result(&op, NULL) ? code_name(op_result(&op, NULL)) : "at once";
    while (*received < size && !op_ended(&op, 2)) {
        int count = recv(pair.peer, memory, 65536, 0);
        if (count <= 0)
            return code_name(WSAGetLastError());
        got += count;
        *received = got;
    }
    if (!op_ended(&op, PATIENCE))
        return "never";
    return got == size      ? "when the peer has received all"
           : got > size / 2 ? "when the peer has received most of it"
                            : "early";
}

static void ask_second(void)
{
    struct pair pair = make_pair();
    struct op first, second;
    size_t got;
    post_send(&first, pair.ours, memory, HUGE_SIZE);
    post_send(&second, pair.ours, memory, 1024);
    if (op_ended(&second, LULL))
        answer("send_end.second", op_ended(&first, 0) ? "at once, as the first" : "before it");
    else {
        drain(pair.peer, memory, HUGE_SIZE, PATIENCE, &got);
        answer("send_end.second", op_ended(&second, PATIENCE) && op_ended(&first, 0) ? "after it" : "never");
    }
}

static void ask_direct(void)
{
    struct pair pair = make_pair();
    WSABUF buffer = {HUGE_SIZE, memory};
    u_long yes = 1;
    DWORD sent = 0;
    int size = 0, length = sizeof size;
    getsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, (char *)&size, &length);
    answer("send_end.buffer", "%d", size);
    ioctlsocket(pair.ours, FIONBIO, &yes);
    if (WSASend(pair.ours, &buffer, 1, &sent, 0, NULL, NULL))
        answer("send_end.direct", "%s", code_name(WSAGetLastError()));
    else
        answer("send_end.direct", sent == HUGE_SIZE ? "takes all" : "takes a part");
    answer("send_end.taken", "%lu", sent);
}

static void ask_push(void)
{
    struct pair pair = make_pair();
    struct op op = {.buffer = {65536, memory}};
    DWORD flags = PUSH_IMMEDIATE;
    op.overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    op.code = WSARecv(pair.ours, &op.buffer, 1, NULL, &flags, &op.overlapped, NULL) ? WSAGetLastError() : 0;
    send(pair.peer, "x", 1, 0);
    if (op_ended(&op, PATIENCE))
        answer("send_end.push", op_result(&op, NULL) ? "%s" : "taken", code_name(op_result(&op, NULL)));
    else
        answer("send_end.push", "taken, and does not end");
}

static void ask_tcp(void)
{
    struct pair pair = make_pair();
    DWORD version = 0, got;
    char info[256];
    ULONG backlog = 0;
    int code
        = WSAIoctl(pair.ours, TCP_INFO_QUERY, &version, sizeof version, info, sizeof info, &got, NULL, NULL);
    answer("send_end.tcp_info", "%s", code_name(code ? WSAGetLastError() : 0));
    code = WSAIoctl(pair.ours, IDEAL_BACKLOG_QUERY, NULL, 0, &backlog, sizeof backlog, &got, NULL, NULL);
    answer("send_end.backlog_code", "%s", code_name(code ? WSAGetLastError() : 0));
    answer("send_end.backlog", "%lu", backlog);
}

static void ask(void)
{
    size_t received;
    memory = calloc(1, HUGE_SIZE);
    answer("send_end.small", "%s", how_it_ends(1024, &received));
    answer("send_end.middle", "%s", how_it_ends(65536, &received));
    answer("send_end.large", "%s", how_it_ends(262144, &received));
    answer("send_end.huge", "%s", how_it_ends(HUGE_SIZE, &received));
    answer("send_end.received", "%u", (unsigned)received);
    ask_second();
    ask_direct();
    ask_push();
    ask_tcp();
}
