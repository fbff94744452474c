/* clocks.c - the real step of the clock, and the real length of a wait of one millisecond. Averages of 50
 * waits, in ms. */
#include "probe.h"

SUBJECT(clocks,
    {"clocks.step", "GetTickCount64 goes on by (ms)", "15.6", FALSE},
    {"clocks.event", "WaitForSingleObject of 1 ms takes (ms)", "15.6", FALSE},
    {"clocks.port", "GetQueuedCompletionStatusEx of 1 ms takes (ms)", "15.6", FALSE},
    {"clocks.sleep", "Sleep(1) takes (ms)", "15.6", FALSE},
    {"clocks.timer_there", "CREATE_WAITABLE_TIMER_HIGH_RESOLUTION", "ok", TRUE},
    {"clocks.timer", "such a timer of 1 ms takes (ms)", "1.0", FALSE},
    {"clocks.early", "a wait of 20 ms ends early by the clock it is measured with, at most (ms)",
     "15.6", FALSE},
    {"clocks.counter", "QueryPerformanceFrequency", "either", FALSE})

enum { ROUNDS = 50, HIGH_RESOLUTION = 2 };

static HANDLE event, ports, timer;

static void wait_event(void)
{
    WaitForSingleObject(event, 1);
}

static void wait_port(void)
{
    OVERLAPPED_ENTRY entry;
    ULONG count;
    GetQueuedCompletionStatusEx(ports, &entry, 1, &count, 1, FALSE);
}

static void wait_sleep(void)
{
    Sleep(1);
}

static void wait_timer(void)
{
    LARGE_INTEGER due = {.QuadPart = -10000};
    SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE);
    WaitForSingleObject(timer, PATIENCE);
}

static void ask_wait(const char *name, void (*wait)(void))
{
    double begun;
    int i;
    wait(); /* from here on at a tick of the clock, if it has ticks */
    begun = now_ms();
    for (i = 0; i < ROUNDS; i++)
        wait();
    answer(name, "%.1f", (now_ms() - begun) / ROUNDS);
}

static void ask_step(void)
{
    ULONGLONG last = GetTickCount64(), first, next;
    int changes = 0;
    while (GetTickCount64() == last)
        continue;
    last = first = GetTickCount64();
    while (changes < 10)
        if ((next = GetTickCount64()) != last) {
            last = next;
            changes++;
        }
    answer("clocks.step", "%.1f", (last - first) / 10.0);
}

static void ask_early(void)
{
    double most = 0;
    int i;
    for (i = 0; i < 20; i++) {
        ULONGLONG begun = GetTickCount64();
        double early;
        WaitForSingleObject(event, 20);
        early = 20.0 - (GetTickCount64() - begun);
        if (early > most)
            most = early;
    }
    answer("clocks.early", "%.1f", most);
}

static void ask(void)
{
    LARGE_INTEGER frequency;
    event = CreateEventW(NULL, TRUE, FALSE, NULL);
    ports = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    timer = CreateWaitableTimerExW(NULL, NULL, HIGH_RESOLUTION, TIMER_ALL_ACCESS);
    ask_step();
    ask_wait("clocks.event", wait_event);
    ask_wait("clocks.port", wait_port);
    ask_wait("clocks.sleep", wait_sleep);
    answer("clocks.timer_there", "%s", code_name(timer ? 0 : GetLastError()));
    if (timer)
        ask_wait("clocks.timer", wait_timer);
    ask_early();
    QueryPerformanceFrequency(&frequency);
    answer("clocks.counter", "%.0f", (double)frequency.QuadPart);
}
