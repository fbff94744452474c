/* stage.h - sockets and operations for the tests of the layer itself, which call Windows as the engine does.
 *
 * Owner: whoever makes them; the process ends soon. Threads: any.
 */
#ifndef IOCPSOCK_TEST_STAGE_H
#define IOCPSOCK_TEST_STAGE_H

#define WIN32_NO_STATUS
#include "../faults.h"
#undef WIN32_NO_STATUS
#include <ntstatus.h>

enum { ADDRESS = sizeof(struct sockaddr_storage) + 16, PATIENCE = 10000 };

struct posted {                 /* an operation with an event, and a page of memory */
    OVERLAPPED overlapped;
    HANDLE event;
    char data[4096];
};
struct pair {
    SOCKET listener, client, server;
};

struct pipe {                   /* the ends of a named pipe, both overlapped; ours is in the port */
    HANDLE ours, theirs, port;
};
struct stage_step {             /* a breach or a scene */
    const char *name;
    void (*function)(void);
};
extern const struct stage_step file_breaches[], file_scenes[];      /* the last one has no name */

extern LPFN_ACCEPTEX stage_AcceptEx;
extern LPFN_CONNECTEX stage_ConnectEx;
extern LPFN_TRANSMITFILE stage_TransmitFile;

void stage_start(void);
SOCKET stage_socket(void);
struct posted *stage_posted(void);
SOCKET stage_listener(int backlog, struct sockaddr_in *address);
void stage_accept(SOCKET listener, SOCKET accepted, struct posted *posted);     /* posts */
/* Binds if need be, waits: a Winsock code. */
int stage_connect(SOCKET s, const struct sockaddr_in *address);
void stage_bind(SOCKET s);
int stage_update(SOCKET s, SOCKET listener);
int stage_wait(struct posted *posted);          /* the NTSTATUS of its end, STATUS_PENDING: it has none */
void stage_pair(struct pair *pair);
/* Posts: 0 or a Winsock code. */
int stage_receive(SOCKET s, struct posted *posted, DWORD size);
int stage_send(SOCKET s, struct posted *posted, char *data, DWORD size);        /* likewise */
int stage_send_at_once(SOCKET s, const char *data, DWORD size);
int stage_receive_at_once(SOCKET s, char *data, DWORD size);        /* bytes, or a Winsock code below zero */
void stage_nonblocking(SOCKET s);
void stage_linger(SOCKET s, int seconds);
HANDLE stage_port(SOCKET s);
struct posted *stage_quiet(void);               /* as stage_posted, without an event */
void stage_pipe(struct pipe *pipe, DWORD mode);
int stage_read(HANDLE file, DWORD size);        /* waits: how many bytes */
void stage_write(HANDLE file, const char *data, DWORD size);                    /* likewise */
/* As GetQueuedCompletionStatus, but a wait that ends early goes on. */
BOOL stage_dequeue(HANDLE port, OVERLAPPED **ended, DWORD milliseconds);
void stage_say(const char *format, ...);        /* scene.c: what the scene has to say */

#endif
