/* overlapped.c - the overlapped calls of sockets under fault injection: see faults.h.
 *
 * Owner: static; the extension functions are kept once Winsock has been asked for them. Threads: any.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <string.h>
#include <winternl.h>

/* SIO_IDEAL_SEND_BACKLOG_QUERY, which mingw-w64 lacks. */
enum { IDEAL_SEND_BACKLOG_QUERY = _IOR('t', 123, ULONG) };

static LPFN_ACCEPTEX accept_ex;
static LPFN_CONNECTEX connect_ex;
static LPFN_TRANSMITFILE transmit_file;

/* The real call is over, with or without success: of a success make a packet, which is what `late`
 * promises. */
static int packet_of(SOCKET s, OVERLAPPED *overlapped, int succeeded)
{
    if (!succeeded || overlapped->hEvent)
        return succeeded;
    if (ports_skip((HANDLE)s))
        fault_post((HANDLE)s, overlapped);
    SetLastError(WSA_IO_PENDING);
    return 0;
}

/* The buffers cut off after `bytes`; how many are left. */
static DWORD cut(WSABUF *cut_buffers, const WSABUF *buffers, DWORD count, u_long bytes)
{
    DWORD index;
    for (index = 0; index < count && bytes; index++) {
        cut_buffers[index] = buffers[index];
        if (cut_buffers[index].len > bytes)
            cut_buffers[index].len = bytes;
        bytes -= cut_buffers[index].len;
    }
    return index;
}

int WSAAPI fault_WSARecv(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                         OVERLAPPED *overlapped,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    WSABUF less = buffers[0];
    int code, result;
    enum fault_action action = fault_take(overlapped ? FAULT_WSARecv : FAULT_receive_direct, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return SOCKET_ERROR;
    }
    if (action == FAULT_STATUS && overlapped) {
        fault_end((HANDLE)s, overlapped, code);
        return SOCKET_ERROR;
    }
    if (overlapped && !overlapped->hEvent && less.len && fault_shuffling()) {
        receives_take(s, &less, overlapped);
        SetLastError(WSA_IO_PENDING);
        return SOCKET_ERROR;
    }
    if (action == FAULT_SHORT && less.len)
        cut(&less, buffers, count, code);
    if (action == FAULT_LATE && overlapped && !overlapped->hEvent)
        fault_late(overlapped, code);
    result = WSARecv(s, &less, count, received, flags, overlapped, routine);
    if (action == FAULT_LATE && overlapped)
        return packet_of(s, overlapped, result == 0) ? 0 : SOCKET_ERROR;
    return result;
}

int WSAAPI fault_WSASend(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                         OVERLAPPED *overlapped,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    WSABUF fewer[64];
    int code, result;
    enum fault_action action = fault_take(overlapped ? FAULT_WSASend : FAULT_send_direct, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return SOCKET_ERROR;
    }
    if (action == FAULT_STATUS && overlapped && !overlapped->hEvent && sends_serving()) {
        sends_take(s, NULL, 0, overlapped, code);
        SetLastError(WSA_IO_PENDING);
        return SOCKET_ERROR;
    }
    if (action == FAULT_STATUS && overlapped) {
        if (code != STATUS_INSUFFICIENT_RESOURCES)
            /* The connection is gone: no send behind this one brings the peer anything. */
            shutdown(s, SD_SEND);
        fault_end((HANDLE)s, overlapped, code);
        return SOCKET_ERROR;
    }
    if (action == FAULT_SHORT && count <= sizeof fewer / sizeof *fewer) {
        count = cut(fewer, buffers, count, code);
        buffers = fewer;
    }
    if (action == FAULT_LATE && overlapped)
        fault_late(overlapped, code);
    if (overlapped && !overlapped->hEvent)
        beside_post(s, overlapped);
    if (overlapped && !overlapped->hEvent && sends_serving()) {
        sends_take(s, buffers, count, overlapped, 0);
        SetLastError(WSA_IO_PENDING);
        return SOCKET_ERROR;
    }
    result = WSASend(s, buffers, count, sent, flags, overlapped, routine);
    if (action == FAULT_LATE && overlapped)
        result = packet_of(s, overlapped, result == 0) ? 0 : SOCKET_ERROR;
    code = GetLastError();
    if (overlapped && (result == 0 ? ports_skip((HANDLE)s) : code != WSA_IO_PENDING))
        beside_end(overlapped);
    SetLastError(code);
    return result;
}

static BOOL PASCAL fault_AcceptEx(SOCKET listener, SOCKET accepted, void *buffer, DWORD size,
                                  DWORD local_size, DWORD peer_size,
                                  DWORD *received, OVERLAPPED *overlapped)
{
    int code;
    BOOL result;
    enum fault_action action = fault_take(FAULT_AcceptEx, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        fault_end((HANDLE)listener, overlapped, code);
        return FALSE;
    }
    if (action == FAULT_LATE)
        fault_late(overlapped, code);
    result = accept_ex(listener, accepted, buffer, size, local_size, peer_size, received, overlapped);
    if (action == FAULT_INLINE && !result && GetLastError() == WSA_IO_PENDING)
        /* The packet comes in either case: listeners do not skip it. */
        return TRUE;
    return result;
}

/* Connect and wait for it, so that the call itself succeeds or fails. */
static BOOL connect_at_once(SOCKET s, const struct sockaddr *address, int length, OVERLAPPED *overlapped)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL), asked = overlapped->hEvent;
    BOOL result;
    overlapped->hEvent = (HANDLE)((ULONG_PTR)event | 1);
    result = connect_ex(s, address, length, NULL, 0, NULL, overlapped);
    if (!result && GetLastError() == WSA_IO_PENDING) {
        WaitForSingleObject(event, INFINITE);
        result = (LONG)overlapped->Internal >= 0;
        SetLastError(result ? 0 : RtlNtStatusToDosError((LONG)overlapped->Internal));
    }
    overlapped->hEvent = asked;
    CloseHandle(event);
    if (result && !asked && !ports_skip((HANDLE)s))
        fault_post((HANDLE)s, overlapped);
    return result;
}

static BOOL PASCAL fault_ConnectEx(SOCKET s, const struct sockaddr *address, int length, void *data,
                                   DWORD size, DWORD *sent,
                                   OVERLAPPED *overlapped)
{
    int code;
    enum fault_action action = fault_take(FAULT_ConnectEx, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        fault_end((HANDLE)s, overlapped, code);
        return FALSE;
    }
    if (action == FAULT_INLINE)
        return connect_at_once(s, address, length, overlapped);
    if (action == FAULT_LATE) {
        fault_late(overlapped, code);
        return packet_of(s, overlapped, connect_ex(s, address, length, data, size, sent, overlapped));
    }
    return connect_ex(s, address, length, data, size, sent, overlapped);
}

static BOOL PASCAL fault_TransmitFile(SOCKET s, HANDLE file, DWORD size, DWORD piece, OVERLAPPED *overlapped,
                                      TRANSMIT_FILE_BUFFERS *around, DWORD flags)
{
    int code;
    enum fault_action action = fault_take(FAULT_TransmitFile, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        fault_end((HANDLE)s, overlapped, code);
        return FALSE;
    }
    return transmit_file(s, file, size, piece, overlapped, around, flags);
}

/* If `in` asks for the function with this identifier, keep it and give ours. */
#define TAKE_OVER(identifier, kept, ours) \
    if (!memcmp(in, &identifier, sizeof(GUID))) \
        kept = *(__typeof__(kept) *)out, *(__typeof__(kept) *)out = ours

int WSAAPI fault_WSAIoctl(SOCKET s, DWORD control, void *in, DWORD in_size, void *out, DWORD out_size,
                          DWORD *returned,
                          OVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    static const GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX,
        transmit_id = WSAID_TRANSMITFILE;
    int result, code;
    enum fault_action action = fault_take(FAULT_WSAIoctl, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return SOCKET_ERROR;
    }
    if (action == FAULT_VALUE && control == IDEAL_SEND_BACKLOG_QUERY) {
        *(ULONG *)out = code;
        SetLastError(code ? 0 : WSAEOPNOTSUPP);
        return code ? 0 : SOCKET_ERROR;
    }
    result = WSAIoctl(s, control, in, in_size, out, out_size, returned, overlapped, routine);
    if (result == 0 && control == SIO_GET_EXTENSION_FUNCTION_POINTER) {
        TAKE_OVER(accept_id, accept_ex, fault_AcceptEx);
        TAKE_OVER(connect_id, connect_ex, fault_ConnectEx);
        TAKE_OVER(transmit_id, transmit_file, fault_TransmitFile);
    }
    return result;
}

BOOL WINAPI fault_CancelIoEx(HANDLE file, OVERLAPPED *overlapped)
{
    int code;
    BOOL result;
    enum fault_action action = fault_take(FAULT_CancelIoEx, &code);
    beside_cancel((SOCKET)file, overlapped);
    if (action == FAULT_LATE && overlapped && !overlapped->hEvent)
        fault_late(overlapped, code);
    result = overlapped && (receives_cancel(overlapped) || sends_cancel(overlapped))
        ? TRUE : CancelIoEx(file, overlapped);
    if (action == FAULT_PASS)
        return result;
    SetLastError(action == FAULT_LATE ? ERROR_NOT_FOUND : code);
    return FALSE;
}
