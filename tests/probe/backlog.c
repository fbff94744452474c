/* backlog.c - what a full backlog answers, and how long a refused attempt takes. */
#include "probe.h"

SUBJECT(backlog,
    {"backlog.full", "listen(1), nobody accepts, 20 attempts at once: those too many", "are refused", TRUE},
    {"backlog.connected", "of the 20 are connected", "either", FALSE},
    {"backlog.full_ms", "the last of them is refused after (ms)", "either", FALSE},
    {"backlog.retried", "with SIO_TCP_INITIAL_RTO {300 ms, 1}, accepted from 100 ms on: connected",
     "20", FALSE},
    {"backlog.closed_ms", "an attempt at a closed port is refused after (ms)", "2000", FALSE},
    {"backlog.option", "SIO_TCP_INITIAL_RTO {300 ms, 1}", "ok", TRUE},
    {"backlog.option_ms", "and with it the attempt is refused after (ms)", "300", FALSE})

enum { ATTEMPTS = 20, LIMIT = 3500 };
static const DWORD INITIAL_RTO = _WSAIOW(IOC_VENDOR, 17); /* SIO_TCP_INITIAL_RTO, mstcpip.h */
struct initial_rto {
    USHORT rtt;
    UCHAR retransmissions;
};

static int set_rto(SOCKET sock)
{
    struct initial_rto once = {300, 1};
    DWORD got;
    return WSAIoctl(sock, INITIAL_RTO, &once, sizeof once, NULL, 0, &got, NULL, NULL) ? WSAGetLastError() : 0;
}

struct tally {
    int connected, refused;
    double last_refused;
};

/* Start so many attempts and wait for their ends, or LIMIT; `listener` is accepted from after 100 ms, if
 * there is one. */
static struct tally attempt(int count, USHORT number, BOOL once, SOCKET listener)
{
    SOCKET socks[ATTEMPTS];
    struct sockaddr_in address = loopback(number);
    struct tally tally = {0};
    double begun = now_ms();
    u_long yes = 1;
    int i, open = count;
    for (i = 0; i < count; i++) {
        socks[i] = make_socket();
        if (once)
            set_rto(socks[i]);
        ioctlsocket(socks[i], FIONBIO, &yes);
        if (connect(socks[i], (struct sockaddr *)&address, sizeof address)
            && WSAGetLastError() != WSAEWOULDBLOCK)
            give_up("connect", WSAGetLastError());
    }
    while (open && now_ms() - begun < LIMIT) {
        fd_set writable, failed, readable;
        struct timeval pause = {0, 20000};
        FD_ZERO(&writable);
        FD_ZERO(&failed);
        FD_ZERO(&readable);
        for (i = 0; i < count; i++)
            if (socks[i] != INVALID_SOCKET) {
                FD_SET(socks[i], &writable);
                FD_SET(socks[i], &failed);
            }
        if (listener != INVALID_SOCKET && now_ms() - begun > 100)
            FD_SET(listener, &readable);
        select(0, &readable, &writable, &failed, &pause);
        if (listener != INVALID_SOCKET && FD_ISSET(listener, &readable))
            accept(listener, NULL, NULL);
        for (i = 0; i < count; i++) {
            if (socks[i] == INVALID_SOCKET
                || (!FD_ISSET(socks[i], &writable) && !FD_ISSET(socks[i], &failed)))
                continue;
            if (FD_ISSET(socks[i], &failed)) {
                tally.refused++;
                tally.last_refused = now_ms() - begun;
            } else
                tally.connected++;
            socks[i] = INVALID_SOCKET; /* left open until the process ends */
            open--;
        }
    }
    return tally;
}

static void ask(void)
{
    USHORT number;
    SOCKET listener = make_listener(1, &number);
    struct tally tally = attempt(ATTEMPTS, number, FALSE, INVALID_SOCKET);
    int waiting = ATTEMPTS - tally.connected - tally.refused;
    answer("backlog.full", tally.connected == ATTEMPTS ? "there are none"
                           : waiting && tally.refused  ? "wait or are refused"
                           : waiting                   ? "wait"
                                                       : "are refused");
    answer("backlog.connected", "%d", tally.connected);
    answer("backlog.full_ms", tally.refused ? "%.0f" : "none is", tally.last_refused);

    listener = make_listener(1, &number);
    tally = attempt(ATTEMPTS, number, TRUE, listener);
    answer("backlog.retried", "%d", tally.connected);

    closesocket(make_listener(1, &number));
    closesocket(listener);
    answer("backlog.closed_ms", "%.0f", attempt(1, number, FALSE, INVALID_SOCKET).last_refused);
    answer("backlog.option", "%s", code_name(set_rto(make_socket())));
    answer("backlog.option_ms", "%.0f", attempt(1, number, TRUE, INVALID_SOCKET).last_refused);
}
