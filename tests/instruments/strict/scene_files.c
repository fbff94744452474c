/* scene_files.c - what plays look like on pipes, and of a dequeue of single packets: see scene.c.
 *
 * Threads: the test's.
 */
#include "stage.h"

enum { MOMENT = 100 };

/* The end of an operation, as the dequeue of a single packet tells of it: its result, and the last error. */
static void say_end(HANDLE port, struct posted *posted)
{
    OVERLAPPED *ended = NULL;
    BOOL result = stage_dequeue(port, &ended, PATIENCE);
    DWORD error = result ? 0 : GetLastError();
    stage_say(ended == &posted->overlapped ? ", %d %lu %lx %d" : ", nothing", result, error,
              (DWORD)posted->overlapped.Internal, (int)posted->overlapped.InternalHigh);
}

/* Rule 2: the status of a read is written when its packet is dequeued. */
static void pipe_status(void)
{
    struct pipe pipe;
    struct posted *posted = stage_quiet();
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    ReadFile(pipe.ours, posted->data, 10, NULL, &posted->overlapped);
    stage_write(pipe.theirs, "hello", 5);
    Sleep(MOMENT);
    stage_say("%lx %.5s", (DWORD)posted->overlapped.Internal, posted->data);
    say_end(pipe.port, posted);
    stage_say(" %.5s", posted->data);
}

/* A message that is longer than the buffer: its first part is there all the same. */
static void message(void)
{
    struct pipe pipe;
    struct posted *posted = stage_quiet();
    stage_pipe(&pipe, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    ReadFile(pipe.ours, posted->data, 3, NULL, &posted->overlapped);
    stage_write(pipe.theirs, "hello", 5);
    stage_say("message");
    say_end(pipe.port, posted);
    stage_say(" %.5s", posted->data);
}

/* Rule 26: how waits for one packet end, and of an operation that was cancelled. */
static void single(void)
{
    struct pipe pipe;
    struct posted *posted = stage_quiet();
    OVERLAPPED *ended;
    int index, early = 0;
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    for (index = 0; index < 500; index++)
        PostQueuedCompletionStatus(pipe.port, 0, 0, NULL);
    for (index = 0; index < 500; index++)
        early += !GetQueuedCompletionStatus(pipe.port, &(DWORD){0}, &(ULONG_PTR){0}, &ended, PATIENCE)
            && GetLastError() == WAIT_TIMEOUT;
    stage_say(early ? "early" : "never early");
    while (GetQueuedCompletionStatus(pipe.port, &(DWORD){0}, &(ULONG_PTR){0}, &ended, 0) || early--)
        ;
    ReadFile(pipe.ours, posted->data, 10, NULL, &posted->overlapped);
    CancelIoEx(pipe.ours, &posted->overlapped);
    say_end(pipe.port, posted);
}

const struct stage_step file_scenes[] = {
    {"2 pipe", pipe_status}, {"2 message", message}, {"26 single", single},
    {NULL, NULL},
};
