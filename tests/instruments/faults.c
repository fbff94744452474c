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
enum fault_action fault_take(enum fault_call call, int *code)
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
    if (fault_take(call, &code) != FAULT_FAIL)
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
    enum fault_action action = fault_take(FAULT_WaitForMultipleObjects, &code);
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
    return fault_take(FAULT_GetActiveProcessorCount,
                &code) == FAULT_VALUE ? (DWORD)code : GetActiveProcessorCount(group);
}

DWORD WINAPI fault_GetExtendedTcpTable(void *table, DWORD *size, BOOL sorted, ULONG family,
                                       TCP_TABLE_CLASS kind, ULONG reserved)
{
    int code;
    if (fault_take(FAULT_GetExtendedTcpTable, &code) == FAULT_FAIL)
        return code;
    return GetExtendedTcpTable(table, size, sorted, family, kind, reserved);
}

NTSYSAPI LONG NTAPI RtlGetVersion(OSVERSIONINFOW *);

LONG NTAPI fault_RtlGetVersion(OSVERSIONINFOW *info)
{
    int code;
    LONG status = RtlGetVersion(info);
    if (fault_take(FAULT_RtlGetVersion, &code) == FAULT_VALUE)
        ((OSVERSIONINFOEXW *)info)->wProductType = (BYTE)code;
    return status;
}

int WSAAPI fault_GetAddrInfoW(const WCHAR *node, const WCHAR *service, const ADDRINFOW *hints,
                              ADDRINFOW **result)
{
    int code;
    enum fault_action action = fault_take(FAULT_GetAddrInfoW, &code);
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
