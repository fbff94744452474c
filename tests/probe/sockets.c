/* sockets.c - sockets on loopback, and overlapped operations on them. Threads: the subject's. */
#include "probe.h"

static void check(BOOL good, const char *what)
{
    if (!good)
        give_up(what, WSAGetLastError());
}

SOCKET make_socket(void)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
    check(sock != INVALID_SOCKET, "WSASocketW");
    return sock;
}

struct sockaddr_in loopback(USHORT port)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

SOCKET make_listener(int backlog, USHORT *port)
{
    struct sockaddr_in address = loopback(0);
    int size = sizeof address;
    SOCKET listener = make_socket();
    check(!bind(listener, (struct sockaddr *)&address, size), "bind");
    check(!listen(listener, backlog), "listen");
    check(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
    *port = ntohs(address.sin_port);
    return listener;
}

struct pair make_pair(void)
{
    USHORT number;
    SOCKET listener = make_listener(5, &number);
    struct sockaddr_in address = loopback(number);
    struct pair pair = {make_socket(), INVALID_SOCKET};
    check(!connect(pair.ours, (struct sockaddr *)&address, sizeof address), "connect");
    pair.peer = accept(listener, NULL, NULL);
    check(pair.peer != INVALID_SOCKET, "accept");
    closesocket(listener);
    return pair;
}

void *extension(SOCKET sock, GUID id)
{
    void *function = NULL;
    DWORD got;
    check(!WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &function, sizeof function,
                    &got, NULL, NULL),
          "SIO_GET_EXTENSION_FUNCTION_POINTER");
    return function;
}

static void prepare(struct op *op, const void *memory, ULONG size)
{
    memset(op, 0, sizeof *op);
    op->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    check(op->overlapped.hEvent != NULL, "CreateEventW");
    op->buffer.buf = (char *)memory;
    op->buffer.len = size;
}

void post_receive(struct op *op, SOCKET sock, void *memory, ULONG size)
{
    DWORD flags = 0;
    prepare(op, memory, size);
    op->code = WSARecv(sock, &op->buffer, 1, NULL, &flags, &op->overlapped, NULL) ? WSAGetLastError() : 0;
}

void post_send(struct op *op, SOCKET sock, const void *memory, ULONG size)
{
    prepare(op, memory, size);
    op->code = WSASend(sock, &op->buffer, 1, NULL, 0, &op->overlapped, NULL) ? WSAGetLastError() : 0;
}

BOOL op_ended(struct op *op, DWORD milliseconds)
{
    if (op->code != 0 && op->code != WSA_IO_PENDING)
        return TRUE;
    return WaitForSingleObject(op->overlapped.hEvent, milliseconds) == WAIT_OBJECT_0;
}

int op_result(struct op *op, DWORD *bytes)
{
    DWORD transferred = 0;
    int code = op->code;
    if (code == 0 || code == WSA_IO_PENDING)
        code = GetOverlappedResult(NULL, &op->overlapped, &transferred, FALSE) ? 0 : (int)GetLastError();
    if (bytes)
        *bytes = transferred;
    return code;
}

int drain(SOCKET sock, char *memory, size_t size, DWORD milliseconds, size_t *got)
{
    int count = 1;
    size_t total = 0;
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, (char *)&milliseconds, sizeof milliseconds);
    while (total < size && count > 0) {
        size_t room = size - total;
        count = recv(sock, memory + total, room > 65536 ? 65536 : (int)room, 0);
        if (count > 0)
            total += count;
    }
    *got = total;
    return count < 0 ? WSAGetLastError() : 0;
}

void watch(struct watcher *watcher, SOCKET sock)
{
    watcher->sock = sock;
    post_receive(&watcher->op, sock, watcher->memory, sizeof watcher->memory);
}

static BOOL is_reset(int code)
{
    return code == ERROR_NETNAME_DELETED || code == WSAECONNRESET;
}

const char *seen(struct watcher *watcher)
{
    static char text[64];
    char *place = text;
    DWORD bytes, total = 0;
    int code = 0;
    while (op_ended(&watcher->op, PATIENCE) && !(code = op_result(&watcher->op, &bytes)) && bytes) {
        total += bytes;
        watch(watcher, watcher->sock);
    }
    if (total)
        place += sprintf(text, "%lu bytes, ", total);
    if (!op_ended(&watcher->op, 0))
        strcpy(place, "nothing");
    else if (code)
        strcpy(place, is_reset(code) ? "RST" : code_name(code));
    else {
        Sleep(LULL); /* a reset behind the FIN has that long to come */
        watch(watcher, watcher->sock);
        strcpy(place, op_ended(&watcher->op, LULL) && is_reset(op_result(&watcher->op, NULL))
                          ? "FIN, then RST"
                          : "FIN");
    }
    return text;
}

const char *code_name(int code)
{
    static const struct code_row {
        int code;
        const char *name;
    } names[] = {
        {0, "ok"}, {WSA_IO_PENDING, "pending"}, {WSA_OPERATION_ABORTED, "995"},
        {WSAEWOULDBLOCK, "WOULDBLOCK"}, {WSAEACCES, "ACCESS"}, {WSAEADDRINUSE, "INUSE"},
        {WSAECONNREFUSED, "REFUSED"}, {WSAECONNRESET, "RESET"}, {WSAECONNABORTED, "ABORTED"},
        {WSAENOTCONN, "NOTCONN"}, {WSAEINVAL, "INVAL"}, {WSAEOPNOTSUPP, "OPNOTSUPP"},
        {WSAETIMEDOUT, "TIMEDOUT"}, {WSAESHUTDOWN, "SHUTDOWN"}, {WSAENETUNREACH, "NETUNREACH"},
        {ERROR_NETNAME_DELETED, "64"},
    };
    static char other[4][32];
    static int turn;
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    turn = (turn + 1) % 4;
    sprintf(other[turn], "error %d", code);
    return other[turn];
}

double now_ms(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return count.QuadPart * 1000.0 / frequency.QuadPart;
}
