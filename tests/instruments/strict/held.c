/* held.c - operations whose end is held back, or that begin later than they were posted.
 *
 *   a send of more than AFD has room for, and what is behind it, ends when the peer has acknowledged it,
 *       whole (rule 12)
 *   a third TransmitFile waits for one of the two to end, as on the client editions of Windows (rule 13)
 *   a refused loopback connection is tried again before that is told (rule 17), also while the backlog is
 *       full (rule 18)
 *
 * An operation with an event gets another event while it is held, and the caller's is set at its end. One on
 * a port is held when its packet is dequeued, and has another packet at its end. One thread looks after all,
 * while there are any.
 * Owner: the operations. Threads: any, under layer_lock; the thread lives with the process.
 */
#include "layer.h"

enum {
    LOOK = 2,                   /* milliseconds between looks */
    BYTES_A_MICROSECOND = 10    /* of the played network */
};

LPFN_ACCEPTEX real_AcceptEx;
LPFN_CONNECTEX real_ConnectEx;
LPFN_TRANSMITFILE real_TransmitFile;

static HANDLE wake;

static int is_refused(const struct op *op)
{
    return op->kind == OP_CONNECT && (LONG)op->shadow.Internal == STATUS_CONNECTION_REFUSED;
}

/* Microseconds until Windows tells of a refusal, or tries again. */
static LONGLONG refusal_time(const struct op *op)
{
    if (op->sock->retries >= 0)
        return op->sock->retries * op->sock->rtt * 1000LL;
    return play(PLAY_refusal) * 1000LL;
}

int held_is_over(struct op *op)
{
    LONGLONG now = clock_now();
    if (!op->kernel_done && is_refused(op) && !op->cancelled && address_is((struct sockaddr *)&op->target, 1)
        && play(PLAY_refusal)) {
        op->due = op->posted + refusal_time(op);
        counts[COUNT_refusals]++;
    }
    op->kernel_done = 1;
    op->released = now >= op->due;
    if (!op->released)
        held_wake();
    return op->released;
}

static int transmitting(void)
{
    struct op *op = NULL;
    int count = 0;
    while ((op = op_next(op)))
        count += op->kind == OP_TRANSMIT && !op->waits && !op_is_done(op);
    return count;
}

/* It was made at another time than it was asked for: a failure at once is its end. */
static void started(struct op *op, BOOL succeeded)
{
    int error = succeeded ? 0 : WSAGetLastError();
    op->waits = 0;
    if (error && error != WSA_IO_PENDING) {
        op->verdict = error == WSAECONNRESET ? STATUS_CONNECTION_RESET : STATUS_CONNECTION_ABORTED;
        op->kernel_done = 1;
        op->due = 0;
    } else if (!error && (op->event || op->sock->skips))
        op->kernel_done = 1;
}

static void start(struct op *op)
{
    struct sockaddr_storage target = op->target;
    if (op->kind == OP_TRANSMIT && transmitting() < play(PLAY_transmit)) {
        started(op, real_TransmitFile(op->sock->handle, op->file, op->file_size, op->piece, &op->shadow, NULL,
                                      op->file_flags));
    } else if (op->kind == OP_CONNECT && clock_now() >= op->due) {
        if (!backlog_full((struct sockaddr *)&op->target)) {
            op->due = 0;
            address_map((struct sockaddr *)&target);
            started(op, real_ConnectEx(op->sock->handle, (struct sockaddr *)&target, op->target_length, NULL,
                                       0, NULL, &op->shadow));
        } else if (op->attempts-- > 0) {
            op->due = clock_now() + (op->sock->retries > 0 ? op->sock->rtt : 500) * 1000LL;
        } else {
            op->verdict = STATUS_CONNECTION_REFUSED;
            op->waits = 0;
            op->kernel_done = 1;
        }
    }
}

/* Look after one operation, and let it end if it is time. */
static void look(struct op *op)
{
    if (op->waits)
        start(op);
    if (op->waits || !op_is_done(op))
        return;
    if (!op->event && !op->kernel_done)
        return;                                 /* its packet is on the way */
    if (!op->kernel_done ? !held_is_over(op) : clock_now() < op->due)
        return;
    op->released = 1;
    if (op->event)
        op_end(op);
    else
        PostQueuedCompletionStatus(op->sock->port, (DWORD)op->shadow.InternalHigh, op->sock->key,
                                   &op->shadow);
}

static DWORD WINAPI run(void *unused)
{
    struct op *op, *next;
    int any;
    (void)unused;
    for (;;) {
        layer_lock();
        any = 0;
        for (op = op_next(NULL); op; op = next) {
            next = op->next;
            any = any || (op->held && !op->released);
            if (op->held && !op->released && op->progress == OP_PENDING)
                look(op);
        }
        layer_unlock();
        WaitForSingleObject(wake, any ? LOOK : INFINITE);
    }
    return 0;
}

void held_wake(void)
{
    if (!wake) {
        wake = CreateEventW(NULL, FALSE, FALSE, NULL);
        CloseHandle(CreateThread(NULL, 0, run, NULL, 0, NULL));
    }
    SetEvent(wake);
}

/* Before the system is asked: is this one that may be held? */
void held_prepare(struct op *op)
{
    struct sock *sock = op->sock;
    LONGLONG now = clock_now();
    if (op->kind == OP_SEND && play(PLAY_ack) && (op->size > SEND_ROOM || sock->last_due > now)) {
        op->due = now + play(PLAY_ack) * 1000LL + op->size / BYTES_A_MICROSECOND;
        op->due = op->due > sock->last_due ? op->due : sock->last_due;
        sock->last_due = op->due;
        op->held = 1;
        counts[COUNT_held]++;
    } else if (op->kind == OP_CONNECT) {
        op->held = play(PLAY_refusal) || play(PLAY_backlog);
        op->attempts = sock->retries >= 0 ? sock->retries : 2;
        op->waits = play(PLAY_backlog) && backlog_full((struct sockaddr *)&op->target);
        counts[COUNT_full] += op->waits;
    } else if (op->kind == OP_TRANSMIT) {
        op->held = play(PLAY_transmit) != 0;
        op->waits = op->held && transmitting() >= play(PLAY_transmit);
    }
    if (op->held && op->event) {
        op->own = CreateEventW(NULL, TRUE, FALSE, NULL);
        op->shadow.hEvent = (HANDLE)((ULONG_PTR)op->own | 1);
    }
    if (op->held)
        held_wake();
}

int held_starts(struct op *op)
{
    return !op->waits;
}

int held_cancel(struct op *op)
{
    if (!op->held)
        return 0;
    op->due = 0;
    if (!op->waits && !op->kernel_done)
        return 0;
    op->waits = 0;
    op->kernel_done = 1;
    if (!op->released)
        op->verdict = STATUS_CANCELLED;
    held_wake();
    return 1;
}
