/* Raw overlapped calls on one completion port, for one thread: the sockets skip the port on success, so an
 * operation that completes at once is put on a list here, and the list is worked off before the port is
 * asked.
 */

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIVE = 64 * 1024, BATCH = 64, SLOTS = 32, ADDRESS = sizeof(struct sockaddr_in) + 16 };

struct op;
typedef void handler(struct op *op, DWORD bytes);

struct op {
    OVERLAPPED overlapped;              /* first: the port gives its address */
    handler *done;
    struct end *end;
    struct op *next;                    /* in the list of those that completed at once */
};

/* One end of a connection, or a slot of the listener. */
struct end {
    SOCKET socket;
    struct op receive, send, open;      /* open: AcceptEx or ConnectEx */
    char *buffer;
    DWORD got;
    double started;
    char addresses[2 * ADDRESS];
};

static HANDLE port;
static SOCKET listener;
static struct sockaddr_in server;
static LPFN_ACCEPTEX accept_ex;
static LPFN_CONNECTEX connect_ex;
static struct op *first_done, **last_done = &first_done;
static BOOL finished;
static long turns;                      /* how often the port was asked */

static double now(void)
{
    LARGE_INTEGER frequency, counter;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&counter);
    return (double)counter.QuadPart / frequency.QuadPart;
}

static void fail(const char *what, DWORD error)
{
    fprintf(stderr, "raw: %s: error %lu\n", what, error);
    exit(1);
}

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
}

static void *zeroed(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        fail("memory", ERROR_OUTOFMEMORY);
    return memory;
}

static SOCKET new_socket(void)
{
    BOOL on = TRUE;
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (made == INVALID_SOCKET)
        fail("socket", WSAGetLastError());
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, (char *)&on, sizeof on);
    if (!CreateIoCompletionPort((HANDLE)made, port, 1, 0))
        fail("port", GetLastError());
    if (!SetFileCompletionNotificationModes((HANDLE)made, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE))
        fail("notification modes", GetLastError());
    return made;
}

static void bind_local(SOCKET bound)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(bound, (struct sockaddr *)&any, sizeof any))
        fail("bind", WSAGetLastError());
}

static void listen_on_loopback(void)
{
    int length = sizeof server;
    GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX;
    DWORD bytes;
    listener = new_socket();
    bind_local(listener);
    if (listen(listener, SOMAXCONN) || getsockname(listener, (struct sockaddr *)&server, &length))
        fail("listen", WSAGetLastError());
    WSAIoctl(listener, SIO_GET_EXTENSION_FUNCTION_POINTER, &accept_id, sizeof accept_id, &accept_ex, sizeof accept_ex, &bytes, NULL, NULL);
    WSAIoctl(listener, SIO_GET_EXTENSION_FUNCTION_POINTER, &connect_id, sizeof connect_id, &connect_ex, sizeof connect_ex, &bytes, NULL, NULL);
}

/* A posted operation that is complete goes on the list, one that is not comes by the port. */
static void posted(struct op *op, struct end *end, handler *done, BOOL complete, const char *what)
{
    DWORD error = complete ? 0 : WSAGetLastError();
    if (!complete && error != WSA_IO_PENDING)
        fail(what, error);
    op->end = end;
    op->done = done;
    op->next = NULL;
    if (complete) {
        *last_done = op;
        last_done = &op->next;
    }
}

static void post_receive(struct end *end, handler *done)
{
    WSABUF space = {RECEIVE, end->buffer};
    DWORD flags = 0;
    memset(&end->receive.overlapped, 0, sizeof(OVERLAPPED));
    posted(&end->receive, end, done, !WSARecv(end->socket, &space, 1, NULL, &flags, &end->receive.overlapped, NULL), "receive");
}

static void post_send(struct end *end, char *data, DWORD length, handler *done)
{
    WSABUF bytes = {length, data};
    memset(&end->send.overlapped, 0, sizeof(OVERLAPPED));
    posted(&end->send, end, done, !WSASend(end->socket, &bytes, 1, NULL, 0, &end->send.overlapped, NULL), "send");
}

static void post_accept(struct end *end, handler *done)
{
    end->socket = new_socket();
    memset(&end->open.overlapped, 0, sizeof(OVERLAPPED));
    posted(&end->open, end, done, accept_ex(listener, end->socket, end->addresses, 0, ADDRESS, ADDRESS, NULL, &end->open.overlapped), "accept");
}

static void post_connect(struct end *end, handler *done)
{
    end->socket = new_socket();
    bind_local(end->socket);
    memset(&end->open.overlapped, 0, sizeof(OVERLAPPED));
    posted(&end->open, end, done, connect_ex(end->socket, (struct sockaddr *)&server, sizeof server, NULL, 0, NULL, &end->open.overlapped), "connect");
}

static void complete(struct op *op)
{
    if (op->overlapped.Internal)
        fail("operation, NTSTATUS", (DWORD)op->overlapped.Internal);
    op->done(op, (DWORD)op->overlapped.InternalHigh);
}

/* Work off completions until the scenario has finished. */
static void run(void)
{
    OVERLAPPED_ENTRY entries[BATCH];
    ULONG entered;
    while (!finished) {
        while (first_done && !finished) {
            struct op *op = first_done;
            first_done = op->next;
            if (!first_done)
                last_done = &first_done;
            complete(op);
        }
        if (finished)
            break;
        if (!GetQueuedCompletionStatusEx(port, entries, BATCH, &entered, INFINITE, FALSE))
            fail("port", GetLastError());
        turns++;
        for (ULONG i = 0; i < entered && !finished; i++)
            complete((struct op *)entries[i].lpOverlapped);
    }
}

static struct end *new_end(void)
{
    struct end *end = zeroed(sizeof *end);
    end->buffer = zeroed(RECEIVE);
    return end;
}
