/* clock.c - the system's clock as Windows has it: it ticks 64 times a second (rule 16).
 *
 * Waits end at a tick, the one after their time or, if that is still to come, the one before, and
 * GetTickCount64 stands still between ticks. Microsoft: pages "Wait functions", "GetTickCount64 function". A
 * waitable timer of high resolution and the performance counter do not depend on it. Threads: any.
 */
#include "layer.h"

LONGLONG clock_now(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return count.QuadPart / frequency.QuadPart * 1000000
        + count.QuadPart % frequency.QuadPart * 1000000 / frequency.QuadPart;
}

DWORD clock_wait(DWORD milliseconds)
{
    LONGLONG tick = play(PLAY_clock), now, end;
    if (!tick || !milliseconds || milliseconds == INFINITE)
        return milliseconds;
    now = clock_now();
    end = (now + milliseconds * 1000LL + tick - 1) / tick * tick;
    if (!dice(4) && end - tick > now)
        end -= tick;
    return (DWORD)((end - now + 999) / 1000);
}

ULONGLONG WINAPI strict_GetTickCount64(void)
{
    LONGLONG tick = play(PLAY_clock), now = clock_now();
    layer_enter("GetTickCount64");
    return (ULONGLONG)(tick ? now / tick * tick / 1000 : now / 1000);
}
