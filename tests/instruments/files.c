/* files.c - the calls on handles that are no sockets, under fault injection: pipes, the device of the socket
 * driver, and the waits that the system makes. See faults.h.
 *
 * Owner: nothing. Threads: any.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

/* The code is an NTSTATUS. */
NTSTATUS NTAPI fault_NtCreateFile(HANDLE *file, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                  IO_STATUS_BLOCK *opened, LARGE_INTEGER *size, ULONG kind, ULONG sharing,
                                  ULONG disposition, ULONG options, void *extra, ULONG extra_size)
{
    int status;
    if (fault_take(FAULT_NtCreateFile, &status) == FAULT_FAIL)
        return status;
    return NtCreateFile(file, access, attributes, opened, size, kind, sharing, disposition, options, extra,
                        extra_size);
}

/* The code is an NTSTATUS. */
NTSTATUS NTAPI fault_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                           IO_STATUS_BLOCK *ended, ULONG code, void *in, ULONG in_size,
                                           void *out, ULONG out_size)
{
    int status;
    enum fault_action action = fault_take(FAULT_NtDeviceIoControlFile, &status);
    if (action == FAULT_FAIL)
        return status;
    if (action == FAULT_STATUS && context) {
        fault_end(file, context, status);
        return STATUS_PENDING;
    }
    if (action == FAULT_LATE && context)
        fault_late(context, status);
    return NtDeviceIoControlFile(file, event, routine, context, ended, code, in, in_size, out, out_size);
}

/* Whether the call is over, and has failed or is pending: what a plan makes of an operation on a pipe, whose
 * size may be cut. */
static int replaced(enum fault_call call, HANDLE file, DWORD *size, OVERLAPPED *overlapped)
{
    int code;
    switch (fault_take(call, &code)) {
    case FAULT_FAIL:
        SetLastError(code);
        return 1;
    case FAULT_STATUS:
        fault_end(file, overlapped, code);
        return 1;
    case FAULT_LATE:
        fault_late(overlapped, code);
        return 0;
    case FAULT_SHORT:
        *size = *size < (DWORD)code ? *size : (DWORD)code;
        return 0;
    default:
        return 0;
    }
}

BOOL WINAPI fault_ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *count, OVERLAPPED *overlapped)
{
    return !replaced(FAULT_ReadFile, file, &size, overlapped)
        && ReadFile(file, buffer, size, count, overlapped);
}

BOOL WINAPI fault_WriteFile(HANDLE file, const void *data, DWORD size, DWORD *count, OVERLAPPED *overlapped)
{
    return !replaced(FAULT_WriteFile, file, &size, overlapped)
        && WriteFile(file, data, size, count, overlapped);
}

BOOL WINAPI fault_ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped)
{
    DWORD none = 0;
    return !replaced(FAULT_ConnectNamedPipe, pipe, &none, overlapped) && ConnectNamedPipe(pipe, overlapped);
}

BOOL WINAPI fault_RegisterWaitForSingleObject(HANDLE *wait, HANDLE object, WAITORTIMERCALLBACK callback,
                                              void *context, ULONG milliseconds, ULONG flags)
{
    return !fault_fails(FAULT_RegisterWaitForSingleObject)
        && RegisterWaitForSingleObject(wait, object, callback, context, milliseconds, flags);
}

/* A failure does its work all the same: nobody could end what it would leave. */
BOOL WINAPI fault_UnregisterWaitEx(HANDLE wait, HANDLE completion)
{
    BOOL result = UnregisterWaitEx(wait, completion);
    return !fault_fails(FAULT_UnregisterWaitEx) && result;
}
