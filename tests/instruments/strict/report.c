/* report.c - a rule is broken: the process ends with the rule, the call, who made it, and the history of the
 * socket.
 *
 * Both ends of a connection are told of where both are in the process. Only the first thread that breaks a
 * rule comes here; no lock is taken, as it may have been broken with one held. Threads: any.
 */
#include "layer.h"
#include "../symbols.h"
#include <stdarg.h>
#include <stdio.h>

enum { STATUS = 135, TEXT = 60000 };    /* exit status: one more than that of a process stopped by memory.c */

static const char *const rules[] = {
    [1] = "OVERLAPPED and buffers are the kernel's until the end of the operation",
    [4] = "a socket has no context before SO_UPDATE_ACCEPT_CONTEXT or SO_UPDATE_CONNECT_CONTEXT",
    [5] = "SO_UPDATE_ACCEPT_CONTEXT takes the listening socket",
    [6] = "ConnectEx takes a bound socket",
    [7] = "AcceptEx takes an unbound socket and room for two addresses",
    [8] = "a call without an OVERLAPPED must not block",
    [9] = "closing over a pending receive resets, and what was sent may be lost",
    [15] = "options for the address are set before the bind",
    [19] = "a handle has one port for life, and its modes are set once, before its first operation",
    [21] = "a handle is used by who has it, until it is closed",
    [25] = "an extension function is asked for before it is called",
    [28] = "nothing is called with the loader's lock held",
    [30] = "a poll by AFD takes the handle of the socket it asks about, or a device of its own with a packet",
    [31] = "a registered wait ends before its object is closed, once, and not in its callback",
};

static const char *const natures[] = {"socket", "pipe", "device"};
static char text[TEXT];
static int length;

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(text + length, TEXT - length, format, arguments);
    va_end(arguments);
    length = length < TEXT ? length : TEXT - 1;
}

static void say_stack(void *const *frames)
{
    char names[600];
    symbols_trace(frames, FRAMES, names, sizeof names);
    say("%s\n", names);
}

static void say_socket(const char *which, struct sock *sock)
{
    static const char *const contexts[] = {"none", "accepted", "connected", "updated"};
    int index = sock->history.count > LINES ? sock->history.count - LINES : 0;
    struct line *line;
    say("  %s %#llx%s%s%s, %s, context %s, %lld bytes given to it\n", which, (unsigned long long)sock->handle,
        sock->hosts ? ", of the host's" : "", sock->live ? "" : ", closed",
        sock->listening ? ", listening" : "",
        sock->mode == MODE_BLOCKING ? "blocking"
        : sock->mode == MODE_NONBLOCKING ? "non-blocking" : "mode unknown",
        contexts[sock->context], sock->sent);
    for (; index < sock->history.count; index++) {
        line = &sock->history.lines[index % LINES];
        say("    %9.3f s  thread %04lx  %s", line->at / 1e6, line->thread, line->what);
        if (line->operation)
            say(" of operation %p", line->operation);
        say(": %lld, by ", (long long)line->value);
        say_stack(line->frames);
    }
}

/* The record whose ends are those of this one, exchanged. */
static struct sock *other_end(struct sock *sock)
{
    struct sockaddr_storage peer, local;
    struct sock *other = NULL;
    int size = sizeof peer;
    memset(&peer, 0, sizeof peer);
    if (!sock->live || sock->nature != NATURE_SOCKET
            || getpeername(sock->handle, (struct sockaddr *)&peer, &size))
        return NULL;
    while ((other = sock_next(other))) {
        memset(&local, 0, sizeof local);
        size = sizeof local;
        if (!other->live)
            local = other->local;
        else if (getsockname(other->handle, (struct sockaddr *)&local, &size))
            continue;
        if (other != sock && !other->listening && !memcmp(&local, &peer, sizeof local))
            return other;
    }
    return NULL;
}

const char *rule_text(int rule)
{
    return rules[rule];
}

void violation(int rule, const char *call, struct sock *sock, struct op *op, const char *format, ...)
{
    static volatile LONG broken;
    void *frames[FRAMES] = {0};
    struct sock *peer;
    va_list arguments;
    DWORD written;
    if (InterlockedExchange(&broken, 1))
        Sleep(INFINITE);
    CaptureStackBackTrace(1, FRAMES, frames, NULL);
    say("iocpsock: strict: rule %d, %s: %s ", rule, rules[rule], call);
    va_start(arguments, format);
    length += vsnprintf(text + length, TEXT - length, format, arguments);
    va_end(arguments);
    say("\n  at %.3f s on thread %04lx, called by ", clock_now() / 1e6, GetCurrentThreadId());
    say_stack(frames);
    if (op) {
        say("  operation %p on %s %#llx, posted at %.3f s by thread %04lx, ", op->caller,
            natures[op->sock->nature], (unsigned long long)op->sock->handle, op->posted / 1e6, op->thread);
        say(op->progress == OP_ENDED ? "ended, by " : "%s, by ", op->cancelled ? "cancelled" : "pending");
        say_stack(op->frames);
    }
    if (sock) {
        say_socket(natures[sock->nature], sock);
        peer = other_end(sock);
        if (peer)
            say_socket("its peer", peer);
    }
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, length, &written, NULL);
    TerminateProcess(GetCurrentProcess(), STATUS);
}
