/* accepted.c - what SO_UPDATE_ACCEPT_CONTEXT and SO_UPDATE_CONNECT_CONTEXT change. */
#include "probe.h"

SUBJECT(accepted,
    {"accepted.mode", "a blocking socket, accepted by a non-blocking listener: after the update it is",
     "either", TRUE},
    {"accepted.mode_back", "a non-blocking socket, accepted by a blocking listener: after the update it is",
     "either", TRUE},
    {"accepted.mode_late", "FIONBIO set after the update holds", "yes", TRUE},
    {"accepted.peername", "getpeername before the update", "NOTCONN", TRUE},
    {"accepted.shutdown", "shutdown before the update", "NOTCONN", TRUE},
    {"accepted.connect_name", "ConnectEx: getpeername before its update", "NOTCONN", TRUE},
    {"accepted.connect_shutdown", "ConnectEx: shutdown before its update", "NOTCONN", TRUE},
    {"accepted.connect_after", "ConnectEx: shutdown after its update", "ok", TRUE})

struct accepting {
    SOCKET listener, sock, peer;
};

static void set_mode(SOCKET sock, u_long nonblocking)
{
    if (ioctlsocket(sock, FIONBIO, &nonblocking))
        give_up("FIONBIO", WSAGetLastError());
}

/* A connection by AcceptEx, without the update. */
static struct accepting by_accept_ex(u_long listener_mode, u_long mode)
{
    static char addresses[2 * (sizeof(SOCKADDR_STORAGE) + 16)];
    USHORT number;
    struct accepting made = {make_listener(5, &number), make_socket(), make_socket()};
    struct sockaddr_in address = loopback(number);
    LPFN_ACCEPTEX accept_ex = (LPFN_ACCEPTEX)extension(made.listener, (GUID)WSAID_ACCEPTEX);
    struct op op = {0};
    DWORD got;
    set_mode(made.listener, listener_mode);
    set_mode(made.sock, mode);
    op.overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    op.code = accept_ex(made.listener, made.sock, addresses, 0, sizeof addresses / 2, sizeof addresses / 2,
                        &got, &op.overlapped)
                  ? 0
                  : WSAGetLastError();
    if (connect(made.peer, (struct sockaddr *)&address, sizeof address) || !op_ended(&op, PATIENCE)
        || op_result(&op, NULL))
        give_up("AcceptEx", op_result(&op, NULL));
    return made;
}

static void update(struct accepting *made)
{
    if (setsockopt(made->sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&made->listener,
                   sizeof made->listener))
        give_up("SO_UPDATE_ACCEPT_CONTEXT", WSAGetLastError());
}

/* By what a receive without data says. */
static const char *mode_of(SOCKET sock)
{
    DWORD pause = LULL;
    char byte;
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, (char *)&pause, sizeof pause);
    recv(sock, &byte, 1, 0);
    return WSAGetLastError() == WSAEWOULDBLOCK ? "non-blocking"
           : WSAGetLastError() == WSAETIMEDOUT ? "blocking"
                                               : code_name(WSAGetLastError());
}

static void ask_modes(void)
{
    struct accepting made = by_accept_ex(1, 0);
    update(&made);
    answer("accepted.mode", "%s", mode_of(made.sock));
    set_mode(made.sock, 1);
    answer("accepted.mode_late", strcmp(mode_of(made.sock), "non-blocking") ? "no" : "yes");
    made = by_accept_ex(0, 1);
    update(&made);
    answer("accepted.mode_back", "%s", mode_of(made.sock));
}

static const char *peername_of(SOCKET sock)
{
    struct sockaddr_in address;
    int size = sizeof address;
    return code_name(getpeername(sock, (struct sockaddr *)&address, &size) ? WSAGetLastError() : 0);
}

static const char *shutdown_of(SOCKET sock)
{
    return code_name(shutdown(sock, SD_SEND) ? WSAGetLastError() : 0);
}

static void ask_before(void)
{
    struct accepting made = by_accept_ex(0, 0);
    answer("accepted.peername", "%s", peername_of(made.sock));
    answer("accepted.shutdown", "%s", shutdown_of(made.sock));
}

static SOCKET by_connect_ex(void)
{
    USHORT number;
    SOCKET sock = make_socket();
    struct sockaddr_in address, own = loopback(0);
    LPFN_CONNECTEX connect_ex = (LPFN_CONNECTEX)extension(sock, (GUID)WSAID_CONNECTEX);
    struct op op = {0};
    make_listener(5, &number);
    address = loopback(number);
    if (bind(sock, (struct sockaddr *)&own, sizeof own))
        give_up("bind", WSAGetLastError());
    op.overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    op.code = connect_ex(sock, (struct sockaddr *)&address, sizeof address, NULL, 0, NULL, &op.overlapped)
                  ? 0
                  : WSAGetLastError();
    if (!op_ended(&op, PATIENCE) || op_result(&op, NULL))
        give_up("ConnectEx", op_result(&op, NULL));
    return sock;
}

static void ask_connect(void)
{
    SOCKET sock = by_connect_ex();
    answer("accepted.connect_name", "%s", peername_of(sock));
    answer("accepted.connect_shutdown", "%s", shutdown_of(sock));
    sock = by_connect_ex();
    if (setsockopt(sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0))
        give_up("SO_UPDATE_CONNECT_CONTEXT", WSAGetLastError());
    answer("accepted.connect_after", "%s", shutdown_of(sock));
}

static void ask(void)
{
    ask_modes();
    ask_before();
    ask_connect();
}
