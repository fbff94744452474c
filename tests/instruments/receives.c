/* receives.c - receives served one after the other, in the order of their issue, while packets are shuffled.
 *
 * Windows gives what arrives to the receive that was issued first. Wine 8 runs a receive in the thread that
 * issued it, and once it has told that thread that there is something, a receive issued by another thread may
 * take it: with several outstanding receives on several threads it does not keep their order. So while
 * packets are shuffled this file stands in for the kernel: receives wait here, and one thread fills them from
 * the sockets, first come, first served; each ends by a packet.
 * Owner: a list of the waiting receives, oldest first. Threads: any, under `lock`; the serving thread lives
 * with the process.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 65536 };

static SRWLOCK lock;
static CONDITION_VARIABLE changed;
static HANDLE server;
static struct receive {
    struct receive *next;
    SOCKET socket;
    OVERLAPPED *overlapped;
    WSABUF buffer;
} *first, **last = &first;

static void finish(struct receive **link, LONG status, DWORD bytes)
{
    struct receive *receive = *link;
    *link = receive->next;
    if (last == &receive->next)
        last = link;
    receive->overlapped->InternalHigh = bytes;
    receive->overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    fault_post((HANDLE)receive->socket, receive->overlapped);
    free(receive);
}

/* Try every socket's first receive, once and again while there is something: how many ended. */
static int serve(void)
{
    /* By socket, handles are multiples of four: nothing to be had now. */
    static unsigned char empty[SLOTS];
    struct receive **link = &first, *receive;
    DWORD bytes, flags;
    int ended = 0, error;
    memset(empty, 0, sizeof empty);
    while ((receive = *link)) {
        flags = 0;
        if (empty[(receive->socket >> 2) % SLOTS]) {
            link = &receive->next;
        } else if (WSARecv(receive->socket, &receive->buffer, 1, &bytes, &flags, NULL, NULL) == 0) {
            finish(link, STATUS_SUCCESS, bytes);
            ended++;
        } else if ((error = WSAGetLastError()) == WSAEWOULDBLOCK) {
            empty[(receive->socket >> 2) % SLOTS] = 1;
            link = &receive->next;
        } else {
            finish(link, error == WSAECONNRESET ? STATUS_CONNECTION_RESET : STATUS_CONNECTION_ABORTED, 0);
            ended++;
        }
    }
    return ended;
}

static DWORD WINAPI run(void *unused)
{
    (void)unused;
    AcquireSRWLockExclusive(&lock);
    for (;;)
        if (!serve())                           /* arrivals make no sound here: look again soon */
            SleepConditionVariableSRW(&changed, &lock, first ? 2 : INFINITE, 0);
    return 0;
}

/* In the place of WSARecv with an OVERLAPPED: it is pending. */
void receives_take(SOCKET s, const WSABUF *buffer, OVERLAPPED *overlapped)
{
    struct receive *receive = malloc(sizeof *receive);
    receive->next = NULL;
    receive->socket = s;
    receive->overlapped = overlapped;
    receive->buffer = *buffer;
    overlapped->Internal = STATUS_PENDING;
    AcquireSRWLockExclusive(&lock);
    *last = receive;
    last = &receive->next;
    if (!server)
        server = CreateThread(NULL, 0, run, NULL, 0, NULL);
    ReleaseSRWLockExclusive(&lock);
    WakeConditionVariable(&changed);
}

/* In the place of CancelIoEx: whether the operation was one that waits here. */
BOOL receives_cancel(const OVERLAPPED *overlapped)
{
    struct receive **link;
    BOOL found;
    AcquireSRWLockExclusive(&lock);
    for (link = &first; *link && (*link)->overlapped != overlapped; link = &(*link)->next)
        ;
    found = *link != NULL;
    if (found)
        finish(link, STATUS_CANCELLED, 0);
    ReleaseSRWLockExclusive(&lock);
    return found;
}
