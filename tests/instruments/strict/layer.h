/* layer.h - what the files of the strict layer share: the records of sockets and operations, and one lock.
 *
 * Owner: the process; nothing here is given back before it ends, but operations that have ended. Threads:
 * any; the records are read and written under layer_lock, which is never held while Windows is called for
 * more than a moment.
 */
#ifndef IOCPSOCK_TEST_LAYER_H
#define IOCPSOCK_TEST_LAYER_H

#define FAULTS_THEMSELVES
#define STRICT_ITSELF
#define WIN32_NO_STATUS
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdlib.h>
#include <string.h>
#include "strict.h"

enum {
    FRAMES = 12,                /* of the stack, for each line of a history */
    LINES = 24,                 /* of a history, the last ones */
    BUFFERS = 64,               /* in one operation */
    SEND_ROOM = 65536           /* bytes that Windows takes of a send before it waits for the peer */
};

/* history.c */
struct line {
    LONGLONG at;                /* microseconds of clock_now */
    DWORD thread;
    const char *what;
    const void *operation;
    LONG_PTR value;
    void *frames[FRAMES];
};
struct history {
    struct line lines[LINES];
    int count;                  /* ever written */
};
void history_add(struct history *history, const char *what, const void *operation, LONG_PTR value);

/* sockets.c */
enum context { CONTEXT_NONE, CONTEXT_ACCEPTED, CONTEXT_CONNECTED, CONTEXT_UPDATED };
enum { MODE_UNKNOWN = -1, MODE_NONBLOCKING, MODE_BLOCKING };

enum nature { NATURE_SOCKET, NATURE_PIPE, NATURE_DEVICE };     /* a device: of the socket driver */

struct sock {
    struct sock *next;          /* in its bucket */
    enum nature nature;         /* what follows holds for sockets, but for the port and the history */
    SOCKET handle;
    int uses;                   /* operations that point here, and 1 while it is in the table */
    int live;                   /* 0: closed, and remembered until the handle has a new owner */
    int hosts;                  /* made by the host, not by the engine */
    int family;
    int bound, listening, mode;
    int exclusive, reuse;       /* options for the address */
    enum context context;
    SOCKET listener;            /* of the AcceptEx that it was given to */
    HANDLE port;
    ULONG_PTR key;
    int modes_set, skips;
    int operated;               /* an overlapped operation was posted on it */
    LONGLONG sent;              /* bytes given to it */
    /* A send was cancelled, or the peer has reset: the Winsock code of what follows. */
    int broken;
    int lingers, linger_time;   /* SO_LINGER */
    int rtt, retries;           /* SIO_TCP_INITIAL_RTO, -1: not asked for */
    int backlog, queued;        /* of a listening one: connections that nobody has accepted yet */
    int played_port;            /* network order: the port it believes to be bound to; 0: it is */
    struct sockaddr_storage local;
    struct file *file;          /* shared with its duplicates; NULL: it has none */
    LONGLONG last_due;          /* when its latest held send ends */
    struct history history;
};
void layer_lock(void);
void layer_unlock(void);
void layer_enter(const char *call);         /* first in every call: rules 28 and 29 */
struct sock *sock_new(SOCKET handle, int family, int hosts, const char *what);
struct sock *sock_find(SOCKET handle);      /* the live one, or NULL. This and the next with the lock held */
struct sock *sock_need(SOCKET handle, const char *call);    /* the live one, of a socket, or rule 21 */
struct sock *sock_any(SOCKET handle, const char *call);     /* likewise, of a socket, a pipe or a device */
/* A new one for a socket that is there already; NULL: there is none. */
struct sock *sock_adopt(SOCKET handle);
void sock_close(struct sock *sock, const char *what);
void sock_release(struct sock *sock);
struct sock *sock_next(struct sock *sock);  /* all records one after the other, from NULL on */

/* shadow.c, which says what they are */
enum kind { OP_RECEIVE, OP_SEND, OP_ACCEPT, OP_CONNECT, OP_TRANSMIT, OP_POLL, OP_READ, OP_WRITE, OP_LISTEN };
enum progress { OP_POSTING, OP_PENDING, OP_ENDED };

struct op {
    OVERLAPPED shadow;          /* first: what the system has is the op */
    struct op *next_caller, *next_shadow;   /* in their buckets */
    struct op *next, *previous; /* of all */
    OVERLAPPED *caller;
    struct sock *sock;
    enum kind kind;
    enum progress progress;
    int refs;
    HANDLE event;               /* of the caller's, or NULL: it ends by a packet */
    HANDLE own;                 /* in its place, while the end may be held back */
    WSABUF buffers[BUFFERS];    /* of the caller's */
    DWORD count, size;
    char *copy;                 /* the shadow of what the buffers hold */
    int cancelled;
    int held;                   /* its end is held back: held.c looks after it */
    int kernel_done;            /* the system is done with it */
    int released;               /* and held.c too */
    LONG verdict;               /* NTSTATUS to end with, 0: the system's own */
    LONGLONG posted, due;       /* microseconds */
    DWORD thread;
    void *frames[FRAMES];
    struct sockaddr_storage target;         /* connect */
    int target_length, attempts;
    HANDLE file;                /* transmit, not begun yet */
    DWORD file_size, piece, file_flags;
    int waits;                  /* the system has not been asked yet */
};
struct op *op_begin(enum kind kind, struct sock *sock, OVERLAPPED *caller, const WSABUF *buffers,
                    DWORD count);
int op_returned(struct op *op, int error);  /* after the call: the code to tell the caller, 0 for success */
void op_drop(struct op *op);
int op_dequeue(OVERLAPPED_ENTRY *entry);    /* whether the packet is to be seen now */
void ops_collect(void);                     /* show the ends of operations with events */
struct op *op_pending(OVERLAPPED *caller);  /* with the lock held, as the next three */
struct op *op_next(struct op *op);          /* all, from NULL on */
void op_end(struct op *op);                 /* let the caller see the end */
int op_is_done(const struct op *op);        /* the system is done with it */
int ops_pending(const struct sock *sock, enum kind kind);   /* those that the system has */
int ops_with_event(HANDLE event);

/* held.c */
void held_prepare(struct op *op);
int held_is_over(struct op *op);            /* the system is done with it: may its end be seen? */
int held_starts(struct op *op);             /* whether the caller is to call the system, or held.c will */
void held_wake(void);
int held_cancel(struct op *op);             /* whether the system need not be asked */
extern LPFN_ACCEPTEX real_AcceptEx;
extern LPFN_CONNECTEX real_ConnectEx;
extern LPFN_TRANSMITFILE real_TransmitFile;

/* plays.c */
#define PLAYS(X) \
    X(packet, 125)      /* 3: of 1000 calls that stay pending so many return late, after their packet may be out */ \
    X(context, 1)       /* 4: without the context getpeername and shutdown fail */ \
    X(inherit, 1)       /* 5: an accepted socket gets the listener's blocking mode */ \
    X(wildcard, 1)      /* 6: nobody connects to 0.0.0.0 or :: */ \
    X(close, 1)         /* 9: closing over a pending receive resets */ \
    X(cancel, 1)        /* 10: a cancelled send breaks the connection */ \
    X(ack, 50)          /* 12: milliseconds to the peer and back, before a send of more than 64 KiB ends */ \
    X(transmit, 2)      /* 13: TransmitFile requests served at a time */ \
    X(bind, 1)          /* 14: the table of shared addresses */ \
    X(clock, 15625)     /* 16: microseconds of a clock tick */ \
    X(refusal, 2000)    /* 17: milliseconds until a refused loopback connection is told */ \
    X(backlog, 1)       /* 18: a full backlog refuses */ \
    X(ifs, 1)           /* 19: sockets are kernel handles */ \
    X(pages, 0)         /* 20: pages that pending receives may lock, 0: any number */ \
    X(linger, 1)        /* 22: closesocket does not wait on a non-blocking socket */ \
    X(duplicates, 1)    /* 23: closing one of several handles cancels nothing */ \
    X(batch, 1)         /* 26: packets come in batches of any size, and waits end early */ \
    X(reset, 0)         /* 27: a reset takes what was not received. Not at first: to ask for one disturbs Wine's receives */
#define PLAY_ENUM(name, value) PLAY_##name,
enum play { PLAYS(PLAY_ENUM) PLAY_COUNT };
#undef PLAY_ENUM
int play(enum play which);                  /* its value, 0: it is not played */
int dice(int sides);                        /* 0 .. sides - 1 */
#define COUNTS(X) X(resets) X(broken) X(held) X(refusals) X(full) X(pages) X(early) X(starved) X(zombies) X(late)
#define COUNT_ENUM(name) COUNT_##name,
enum count { COUNTS(COUNT_ENUM) COUNT_COUNT };
#undef COUNT_ENUM
extern volatile LONG counts[COUNT_COUNT];

/* report.c: end the process; `text` as for wsprintf */
void violation(int rule, const char *call, struct sock *sock, struct op *op, const char *text, ...);
const char *rule_text(int rule);

/* clock.c */
LONGLONG clock_now(void);                   /* microseconds */
DWORD clock_wait(DWORD milliseconds);       /* how long a wait of so many really takes */

/* binds.c */
int bind_played(struct sock *sock, const struct sockaddr *address, int length);
struct sock *listener_at(const struct sockaddr *address);
int address_port(const struct sockaddr *address);
int address_is(const struct sockaddr *address, int loopback);   /* loopback, or else: the wildcard */
void address_map(struct sockaddr *address);

/* calls.c: the record of a socket in use, noted down; the lock is held from here on */
struct sock *sock_enter(SOCKET s, const char *call, LONG_PTR value);

/* handles.c */
HANDLE handle_made(HANDLE handle);
void handle_need(HANDLE handle, const char *call);      /* rule 21 */

/* files.c, ports.c and waits.c, with the lock held: before a handle is closed */
struct sock *file_new(HANDLE handle, enum nature nature, int hosts, const char *what);
void file_close(struct sock *file, const char *what);
void port_close(HANDLE port);
void waits_close(HANDLE object, const char *call);

/* outside.c */
void outside_watch(void);
int close_played(SOCKET s, const char *what);

/* backlog.c */
int backlog_full(const struct sockaddr *address);
void backlog_connected(const struct sockaddr *address);
void backlog_accepted(SOCKET listener);

#endif
