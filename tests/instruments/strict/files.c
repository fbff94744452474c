/* files.c - handles that are no sockets: pipes, and the device of the socket driver.
 *
 * They have the same records as sockets. A pipe is the host's, and has a record from the call that associates
 * it with a port; a device is the engine's. Each operation on them has a shadow (shadow.c). Threads: any.
 */
#include "layer.h"

struct sock *file_new(HANDLE handle, enum nature nature, int hosts, const char *what)
{
    struct sock *file = sock_new((SOCKET)handle, AF_UNSPEC, hosts, what);
    file->nature = nature;
    return file;
}

/* A handle with a record is about to be closed: rule 21. Its operations on a pipe are cancelled before, so
 * that nothing is read or written when another has its number; on a device they have ended. With the lock
 * held. */
void file_close(struct sock *file, const char *what)
{
    struct op *op = NULL;
    while ((op = op_next(op)))
        if (op->sock == file && (file->nature == NATURE_DEVICE || (!op->cancelled && !op_is_done(op))))
            violation(21, what, file, op, "with an operation under way");
    sock_close(file, what);
}

NTSTATUS NTAPI strict_NtCreateFile(HANDLE *handle, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                   IO_STATUS_BLOCK *opened, LARGE_INTEGER *size, ULONG kind, ULONG sharing,
                                   ULONG disposition, ULONG options, void *extra, ULONG extra_size)
{
    NTSTATUS status;
    layer_enter("NtCreateFile");
    status = NtCreateFile(handle, access, attributes, opened, size, kind, sharing, disposition, options,
                          extra, extra_size);
    if (status < 0)
        return status;
    handle_made(*handle);
    layer_lock();
    file_new(*handle, NATURE_DEVICE, 0, "NtCreateFile");
    layer_unlock();
    return status;
}

/* Rule 30, of a poll: on the handle of the socket it asks about, or on a device of our own in a port. */
static void check_poll(struct sock *file, HANDLE asked, void *context, IO_STATUS_BLOCK *ended)
{
    static const char call[] = "NtDeviceIoControlFile";
    if (context && context != ended)
        violation(30, call, file, NULL, "with a packet that names another OVERLAPPED");
    if (file->nature == NATURE_SOCKET && asked != (HANDLE)file->handle)
        violation(30, call, file, NULL, "on %p about %p", file->handle, asked);
    if (file->nature != NATURE_SOCKET && !file->port)
        violation(30, call, file, NULL, "on a device without a port");
    if (file->nature != NATURE_SOCKET && !context)
        violation(30, call, file, NULL, "on a device, of whose end no packet tells");
}

/* AFD's poll of one socket: its block is the system's until the end, as the status is. */
NTSTATUS NTAPI strict_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                            IO_STATUS_BLOCK *ended, ULONG code, void *in, ULONG in_size,
                                            void *out, ULONG out_size)
{
    OVERLAPPED *caller = (OVERLAPPED *)ended;
    HANDLE asked = *(HANDLE *)((char *)in + sizeof(LARGE_INTEGER) + 2 * sizeof(ULONG)), before;
    struct sock *sock;
    struct op *op;
    WSABUF whole = {in_size, in};
    NTSTATUS status;
    (void)out_size;
    layer_enter("NtDeviceIoControlFile");
    layer_lock();
    sock = sock_any((SOCKET)file, "NtDeviceIoControlFile");
    if (in != out)
        violation(30, "NtDeviceIoControlFile", sock, NULL, "with two blocks");
    check_poll(sock, asked, context, ended);
    before = caller->hEvent;
    caller->hEvent = event;
    op = op_begin(OP_POLL, sock, caller, &whole, 1);
    caller->hEvent = before;
    layer_unlock();
    status = NtDeviceIoControlFile(file, event, routine, context ? &op->shadow : NULL,
                                   (IO_STATUS_BLOCK *)&op->shadow, code, op->copy,
                                   in_size, op->copy, in_size);
    op_returned(op, status == STATUS_PENDING ? WSA_IO_PENDING : status < 0 ? WSAEINVAL : 0);
    return status;
}

/* Begin an operation on a pipe: its shadow. */
static struct op *begin(enum kind kind, HANDLE file, void *data, DWORD size, OVERLAPPED *overlapped,
                        const char *call)
{
    WSABUF buffer = {size, data};
    struct op *op;
    layer_enter(call);
    layer_lock();
    op = op_begin(kind, sock_any((SOCKET)file, call), overlapped, &buffer, 1);
    layer_unlock();
    return op;
}

/* The call has returned. A message that is longer than the buffer is a success, of which a packet comes. */
static BOOL finish(struct op *op, BOOL succeeded)
{
    int error = succeeded ? 0 : (int)GetLastError();
    op_returned(op, error == ERROR_MORE_DATA ? 0 : error);
    SetLastError(error);
    return error == 0;
}

BOOL WINAPI strict_ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *count, OVERLAPPED *overlapped)
{
    struct op *op = begin(OP_READ, file, buffer, size, overlapped, "ReadFile");
    return finish(op, ReadFile(file, op->copy, size, count, &op->shadow));
}

BOOL WINAPI strict_WriteFile(HANDLE file, const void *data, DWORD size, DWORD *count, OVERLAPPED *overlapped)
{
    struct op *op = begin(OP_WRITE, file, (void *)data, size, overlapped, "WriteFile");
    return finish(op, WriteFile(file, op->copy, size, count, &op->shadow));
}

BOOL WINAPI strict_ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped)
{
    struct op *op = begin(OP_LISTEN, pipe, NULL, 0, overlapped, "ConnectNamedPipe");
    return finish(op, ConnectNamedPipe(pipe, &op->shadow));
}
