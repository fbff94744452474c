/* afd.c - the request to the socket driver by which our code waits for room to send (include/afd.h). */
#include "probe.h"
#include "../../include/afd.h"

SUBJECT(afd,
    {"afd.room", "the poll of a new connection ends", "at once, SEND", TRUE},
    {"afd.full", "of one whose buffers are full", "when the peer has received, SEND", TRUE},
    {"afd.cancelled", "cancelled by CancelIoEx", "c0000120", TRUE},
    {"afd.reset", "of one that the peer resets", "ABORT", TRUE},
    {"afd.closed", "of one whose handle is closed", "LOCAL_CLOSE", TRUE},
    {"afd.port", "in a completion port, with a NULL context, a packet comes", "no", TRUE})

enum { ROOM = 65536 };
static char memory[ROOM];

struct waiting {
    struct afd_poll poll;
    OVERLAPPED overlapped;
    HANDLE event;
};

static NTSTATUS post(struct waiting *waiting, SOCKET sock)
{
    memset(waiting, 0, sizeof *waiting);
    waiting->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    return afd_poll_room(sock, &waiting->poll, waiting->event, &waiting->overlapped);
}

static BOOL ended(struct waiting *waiting, DWORD milliseconds)
{
    return WaitForSingleObject(waiting->event, milliseconds) == WAIT_OBJECT_0;
}

/* What the poll says when it ends, which it may have done already; NULL if it does not. */
static const char *outcome(struct waiting *waiting, DWORD milliseconds)
{
    static char text[60];
    if (!ended(waiting, milliseconds))
        return NULL;
    if ((LONG)waiting->overlapped.Internal) {
        sprintf(text, "%08lx", (ULONG)waiting->overlapped.Internal);
        return text;
    }
    sprintf(text, "%s%s%s", waiting->poll.events & AFD_SEND ? " SEND" : "",
            waiting->poll.events & AFD_ABORT ? " ABORT" : "",
            waiting->poll.events & AFD_LOCAL_CLOSE ? " LOCAL_CLOSE" : "");
    return *text ? text + 1 : "no event";
}

static void said(const char *question, const char *form, struct waiting *waiting, DWORD milliseconds)
{
    const char *how = outcome(waiting, milliseconds);
    answer(question, how ? form : "never", how);
}

static struct pair full_pair(void)
{
    struct pair pair = make_pair();
    u_long yes = 1;
    ioctlsocket(pair.ours, FIONBIO, &yes);
    do
        while (send(pair.ours, memory, ROOM, 0) > 0)
            continue;
    while (Sleep(20), send(pair.ours, memory, ROOM, 0) > 0);
    return pair;
}

static void ask_room(void)
{
    struct waiting waiting;
    struct pair pair = make_pair();
    NTSTATUS status = post(&waiting, pair.ours);
    if (status < 0)
        answer("afd.room", "is refused: %08lx", (ULONG)status);
    else
        said("afd.room", "at once, %s", &waiting, LULL);
}

static void ask_full(void)
{
    struct waiting waiting;
    struct pair pair = full_pair();
    size_t got;
    post(&waiting, pair.ours);
    if (ended(&waiting, LULL)) {
        said("afd.full", "at once, %s", &waiting, 0);
        return;
    }
    CancelIoEx((HANDLE)pair.ours, &waiting.overlapped);
    said("afd.cancelled", "%s", &waiting, PATIENCE);
    post(&waiting, pair.ours);
    drain(pair.peer, memory, ROOM, LULL, &got);
    while (got && !ended(&waiting, 0))
        drain(pair.peer, memory, ROOM, LULL, &got);
    said("afd.full", "when the peer has received, %s", &waiting, PATIENCE);
}

static void ask_ends(void)
{
    struct waiting waiting;
    struct pair pair = full_pair();
    struct linger hard = {1, 0};
    post(&waiting, pair.ours);
    setsockopt(pair.peer, SOL_SOCKET, SO_LINGER, (char *)&hard, sizeof hard);
    closesocket(pair.peer);
    said("afd.reset", "%s", &waiting, PATIENCE);
    pair = full_pair();
    post(&waiting, pair.ours);
    closesocket(pair.ours);
    said("afd.closed", "%s", &waiting, PATIENCE);
}

static void ask_port(void)
{
    struct waiting waiting;
    struct pair pair = make_pair();
    HANDLE port_handle = CreateIoCompletionPort((HANDLE)pair.ours, NULL, 7, 0);
    OVERLAPPED_ENTRY entry;
    ULONG count;
    post(&waiting, pair.ours);
    ended(&waiting, PATIENCE);
    answer("afd.port",
           GetQueuedCompletionStatusEx(port_handle, &entry, 1, &count, LULL, FALSE) ? "yes" : "no");
}

static void ask(void)
{
    ask_room();
    ask_full();
    ask_ends();
    ask_port();
}
