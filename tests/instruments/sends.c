/* sends.c - sends served one after the other, in the order of their issue, as Windows serves them.
 *
 * Wine 8 runs a send in the thread that issued it, and while that thread is about to, another one's may go
 * before it: so with several outstanding on several threads it does not keep their order. While this file
 * serves sends it stands in for the kernel: they wait here, and one thread gives them to the sockets, first
 * come, first served; each ends whole, by a packet, unless it was cut short or is to fail. It can be told to
 * let them wait.
 * Owner: a list of the waiting sends, oldest first. Threads: any, under `lock`; the serving thread lives with
 * the process.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 64 };
enum { SENDS_SYSTEM, SENDS_SERVE, SENDS_HOLD };      /* sends go to the system; are served here; wait here */

static SRWLOCK lock;
static CONDITION_VARIABLE changed;
static HANDLE server;
static volatile LONG serving;
static int most;                /* that were outstanding on one socket at a time */
static struct send {
    struct send *next;
    SOCKET socket;
    OVERLAPPED *overlapped;
    WSABUF buffers[BUFFERS];
    DWORD count, sent;
    LONG status;                /* that it ends with when all its buffers are sent: an NTSTATUS */
} *first, **last = &first;

static void finish(struct send **link, LONG status)
{
    struct send *send = *link;
    *link = send->next;
    if (last == &send->next)
        last = link;
    send->overlapped->InternalHigh = send->sent;
    send->overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    fault_post((HANDLE)send->socket, send->overlapped);
    free(send);
}

/* Give the socket what it takes of this send: whether that was all. */
static int give(struct send *send)
{
    WSABUF *buffer;
    DWORD index, bytes;
    for (index = 0; index < send->count; index++)
        for (buffer = &send->buffers[index]; buffer->len; buffer->buf += bytes, buffer->len -= bytes,
             send->sent += bytes)
            if (WSASend(send->socket, buffer, 1, &bytes, 0, NULL, NULL))
                return 0;
    return 1;
}

/* Whether an older send of this one's socket waits yet. */
static int is_behind(const struct send *send)
{
    const struct send *older;
    for (older = first; older != send && older->socket != send->socket; older = older->next)
        ;
    return older != send;
}

static int serve(void)
{
    struct send **link = &first, *send;
    int ended = 0, error;
    while ((send = *link)) {
        if (is_behind(send))
            link = &send->next;
        else if (give(send)) {
            finish(link, send->status);
            ended++;
        } else if ((error = WSAGetLastError()) == WSAEWOULDBLOCK)
            link = &send->next;
        else {
            finish(link, error == WSAECONNRESET ? STATUS_CONNECTION_RESET : STATUS_CONNECTION_ABORTED);
            ended++;
        }
    }
    return ended;
}

static DWORD WINAPI run(void *unused)
{
    (void)unused;
    AcquireSRWLockExclusive(&lock);
    for (;;) {
        /* Room makes no sound here: look again soon. */
        SleepConditionVariableSRW(&changed, &lock, first && serving == SENDS_SERVE ? 2 : INFINITE, 0);
        if (serving == SENDS_SERVE)
            serve();
    }
    return 0;
}

/* From now on sends are treated so. */
void sends_serve(int how)
{
    AcquireSRWLockExclusive(&lock);
    if (!server)
        server = CreateThread(NULL, 0, run, NULL, 0, NULL);
    serving = how;
    ReleaseSRWLockExclusive(&lock);
    WakeConditionVariable(&changed);
}

int sends_serving(void)
{
    return serving;
}

int sends_most(void)
{
    return most;
}

/* In the place of WSASend with an OVERLAPPED: it is pending. */
void sends_take(SOCKET s, const WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, LONG status)
{
    struct send *send = malloc(sizeof *send), *other;
    int outstanding = 1;
    send->next = NULL;
    send->socket = s;
    send->overlapped = overlapped;
    memcpy(send->buffers, buffers, count * sizeof *buffers);
    send->count = count;
    send->sent = 0;
    send->status = status;
    overlapped->Internal = STATUS_PENDING;
    AcquireSRWLockExclusive(&lock);
    for (other = first; other; other = other->next)
        outstanding += other->socket == s;
    most = outstanding > most ? outstanding : most;
    *last = send;
    last = &send->next;
    ReleaseSRWLockExclusive(&lock);
    WakeConditionVariable(&changed);
}

/* In the place of CancelIoEx: whether the send was one that waits here. Nobody can tell how much of it went
 * out. */
BOOL sends_cancel(const OVERLAPPED *overlapped)
{
    struct send **link;
    BOOL found;
    AcquireSRWLockExclusive(&lock);
    for (link = &first; *link && (*link)->overlapped != overlapped; link = &(*link)->next)
        ;
    found = *link != NULL;
    if (found)
        finish(link, STATUS_CANCELLED);
    ReleaseSRWLockExclusive(&lock);
    return found;
}
