/* bound.c - which second bind to a port is allowed beside a first one: the table of the three options and two
 * kinds of address.
 *
 * An answer has a group for each option of the first socket, and in it a word for each option of the second:
 * none, SO_REUSEADDR, SO_EXCLUSIVEADDRUSE. "Assumed" is Microsoft's table for one user ("Using SO_REUSEADDR
 * and SO_EXCLUSIVEADDRUSE", Windows Server 2003 and later).
 */
#include "probe.h"

#define ALL_OK "none: ok ok ok; reuse: ok ok ok; exclusive: ok ok ok"
#define SAME "none: INUSE ACCESS INUSE; reuse: INUSE ok INUSE; exclusive: INUSE ACCESS INUSE"

SUBJECT(bound,
    {"bound.any_any", "first bind to 0.0.0.0 and listening, second to 0.0.0.0", SAME, TRUE},
    {"bound.any_one", "first bind to 0.0.0.0 and listening, second to 127.0.0.1",
     "none: ok ok ok; reuse: ok ok ok; exclusive: ACCESS ACCESS ACCESS", TRUE},
    {"bound.one_any", "first bind to 127.0.0.1 and listening, second to 0.0.0.0",
     "none: ok ok INUSE; reuse: ok ok INUSE; exclusive: ok ok INUSE", TRUE},
    {"bound.one_one", "first bind to 127.0.0.1 and listening, second to 127.0.0.1", SAME, TRUE},
    {"bound.left_any_any", "first closed, a connection it accepted open; 0.0.0.0, then 0.0.0.0",
     ALL_OK, TRUE},
    {"bound.left_any_one", "first closed, a connection it accepted open; 0.0.0.0, then 127.0.0.1",
     ALL_OK, TRUE},
    {"bound.left_one_any", "first closed, a connection it accepted open; 127.0.0.1, then 0.0.0.0",
     ALL_OK, TRUE},
    {"bound.left_one_one", "first closed, a connection it accepted open; 127.0.0.1, then 127.0.0.1",
     ALL_OK, TRUE},
    {"bound.waiting", "first closed, its connection in TIME_WAIT; 0.0.0.0, then 0.0.0.0, both exclusive",
     "ok", TRUE},
    {"bound.both", "SO_EXCLUSIVEADDRUSE after SO_REUSEADDR on one socket", "INVAL", TRUE})

static const int options[] = {0, SO_REUSEADDR, SO_EXCLUSIVEADDRUSE};
static const char *const option_names[] = {"none", "reuse", "exclusive"};

/* Bind a socket of its own: the code. Its port, if the system was to choose one. */
static int bind_with(int option, BOOL any, USHORT *number, SOCKET *sock)
{
    struct sockaddr_in address = loopback(*number);
    int size = sizeof address, yes = 1;
    *sock = make_socket();
    if (any)
        address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (option && setsockopt(*sock, SOL_SOCKET, option, (char *)&yes, sizeof yes))
        give_up("setsockopt", WSAGetLastError());
    if (bind(*sock, (struct sockaddr *)&address, size))
        return WSAGetLastError();
    getsockname(*sock, (struct sockaddr *)&address, &size);
    *number = ntohs(address.sin_port);
    return 0;
}

/* A listening socket, and if wanted one connection of it, at both ends. */
static SOCKET first_of(int option, BOOL any, USHORT *number, struct pair *pair)
{
    SOCKET first;
    struct sockaddr_in address;
    *number = 0;
    if (bind_with(option, any, number, &first) || listen(first, 5))
        give_up("the first bind", WSAGetLastError());
    if (pair) {
        address = loopback(*number);
        pair->peer = make_socket();
        if (connect(pair->peer, (struct sockaddr *)&address, sizeof address))
            give_up("connect", WSAGetLastError());
        pair->ours = accept(first, NULL, NULL);
    }
    return first;
}

static void ask_table(const char *name, BOOL any_first, BOOL any_second, BOOL left)
{
    char text[200] = "";
    int first_option, second_option;
    for (first_option = 0; first_option < 3; first_option++) {
        sprintf(text + strlen(text), "%s%s:", first_option ? "; " : "", option_names[first_option]);
        for (second_option = 0; second_option < 3; second_option++) {
            struct pair pair = {INVALID_SOCKET, INVALID_SOCKET};
            USHORT number;
            SOCKET first = first_of(options[first_option], any_first, &number, left ? &pair : NULL), second;
            int code;
            if (left)
                closesocket(first);
            code = bind_with(options[second_option], any_second, &number, &second);
            if (!code && listen(second, 5))
                code = WSAGetLastError();
            sprintf(text + strlen(text), " %s", code_name(code));
            closesocket(second);
            if (!left)
                closesocket(first);
            closesocket(pair.peer);
            closesocket(pair.ours);
        }
    }
    answer(name, "%s", text);
}

static void ask_waiting(void)
{
    struct pair pair;
    USHORT number;
    SOCKET first = first_of(SO_EXCLUSIVEADDRUSE, TRUE, &number, &pair), second;
    size_t got;
    char byte;
    int code;
    closesocket(first);
    shutdown(pair.ours, SD_SEND); /* who ends first is left in TIME_WAIT */
    drain(pair.peer, &byte, 1, PATIENCE, &got);
    closesocket(pair.peer);
    drain(pair.ours, &byte, 1, PATIENCE, &got);
    closesocket(pair.ours);
    code = bind_with(SO_EXCLUSIVEADDRUSE, TRUE, &number, &second);
    if (!code && listen(second, 5))
        code = WSAGetLastError();
    answer("bound.waiting", "%s", code_name(code));
}

static void ask(void)
{
    SOCKET sock = make_socket();
    int yes = 1;
    ask_table("bound.any_any", TRUE, TRUE, FALSE);
    ask_table("bound.any_one", TRUE, FALSE, FALSE);
    ask_table("bound.one_any", FALSE, TRUE, FALSE);
    ask_table("bound.one_one", FALSE, FALSE, FALSE);
    ask_table("bound.left_any_any", TRUE, TRUE, TRUE);
    ask_table("bound.left_any_one", TRUE, FALSE, TRUE);
    ask_table("bound.left_one_any", FALSE, TRUE, TRUE);
    ask_table("bound.left_one_one", FALSE, FALSE, TRUE);
    ask_waiting();
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, (char *)&yes, sizeof yes);
    answer("bound.both", "%s",
           code_name(setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&yes, sizeof yes)
                         ? WSAGetLastError()
                         : 0));
}
