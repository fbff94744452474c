/* sockets.c - a record for each socket: its state, as far as a rule asks for it, and its history.
 *
 * A socket has a record from the call that made it, or, if something unseen did, from the first call that
 * uses it. The record of a closed one stays until its handle is given anew, and so a use of it is known for
 * what it is (rule 21). Here are also the lock of the layer, and what every call does first.
 * Owner: the table has one use of a record, each operation on the socket another. Threads: any.
 */
#include "layer.h"

enum { BUCKETS = 4096, LEAVING = 256 };

static SRWLOCK lock;
static struct sock *buckets[BUCKETS];

void layer_lock(void)
{
    AcquireSRWLockExclusive(&lock);
}

void layer_unlock(void)
{
    ReleaseSRWLockExclusive(&lock);
}

static struct sock **bucket_of(SOCKET handle)
{
    return &buckets[(handle >> 2) % BUCKETS];
}

static struct sock *find(SOCKET handle)
{
    struct sock *sock = *bucket_of(handle);
    while (sock && sock->handle != handle)
        sock = sock->next;
    return sock;
}

/* A call under way may look at the record a moment longer. */
void sock_release(struct sock *sock)
{
    static struct sock *leaving[LEAVING];
    static int next;
    if (--sock->uses)
        return;
    free(leaving[next]);
    leaving[next] = sock;
    next = (next + 1) % LEAVING;
}

/* A socket was made; the record of an older one with this handle leaves the table. With the lock held. */
struct sock *sock_new(SOCKET handle, int family, int hosts, const char *what)
{
    struct sock **link = bucket_of(handle), *sock = calloc(1, sizeof *sock), *old;
    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    if ((old = *link)) {
        *link = old->next;
        old->live = 0;                          /* a host may have closed it unseen */
        sock_release(old);
    }
    sock->handle = handle;
    sock->uses = 1;
    sock->live = 1;
    sock->family = family;
    sock->hosts = hosts;
    sock->mode = hosts ? MODE_UNKNOWN : MODE_BLOCKING;
    sock->listener = INVALID_SOCKET;
    sock->retries = -1;
    sock->next = *bucket_of(handle);
    *bucket_of(handle) = sock;
    history_add(&sock->history, what, NULL, (LONG_PTR)handle);
    return sock;
}

/* Make a record for a socket that something unseen has made; NULL: there is none. With the lock held. */
struct sock *sock_adopt(SOCKET handle)
{
    struct sockaddr_storage address;
    struct sock *sock;
    int size = sizeof address, listens = 0, length = sizeof listens, type;
    int type_size = sizeof type;
    memset(&address, 0, sizeof address);
    if (getsockopt(handle, SOL_SOCKET, SO_TYPE, (char *)&type, &type_size))
        return NULL;
    sock = sock_new(handle, AF_UNSPEC, 1, "seen first");
    sock->bound = getsockname(handle, (struct sockaddr *)&address,
                              &size) == 0 && address_port((struct sockaddr *)&address);
    getsockopt(handle, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &length);
    sock->listening = listens;
    size = sizeof address;
    if (getpeername(handle, (struct sockaddr *)&address, &size) == 0)
        sock->context = CONTEXT_UPDATED;
    sock->backlog = SOMAXCONN;
    return sock;
}

struct sock *sock_find(SOCKET handle)
{
    struct sock *sock = find(handle);
    return sock && sock->live ? sock : NULL;
}

struct sock *sock_need(SOCKET handle, const char *call)
{
    struct sock *sock = find(handle);
    if (!sock || sock->nature != NATURE_SOCKET)
        sock = sock_adopt(handle);
    if (!sock)
        violation(21, call, NULL, NULL, "on %#llx, which is no socket", (unsigned long long)handle);
    if (!sock->live)
        violation(21, call, sock, NULL, "on %#llx, which is closed", (unsigned long long)handle);
    return sock;
}

struct sock *sock_any(SOCKET handle, const char *call)
{
    struct sock *sock = find(handle);
    if (!sock || sock->nature == NATURE_SOCKET)
        return sock_need(handle, call);
    if (!sock->live)
        violation(21, call, sock, NULL, "on %#llx, which is closed", (unsigned long long)handle);
    return sock;
}

/* It was closed. With the lock held. */
void sock_close(struct sock *sock, const char *what)
{
    sock->live = 0;
    history_add(&sock->history, what, NULL, 0);
}

struct sock *sock_next(struct sock *sock)
{
    size_t index = sock ? (size_t)(bucket_of(sock->handle) - buckets) + 1 : 0;
    if (sock && sock->next)
        return sock->next;
    while (index < BUCKETS && !buckets[index])
        index++;
    return index < BUCKETS ? buckets[index] : NULL;
}
