/* scene.c - what a play looks like to its caller, in words for tests/strict/test_plays.py.
 *
 * Threads: the test's, and some of its own.
 */
#include "stage.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOMENT = 100, LARGE = 100000, HUGE = 8 << 20 };

static char *words;
static int room;
static struct pair pair;
static struct sockaddr_in address;
static char large[LARGE];

void stage_say(const char *format, ...)
{
    va_list arguments;
    int length = (int)strlen(words);
    va_start(arguments, format);
    vsnprintf(words + length, room - length, format, arguments);
    va_end(arguments);
}

static int milliseconds_since(LARGE_INTEGER before)
{
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return (int)((now.QuadPart - before.QuadPart) * 1000 / frequency.QuadPart);
}

static LARGE_INTEGER moment(void)
{
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    return now;
}

/* Dequeue one packet of the port: its operation. */
static OVERLAPPED *dequeue(HANDLE port)
{
    OVERLAPPED_ENTRY entry;
    ULONG count;
    LARGE_INTEGER began = moment();
    while (!GetQueuedCompletionStatusEx(port, &entry, 1, &count, MOMENT, FALSE))
        if (milliseconds_since(began) > PATIENCE)
            return NULL;
    return entry.lpOverlapped;
}

/* Rule 2: the status of an operation on a port is written when its packet is dequeued. */
static void status(void)
{
    struct posted *posted = stage_posted();
    HANDLE port = stage_port(pair.server);
    posted->overlapped.hEvent = NULL;
    stage_receive(pair.server, posted, 10);
    stage_nonblocking(pair.client);
    stage_send_at_once(pair.client, "hello", 5);
    Sleep(MOMENT);
    stage_say("%lx %.5s", (DWORD)posted->overlapped.Internal, posted->data);
    if (dequeue(port) == &posted->overlapped)
        stage_say(", %lx %.5s %d", (DWORD)posted->overlapped.Internal, posted->data,
            (int)posted->overlapped.InternalHigh);
}

/* Rule 3: a call that stays pending may return after its packet is out. */
static void packet(void)
{
    LARGE_INTEGER began = moment();
    int index, before = strict_count("late");
    for (index = 0; index < 100; index++)
        stage_receive(pair.client, stage_posted(), 10);
    before = strict_count("late") - before;
    stage_say("%s", before && before < 50 && milliseconds_since(began) >= before ? "some"
              : before ? "too many"
        : "none");
}

/* A socket that AcceptEx has connected a moment ago. */
static SOCKET fresh_accept(SOCKET *listener, SOCKET *client)
{
    struct posted *posted = stage_posted();
    SOCKET accepted = stage_socket();
    *listener = stage_listener(5, &address);
    *client = stage_socket();
    stage_accept(*listener, accepted, posted);
    stage_bind(*client);
    stage_connect(*client, &address);
    stage_wait(posted);
    return accepted;
}

static int peer_error(SOCKET s)
{
    struct sockaddr_storage peer;
    int length = sizeof peer;
    return getpeername(s, (struct sockaddr *)&peer, &length) ? WSAGetLastError() : 0;
}

/* Rule 4. */
static void context(void)
{
    SOCKET listener, client, accepted = fresh_accept(&listener, &client);
    stage_say("%d %d", peer_error(accepted), shutdown(accepted, SD_SEND) ? WSAGetLastError() : 0);
    stage_update(accepted, listener);
    stage_say(", %d %d", peer_error(accepted), shutdown(accepted, SD_SEND) ? WSAGetLastError() : 0);
    stage_say(", %d", peer_error(client));
    setsockopt(client, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
    stage_say(", %d", peer_error(client));
}

/* Rule 5: the accepted socket is non-blocking if the listening one is. */
static void inherit(void)
{
    char data[1];
    SOCKET listener, client, accepted = fresh_accept(&listener, &client);
    stage_nonblocking(listener);
    stage_update(accepted, listener);
    stage_say("%d", stage_receive_at_once(accepted, data, 1));
}

/* Rule 6. */
static void wildcard(void)
{
    SOCKET s = stage_socket();
    stage_listener(5, &address);
    address.sin_addr.s_addr = 0;
    stage_bind(s);
    stage_say("%d", stage_connect(s, &address));
}

/* Rule 9: the peer sees a reset. */
static void closing(void)
{
    struct posted *posted = stage_posted();
    stage_receive(pair.server, posted, 10);
    stage_receive(pair.client, stage_posted(), 10);
    closesocket(pair.client);
    stage_say("%lx, %d reset", stage_wait(posted), strict_count("resets"));
}

/* Rule 10: a send that is cancelled says nothing of what went out, and the connection is gone. */
static void cancel(void)
{
    char *data = calloc(1, HUGE);
    struct posted *posted = stage_posted(), *receive = stage_posted(), *peer = stage_posted();
    stage_receive(pair.client, receive, 10);
    stage_send(pair.client, posted, data, HUGE);
    Sleep(MOMENT);
    CancelIoEx((HANDLE)pair.client, &posted->overlapped);
    stage_say("%x %d", stage_wait(posted), (int)posted->overlapped.InternalHigh);
    stage_say(", receive %x", stage_wait(receive));
    stage_say(", send %d", stage_send(pair.client, stage_posted(), data, 1));
    closesocket(pair.client);
    stage_nonblocking(pair.server);
    while (stage_receive_at_once(pair.server, large, LARGE) > 0)
        ;
    stage_say(", peer %d", stage_receive(pair.server, peer, 10) ? WSAGetLastError() : stage_wait(peer));
}

static DWORD WINAPI post_and_end(void *posted)
{
    stage_receive(pair.client, posted, 10);
    return 0;
}

/* Rule 11: what a thread has posted with an event ends with it. */
static void thread(void)
{
    struct posted *posted = stage_posted();
    HANDLE thread = CreateThread(NULL, 0, post_and_end, posted, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    stage_say("%x", stage_wait(posted));
    CloseHandle(thread);
    /* A process that ends while a thread's last steps are under way may crash in Wine. */
    Sleep(MOMENT);
}

/* Rule 12: it ends late, and whole, and what was sent after it too. */
static void ack(void)
{
    static const DWORD sizes[] = {60000, LARGE, 1000};
    struct posted *posted;
    LARGE_INTEGER began;
    int index, error, late;
    for (index = 0; index < 3; index++) {
        began = moment();
        posted = stage_posted();
        error = stage_send(pair.client, posted, large, sizes[index]);
        if (sizes[index] == LARGE) {            /* and one behind it, which ends no sooner */
            posted = stage_posted();
            error = stage_send(pair.client, posted, large, sizes[++index]);
        }
        stage_wait(posted);
        late = milliseconds_since(began) >= 50;
        stage_say("%s%lu %s %s", index ? ", " : "", (DWORD)posted->overlapped.InternalHigh, error ? "pending"
            : "at once", late ? "late" : "soon");
    }
}

static HANDLE file_of(DWORD size)
{
    char folder[MAX_PATH], path[MAX_PATH];
    HANDLE file;
    GetTempPathA(sizeof folder, folder);
    GetTempFileNameA(folder, "ioc", 0, path);
    file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE,
                       NULL);
    SetFilePointer(file, (LONG)size, NULL, FILE_BEGIN);
    SetEndOfFile(file);
    return file;
}

/* Rule 13: the third TransmitFile begins when one of the two before it has ended. */
static void transmit(void)
{
    struct pair pairs[3];
    struct posted *posted[3];
    HANDLE file = file_of(HUGE);
    u_long arrived;
    int index, ended = 0;
    for (index = 0; index < 3; index++) {
        stage_pair(&pairs[index]);
        posted[index] = stage_posted();
        stage_TransmitFile(pairs[index].client, file, index < 2 ? HUGE : 10, 0, &posted[index]->overlapped,
                           NULL, 0);
    }
    Sleep(MOMENT);
    ioctlsocket(pairs[2].server, FIONREAD, &arrived);
    stage_say("%lu", arrived);
    stage_nonblocking(pairs[0].server);
    while (!ended) {
        while (stage_receive_at_once(pairs[0].server, large, LARGE) > 0)
            ;
        ended = WaitForSingleObject(posted[0]->event, 1) == WAIT_OBJECT_0;
    }
    stage_say(", %d", stage_wait(posted[2]));
    ioctlsocket(pairs[2].server, FIONREAD, &arrived);
    stage_say(" %lu", arrived);
}

static SOCKET share(int sharing)
{
    SOCKET s = stage_socket();
    int on = 1;
    if (sharing)
        setsockopt(s, SOL_SOCKET, sharing == 1 ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof on);
    return s;
}

/* Rule 14: the table, a row for each second bind: + granted, u in use, d denied. */
static void binding(void)
{
    struct sockaddr_in where = {AF_INET, 0, {{{0}}}, {0}};
    SOCKET first, second;
    int row, column, length = sizeof where, error;
    for (row = 0; row < 6; row++) {
        for (column = 0; column < 6; column++) {
            first = share(column / 2);
            where.sin_port = 0;
            where.sin_addr.s_addr = column % 2 ? htonl(INADDR_LOOPBACK) : 0;
            bind(first, (struct sockaddr *)&where, sizeof where);
            listen(first, 5);
            getsockname(first, (struct sockaddr *)&where, &length);
            where.sin_addr.s_addr = row % 2 ? htonl(INADDR_LOOPBACK) : 0;
            second = share(row / 2);
            error = bind(second, (struct sockaddr *)&where, sizeof where) ? WSAGetLastError() : 0;
            stage_say(error == WSAEADDRINUSE ? "u" : error == WSAEACCES ? "d" : error ? "e" : "+");
            closesocket(first);
            closesocket(second);
        }
        stage_say(row < 5 ? " " : "");
    }
}

/* Rule 15: a socket cannot ask for both. */
static void both_options(void)
{
    SOCKET s = share(1);
    int on = 1;
    stage_say("%d", setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof on) ? WSAGetLastError()
              : 0);
}

/* Rule 16: how often GetTickCount64 changes in 200 milliseconds, and how long a wait of one takes, in all of
 * 20. */
static void ticking(void)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    ULONGLONG last = GetTickCount64();
    LARGE_INTEGER began = moment();
    int changes = 0, index;
    while (milliseconds_since(began) < 200)
        if (GetTickCount64() != last) {
            last = GetTickCount64();
            changes++;
        }
    began = moment();
    for (index = 0; index < 20; index++)
        WaitForSingleObject(event, 1);
    stage_say("%s, %s", changes <= 14 ? "coarse" : "fine",
              milliseconds_since(began) > 100 ? "coarse" : "fine");
}

static int refused_after(int retries)
{
    struct { USHORT rtt; UCHAR retries; } rto = {300, (UCHAR)retries};
    SOCKET s = stage_socket();
    LARGE_INTEGER began = moment();
    DWORD size;
    if (retries)
        WSAIoctl(s, _WSAIOW(IOC_VENDOR, 17), &rto, sizeof rto, NULL, 0, &size, NULL, NULL);
    stage_bind(s);
    if (stage_connect(s, &address) != ERROR_CONNECTION_REFUSED)
        return -1;
    return milliseconds_since(began);
}

/* Rule 17. */
static void refusal(void)
{
    int usual, once;
    closesocket(stage_listener(1, &address));
    usual = refused_after(0);
    once = refused_after(1);
    stage_say("%s, %s", usual >= 2000 ? "slow" : "fast", once < 0 ? "connected" : once >= 300 && once < 1900
        ? "soon" : "at the wrong time");
}

/* Rule 18: the second of two is refused, as nobody accepts the first. */
static void backlog(void)
{
    SOCKET first = stage_socket(), second = stage_socket();
    stage_listener(1, &address);
    stage_bind(first);
    stage_bind(second);
    stage_say("%d", stage_connect(first, &address));
    stage_say(" %d", stage_connect(second, &address));
}

/* Rule 20: a page of memory that is not aligned locks two. */
static void pages(void)
{
    struct posted *one = VirtualAlloc(NULL, 3 * 4096, MEM_COMMIT, PAGE_READWRITE), *other = stage_posted();
    *one = *stage_posted();
    stage_say("%d", strict_count("pages"));
    stage_receive(pair.client, one, 4096);
    stage_say(" %d", strict_count("pages"));
    strict_play("pages", 2);
    stage_say(", %d", stage_receive(pair.client, other, 10));
}

/* Rule 22. */
static void lingering(void)
{
    stage_nonblocking(pair.client);
    stage_linger(pair.client, 3);
    stage_say("%d", closesocket(pair.client) ? WSAGetLastError() : 0);
    stage_say(" %d", peer_error(pair.client));
}

/* Rule 24: an operation that begins clears its event. */
static void event(void)
{
    struct posted *posted = stage_posted();
    SetEvent(posted->event);
    stage_receive(pair.client, posted, 10);
    stage_say("%ld", WaitForSingleObject(posted->event, 0));
}

/* Rule 26. */
static void batch(void)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    OVERLAPPED_ENTRY entries[16];
    ULONG count;
    int index, early = 0, sizes = 0;
    LARGE_INTEGER began;
    for (index = 0; index < 2000; index++)
        PostQueuedCompletionStatus(port, 0, 0, NULL);
    for (index = 0; index < 2000; index += (int)count) {
        began = moment();
        if (GetQueuedCompletionStatusEx(port, entries, 16, &count, PATIENCE, FALSE)) {
            sizes |= 1 << count;
            continue;
        }
        early += GetLastError() == WAIT_TIMEOUT && milliseconds_since(began) < PATIENCE / 2 && count > 16;
        count = 0;
    }
    stage_say("%s, %s", early ? "early" : "never early", (sizes & ~(1 << 16 | 1 << 2000 % 16)) ? "any size"
        : "as many as there are");
}

/* Rule 27: the peer has sent five bytes, and then reset the connection. */
static void reset(void)
{
    char data[10];
    stage_nonblocking(pair.client);
    stage_nonblocking(pair.server);
    stage_send_at_once(pair.client, "hello", 5);
    stage_linger(pair.client, 0);
    closesocket(pair.client);
    Sleep(MOMENT);
    stage_say("%d", stage_receive_at_once(pair.server, data, 10));
}

static const struct stage_step scenes[] = {
    {"2 status", status}, {"3 packet", packet}, {"4 context", context}, {"5 inherit", inherit},
    {"6 wildcard", wildcard},
    {"9 close", closing}, {"10 cancel", cancel}, {"11 thread", thread}, {"12 ack", ack},
    {"13 transmit", transmit},
    {"14 bind", binding}, {"15 both options", both_options}, {"16 clock", ticking}, {"17 refusal", refusal},
    {"18 backlog", backlog},
    {"20 pages", pages}, {"22 linger", lingering}, {"24 event", event}, {"26 batch", batch},
    {"27 reset", reset},
    {NULL, NULL},
};

static int run(const struct stage_step *step, const char *name)
{
    for (; step->name; step++)
        if (!strcmp(step->name, name)) {
            stage_pair(&pair);
            step->function();
            return 0;
        }
    return -1;
}

int strict_scene(const char *name, char *said, int size)
{
    words = said;
    room = size;
    said[0] = 0;
    return run(scenes, name) && run(file_scenes, name) ? -1 : 0;
}
