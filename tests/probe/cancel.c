/* cancel.c - what CancelIoEx of one operation does to that one, to another beside it, and to the stream. */
#include "probe.h"

SUBJECT(cancel,
    {"cancel.receive", "a pending receive is cancelled: it ends with", "995, 0 bytes", TRUE},
    {"cancel.beside", "a pending 16 MiB send beside it", "goes on, ends whole", TRUE},
    {"cancel.stream", "the bytes of that send at the peer", "all, in order", TRUE},
    {"cancel.after", "a receive posted after the cancelled one", "gets the next bytes", TRUE},
    {"cancel.often", "1000 receives cancelled while the peer sends: bytes lost", "none", TRUE},
    {"cancel.send", "a pending 16 MiB send is cancelled: it ends with", "either", TRUE},
    {"cancel.send_bytes", "that send says of itself that it sent (bytes)", "either", FALSE},
    {"cancel.send_peer", "its peer got", "either", TRUE},
    {"cancel.send_count", "which is, in bytes", "either", FALSE},
    {"cancel.send_next", "the next send on that socket", "either", TRUE},
    {"cancel.send_stream", "and its bytes at the peer", "either", TRUE})

enum { BIG = 16 << 20 };

static char pattern(size_t place)
{
    return (char)(place % 251);
}

static char *big_message(void)
{
    char *message = malloc(BIG);
    size_t i;
    for (i = 0; i < BIG; i++)
        message[i] = pattern(i);
    return message;
}

static BOOL in_order(const char *memory, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++)
        if (memory[i] != pattern(i))
            return FALSE;
    return TRUE;
}

static void ask_receive(void)
{
    struct pair pair = make_pair();
    struct op sending, receiving, next;
    char *message = big_message(), *arrived = malloc(BIG), memory[100];
    DWORD bytes;
    size_t got;
    int code;
    post_send(&sending, pair.ours, message, BIG);
    post_receive(&receiving, pair.ours, memory, sizeof memory);
    CancelIoEx((HANDLE)pair.ours, &receiving.overlapped);
    if (op_ended(&receiving, PATIENCE)) {
        code = op_result(&receiving, &bytes);
        answer("cancel.receive", "%s, %lu bytes", code_name(code), bytes);
    } else
        answer("cancel.receive", "nothing: it is still pending");
    if (op_ended(&sending, LULL)) {
        code = op_result(&sending, &bytes);
        answer("cancel.beside", "ends at once with %s", code_name(code));
        drain(pair.peer, arrived, BIG, LULL, &got);
    } else {
        drain(pair.peer, arrived, BIG, PATIENCE, &got);
        if (op_ended(&sending, PATIENCE)) {
            code = op_result(&sending, &bytes);
            answer("cancel.beside", "goes on, ends %s",
                   code           ? code_name(code)
                   : bytes == BIG ? "whole"
                                  : "short");
        } else
            answer("cancel.beside", "goes on, and does not end");
    }
    answer("cancel.stream", "%s, %s",
           got == BIG ? "all"
           : got      ? "a part"
                      : "none",
           in_order(arrived, got) ? "in order" : "not in order");
    post_receive(&next, pair.ours, memory, sizeof memory);
    send(pair.peer, "next", 4, 0);
    if (!op_ended(&next, PATIENCE))
        answer("cancel.after", "gets nothing");
    else {
        code = op_result(&next, &bytes);
        answer("cancel.after", code || bytes != 4 || memcmp(memory, "next", 4) ? "%s" : "gets the next bytes",
               code_name(code));
    }
}

/* The peer sends a byte in each round; whether it is the cancelled receive that gets it or a later one, all
 * have to come. */
static void ask_often(void)
{
    enum { ROUNDS = 1000 };
    struct pair pair = make_pair();
    static char received[ROUNDS];
    size_t total = 0, rest;
    int round, code;
    for (round = 0; round < ROUNDS; round++) {
        struct op op;
        char byte = pattern(round);
        DWORD bytes;
        post_receive(&op, pair.ours, received + total, 1);
        if (round % 2)
            send(pair.peer, &byte, 1, 0);
        CancelIoEx((HANDLE)pair.ours, &op.overlapped);
        if (round % 2 == 0)
            send(pair.peer, &byte, 1, 0);
        if (!op_ended(&op, PATIENCE)) {
            answer("cancel.often", "a receive did not end");
            return;
        }
        code = op_result(&op, &bytes);
        CloseHandle(op.overlapped.hEvent);
        if (code && code != WSA_OPERATION_ABORTED) {
            answer("cancel.often", "the receive of round %d ended with %s", round, code_name(code));
            return;
        }
        total += bytes;
    }
    drain(pair.ours, received + total, ROUNDS - total, PATIENCE, &rest);
    total += rest;
    if (total == ROUNDS)
        answer("cancel.often", in_order(received, total) ? "none" : "none, but not in order");
    else
        answer("cancel.often", "%d", (int)(ROUNDS - total));
}

static void ask_send(void)
{
    struct pair pair = make_pair();
    struct op sending, next;
    char *message = big_message(), *arrived = malloc(BIG);
    DWORD bytes;
    size_t got, rest;
    int code, end;
    post_send(&sending, pair.ours, message, BIG);
    Sleep(LULL); /* TCP fills the windows */
    CancelIoEx((HANDLE)pair.ours, &sending.overlapped);
    if (!op_ended(&sending, PATIENCE)) {
        answer("cancel.send", "nothing: it is still pending");
        return;
    }
    code = op_result(&sending, &bytes);
    answer("cancel.send", "%s", code_name(code));
    answer("cancel.send_bytes", "%lu", bytes);
    end = drain(pair.peer, arrived, BIG, 500, &got);
    answer("cancel.send_peer", "%s%s%s",
           got == BIG ? "all"
           : got      ? "a part"
                      : "nothing",
           in_order(arrived, got) ? "" : ", not in order",
           end == WSAETIMEDOUT ? ", the connection stands"
           : end               ? ", then RST"
                               : ", then FIN");
    answer("cancel.send_count", "%u", (unsigned)got);
    post_send(&next, pair.ours, "next", 4);
    answer("cancel.send_next", "%s",
           op_ended(&next, PATIENCE) ? code_name(op_result(&next, NULL)) : "does not end");
    end = drain(pair.peer, arrived, 4, PATIENCE, &rest);
    answer("cancel.send_stream",
           rest == 4 && !memcmp(arrived, "next", 4) ? "come right behind the part"
           : rest                                   ? "others"
                                                    : "none: %s",
           code_name(end));
}

static void ask(void)
{
    ask_receive();
    ask_often();
    ask_send();
}
