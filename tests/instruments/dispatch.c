/* dispatch.c - the dequeuing of packets under fault injection: some are held back, and dealt out in another
 * order.
 *
 * A packet that is to be late, or every one while packets are shuffled, goes from the port to a pool, with
 * the time before which nobody gets it; whoever drains that port draws from what is due at random, one at a
 * time. A thread that has put a packet into the pool looks again soon, so nothing stays there.
 * Threads: the completion threads and those of event loops; the pool under `lock`.
 */
#define FAULTS_THEMSELVES
#include "faults.h"

enum {
    POOL = 16384,           /* packets held back at a time; one more is dealt out at once */
    MARKS = 1024,
    LOOK = 2                /* milliseconds between looks at the pool */
};

static SRWLOCK lock;
static struct held {
    HANDLE port;
    OVERLAPPED_ENTRY entry;
    ULONGLONG due;
    LONG arrival;
} pool[POOL];
static volatile LONG pooled;
static LONG overtaken;          /* packets that were dealt out after one that came later */
static LONG arrivals;
static struct mark {
    OVERLAPPED *overlapped;
    int milliseconds;
} marks[MARKS];
static volatile LONG marked;
static volatile LONG spread;    /* milliseconds over which packets are shuffled; 0: they are not */
static unsigned int random_state = 1;

/* The packet of this operation is seen so much later than it could be. */
void fault_late(OVERLAPPED *overlapped, int milliseconds)
{
    AcquireSRWLockExclusive(&lock);
    if (marked < MARKS) {
        marks[marked].overlapped = overlapped;
        marks[marked].milliseconds = milliseconds;
        marked++;
    }
    ReleaseSRWLockExclusive(&lock);
}

void fault_shuffle(int milliseconds, int seed)
{
    AcquireSRWLockExclusive(&lock);
    spread = milliseconds;
    random_state = (unsigned)seed;
    ReleaseSRWLockExclusive(&lock);
}

int fault_shuffling(void)
{
    return spread != 0;
}

int fault_overtaken(void)
{
    return overtaken;
}

static unsigned int random_below(unsigned int limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

/* Milliseconds for which the packet is to be held back, -1 for none. */
static int delay_of(const OVERLAPPED_ENTRY *entry)
{
    int index, milliseconds = spread ? (int)random_below(spread + 1) : -1;
    for (index = 0; index < marked; index++)
        if (marks[index].overlapped == entry->lpOverlapped && entry->lpOverlapped) {
            milliseconds = marks[index].milliseconds;
            marks[index] = marks[--marked];
            break;
        }
    return milliseconds;
}

/* Move what is to be held back into the pool: how many entries stay. */
static ULONG hold_back(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count)
{
    ULONGLONG now = GetTickCount64();
    ULONG index, kept = 0;
    int delay;
    AcquireSRWLockExclusive(&lock);
    for (index = 0; index < count; index++) {
        delay = delay_of(&entries[index]);
        if (delay >= 0 && pooled < POOL) {
            pool[pooled].port = port;
            pool[pooled].entry = entries[index];
            pool[pooled].due = now + delay;
            pool[pooled].arrival = arrivals++;
            pooled++;
        } else
            entries[kept++] = entries[index];
    }
    ReleaseSRWLockExclusive(&lock);
    return kept;
}

/* Draw one packet of the port's of those that are due: 1, or 0 if none is. */
static ULONG draw(HANDLE port, OVERLAPPED_ENTRY *entry)
{
    ULONGLONG now = GetTickCount64();
    static LONG newest;
    LONG index, due = 0, chosen;
    ULONG drawn = 0;
    AcquireSRWLockExclusive(&lock);
    for (index = 0; index < pooled; index++)
        due += pool[index].port == port && pool[index].due <= now;
    if (due) {
        chosen = (LONG)random_below(due);
        for (index = 0; pool[index].port != port || pool[index].due > now || chosen--; index++)
            ;
        *entry = pool[index].entry;
        overtaken += pool[index].arrival < newest;
        newest = pool[index].arrival > newest ? pool[index].arrival : newest;
        pool[index] = pool[--pooled];
        drawn = 1;
    }
    ReleaseSRWLockExclusive(&lock);
    return drawn;
}

static int is_held(HANDLE port)
{
    LONG index;
    int held = 0;
    if (!pooled)
        return 0;
    AcquireSRWLockExclusive(&lock);
    for (index = 0; index < pooled && !held; index++)
        held = pool[index].port == port;
    ReleaseSRWLockExclusive(&lock);
    return held;
}

/* Ask the system, by GetQueuedCompletionStatus if `removed` is NULL, otherwise by the other call: how many
 * packets it gives. */
static ULONG ask(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count, ULONG *removed, DWORD milliseconds,
                 BOOL alertable)
{
    if (removed)
        return GetQueuedCompletionStatusEx(port, entries, count, removed, milliseconds, alertable)
            ? *removed : 0;
    entries->lpOverlapped = NULL;
    return GetQueuedCompletionStatus(port, &entries->dwNumberOfBytesTransferred, &entries->lpCompletionKey,
                                     &entries->lpOverlapped, milliseconds) || entries->lpOverlapped;
}

/* Deal out packets: how many. 0 if the time is over, or the call failed; then the system has set
 * `removed`. */
static ULONG deal(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count, ULONG *removed, DWORD milliseconds,
                  BOOL alertable)
{
    ULONGLONG end = milliseconds == INFINITE ? ~0ULL : GetTickCount64() + milliseconds;
    ULONG index, got, left;
    do {
        got = ask(port, entries, count, removed, is_held(port) && milliseconds > LOOK ? LOOK : milliseconds,
                  alertable);
        for (index = 0; index < got; index++)
            beside_end(entries[index].lpOverlapped);
        left = hold_back(port, entries, got);
        if (!left)
            left = draw(port, entries);
    } while (!left && (got || is_held(port)) && GetTickCount64() < end);
    return left;
}

BOOL WINAPI fault_GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count,
                                              ULONG *removed,
                                              DWORD milliseconds, BOOL alertable)
{
    ULONG got;
    if (fault_fails(FAULT_GetQueuedCompletionStatusEx))
        return FALSE;
    got = deal(port, entries, count, removed, milliseconds, alertable);
    if (got)
        *removed = got;
    return got != 0;
}

/* It fails, too, when the operation has failed whose packet it gives. */
BOOL WINAPI fault_GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key,
                                            OVERLAPPED **overlapped, DWORD milliseconds)
{
    OVERLAPPED_ENTRY entry;
    LONG status;
    *overlapped = NULL;
    if (fault_fails(FAULT_GetQueuedCompletionStatus) || !deal(port, &entry, 1, NULL, milliseconds, FALSE))
        return FALSE;
    *bytes = entry.dwNumberOfBytesTransferred;
    *key = entry.lpCompletionKey;
    *overlapped = entry.lpOverlapped;
    status = entry.lpOverlapped ? (LONG)entry.lpOverlapped->Internal : 0;
    if (status < 0)
        SetLastError(RtlNtStatusToDosError(status));
    return status >= 0;
}
