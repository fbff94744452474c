/* freeze.c - what every call does first: is the loader's lock held (rule 28), and does the thread go on at
 * all (rule 29)?
 *
 * At ExitProcess Windows ends all other threads, wherever they are, with whatever locks they hold. After
 * strict_freeze each other thread stops for good at its next call of the engine's, with its locks, and an
 * exit must do without it.
 * Owner: static. Threads: any.
 */
#include "layer.h"

static volatile LONG survivor;          /* the one thread that goes on; 0: all do */

void strict_freeze(void)
{
    survivor = (LONG)GetCurrentThreadId();
    Sleep(100);                         /* for those that are on their way to a call */
}

void layer_enter(const char *call)
{
    /* PEB.LoaderLock of 64-bit Windows, a pointer to a critical section */
    RTL_CRITICAL_SECTION *loader =
        *(RTL_CRITICAL_SECTION **)((char *)NtCurrentTeb()->ProcessEnvironmentBlock + 0x110);
    if (survivor && survivor != (LONG)GetCurrentThreadId())
        Sleep(INFINITE);
    if (loader && (DWORD)(ULONG_PTR)loader->OwningThread == GetCurrentThreadId())
        violation(28, call, NULL, NULL, "inside DllMain");
}
