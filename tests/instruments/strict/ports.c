/* ports.c - completion ports: who is in which, and their packets (rules 19, 21, 26).
 *
 * A port is used until it is closed, and it is not closed while a packet of an operation is yet to come to
 * it.
 * Owner: each record of a handle knows its port; the port itself is in the table of handles.c. Threads: any.
 */
#include "layer.h"

/* The record of what is to join a port, with the lock held: a socket, or a pipe, which a host has made and
 * nobody has seen. */
static struct sock *joining(HANDLE file, const char *call)
{
    struct sock *sock = sock_find((SOCKET)file);
    int type, length = sizeof type;
    int is_socket = !getsockopt((SOCKET)file, SOL_SOCKET, SO_TYPE, (char *)&type, &length);
    if (!is_socket && sock && sock->nature != NATURE_SOCKET)
        return sock;
    if (is_socket || GetFileType(file) == FILE_TYPE_UNKNOWN)
        return sock_need((SOCKET)file, call);
    return file_new(file, NATURE_PIPE, 1, "seen first");
}

HANDLE WINAPI strict_CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    static const char call[] = "CreateIoCompletionPort";
    struct sock *sock = NULL;
    HANDLE result;
    layer_enter(call);
    if (file == INVALID_HANDLE_VALUE)
        return handle_made(CreateIoCompletionPort(file, port, key, threads));
    handle_need(port, call);
    layer_lock();
    sock = joining(file, call);
    history_add(&sock->history, call, NULL, (LONG_PTR)key);
    if (sock->port)
        violation(19, call, sock, NULL, "of a handle that has a port");
    layer_unlock();
    result = CreateIoCompletionPort(file, port, key, threads);
    if (result) {
        sock->port = port;
        sock->key = key;
    }
    return result;
}

BOOL WINAPI strict_SetFileCompletionNotificationModes(HANDLE file, UCHAR flags)
{
    static const char call[] = "SetFileCompletionNotificationModes";
    struct sock *sock = sock_enter((SOCKET)file, call, flags);
    WSAPROTOCOL_INFOW info;
    int length = sizeof info;
    BOOL result;
    if (!sock->port || sock->operated || sock->modes_set)
        violation(19, call, sock, NULL, !sock->port ? "before it has a port"
                  : sock->modes_set ? "a second time" : "after its first operation");
    layer_unlock();
    if (flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS
            && !strict_getsockopt((SOCKET)file, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &length)
            && !(info.dwServiceFlags1 & XP1_IFS_HANDLES))
        violation(19, call, sock, NULL,
                  "to skip packets, with a provider whose sockets are no kernel handles");
    result = SetFileCompletionNotificationModes(file, flags);
    if (result) {
        sock->modes_set = 1;
        sock->skips = (flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) != 0;
    }
    return result;
}

/* The port is about to be closed. With the lock held. */
void port_close(HANDLE port)
{
    struct sock *sock = NULL;
    struct op *op = NULL;
    while ((op = op_next(op)))
        if (op->sock->port == port && !op->event)
            violation(21, "CloseHandle", op->sock, op, "on port %p, to which its packet is to come", port);
    while ((sock = sock_next(sock)))
        if (sock->port == port)
            sock->port = INVALID_HANDLE_VALUE;          /* the number may be given anew */
}

BOOL WINAPI strict_PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped)
{
    layer_enter("PostQueuedCompletionStatus");
    handle_need(port, "PostQueuedCompletionStatus");
    return PostQueuedCompletionStatus(port, bytes, key, overlapped);
}

/* A wait of the caller's begins. Does it end early, as if the time were over? (rule 26) */
static int ends_early(HANDLE port, const char *call)
{
    layer_enter(call);
    handle_need(port, call);
    if (!play(PLAY_batch) || dice(16))
        return 0;
    counts[COUNT_early]++;
    SetLastError(WAIT_TIMEOUT);
    return 1;
}

/* Packets come in batches of any size, waits end early, and where there is no packet `removed` says nothing
 * (rule 26). */
BOOL WINAPI strict_GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count,
                                               ULONG *removed,
                                               DWORD milliseconds, BOOL alertable)
{
    enum { GARBAGE = 0x5A5A };
    ULONG index, got, seen = 0;
    if (ends_early(port, "GetQueuedCompletionStatusEx")) {
        *removed = GARBAGE;
        return FALSE;
    }
    while (!seen) {
        if (!GetQueuedCompletionStatusEx(port, entries, play(PLAY_batch) ? 1 + (ULONG)dice(count) : count,
                                         &got, clock_wait(milliseconds),
                                         alertable)) {
            *removed = GARBAGE;
            return FALSE;
        }
        for (index = 0; index < got; index++)
            if (op_dequeue(&entries[index]))
                entries[seen++] = entries[index];
    }
    layer_enter("GetQueuedCompletionStatusEx");
    *removed = seen;
    return TRUE;
}

/* Of a failed operation it returns FALSE with its packet, and FALSE without one if there is none. */
BOOL WINAPI strict_GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key,
                                             OVERLAPPED **overlapped, DWORD milliseconds)
{
    OVERLAPPED_ENTRY entry;
    LONG status;
    BOOL result;
    *overlapped = NULL;
    if (ends_early(port, "GetQueuedCompletionStatus"))
        return FALSE;
    do {
        memset(&entry, 0, sizeof entry);
        result = GetQueuedCompletionStatus(port, &entry.dwNumberOfBytesTransferred, &entry.lpCompletionKey,
                                           &entry.lpOverlapped, clock_wait(milliseconds));
        if (!result && !entry.lpOverlapped)
            return FALSE;
    } while (!op_dequeue(&entry));
    layer_enter("GetQueuedCompletionStatus");
    *bytes = entry.dwNumberOfBytesTransferred;
    *key = entry.lpCompletionKey;
    *overlapped = entry.lpOverlapped;
    status = entry.lpOverlapped ? (LONG)entry.lpOverlapped->Internal : 0;
    if (status < 0)
        SetLastError(RtlNtStatusToDosError(status));
    return status >= 0;
}
