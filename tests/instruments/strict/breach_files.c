/* breach_files.c - the breaches on handles that are no sockets: pipes, ports, devices, and registered waits.
 *
 * Threads: the test's, and for a callback one of the system's.
 */
#include "stage.h"
#include "../memory.h"
#include "afd.h"

static SOCKET polled;

static void pipe_buffer_freed(void)
{
    struct pipe pipe;
    char *data = memory_take(100);
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    ReadFile(pipe.ours, data, 100, NULL, &stage_quiet()->overlapped);
    memory_give(data);
}

static void pipe_buffer_changed(void)
{
    static char data[100000];
    struct pipe pipe;
    OVERLAPPED *ended;
    int got;
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    WriteFile(pipe.ours, data, sizeof data, NULL, &stage_quiet()->overlapped);
    data[500] = 1;
    for (got = 0; got < (int)sizeof data; got += stage_read(pipe.theirs, 4096))
        ;
    while (stage_dequeue(pipe.port, &ended, 1000))
        ;
}

static void a_pipe_in_two_ports(void)
{
    struct pipe pipe;
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    stage_port((SOCKET)pipe.ours);
}

static void pipe_closed_over_a_read(void)
{
    struct pipe pipe;
    struct posted *posted = stage_quiet();
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    ReadFile(pipe.ours, posted->data, 10, NULL, &posted->overlapped);
    CloseHandle(pipe.ours);
}

static void pipe_used_after_close(void)
{
    struct pipe pipe;
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    CloseHandle(pipe.ours);
    CancelIoEx(pipe.ours, NULL);
}

static void port_closed_early(void)
{
    struct pipe pipe;
    struct posted *posted = stage_quiet();
    stage_pipe(&pipe, PIPE_TYPE_BYTE);
    ReadFile(pipe.ours, posted->data, 10, NULL, &posted->overlapped);
    CloseHandle(pipe.port);
}

static void port_used_after_close(void)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    CloseHandle(port);
    PostQueuedCompletionStatus(port, 0, 0, NULL);
}

/* A device, and a socket that is never readable. */
static HANDLE device_of(int in_a_port)
{
    HANDLE device;
    struct sockaddr_in address;
    polled = stage_listener(5, &address);
    afd_open(&device);
    if (in_a_port)
        stage_port((SOCKET)device);
    return device;
}

static void device_closed_over_a_poll(void)
{
    HANDLE device = device_of(1);
    struct posted *posted = stage_quiet();
    afd_poll_any(device, polled, (struct afd_poll *)posted->data, 1, 0, &posted->overlapped);
    CloseHandle(device);
}

static void poll_without_a_port(void)
{
    HANDLE device = device_of(0);
    struct posted *posted = stage_quiet();
    afd_poll_any(device, polled, (struct afd_poll *)posted->data, 1, 0, &posted->overlapped);
}

static void poll_without_a_packet(void)
{
    HANDLE device = device_of(1);
    struct posted *posted = stage_quiet();
    afd_poll_post(device, polled, (struct afd_poll *)posted->data, AFD_RECEIVE, NULL, NULL,
                  &posted->overlapped);
}

static HANDLE waiting;

static void CALLBACK do_nothing(void *unused, BOOLEAN timed_out)
{
    (void)unused, (void)timed_out;
}

static void CALLBACK wait_ended_in_its_callback(void *unused, BOOLEAN timed_out)
{
    (void)unused, (void)timed_out;
    UnregisterWaitEx(waiting, INVALID_HANDLE_VALUE);
}

/* An event for which a wait is registered. */
static HANDLE event_waited_for(WAITORTIMERCALLBACK callback)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    RegisterWaitForSingleObject(&waiting, event, callback, NULL, INFINITE,
                                WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE);
    return event;
}

static void waited_handle_closed(void)
{
    CloseHandle(event_waited_for(do_nothing));
}

static void wait_ended_twice(void)
{
    event_waited_for(do_nothing);
    UnregisterWaitEx(waiting, INVALID_HANDLE_VALUE);
    UnregisterWaitEx(waiting, INVALID_HANDLE_VALUE);
}

static void callback_not_waited_for(void)
{
    event_waited_for(do_nothing);
    UnregisterWaitEx(waiting, NULL);
}

static void end_in_callback(void)
{
    SetEvent(event_waited_for(wait_ended_in_its_callback));
    Sleep(PATIENCE);
}

const struct stage_step file_breaches[] = {
    {"1 pipe buffer freed", pipe_buffer_freed}, {"1 pipe buffer changed", pipe_buffer_changed},
    {"19 a pipe in two ports", a_pipe_in_two_ports}, {"21 pipe closed over a read", pipe_closed_over_a_read},
    {"21 pipe used after close", pipe_used_after_close}, {"21 port closed early", port_closed_early},
    {"21 port used after close", port_used_after_close},
    {"21 device closed over a poll", device_closed_over_a_poll},
    {"30 poll without a port", poll_without_a_port}, {"30 poll without a packet", poll_without_a_packet},
    {"31 waited handle closed", waited_handle_closed}, {"31 wait ended twice", wait_ended_twice},
    {"31 callback not waited for", callback_not_waited_for},
    {"31 wait ended in its callback", end_in_callback},
    {NULL, NULL},
};
