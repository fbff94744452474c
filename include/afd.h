/* afd.h - an overlapped poll of what a TCP socket is ready for, which sends and receives nothing.
 *
 * Winsock has no such operation: an empty WSASend ends at once. The socket driver, AFD, has one: the request
 * with which select() itself waits. Microsoft does not document it; libuv, wepoll and mio depend on it. The
 * structures here are for one socket only. No state.
 */
#ifndef IOCPSOCK_AFD_H
#define IOCPSOCK_AFD_H

#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#define AFD_IOCTL_POLL 0x00012024   /* device 0x12 (network), request 9, METHOD_BUFFERED */

#define AFD_RECEIVE 0x0001          /* there are bytes to receive */
#define AFD_SEND 0x0004             /* there is room to send */
#define AFD_DISCONNECT 0x0008       /* the peer sends no more */
#define AFD_ABORT 0x0010            /* the connection was reset */
#define AFD_LOCAL_CLOSE 0x0020      /* the handle was closed */

struct afd_poll {
    LARGE_INTEGER timeout;          /* in units of 100 ns; the largest value: no timeout */
    ULONG count;
    ULONG exclusive;
    HANDLE socket;
    ULONG events;                   /* requested; after the end, those that hold */
    NTSTATUS status;
};

/* Post a poll: its NTSTATUS. At its end the kernel writes to `overlapped`, of which only the first two
 * members are used, and to `poll`; it owns both until then. It also sets `event`, if not NULL, and if
 * `context` is not NULL, queues a packet to the socket's port with `context` as its OVERLAPPED. */
static inline NTSTATUS afd_poll_post(SOCKET sock, struct afd_poll *poll, ULONG events, HANDLE event,
                                     void *context,
                                     OVERLAPPED *overlapped)
{
    IO_STATUS_BLOCK *ended = (IO_STATUS_BLOCK *)overlapped;
    poll->timeout.QuadPart = 0x7fffffffffffffff;
    poll->count = 1;
    poll->exclusive = FALSE;
    poll->socket = (HANDLE)sock;
    poll->events = events | AFD_ABORT | AFD_LOCAL_CLOSE;
    poll->status = 0;
    ended->Status = STATUS_PENDING;
    return NtDeviceIoControlFile((HANDLE)sock, event, NULL, context, ended, AFD_IOCTL_POLL, poll,
                                 sizeof *poll, poll, sizeof *poll);
}

/* Poll for room to send. No packet is queued, whatever port the socket is associated with. */
static inline NTSTATUS afd_poll_room(SOCKET sock, struct afd_poll *poll, HANDLE event, OVERLAPPED *overlapped)
{
    return afd_poll_post(sock, poll, AFD_SEND, event, NULL, overlapped);
}

/* Poll for room to send, or for something to receive. It ends by a packet, or at once. */
static inline NTSTATUS afd_poll_packet(SOCKET sock, struct afd_poll *poll, int to_write,
                                       OVERLAPPED *overlapped)
{
    return afd_poll_post(sock, poll, to_write ? AFD_SEND : AFD_RECEIVE | AFD_DISCONNECT, NULL, overlapped,
                         overlapped);
}

/* After the end: is the socket ready for good, because it was reset or closed? */
static inline int afd_poll_over(const struct afd_poll *poll)
{
    return (poll->events & (AFD_ABORT | AFD_LOCAL_CLOSE)) != 0;
}

#endif
