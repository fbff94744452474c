/* ports.c - completion ports under fault injection: which handle is in which port, and packets of our own.
 *
 * An operation that a plan ends, or that sends.c and receives.c serve, ends by a packet to the port of its
 * handle. Owner: a table of the handles that were ever in a port, by handle. Threads: any, under `lock`.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdlib.h>

enum { BUCKETS = 4096 };

static SRWLOCK lock;
static struct member {
    struct member *next;
    HANDLE handle, port;
    ULONG_PTR key;
    int skips;                  /* a call that succeeds at once sends no packet */
} *buckets[BUCKETS];

/* The record of a handle, made if need be. With the lock held. */
static struct member *member_of(HANDLE handle)
{
    struct member **bucket = &buckets[((ULONG_PTR)handle >> 2) % BUCKETS], *member = *bucket;
    while (member && member->handle != handle)
        member = member->next;
    if (!member) {
        member = calloc(1, sizeof *member);
        member->handle = handle;
        member->next = *bucket;
        *bucket = member;
    }
    return member;
}

HANDLE WINAPI fault_CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    HANDLE result = fault_fails(FAULT_CreateIoCompletionPort) ? NULL : CreateIoCompletionPort(file, port, key,
                                                                                              threads);
    struct member *member;
    if (result && file != INVALID_HANDLE_VALUE) {
        AcquireSRWLockExclusive(&lock);
        member = member_of(file);
        member->port = port;
        member->key = key;
        member->skips = 0;                      /* an older handle of this number may have skipped them */
        ReleaseSRWLockExclusive(&lock);
    }
    return result;
}

BOOL WINAPI fault_SetFileCompletionNotificationModes(HANDLE file, UCHAR flags)
{
    BOOL result = !fault_fails(FAULT_SetFileCompletionNotificationModes)
        && SetFileCompletionNotificationModes(file, flags);
    if (result) {
        AcquireSRWLockExclusive(&lock);
        member_of(file)->skips = (flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) != 0;
        ReleaseSRWLockExclusive(&lock);
    }
    return result;
}

int ports_skip(HANDLE handle)
{
    int skips;
    AcquireSRWLockExclusive(&lock);
    skips = member_of(handle)->skips;
    ReleaseSRWLockExclusive(&lock);
    return skips;
}

/* An operation without an event ends by a packet of ours. */
void fault_post(HANDLE handle, OVERLAPPED *overlapped)
{
    struct member member;
    AcquireSRWLockExclusive(&lock);
    member = *member_of(handle);
    ReleaseSRWLockExclusive(&lock);
    PostQueuedCompletionStatus(member.port, (DWORD)overlapped->InternalHigh, member.key, overlapped);
}

/* The operation is accepted; nothing is done but to end it with `status`. */
void fault_end(HANDLE handle, OVERLAPPED *overlapped, int status)
{
    overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    overlapped->InternalHigh = 0;
    if (overlapped->hEvent)
        SetEvent((HANDLE)((ULONG_PTR)overlapped->hEvent & ~(ULONG_PTR)1));
    else
        fault_post(handle, overlapped);
    SetLastError(WSA_IO_PENDING);
}
