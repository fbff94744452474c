/* afd.h - an overlapped poll of what a socket is ready for, which sends and receives nothing.
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
#define AFD_ACCEPT 0x0080           /* there is a connection to accept */
#define AFD_CONNECT_FAIL 0x0100     /* a connect has failed */

struct afd_poll {
    LARGE_INTEGER timeout;          /* in units of 100 ns; the largest value: no timeout */
    ULONG count;
    ULONG exclusive;
    HANDLE socket;
    ULONG events;                   /* requested; after the end, those that hold */
    NTSTATUS status;
};

/* Post a poll of `sock` on `device`, which is the socket itself or a handle of afd_open: its NTSTATUS. At its
 * end the kernel writes to `overlapped`, of which only the first two members are used, and to `poll`; it owns
 * both until then. It also sets `event`, if not NULL, and if `context` is not NULL, queues a packet to the
 * device's port with `context` as its OVERLAPPED. */
static inline NTSTATUS afd_poll_post(HANDLE device, SOCKET sock, struct afd_poll *poll, ULONG events,
                                     HANDLE event, void *context, OVERLAPPED *overlapped)
{
    IO_STATUS_BLOCK *ended = (IO_STATUS_BLOCK *)overlapped;
    poll->timeout.QuadPart = 0x7fffffffffffffff;
    poll->count = 1;
    poll->exclusive = FALSE;
    poll->socket = (HANDLE)sock;
    poll->events = events | AFD_ABORT | AFD_LOCAL_CLOSE;
    poll->status = 0;
    ended->Status = STATUS_PENDING;
    return NtDeviceIoControlFile(device, event, NULL, context, ended, AFD_IOCTL_POLL, poll,
                                 sizeof *poll, poll, sizeof *poll);
}

/* Poll for room to send. No packet is queued, whatever port the socket is associated with. */
static inline NTSTATUS afd_poll_room(SOCKET sock, struct afd_poll *poll, HANDLE event, OVERLAPPED *overlapped)
{
    return afd_poll_post((HANDLE)sock, sock, poll, AFD_SEND, event, NULL, overlapped);
}

/* Poll for room to send, or for something to receive. It ends by a packet, or at once. */
static inline NTSTATUS afd_poll_packet(SOCKET sock, struct afd_poll *poll, int to_write,
                                       OVERLAPPED *overlapped)
{
    return afd_poll_post((HANDLE)sock, sock, poll, to_write ? AFD_SEND : AFD_RECEIVE | AFD_DISCONNECT, NULL,
                         overlapped, overlapped);
}

/* Open a handle of the socket driver that belongs to no socket, on which sockets can be polled that are in
 * no port, or in somebody else's: 0 or an NTSTATUS. */
static inline NTSTATUS afd_open(HANDLE *device)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK opened;
    RtlInitUnicodeString(&name, L"\\Device\\Afd\\Iocpsock");
    InitializeObjectAttributes(&attributes, &name, 0, NULL, NULL);
    return NtCreateFile(device, SYNCHRONIZE, &attributes, &opened, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE,
                        FILE_OPEN, 0, NULL, 0);
}

/* Poll for any of two things: that a receive or an accept would not wait, and that a send would not, or a
 * connect has ended. It ends by a packet to the device's port, also if it ends at once. */
static inline NTSTATUS afd_poll_any(HANDLE device, SOCKET sock, struct afd_poll *poll, int to_read, int to_write,
                                    OVERLAPPED *overlapped)
{
    ULONG events = (to_read ? AFD_RECEIVE | AFD_DISCONNECT | AFD_ACCEPT : 0)
                   | (to_write ? AFD_SEND | AFD_CONNECT_FAIL : 0);
    return afd_poll_post(device, sock, poll, events, NULL, overlapped, overlapped);
}

static inline int afd_poll_readable(const struct afd_poll *poll)
{
    return (poll->events & (AFD_RECEIVE | AFD_DISCONNECT | AFD_ACCEPT | AFD_ABORT)) != 0;
}

static inline int afd_poll_writable(const struct afd_poll *poll)
{
    return (poll->events & (AFD_SEND | AFD_CONNECT_FAIL | AFD_ABORT)) != 0;
}

static inline int afd_poll_closed(const struct afd_poll *poll)
{
    return (poll->events & AFD_LOCAL_CLOSE) != 0;
}

/* After the end: is the socket ready for good, because it was reset or closed? */
static inline int afd_poll_over(const struct afd_poll *poll)
{
    return (poll->events & (AFD_ABORT | AFD_LOCAL_CLOSE)) != 0;
}

#endif
