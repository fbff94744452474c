/* Raw calls: what the system itself takes for a scenario, with nothing in between.
 *
 * One thread, one completion port, raw overlapped calls (overlapped.h). Both ends of a scenario live here; of
 * `burst` and `idle` only the server does.
 *
 *     raw SCENARIO NAME VALUE...         (benchmarks/README.md: the scenarios, their values, and what is printed)
 */

#include "overlapped.h"

/* The scenario's values. */
static long size = 64, connections = 1, count, wave, limit;
static double warm, seconds = 1;

/* What is measured. */
static char *message;
static double begun, ended;             /* when the measuring begins, and when it is to end */
static BOOL measuring;
static long trips;
static long long total;
static unsigned *latencies;
static long latency_room;

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
        /* Every client has its connection: leave the loop, and start the trips together. */
        finished = TRUE;
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
    say("{\"event\": \"end\"}\n{\"event\": \"result\", \"bytes\": %lld, \"seconds\": %.6f}\n", total,
        ended - begun);
}

/* ------------------------------------------------------------------ connect: one after the other, the server
 * closes first */

static struct end *accepting, *connecting;
static int open_ends;

static void life_opened(struct op *op, DWORD bytes);

static void life_ended(struct op *op, DWORD bytes)
{
    double time;
    (void)bytes;                                /* none: the server has closed */
    closesocket(op->end->socket);
    time = now();
    if (counts(time) && over(time, ++trips)) {
        ended = time;
        finished = TRUE;
        return;
    }
    post_accept(accepting, life_opened);
    post_connect(connecting, life_opened);
}

static void life_opened(struct op *op, DWORD bytes)
{
    (void)bytes;
    (void)op;
    if (++open_ends < 2)
        return;
    open_ends = 0;
    closesocket(accepting->socket);
    post_receive(connecting, life_ended);
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

/* ------------------------------------------------------------------ burst and idle: the client is another
 * program */

static long here;

static void guest_left(struct op *op, DWORD bytes)
{
    (void)bytes;                                /* none: a guest says nothing, and goes */
    closesocket(op->end->socket);
    free(op->end);
    if (--here == 0)
        say("{\"event\": \"gone\"}\n");
}

static void guest_accepted(struct op *op, DWORD bytes)
{
    struct end *guest = zeroed(sizeof *guest);
    WSABUF space = {1, guest->addresses};       /* as whoever waits for the guest to speak would have */
    DWORD flags = 0;
    (void)bytes;
    guest->socket = op->end->socket;
    here++;
    if (++trips == count)
        say("{\"event\": \"result\"}\n");
    else if (wave && trips % wave == 0)
        say("{\"event\": \"accepted\"}\n");
    post_accept(op->end, guest_accepted);
    posted(&guest->receive, guest, guest_left,
           !WSARecv(guest->socket, &space, 1, NULL, &flags, &guest->receive.overlapped, NULL), "receive");
}

static void guests(void)
{
    say("{\"event\": \"listening\", \"port\": %d, \"pid\": %lu}\n", ntohs(server.sin_port),
        GetCurrentProcessId());
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
    fprintf(stderr, "raw: the scenarios are echo, stream, connect, burst and idle\n");
    return 2;
}
