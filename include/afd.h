/* afd.h - waiting until a TCP socket has room to send, as an overlapped operation.
 *
 * Winsock has none that sends nothing: an empty WSASend ends at once. The socket driver, AFD, has: the request by which
 * select() itself waits. Microsoft does not document it; libuv, wepoll and mio depend on it. Structures only for one socket. No
 * state.
 */
#ifndef IOCPSOCK_AFD_H
#define IOCPSOCK_AFD_H

#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#define AFD_IOCTL_POLL 0x00012024   /* device 0x12 (network), request 9, METHOD_BUFFERED */

#define AFD_SEND 0x0004             /* there is room to send */
#define AFD_ABORT 0x0010            /* the connection was reset */
#define AFD_LOCAL_CLOSE 0x0020      /* the handle was closed */

struct afd_poll {
    LARGE_INTEGER timeout;          /* in 100 ns; the largest: for ever */
    ULONG count;
    ULONG exclusive;
    HANDLE socket;
    ULONG events;
    NTSTATUS status;
};

/* Post the wait: its NTSTATUS. Its end sets `event` and is written to `overlapped`, of which only the first two members are
 * used, and to `poll`: both are the kernel's until then. Without a context there is no packet, whatever port the socket is in. */
static inline NTSTATUS afd_poll_room(SOCKET sock, struct afd_poll *poll, HANDLE event, OVERLAPPED *overlapped)
{
    IO_STATUS_BLOCK *ended = (IO_STATUS_BLOCK *)overlapped;
    poll->timeout.QuadPart = 0x7fffffffffffffff;
    poll->count = 1;
    poll->exclusive = FALSE;
    poll->socket = (HANDLE)sock;
    poll->events = AFD_SEND | AFD_ABORT | AFD_LOCAL_CLOSE;
    poll->status = 0;
    ended->Status = STATUS_PENDING;
    return NtDeviceIoControlFile((HANDLE)sock, event, NULL, NULL, ended, AFD_IOCTL_POLL, poll, sizeof *poll, poll, sizeof *poll);
}

#endif
