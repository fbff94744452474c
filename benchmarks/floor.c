/* The floor: what the system itself takes for a scenario, with nothing in between.
 *
 * One thread, one completion port, raw overlapped calls on sockets that skip the port on success. An operation that
 * completes at once is put on a list, and the list is worked off before the port is asked. Both ends of a scenario live
 * here; of `burst` and `idle` only the server does.
 *
 *     floor SCENARIO NAME VALUE...         (benchmarks/README.md: the scenarios, their values, and what is printed)
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

/* The scenario's values. */
static long size = 64, connections = 1, count, wave, limit;
static double warm, seconds = 1;

/* What is measured. */
static char *message;
static double begun, ended;             /* when the measuring begins, and when it is to end */
static BOOL measuring;
static long trips, turns;
static long long total;
static unsigned *latencies;
static long latency_room;

static double now(void)
{
    LARGE_INTEGER frequency, counter;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&counter);
    return (double)counter.QuadPart / frequency.QuadPart;
}

static void fail(const char *what, DWORD error)
{
    fprintf(stderr, "floor: %s: error %lu\n", what, error);
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

/* ------------------------------------------------------------------ sockets and operations */

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

/* ------------------------------------------------------------------ the clock */

static void start_clock(void)
{
    begun = now() + warm;
    ended = begun + seconds;
}

/* Whether what was done just now counts; the first that does is announced. */
static BOOL counts(double time)
{
    if (!measuring && time >= begun) {
        measuring = TRUE;
        begun = time;
        ended = time + seconds;
        say("{\"event\": \"begin\"}\n");
        return FALSE;
    }
    return measuring;
}

static BOOL over(double time, long done)
{
    return limit ? done >= limit : time >= ended;
}

/* ------------------------------------------------------------------ echo */

static void echo_sent(struct op *op, DWORD bytes);

static void echo_received(struct op *op, DWORD bytes)
{
    post_send(op->end, op->end->buffer, bytes, echo_sent);
}

static void echo_sent(struct op *op, DWORD bytes)
{
    (void)bytes;
    post_receive(op->end, echo_received);
}

static void trip_start(struct end *end);

static void trip_received(struct op *op, DWORD bytes)
{
    struct end *end = op->end;
    double time;
    end->got += bytes;
    if (end->got < (DWORD)size) {
        post_receive(end, trip_received);
        return;
    }
    time = now();
    if (counts(time)) {
        if (trips == latency_room) {
            latency_room = latency_room ? 2 * latency_room : 4096;
            latencies = realloc(latencies, latency_room * sizeof *latencies);
        }
        latencies[trips++] = (unsigned)((time - end->started) * 1e6);
        if (over(time, trips)) {
            finished = TRUE;
            ended = time;
            return;
        }
    }
    trip_start(end);
}

static void trip_sent(struct op *op, DWORD bytes)
{
    (void)bytes;
    post_receive(op->end, trip_received);
}

static void trip_start(struct end *end)
{
    end->got = 0;
    end->started = now();
    post_send(end, message, size, trip_sent);
}

static void echo_accepted(struct op *op, DWORD bytes)
{
    (void)bytes;
    post_receive(op->end, echo_received);
}

static void trip_connected(struct op *op, DWORD bytes)
{
    (void)bytes;
    if (--count == 0)
        finished = TRUE;        /* every client has its connection: leave the loop, and start the trips together */
    (void)op;
}

static void echo(void)
{
    struct end **clients = zeroed(connections * sizeof *clients);
    count = connections;
    for (long i = 0; i < connections; i++)
        post_accept(new_end(), echo_accepted);
    for (long i = 0; i < connections; i++)
        post_connect(clients[i] = new_end(), trip_connected);
    run();
    finished = FALSE;
    start_clock();
    for (long i = 0; i < connections; i++)
        trip_start(clients[i]);
    run();
    say("{\"event\": \"end\"}\n{\"event\": \"result\", \"trips\": %ld, \"seconds\": %.6f, \"turns\": %ld, \"latencies\": [", trips, ended - begun, turns);
    for (long i = 0; i < trips; i++)
        printf(i ? ",%u" : "%u", latencies[i]);
    say("]}\n");
}

/* ------------------------------------------------------------------ stream */

static void stream_sent(struct op *op, DWORD bytes)
{
    (void)bytes;
    if (over(now(), total / size)) {
        shutdown(op->end->socket, SD_SEND);
        return;
    }
    post_send(op->end, message, size, stream_sent);
}

static void stream_received(struct op *op, DWORD bytes)
{
    if (!bytes) {
        ended = now();
        finished = TRUE;
        return;
    }
    total += bytes;
    post_receive(op->end, stream_received);
}

static void stream_accepted(struct op *op, DWORD bytes)
{
    (void)bytes;
    post_receive(op->end, stream_received);
}

static void stream_connected(struct op *op, DWORD bytes)
{
    (void)bytes;
    warm = 0;
    start_clock();
    counts(now());
    setsockopt(op->end->socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
    post_send(op->end, message, size, stream_sent);
}

static void stream(void)
{
    post_accept(new_end(), stream_accepted);
    post_connect(new_end(), stream_connected);
    run();
    say("{\"event\": \"end\"}\n{\"event\": \"result\", \"bytes\": %lld, \"seconds\": %.6f}\n", total, ended - begun);
}

/* ------------------------------------------------------------------ connect: one after the other, both ends closed */

static struct end *accepting, *connecting;
static int open_ends;

static void life_opened(struct op *op, DWORD bytes)
{
    double time;
    (void)bytes;
    (void)op;
    if (++open_ends < 2)
        return;
    open_ends = 0;
    closesocket(accepting->socket);
    closesocket(connecting->socket);
    time = now();
    if (counts(time) && over(time, ++trips)) {
        ended = time;
        finished = TRUE;
        return;
    }
    post_accept(accepting, life_opened);
    post_connect(connecting, life_opened);
}

static void lives(void)
{
    accepting = new_end();
    connecting = new_end();
    start_clock();
    post_accept(accepting, life_opened);
    post_connect(connecting, life_opened);
    run();
    say("{\"event\": \"result\", \"trips\": %ld, \"seconds\": %.6f}\n", trips, ended - begun);
}

/* ------------------------------------------------------------------ burst and idle: the client is another program */

static void nothing_received(struct op *op, DWORD bytes)
{
    (void)op;
    (void)bytes;
}

static void guest_accepted(struct op *op, DWORD bytes)
{
    struct end *guest = zeroed(sizeof *guest);
    WSABUF space = {1, guest->addresses};       /* as whoever waits for the guest to speak would have */
    DWORD flags = 0;
    (void)bytes;
    guest->socket = op->end->socket;
    trips++;
    if (wave && trips % wave == 0 && trips < count)
        say("{\"event\": \"accepted\"}\n");
    if (trips == count)
        say("{\"event\": \"result\", \"accepted\": %ld}\n", trips);
    post_accept(op->end, guest_accepted);
    posted(&guest->receive, guest, nothing_received,
           !WSARecv(guest->socket, &space, 1, NULL, &flags, &guest->receive.overlapped, NULL), "receive");
}

static void guests(void)
{
    say("{\"event\": \"listening\", \"port\": %d, \"pid\": %lu}\n", ntohs(server.sin_port), GetCurrentProcessId());
    for (long i = 0; i < SLOTS; i++)
        post_accept(new_end(), guest_accepted);
    run();                      /* until we are killed */
}

/* ------------------------------------------------------------------ */

static void read_values(int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "size"))
            size = atol(value);
        else if (!strcmp(name, "connections"))
            connections = atol(value);
        else if (!strcmp(name, "count"))
            count = atol(value);
        else if (!strcmp(name, "wave"))
            wave = atol(value);
        else if (!strcmp(name, "limit"))
            limit = atol(value);
        else if (!strcmp(name, "warm"))
            warm = atof(value);
        else if (!strcmp(name, "seconds"))
            seconds = atof(value);
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } scenarios[] = {
        {"echo", echo}, {"stream", stream}, {"connect", lives}, {"burst", guests}, {"idle", guests}};
    WSADATA winsock;
    read_values(argc, argv);
    WSAStartup(MAKEWORD(2, 2), &winsock);
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    message = zeroed(size);
    listen_on_loopback();
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof *scenarios; i++)
        if (!strcmp(argv[1], scenarios[i].name)) {
            scenarios[i].run();
            return 0;
        }
    fprintf(stderr, "floor: the scenarios are echo, stream, connect, burst and idle\n");
    return 2;
}
