/* plays.c - what is played, by name: on at first, as layer.h has it, but where IOCPSOCK_STRICT ("name=value
 * ...") says otherwise.
 *
 * Owner: static, for the life of the process. Threads: any.
 */
#include "layer.h"
#include <stdio.h>

#define PLAY_NAME(name, value) #name,
static const char *const names[] = {PLAYS(PLAY_NAME)};
#undef PLAY_NAME
#define PLAY_VALUE(name, value) value,
static volatile LONG values[] = {PLAYS(PLAY_VALUE)};
#undef PLAY_VALUE
#define COUNT_NAME(name) #name,
static const char *const count_names[] = {COUNTS(COUNT_NAME)};
#undef COUNT_NAME
volatile LONG counts[COUNT_COUNT];

static INIT_ONCE read_once;
static volatile LONG dice_state = 20261127;

static BOOL CALLBACK read_environment(INIT_ONCE *once, void *unused, void **result)
{
    char text[1000], name[100], *rest = text;
    int value, used;
    (void)once, (void)unused, (void)result;
    if (!GetEnvironmentVariableA("IOCPSOCK_STRICT", text, sizeof text))
        return TRUE;
    for (; sscanf(rest, " %99[a-z]=%d%n", name, &value, &used) == 2; rest += used)
        if (strict_play(name, value) < 0) {
            fprintf(stderr, "iocpsock: IOCPSOCK_STRICT: no play has the name %s\n", name);
            TerminateProcess(GetCurrentProcess(), 2);
        }
    return TRUE;
}

int play(enum play which)
{
    InitOnceExecuteOnce(&read_once, read_environment, NULL, NULL);
    return values[which];
}

int strict_play(const char *name, int value)
{
    int index;
    for (index = 0; index < PLAY_COUNT; index++)
        if (!strcmp(names[index], name))
            return InterlockedExchange(&values[index], value);
    return -1;
}

int strict_value(int index, const char **name)
{
    *name = 0 <= index && index < PLAY_COUNT ? names[index] : NULL;
    return *name ? play(index) : -1;
}

int strict_count(const char *name)
{
    int index;
    for (index = 0; index < COUNT_COUNT; index++)
        if (!strcmp(count_names[index], name))
            return counts[index];
    return -1;
}

int dice(int sides)
{
    LONG before, after;
    do {
        before = dice_state;
        after = (LONG)((ULONG)before * 1664525u + 1013904223u);
    } while (InterlockedCompareExchange(&dice_state, after, before) != before);
    return (int)(((ULONG)after >> 8) % (ULONG)sides);
}
