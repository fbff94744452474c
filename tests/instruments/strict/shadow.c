/* shadow.c - operations under way: what the system has of each is a shadow (rules 1, 2, 24).
 *
 * The system is given an OVERLAPPED and buffers of ours. What it writes there is copied to the caller's only
 * when the end may be seen: of an operation on a port when its packet is dequeued, of one with an event by
 * the next call that waits for something, or posts. So nobody sees an end too early, and whoever changes,
 * frees or uses anew what is not his is found out.
 *
 * An event is cleared when an operation begins, by Windows at once, and so here, before the call; all ends
 * until then are shown then, for whoever looks after posting and before waiting.
 * Owner: an operation has a reference until it has ended, and one of the call that posts it. Threads: any.
 */
#include "layer.h"

enum { BUCKETS = 8192 };

static struct op *by_caller[BUCKETS], *by_shadow[BUCKETS], *all;

static struct op **bucket(struct op **table, const void *pointer)
{
    return &table[(ULONG_PTR)pointer / 16 % BUCKETS];
}

static void *overlap(const struct op *op, const void *memory, size_t size)
{
    const char *start = memory;
    DWORD index;
    if ((char *)op->caller < start + size && start < (char *)(op->caller + 1))
        return op->caller;
    for (index = 0; index < op->count; index++)
        if (op->buffers[index].buf < start + size && start < op->buffers[index].buf + op->buffers[index].len)
            return op->buffers[index].buf;
    return NULL;
}

struct op *op_pending(OVERLAPPED *caller)
{
    struct op *op = *bucket(by_caller, caller);
    while (op && op->caller != caller)
        op = op->next_caller;
    return op;
}

struct op *op_next(struct op *op)
{
    return op ? op->next : all;
}

static void link_op(struct op *op)
{
    op->next_caller = *bucket(by_caller, op->caller);
    *bucket(by_caller, op->caller) = op;
    op->next_shadow = *bucket(by_shadow, op);
    *bucket(by_shadow, op) = op;
    op->next = all;
    if (all)
        all->previous = op;
    all = op;
}

static void unlink_op(struct op *op)
{
    struct op **link = bucket(by_caller, op->caller);
    while (*link != op)
        link = &(*link)->next_caller;
    *link = op->next_caller;
    for (link = bucket(by_shadow, op); *link != op; link = &(*link)->next_shadow)
        ;
    *link = op->next_shadow;
    if (op->previous)
        op->previous->next = op->next;
    else
        all = op->next;
    if (op->next)
        op->next->previous = op->previous;
}

void op_drop(struct op *op)
{
    if (--op->refs)
        return;
    if (op->own)
        CloseHandle(op->own);
    sock_release(op->sock);
    free(op->copy);
    free(op);
}

/* The memory of the engine's block goes back to the heap. */
void strict_freed(const void *block, size_t size)
{
    struct op *op;
    layer_lock();
    for (op = all; op; op = op->next)
        if (overlap(op, block, size))
            violation(1, "free", op->sock, op, "of a block in which %p belongs to an operation",
                      overlap(op, block, size));
    layer_unlock();
}

static int is_read(enum kind kind)
{
    return kind == OP_SEND || kind == OP_WRITE;
}

/* Copy between the caller's buffers and the shadow: of `size` bytes at most. */
static void copy(struct op *op, int to_shadow, size_t size)
{
    char *place = op->copy;
    DWORD index, part;
    for (index = 0; index < op->count && size; index++) {
        part = op->buffers[index].len < size ? op->buffers[index].len : (DWORD)size;
        memcpy(to_shadow ? place : op->buffers[index].buf, to_shadow ? op->buffers[index].buf : place, part);
        place += part;
        size -= part;
    }
}

static void check_unchanged(struct op *op)
{
    char *place = op->copy;
    DWORD index;
    for (index = 0; index < op->count; place += op->buffers[index].len, index++)
        if (memcmp(place, op->buffers[index].buf, op->buffers[index].len))
            violation(1, op->kind == OP_SEND ? "WSASend" : "WriteFile", op->sock, op,
                      "its buffer %lu was written to before it had ended", index);
}

static LONG pages_of(const struct op *op)
{
    ULONG_PTR first = (ULONG_PTR)op->buffers[0].buf >> 12, last;
    if (op->kind != OP_RECEIVE || !op->size)
        return 0;
    last = ((ULONG_PTR)op->buffers[0].buf + op->buffers[0].len - 1) >> 12;
    return (LONG)(last - first + 1);
}

/* Begin an operation: NULL with the last error set if the system has no memory for it (rule 20). */
struct op *op_begin(enum kind kind, struct sock *sock, OVERLAPPED *caller, const WSABUF *buffers, DWORD count)
{
    static const char *const names[] = {"WSARecv", "WSASend", "AcceptEx", "ConnectEx", "TransmitFile",
                                        "NtDeviceIoControlFile", "ReadFile", "WriteFile",
                                        "ConnectNamedPipe"};
    struct op *op = calloc(1, sizeof *op), *other = op_pending(caller);
    DWORD index;
    if (other)
        violation(1, names[kind], sock, other, "on OVERLAPPED %p, which has not ended", caller);
    op->shadow = *caller;
    op->shadow.Internal = STATUS_PENDING;
    op->caller = caller;
    op->sock = sock;
    op->kind = kind;
    op->refs = 2;
    op->event = (HANDLE)((ULONG_PTR)caller->hEvent & ~(ULONG_PTR)1);
    op->thread = GetCurrentThreadId();
    op->posted = clock_now();
    op->count = count < BUFFERS ? count : BUFFERS;
    for (index = 0; index < op->count; index++) {
        op->buffers[index] = buffers[index];
        op->size += buffers[index].len;
    }
    if (play(PLAY_pages) && counts[COUNT_pages] + pages_of(op) > play(PLAY_pages)) {
        free(op);
        counts[COUNT_starved]++;
        SetLastError(WSAENOBUFS);
        return NULL;
    }
    for (other = all; other && op->size; other = other->next)
        for (index = 0; index < op->count; index++)
            if (op->buffers[index].len && overlap(other, op->buffers[index].buf, op->buffers[index].len)
                    && !(is_read(kind) && is_read(other->kind)))
                violation(1, names[kind], sock, other,
                          "its buffer %lu is that of an operation that has not ended", index);
    op->copy = malloc(op->size + 1);
    copy(op, 1, op->size);
    counts[COUNT_pages] += pages_of(op);
    CaptureStackBackTrace(1, FRAMES, op->frames, NULL);
    history_add(&sock->history, names[kind], caller, op->size);
    sock->uses++;
    sock->operated = 1;
    caller->Internal = STATUS_PENDING;
    link_op(op);
    if (op->event)
        ResetEvent(op->event);
    return op;
}

int op_is_done(const struct op *op)
{
    return op->kernel_done || (DWORD)op->shadow.Internal != (DWORD)STATUS_PENDING;
}

/* The connection is broken: what is to receive on it ends. */
static void break_receives(struct sock *sock)
{
    struct op *op;
    for (op = all; op; op = op->next)
        if (op->sock == sock && op->kind == OP_RECEIVE && !op_is_done(op)) {
            op->verdict = STATUS_CONNECTION_ABORTED;
            CancelIoEx((HANDLE)sock->handle, &op->shadow);
        }
}

/* A cancelled send may have sent any part; what comes after it nobody could make sense of (rule 10). */
static void judge(struct op *op)
{
    LONG status = op->verdict ? op->verdict : (LONG)op->shadow.Internal;
    op->shadow.Internal = (ULONG_PTR)(LONG_PTR)status;
    if (status < 0 && status != STATUS_BUFFER_OVERFLOW)         /* a part of a message, in a pipe */
        op->shadow.InternalHigh = 0;
    if (status == STATUS_CANCELLED && op->sock->live && play(PLAY_cancel)
            && (op->kind == OP_SEND || op->kind == OP_TRANSMIT) && !op->sock->broken) {
        op->sock->broken = WSAECONNABORTED;
        op->sock->lingers = 1;
        op->sock->linger_time = 0;
        counts[COUNT_broken]++;
        history_add(&op->sock->history, "a cancelled send breaks the connection", op->caller, 0);
        break_receives(op->sock);
    }
}

static void learn(struct op *op)
{
    struct sock *accepted;
    LONG status = (LONG)op->shadow.Internal;
    if (status < 0)
        return;
    if (op->kind == OP_CONNECT) {
        op->sock->context = CONTEXT_CONNECTED;
        backlog_connected((struct sockaddr *)&op->target);
    } else if (op->kind == OP_ACCEPT) {
        accepted = sock_find((SOCKET)op->file);
        if (accepted) {
            accepted->context = CONTEXT_ACCEPTED;
            accepted->bound = 1;
            accepted->listener = op->sock->handle;
            history_add(&accepted->history, "accepted", op->caller, (LONG_PTR)op->sock->handle);
        }
        backlog_accepted(op->sock->handle);
    }
}

/* It has ended, and the caller may see it. With the lock held. */
void op_end(struct op *op)
{
    op->progress = OP_ENDED;
    judge(op);
    learn(op);
    counts[COUNT_pages] -= pages_of(op);
    if (is_read(op->kind))
        check_unchanged(op);
    else if (op->kind == OP_ACCEPT || op->kind == OP_POLL)
        copy(op, 0, op->size);
    else
        copy(op, 0, op->shadow.InternalHigh < op->size ? op->shadow.InternalHigh : op->size);
    history_add(&op->sock->history, "end", op->caller,
                (LONG)op->shadow.Internal ? (LONG)op->shadow.Internal : (LONG_PTR)op->shadow.InternalHigh);
    unlink_op(op);
    op->caller->InternalHigh = op->shadow.InternalHigh;
    MemoryBarrier();
    op->caller->Internal = op->shadow.Internal;
    if (op->held && op->event)
        SetEvent(op->event);
    op_drop(op);
}

/* The call that posted it has returned with this Winsock code. */
int op_returned(struct op *op, int error)
{
    int pending = error == WSA_IO_PENDING;
    layer_lock();
    if (op->progress == OP_POSTING) {
        op->progress = OP_PENDING;
        if (!error && op->held && (op->event || op->sock->skips) && !held_is_over(op)) {
            error = WSA_IO_PENDING;             /* a success at once is one to wait for */
        } else if (!error && (op->event || op->sock->skips)) {
            op_end(op);
        } else if (error && !pending) {
            op->progress = OP_ENDED;
            history_add(&op->sock->history, "failed", op->caller, error);
            counts[COUNT_pages] -= pages_of(op);
            unlink_op(op);
            op->caller->Internal = (ULONG_PTR)(LONG_PTR)STATUS_UNSUCCESSFUL;
            op_drop(op);
        }
    }
    op_drop(op);
    layer_unlock();
    ops_collect();
    if (pending && dice(1000) < play(PLAY_packet)) {
        InterlockedIncrement(&counts[COUNT_late]);
        Sleep(1 + dice(3));
    }
    return error;
}

/* Show the ends of the operations with events. */
void ops_collect(void)
{
    struct op *op, *next;
    layer_lock();
    for (op = all; op; op = next) {
        next = op->next;
        if (op->event && op->progress == OP_PENDING && (op->held ? op->released : op_is_done(op)))
            op_end(op);
    }
    layer_unlock();
}

int op_dequeue(OVERLAPPED_ENTRY *entry)
{
    struct op *op;
    int seen = 1;
    layer_lock();
    op = *bucket(by_shadow, entry->lpOverlapped);
    while (op && &op->shadow != entry->lpOverlapped)
        op = op->next_shadow;
    if (op && op->held && !op->released && !held_is_over(op)) {
        seen = 0;
    } else if (op) {
        entry->lpOverlapped = op->caller;
        op_end(op);
        entry->dwNumberOfBytesTransferred = (DWORD)entry->lpOverlapped->InternalHigh;
    }
    layer_unlock();
    return seen;
}

int ops_pending(const struct sock *sock, enum kind kind)
{
    struct op *op;
    int count = 0;
    for (op = all; op; op = op->next)
        count += op->sock == sock && op->kind == kind && !op_is_done(op);
    return count;
}

int ops_with_event(HANDLE event)
{
    struct op *op;
    int count = 0;
    for (op = all; op; op = op->next)
        count += op->event == event && !op_is_done(op);
    return count;
}

int strict_pending(SOCKET s)
{
    struct sock *sock;
    int count;
    layer_lock();
    sock = sock_find(s);
    count = sock ? ops_pending(sock, OP_RECEIVE) : 0;
    layer_unlock();
    return count;
}
