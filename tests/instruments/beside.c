/* beside.c - receives that are cancelled while a send is outstanding on the same socket.
 *
 * Only a close may do that. The sends that end by a packet are kept in a table from the call that posts them
 * until the packet is dequeued; a cancel of anything else on a socket with one of them is counted. Threads:
 * any.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include <winsock2.h>
#include <windows.h>
#include "faults.h"

enum { SENDS = 4096 };

static SRWLOCK lock;
static struct { SOCKET socket; const OVERLAPPED *overlapped; } sends[SENDS];
static int count, cancels;

/* The send is about to be posted: its packet may be dequeued before the call returns. */
void beside_post(SOCKET s, OVERLAPPED *overlapped)
{
    AcquireSRWLockExclusive(&lock);
    if (count < SENDS) {
        sends[count].socket = s;
        sends[count++].overlapped = overlapped;
    }
    ReleaseSRWLockExclusive(&lock);
}

/* It has ended, or was not accepted. */
void beside_end(const OVERLAPPED *overlapped)
{
    int index;
    AcquireSRWLockExclusive(&lock);
    for (index = 0; index < count && sends[index].overlapped != overlapped; index++)
        ;
    if (index < count)
        sends[index] = sends[--count];
    ReleaseSRWLockExclusive(&lock);
}

void beside_cancel(SOCKET s, const OVERLAPPED *overlapped)
{
    int index, others = 0;
    AcquireSRWLockExclusive(&lock);
    for (index = 0; index < count && sends[index].overlapped != overlapped; index++)
        others += sends[index].socket == s;
    cancels += index == count && others;
    ReleaseSRWLockExclusive(&lock);
}

/* How many cancels there were beside a send. */
int beside_cancels(void)
{
    return cancels;
}

/* How many sends are outstanding. */
int beside_sends(void)
{
    return count;
}
