/* afd.h - what a TCP socket is ready for, as an overlapped operation that sends and receives nothing.
 *
 * Winsock has none: an empty WSASend ends at once. The socket driver, AFD, has: the request by which select()
 * itself waits. Microsoft does not document it; libuv, wepoll and mio depend on it. Structures only for one
 * socket. No state.
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
    LARGE_INTEGER timeout;          /* in 100 ns; the largest: for ever */
    ULONG count;
    ULONG exclusive;
    HANDLE socket;
    ULONG events;                   /* asked for; when it has ended, those that hold */
    NTSTATUS status;
};

/* Post a poll: its NTSTATUS. Its end is written to `overlapped`, of which only the first two members are
 * used, and to `poll`: both are the kernel's until then. It sets `event`, if there is one, and sends a packet
 * to the socket's port if there is a `context`, which the packet then has for its OVERLAPPED. */
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

/* Wait for room to send; there is no packet, whatever port the socket is in. */
static inline NTSTATUS afd_poll_room(SOCKET sock, struct afd_poll *poll, HANDLE event, OVERLAPPED *overlapped)
{
    return afd_poll_post(sock, poll, AFD_SEND, event, NULL, overlapped);
}

/* Wait for room to send, or for something to receive; it ends by a packet, or at once. */
static inline NTSTATUS afd_poll_packet(SOCKET sock, struct afd_poll *poll, int to_write,
                                       OVERLAPPED *overlapped)
{
    return afd_poll_post(sock, poll, to_write ? AFD_SEND : AFD_RECEIVE | AFD_DISCONNECT, NULL, overlapped,
                         overlapped);
}

/* After its end: will the socket never be anything but ready? */
static inline int afd_poll_over(const struct afd_poll *poll)
{
    return (poll->events & (AFD_ABORT | AFD_LOCAL_CLOSE)) != 0;
}

#endif
