/* backlog.c - connections that a listening socket of this process has, and nobody has accepted yet (rule 18).
 *
 * Windows refuses what comes while the backlog is full; Linux drops it, and the client's TCP repeats it until
 * there is room. Counted are the connections made and taken in this process.
 * Owner: the record of the listening socket. Threads: any, under layer_lock.
 */
#include "layer.h"

static int accepts_done(struct sock *listener)
{
    struct op *op = NULL;
    int count = 0;
    while ((op = op_next(op)))
        count += op->sock == listener && op->kind == OP_ACCEPT && op_is_done(op);
    return count;
}

int backlog_full(const struct sockaddr *address)
{
    struct sock *listener = listener_at(address);
    return listener && listener->backlog && !ops_pending(listener, OP_ACCEPT)
        && listener->queued - accepts_done(listener) >= listener->backlog;
}

void backlog_connected(const struct sockaddr *address)
{
    struct sock *listener = listener_at(address);
    if (listener)
        listener->queued++;
}

void backlog_accepted(SOCKET handle)
{
    struct sock *listener = sock_find(handle);
    if (listener && listener->queued)
        listener->queued--;
}
