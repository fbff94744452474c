/* probe.h - what the subjects of the probe share.
 *
 * The probe asks the system how its sockets behave where Microsoft's pages are silent or where Wine is known
 * to differ. A subject is one file with its questions and one function that answers them. It runs in its own
 * process (main.c): what it leaves open, or a call that never returns, is no other subject's trouble.
 * Loopback only. Threads: one in each process, but where a subject says otherwise.
 */
#ifndef PROBE_H
#define PROBE_H

#define WIN32_NO_STATUS
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line of the table in docs/windows.md. */
struct question {
    const char *name;           /* SUBJECT.WORD */
    const char *text;
    const char *assumed;        /* what our code relies on, in the words of an answer; "either": on none */
    BOOL exact;                 /* the same system gives the same answer in each run */
};

struct subject {
    const char *name;
    const struct question *questions;
    void (*ask)(void);
};

#define SUBJECT(name, ...) \
    static const struct question questions[] = {__VA_ARGS__, {0}}; \
    static void ask(void); \
    const struct subject name = {#name, questions, ask};

extern const struct subject accepted, afd, backlog, bound, cancel, clocks, closing, port, send_end, transmit;

/* main.c: say the answer to one's question, in printf's words. */
void answer(const char *name, const char *format, ...);
/* main.c: end the subject: a call failed that no question is about. */
void give_up(const char *what, int code);
/* main.c: start a process that connects to this port, posts a receive, sends a byte, and waits. */
HANDLE start_doomed(USHORT port);

/* sockets.c */
struct pair { SOCKET ours, peer; };
enum { PATIENCE = 2000 };       /* milliseconds that something may take that is to come */
enum { LULL = 150 };            /* milliseconds without it that count as "it does not come" */

SOCKET make_socket(void);
struct sockaddr_in loopback(USHORT port);
SOCKET make_listener(int backlog, USHORT *port);
struct pair make_pair(void);
void *extension(SOCKET sock, GUID id);
/* A receive or a send with an event of its own, posted. `code` is 0, WSA_IO_PENDING, or why it failed. */
struct op { OVERLAPPED overlapped; WSABUF buffer; int code; };
void post_receive(struct op *op, SOCKET sock, void *memory, ULONG size);
void post_send(struct op *op, SOCKET sock, const void *memory, ULONG size);
/* Whether its end came in this time; of an ended one the code (0: success) and the bytes. */
BOOL op_ended(struct op *op, DWORD milliseconds);
int op_result(struct op *op, DWORD *bytes);
/* Receive until `size` bytes, the end, an error, or a pause so long; the code, and how many bytes came. */
int drain(SOCKET sock, char *memory, size_t size, DWORD milliseconds, size_t *got);
/* Who watches a stream has a receive posted before it ends: after a reset a later one may say "the end" under
 * Wine. Seen is "FIN", "RST", "FIN, then RST" or "nothing", with "N bytes, " before it if some came. */
struct watcher { SOCKET sock; struct op op; char memory[4096]; };
void watch(struct watcher *watcher, SOCKET sock);
const char *seen(struct watcher *watcher);
const char *code_name(int code);
double now_ms(void);

#endif
