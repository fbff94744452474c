/* waits.c - waits that the system makes for the engine, on threads of its own (rule 31).
 *
 * Owner: a list of the registered waits, each until it is unregistered. Threads: any; the callbacks run on
 * threads of the system's.
 */
#include "layer.h"

struct wait {
    struct wait *next;
    HANDLE handle, object;
    WAITORTIMERCALLBACK callback;
    void *context;
    int over;                   /* the one callback has begun */
    DWORD thread;               /* that the callback runs on, or 0 */
};

static struct wait *first;

static void CALLBACK called(void *argument, BOOLEAN timed_out)
{
    struct wait *wait = argument;
    layer_lock();
    wait->over = 1;
    wait->thread = GetCurrentThreadId();
    layer_unlock();
    wait->callback(wait->context, timed_out);
    layer_lock();
    wait->thread = 0;
    layer_unlock();
}

BOOL WINAPI strict_RegisterWaitForSingleObject(HANDLE *handle, HANDLE object, WAITORTIMERCALLBACK callback,
                                               void *context, ULONG milliseconds, ULONG flags)
{
    struct wait *wait = calloc(1, sizeof *wait);
    BOOL result;
    layer_enter("RegisterWaitForSingleObject");
    wait->object = object;
    wait->callback = callback;
    wait->context = context;
    layer_lock();
    result = RegisterWaitForSingleObject(&wait->handle, object, called, wait, milliseconds, flags);
    if (result) {
        *handle = wait->handle;
        wait->next = first;
        first = wait;
    } else
        free(wait);
    layer_unlock();
    return result;
}

BOOL WINAPI strict_UnregisterWaitEx(HANDLE handle, HANDLE completion)
{
    static const char call[] = "UnregisterWaitEx";
    struct wait **link = &first, *wait;
    BOOL result;
    layer_enter(call);
    layer_lock();
    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    wait = *link;
    if (!wait)
        violation(31, call, NULL, NULL, "of %p, which is no registered wait", handle);
    if (completion != INVALID_HANDLE_VALUE)
        violation(31, call, NULL, NULL, "of %p, without waiting for the callback", handle);
    if (wait->thread == GetCurrentThreadId())
        violation(31, call, NULL, NULL, "of %p, in its own callback, for whose end it waits", handle);
    *link = wait->next;
    layer_unlock();
    result = UnregisterWaitEx(handle, completion);
    free(wait);
    return result;
}

/* A handle is about to be closed. With the lock held. */
void waits_close(HANDLE object, const char *call)
{
    struct wait *wait;
    for (wait = first; wait; wait = wait->next)
        if (wait->object == object && !wait->over)
            violation(31, call, NULL, NULL, "on %p, for which a registered wait is pending", object);
}
