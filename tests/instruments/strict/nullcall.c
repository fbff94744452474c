/* nullcall.c - a call through a pointer that nobody has filled: an extension function that was not asked for
 * (rule 25).
 *
 * Owner: an exception handler of the process, from the loading of the DLL on. Threads: the one that called.
 */
#include "layer.h"
#include "../symbols.h"

static LONG CALLBACK look(EXCEPTION_POINTERS *pointers)
{
    CONTEXT *context = pointers->ContextRecord;
    void *caller[FRAMES] = {0};
    char name[400];
    if (pointers->ExceptionRecord->ExceptionCode != (DWORD)STATUS_ACCESS_VIOLATION || context->Rip)
        return EXCEPTION_CONTINUE_SEARCH;
    /* The return address, which is all that the call has pushed. */
    caller[0] = *(void **)context->Rsp;
    symbols_trace(caller, 1, name, sizeof name);
    violation(25, name, NULL, NULL,
              "calls a function at address 0: Winsock has not been started by the engine");
    return EXCEPTION_CONTINUE_SEARCH;
}

__attribute__((constructor)) static void begin(void)
{
    AddVectoredExceptionHandler(1, look);
}
