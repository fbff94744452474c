/* transmit.c - how many TransmitFile requests the system serves at a time, whoever makes them. */
#include "probe.h"

SUBJECT(transmit,
    {"transmit.one", "one TransmitFile of 8 MiB to a peer that receives", "all arrive", TRUE},
    {"transmit.third", "two stand still because their peers do not receive; a third",
     "waits (client), begins (server)", TRUE},
    {"transmit.resumed", "the third when one of the two has ended", "all arrive", TRUE})

enum { LENGTH = 8 << 20 };

static HANDLE make_file(void)
{
    char folder[MAX_PATH], name[MAX_PATH];
    HANDLE file;
    DWORD written;
    char *content = calloc(1, LENGTH);
    GetTempPathA(sizeof folder, folder);
    GetTempFileNameA(folder, "prb", 0, name);
    file = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                       CREATE_ALWAYS, FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file == INVALID_HANDLE_VALUE || !WriteFile(file, content, LENGTH, &written, NULL))
        give_up("the file", GetLastError());
    free(content);
    return file;
}

static void start(struct op *op, struct pair *pair, HANDLE file)
{
    LPFN_TRANSMITFILE transmit_file = (LPFN_TRANSMITFILE)extension(pair->ours, (GUID)WSAID_TRANSMITFILE);
    memset(op, 0, sizeof *op);
    op->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    op->code = transmit_file(pair->ours, file, LENGTH, 0, &op->overlapped, NULL, 0) ? 0 : WSAGetLastError();
}

static const char *arrival(struct pair *pair, char *memory)
{
    size_t got;
    drain(pair->peer, memory, LENGTH, PATIENCE, &got);
    return got == LENGTH ? "all arrive" : got ? "a part arrives" : "none arrives";
}

static void ask(void)
{
    struct pair pairs[4];
    struct op ops[4];
    HANDLE file = make_file();
    char *memory = malloc(LENGTH);
    DWORD pause = PATIENCE;
    int i;
    for (i = 0; i < 4; i++)
        pairs[i] = make_pair();
    start(&ops[0], &pairs[0], file);
    answer("transmit.one", "%s", arrival(&pairs[0], memory));
    for (i = 1; i < 4; i++)
        start(&ops[i], &pairs[i], file);
    setsockopt(pairs[3].peer, SOL_SOCKET, SO_RCVTIMEO, (char *)&pause, sizeof pause);
    answer("transmit.third", recv(pairs[3].peer, memory, 1, MSG_PEEK) == 1 ? "begins" : "waits");
    arrival(&pairs[1], memory);
    answer("transmit.resumed", "%s", arrival(&pairs[3], memory));
}
