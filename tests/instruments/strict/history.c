/* history.c - what was done with a socket or an operation, the last LINES things of each.
 *
 * Owner: a history is a member of its record. Threads: any, under layer_lock.
 */
#include "layer.h"

/* Note down a call, made where the stack says. */
void history_add(struct history *history, const char *what, const void *operation, LONG_PTR value)
{
    struct line *line = &history->lines[history->count++ % LINES];
    memset(line->frames, 0, sizeof line->frames);
    line->at = clock_now();
    line->thread = GetCurrentThreadId();
    line->what = what;
    line->operation = operation;
    line->value = value;
    CaptureStackBackTrace(1, FRAMES, line->frames, NULL);
}
