/* faults.c - the table of plans and the wrappers: see faults.h.
 *
 * Owner: static tables, for the life of the process. Threads: any; the plans stand under `lock`, which no
 * wrapper holds while it calls Windows.
 */
#define FAULTS_THEMSELVES
#define WIN32_NO_STATUS
#include "faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <string.h>
#include <winternl.h>

static struct plan {
    enum fault_action action;
    int code, skip, times, per_mille;
    int calls, fired;
} plans[FAULT_COUNT];

#define FAULT_NAME(name) #name,
static const char *const call_names[] = {FAULT_CALLS(FAULT_NAME)};
static const char *const action_names[] = {"pass", "fail", "status", "late", "short", "inline", "value",
                                           "hold"};
#undef FAULT_NAME

static SRWLOCK lock;
static unsigned int chance_state = 1;
static HANDLE engine_port;
static ULONG_PTR engine_key;
static LONG skipping;           /* successful calls on connections send no packet of their own */
static LPFN_ACCEPTEX accept_ex;
static LPFN_CONNECTEX connect_ex;
static LPFN_TRANSMITFILE transmit_file;

/* SIO_IDEAL_SEND_BACKLOG_QUERY, which mingw-w64 lacks. */
enum { IDEAL_SEND_BACKLOG_QUERY = _IOR('t', 123, ULONG) };

static int find(const char *const *names, int count, const char *name)
{
    int index;
    for (index = 0; index < count; index++)
        if (!strcmp(names[index], name))
            return index;
    return -1;
}

/* From the call after the next `skip` ones on, `times` calls (-1: all) are treated so, each with a chance of
 * `per_mille`. -1 if there is no such call or action. */
int fault_plan(const char *call_name, const char *action_name, int code, int skip, int times, int per_mille)
{
    int call = find(call_names, FAULT_COUNT, call_name), action = find(action_names, FAULT_ACTIONS,
                                                                       action_name);
    struct plan plan = {action, code, skip, times, per_mille, 0, 0};
    if (call < 0 || action < 0)
        return -1;
    AcquireSRWLockExclusive(&lock);
    plans[call] = plan;
    ReleaseSRWLockExclusive(&lock);
    return 0;
}

void fault_clear(void)
{
    AcquireSRWLockExclusive(&lock);
    memset(plans, 0, sizeof plans);
    ReleaseSRWLockExclusive(&lock);
}

/* How many calls there were since the plan was made, or since fault_clear, and to how many something
 * happened. */
int fault_counted(int call, int *fired)
{
    *fired = plans[call].fired;
    return plans[call].calls;
}

const char *fault_name(int call)
{
    return 0 <= call && call < FAULT_COUNT ? call_names[call] : NULL;
}

static int chance(int per_mille)
{
    chance_state = chance_state * 1664525u + 1013904223u;
    return (int)(chance_state >> 16) % 1000 < per_mille;
}

/* Count a call: what is to happen to it, with its code. */
static enum fault_action take(enum fault_call call, int *code)
{
    struct plan *plan = &plans[call];
    enum fault_action action = FAULT_PASS;
    AcquireSRWLockExclusive(&lock);
    if (plan->calls++ >= plan->skip && plan->times != 0 && plan->action != FAULT_PASS
            && (plan->per_mille >= 1000 || chance(plan->per_mille))) {
        action = plan->action;
        *code = plan->code;
        plan->times -= plan->times > 0;
        plan->fired++;
    }
    ReleaseSRWLockExclusive(&lock);
    if (action == FAULT_HOLD) {
        fault_hold_here();
        action = FAULT_PASS;
    }
    return action;
}

/* Count a call: whether it fails now; the code is then the thread's last error, which Winsock's is too. */
int fault_fails(enum fault_call call)
{
    int code;
    if (take(call, &code) != FAULT_FAIL)
        return 0;
    SetLastError(code);
    return 1;
}

#define WRAP(result, convention, name, parameters, arguments, failure) \
    result convention fault_##name parameters { return fault_fails(FAULT_##name) ? failure : name arguments; }

WRAP(int, WSAAPI, WSAStartup, (WORD version, WSADATA *data), (version, data), (int)GetLastError())
WRAP(SOCKET, WSAAPI, WSASocketW, (int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                                  DWORD flags),
     (family, type, protocol, info, group, flags), INVALID_SOCKET)
WRAP(int, WSAAPI, bind, (SOCKET s, const struct sockaddr *address, int length), (s, address, length),
     SOCKET_ERROR)
WRAP(int, WSAAPI, listen, (SOCKET s, int backlog), (s, backlog), SOCKET_ERROR)
WRAP(int, WSAAPI, ioctlsocket, (SOCKET s, long command, u_long *argument), (s, command, argument),
     SOCKET_ERROR)
WRAP(int, WSAAPI, setsockopt, (SOCKET s, int level, int option, const char *value, int length),
     (s, level, option, value, length), SOCKET_ERROR)
WRAP(int, WSAAPI, getsockopt, (SOCKET s, int level, int option, char *value, int *length),
     (s, level, option, value, length),
     SOCKET_ERROR)
WRAP(int, WSAAPI, getsockname, (SOCKET s, struct sockaddr *address, int *length), (s, address, length),
     SOCKET_ERROR)
WRAP(int, WSAAPI, getpeername, (SOCKET s, struct sockaddr *address, int *length), (s, address, length),
     SOCKET_ERROR)
WRAP(int, WSAAPI, getnameinfo, (const struct sockaddr *address, socklen_t length, char *host, DWORD host_size,
                                char *service,
     DWORD service_size, int flags), (address, length, host, host_size, service, service_size,
                                      flags), (int)GetLastError())
WRAP(struct servent *, WSAAPI, getservbyname, (const char *name, const char *protocol), (name, protocol),
     NULL)
WRAP(BOOL, WINAPI, PostQueuedCompletionStatus, (HANDLE port, DWORD bytes, ULONG_PTR key,
                                                OVERLAPPED *overlapped),
     (port, bytes, key, overlapped), FALSE)
WRAP(HANDLE, WINAPI, CreateThread, (SECURITY_ATTRIBUTES *security, SIZE_T stack, LPTHREAD_START_ROUTINE start,
                                    void *parameter,
     DWORD flags, DWORD *identifier), (security, stack, start, parameter, flags, identifier), NULL)
WRAP(HANDLE, WINAPI, CreateEventW, (SECURITY_ATTRIBUTES *security, BOOL manual, BOOL initial,
                                    const WCHAR *name),
     (security, manual, initial, name), NULL)
WRAP(DWORD, WINAPI, WaitForSingleObject, (HANDLE handle, DWORD milliseconds), (handle, milliseconds),
     WAIT_FAILED)
WRAP(HANDLE, WINAPI, CreateWaitableTimerExW, (SECURITY_ATTRIBUTES *security, const WCHAR *name, DWORD flags,
                                              DWORD access),
     (security, name, flags, access), NULL)
WRAP(BOOL, WINAPI, SetWaitableTimer, (HANDLE timer, const LARGE_INTEGER *due, LONG period,
                                      PTIMERAPCROUTINE routine, void *argument,
     BOOL resume), (timer, due, period, routine, argument, resume), FALSE)
WRAP(BOOL, WINAPI, GetModuleHandleExW, (DWORD flags, const WCHAR *name, HMODULE *module),
     (flags, name, module), FALSE)
WRAP(DWORD, WINAPI, TlsAlloc, (void), (), TLS_OUT_OF_INDEXES)
WRAP(int, WINAPI, MultiByteToWideChar, (UINT page, DWORD flags, const char *text, int length, WCHAR *wide,
                                        int capacity),
     (page, flags, text, length, wide, capacity), 0)

DWORD WINAPI fault_WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds)
{
    int code = 0;
    enum fault_action action = take(FAULT_WaitForMultipleObjects, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return WAIT_FAILED;
    }
    if (action == FAULT_LATE && milliseconds && milliseconds != INFINITE)
        milliseconds += code;
    return WaitForMultipleObjects(count, handles, all, milliseconds);
}

DWORD WINAPI fault_GetActiveProcessorCount(WORD group)
{
    int code;
    return take(FAULT_GetActiveProcessorCount,
                &code) == FAULT_VALUE ? (DWORD)code : GetActiveProcessorCount(group);
}

DWORD WINAPI fault_GetExtendedTcpTable(void *table, DWORD *size, BOOL sorted, ULONG family,
                                       TCP_TABLE_CLASS kind, ULONG reserved)
{
    int code;
    if (take(FAULT_GetExtendedTcpTable, &code) == FAULT_FAIL)
        return code;
    return GetExtendedTcpTable(table, size, sorted, family, kind, reserved);
}

NTSYSAPI LONG NTAPI RtlGetVersion(OSVERSIONINFOW *);

LONG NTAPI fault_RtlGetVersion(OSVERSIONINFOW *info)
{
    int code;
    LONG status = RtlGetVersion(info);
    if (take(FAULT_RtlGetVersion, &code) == FAULT_VALUE)
        ((OSVERSIONINFOEXW *)info)->wProductType = (BYTE)code;
    return status;
}

int WSAAPI fault_GetAddrInfoW(const WCHAR *node, const WCHAR *service, const ADDRINFOW *hints,
                              ADDRINFOW **result)
{
    int code;
    enum fault_action action = take(FAULT_GetAddrInfoW, &code);
    if (action == FAULT_FAIL)
        return code;
    if (action == FAULT_LATE)
        Sleep(code);
    return GetAddrInfoW(node, service, hints, result);
}

int WSAAPI fault_shutdown(SOCKET s, int how)
{
    int result = shutdown(s, how);
    return fault_fails(FAULT_shutdown) ? SOCKET_ERROR : result;
}

int WSAAPI fault_closesocket(SOCKET s)
{
    int result = closesocket(s);
    return fault_fails(FAULT_closesocket) ? SOCKET_ERROR : result;
}

/* The code is an NTSTATUS. */
NTSTATUS NTAPI fault_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                           IO_STATUS_BLOCK *ended,
                                           ULONG code, void *in, ULONG in_size, void *out, ULONG out_size)
{
    int status;
    if (take(FAULT_NtDeviceIoControlFile, &status) == FAULT_FAIL)
        return status;
    return NtDeviceIoControlFile(file, event, routine, context, ended, code, in, in_size, out, out_size);
}

HANDLE WINAPI fault_CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    HANDLE result = fault_fails(FAULT_CreateIoCompletionPort) ? NULL : CreateIoCompletionPort(file, port, key,
                                                                                              threads);
    if (result && file == INVALID_HANDLE_VALUE)
        engine_port = result;
    else if (result)
        engine_key = key;
    return result;
}

BOOL WINAPI fault_SetFileCompletionNotificationModes(HANDLE file, UCHAR flags)
{
    BOOL result = !fault_fails(FAULT_SetFileCompletionNotificationModes)
        && SetFileCompletionNotificationModes(file, flags);
    if (result)
        skipping = 1;
    return result;
}

/* An operation without an event ends by a packet of ours. */
void fault_post(OVERLAPPED *overlapped)
{
    PostQueuedCompletionStatus(engine_port, (DWORD)overlapped->InternalHigh, engine_key, overlapped);
}

/* The operation is accepted; nothing is done but to end it with `status`. */
static void end_with(OVERLAPPED *overlapped, int status)
{
    overlapped->Internal = (ULONG_PTR)(LONG_PTR)status;
    overlapped->InternalHigh = 0;
    if (overlapped->hEvent)
        SetEvent((HANDLE)((ULONG_PTR)overlapped->hEvent & ~(ULONG_PTR)1));
    else
        fault_post(overlapped);
    SetLastError(WSA_IO_PENDING);
}

/* The real call is over, with or without success: of a success make a packet, which is what `late`
 * promises. */
static int packet_of(OVERLAPPED *overlapped, int succeeded)
{
    if (!succeeded || overlapped->hEvent)
        return succeeded;
    if (skipping)
        fault_post(overlapped);
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
    enum fault_action action = take(overlapped ? FAULT_WSARecv : FAULT_receive_direct, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return SOCKET_ERROR;
    }
    if (action == FAULT_STATUS && overlapped) {
        end_with(overlapped, code);
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
        return packet_of(overlapped, result == 0) ? 0 : SOCKET_ERROR;
    return result;
}

int WSAAPI fault_WSASend(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                         OVERLAPPED *overlapped,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    WSABUF fewer[64];
    int code, result;
    enum fault_action action = take(overlapped ? FAULT_WSASend : FAULT_send_direct, &code);
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
        end_with(overlapped, code);
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
        result = packet_of(overlapped, result == 0) ? 0 : SOCKET_ERROR;
    code = GetLastError();
    if (overlapped && (result == 0 ? skipping : code != WSA_IO_PENDING))
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
    enum fault_action action = take(FAULT_AcceptEx, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        end_with(overlapped, code);
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
    if (result && !asked && !skipping)
        fault_post(overlapped);
    return result;
}

static BOOL PASCAL fault_ConnectEx(SOCKET s, const struct sockaddr *address, int length, void *data,
                                   DWORD size, DWORD *sent,
                                   OVERLAPPED *overlapped)
{
    int code;
    enum fault_action action = take(FAULT_ConnectEx, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        end_with(overlapped, code);
        return FALSE;
    }
    if (action == FAULT_INLINE)
        return connect_at_once(s, address, length, overlapped);
    if (action == FAULT_LATE) {
        fault_late(overlapped, code);
        return packet_of(overlapped, connect_ex(s, address, length, data, size, sent, overlapped));
    }
    return connect_ex(s, address, length, data, size, sent, overlapped);
}

static BOOL PASCAL fault_TransmitFile(SOCKET s, HANDLE file, DWORD size, DWORD piece, OVERLAPPED *overlapped,
                                      TRANSMIT_FILE_BUFFERS *around, DWORD flags)
{
    int code;
    enum fault_action action = take(FAULT_TransmitFile, &code);
    if (action == FAULT_FAIL) {
        SetLastError(code);
        return FALSE;
    }
    if (action == FAULT_STATUS) {
        end_with(overlapped, code);
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
    enum fault_action action = take(FAULT_WSAIoctl, &code);
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
    enum fault_action action = take(FAULT_CancelIoEx, &code);
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
