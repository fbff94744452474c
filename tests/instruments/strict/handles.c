/* handles.c - events, timers, threads and ports of the engine's, and the waits for them.
 *
 * A handle is used from the call that made it to its CloseHandle, and no event is closed that an operation is
 * yet to set (rule 21); files.c, ports.c and waits.c know what else forbids to close a handle. The ends of
 * operations with events are shown around every wait (shadow.c), and waits end at a tick (clock.c).
 * Owner: a table of the handles that are open, and of those that were closed and not given anew. Threads:
 * any.
 */
#include "layer.h"

enum { BUCKETS = 1024 };

static struct object {
    struct object *next;
    HANDLE handle;
    int live;
} *buckets[BUCKETS];

static struct object **bucket_of(HANDLE handle)
{
    return &buckets[((ULONG_PTR)handle >> 2) % BUCKETS];
}

static struct object *find(HANDLE handle)
{
    struct object *object = *bucket_of(handle);
    while (object && object->handle != handle)
        object = object->next;
    return object;
}

HANDLE handle_made(HANDLE handle)
{
    struct object *object;
    struct sock *sock;
    if (!handle)
        return handle;
    layer_lock();
    object = find(handle);
    if (!object) {
        object = calloc(1, sizeof *object);
        object->handle = handle;
        object->next = *bucket_of(handle);
        *bucket_of(handle) = object;
    }
    object->live = 1;
    sock = sock_find((SOCKET)handle);
    if (sock)
        sock_close(sock, "closed unseen");
    layer_unlock();
    return handle;
}

/* A handle of the engine's is open; a host's may be anything. */
void handle_need(HANDLE handle, const char *call)
{
    struct object *object;
    layer_lock();
    object = find(handle);
    if (object && !object->live)
        violation(21, call, NULL, NULL, "on handle %p, which is closed", handle);
    layer_unlock();
}

HANDLE WINAPI strict_CreateEventW(SECURITY_ATTRIBUTES *security, BOOL manual, BOOL initial, const WCHAR *name)
{
    layer_enter("CreateEventW");
    return handle_made(CreateEventW(security, manual, initial, name));
}

HANDLE WINAPI strict_CreateWaitableTimerExW(SECURITY_ATTRIBUTES *security, const WCHAR *name, DWORD flags,
                                            DWORD access)
{
    layer_enter("CreateWaitableTimerExW");
    return handle_made(CreateWaitableTimerExW(security, name, flags, access));
}

HANDLE WINAPI strict_CreateThread(SECURITY_ATTRIBUTES *security, SIZE_T stack, LPTHREAD_START_ROUTINE start,
                                  void *parameter,
                                  DWORD flags, DWORD *identifier)
{
    layer_enter("CreateThread");
    return handle_made(CreateThread(security, stack, start, parameter, flags, identifier));
}

BOOL WINAPI strict_CloseHandle(HANDLE handle)
{
    struct object *object;
    struct sock *sock;
    layer_enter("CloseHandle");
    layer_lock();
    object = find(handle);
    if (object && !object->live)
        violation(21, "CloseHandle", NULL, NULL, "on handle %p, which is closed", handle);
    if (ops_with_event(handle))
        violation(21, "CloseHandle", NULL, NULL, "on event %p, which a pending operation is to set", handle);
    waits_close(handle, "CloseHandle");
    port_close(handle);
    sock = sock_find((SOCKET)handle);
    if (sock && sock->nature == NATURE_SOCKET)
        violation(21, "CloseHandle", sock, NULL, "on a socket");
    else if (sock)
        file_close(sock, "CloseHandle");
    if (object)
        object->live = 0;
    layer_unlock();
    return CloseHandle(handle);
}

BOOL WINAPI strict_SetEvent(HANDLE event)
{
    layer_enter("SetEvent");
    handle_need(event, "SetEvent");
    return SetEvent(event);
}

BOOL WINAPI strict_ResetEvent(HANDLE event)
{
    BOOL result;
    layer_enter("ResetEvent");
    handle_need(event, "ResetEvent");
    result = ResetEvent(event);
    ops_collect();                      /* what ended before is seen by whoever looks after it */
    return result;
}

DWORD WINAPI strict_WaitForSingleObject(HANDLE handle, DWORD milliseconds)
{
    DWORD result, error;
    layer_enter("WaitForSingleObject");
    handle_need(handle, "WaitForSingleObject");
    result = WaitForSingleObject(handle, clock_wait(milliseconds));
    error = GetLastError();
    ops_collect();
    SetLastError(error);
    return result;
}

DWORD WINAPI strict_WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds)
{
    DWORD result, error, index;
    layer_enter("WaitForMultipleObjects");
    for (index = 0; index < count; index++)
        handle_need(handles[index], "WaitForMultipleObjects");
    result = WaitForMultipleObjects(count, handles, all, clock_wait(milliseconds));
    error = GetLastError();
    ops_collect();
    SetLastError(error);
    return result;
}

BOOL WINAPI strict_SleepConditionVariableSRW(CONDITION_VARIABLE *condition, SRWLOCK *lock, DWORD milliseconds,
                                             ULONG flags)
{
    layer_enter("SleepConditionVariableSRW");
    return SleepConditionVariableSRW(condition, lock, clock_wait(milliseconds), flags);
}
