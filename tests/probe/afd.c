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
    if (WaitForSingleObject(waiting->event, milliseconds) != WAIT_OBJECT_0)
        return FALSE;
    while (*(volatile LONG *)&waiting->overlapped.Internal == STATUS_PENDING)
        Sleep(0);       /* Wine may set the event a moment before it writes the status block */
    return TRUE;
}

static const char *events(struct waiting *waiting)
{
    static char text[60];
    if ((LONG)waiting->overlapped.Internal) {
        sprintf(text, "%08lx", (ULONG)waiting->overlapped.Internal);
        return text;
    }
    sprintf(text, "%s%s%s", waiting->poll.events & AFD_SEND ? " SEND" : "",
            waiting->poll.events & AFD_ABORT ? " ABORT" : "",
            waiting->poll.events & AFD_LOCAL_CLOSE ? " LOCAL_CLOSE" : "");
    return *text ? text + 1 : "no event";
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
        answer("afd.room", ended(&waiting, LULL) ? "at once, %s" : "never", events(&waiting));
}

static void ask_full(void)
{
    struct waiting waiting;
    struct pair pair = full_pair();
    size_t got;
    post(&waiting, pair.ours);
    if (ended(&waiting, LULL)) {
        answer("afd.full", "at once, %s", events(&waiting));
        return;
    }
    CancelIoEx((HANDLE)pair.ours, &waiting.overlapped);
    answer("afd.cancelled", ended(&waiting, PATIENCE) ? "%s" : "is not", events(&waiting));
    post(&waiting, pair.ours);
    drain(pair.peer, memory, ROOM, LULL, &got);
    while (got && !ended(&waiting, 0))
        drain(pair.peer, memory, ROOM, LULL, &got);
    answer("afd.full", ended(&waiting, PATIENCE) ? "when the peer has received, %s" : "never",
           events(&waiting));
}

static void ask_ends(void)
{
    struct waiting waiting;
    struct pair pair = full_pair();
    struct linger hard = {1, 0};
    post(&waiting, pair.ours);
    setsockopt(pair.peer, SOL_SOCKET, SO_LINGER, (char *)&hard, sizeof hard);
    closesocket(pair.peer);
    answer("afd.reset", ended(&waiting, PATIENCE) ? "%s" : "never", events(&waiting));
    pair = full_pair();
    post(&waiting, pair.ours);
    closesocket(pair.ours);
    answer("afd.closed", ended(&waiting, PATIENCE) ? "%s" : "never", events(&waiting));
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
