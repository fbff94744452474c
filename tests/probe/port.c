/* port.c - sockets in completion ports: packets, status blocks, and leaving a port. */
#include "probe.h"

SUBJECT(port,
    {"port.ifs4", "TCP over IPv4: handles are the system's own (XP1_IFS_HANDLES)", "yes", TRUE},
    {"port.ifs6", "TCP over IPv6: the same", "yes", TRUE},
    {"port.skip", "FILE_SKIP_COMPLETION_PORT_ON_SUCCESS: a send that ends at once has a packet", "no", TRUE},
    {"port.event_bit", "hEvent with its low bit set: a packet", "no", TRUE},
    {"port.early", "a receive has ended, its packet is not dequeued: the status block", "either", TRUE},
    {"port.late", "and when it is dequeued", "is written", TRUE},
    {"port.replace", "FileReplaceCompletionInformation without a port: the socket leaves its port",
     "00000000", TRUE},
    {"port.rejoin", "and joins another", "ok", TRUE},
    {"port.second", "without it: a socket in a port joins another", "INVAL", TRUE},
    {"port.closed_code", "closesocket with a receive pending: the packet says", "either", TRUE})

enum { REPLACE_COMPLETION = 61 }; /* FileReplaceCompletionInformation, wdm.h, Windows 8.1 */
struct completion {
    HANDLE port;
    void *key;
};
typedef NTSTATUS NTAPI set_information(HANDLE file, IO_STATUS_BLOCK *ended, void *information, ULONG size,
                                       int what);

static char memory[100];

static HANDLE new_port(void)
{
    return CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
}

static BOOL join(SOCKET sock, HANDLE where)
{
    return CreateIoCompletionPort((HANDLE)sock, where, 7, 0) != NULL;
}

static BOOL packet(HANDLE where, DWORD milliseconds)
{
    OVERLAPPED_ENTRY entry;
    ULONG count;
    return GetQueuedCompletionStatusEx(where, &entry, 1, &count, milliseconds, FALSE);
}

static const char *ifs(int family)
{
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    SOCKET sock = WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
    if (sock == INVALID_SOCKET || getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &size))
        return code_name(WSAGetLastError());
    return info.dwServiceFlags1 & XP1_IFS_HANDLES ? "yes" : "no";
}

static void ask_packets(void)
{
    struct pair pair = make_pair();
    HANDLE where = new_port();
    OVERLAPPED overlapped = {0};
    WSABUF buffer = {1, memory};
    DWORD flags = 0;
    join(pair.ours, where);
    SetFileCompletionNotificationModes((HANDLE)pair.ours, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS);
    if (WSASend(pair.ours, &buffer, 1, NULL, 0, &overlapped, NULL))
        answer("port.skip", "the send says %s", code_name(WSAGetLastError()));
    else
        answer("port.skip", packet(where, LULL) ? "yes" : "no");

    memset(&overlapped, 0, sizeof overlapped);
    overlapped.hEvent = (HANDLE)((ULONG_PTR)CreateEventW(NULL, TRUE, FALSE, NULL) | 1);
    WSARecv(pair.ours, &buffer, 1, NULL, &flags, &overlapped, NULL);
    send(pair.peer, "x", 1, 0);
    WaitForSingleObject((HANDLE)((ULONG_PTR)overlapped.hEvent & ~(ULONG_PTR)1), PATIENCE);
    answer("port.event_bit", packet(where, LULL) ? "yes" : "no");
}

static const char *status_of(OVERLAPPED *overlapped)
{
    return (DWORD) * (volatile ULONG_PTR *)&overlapped->Internal == STATUS_PENDING ? "still says pending"
                                                                                   : "is written";
}

static void ask_status(void)
{
    struct pair pair = make_pair();
    HANDLE where = new_port();
    OVERLAPPED overlapped = {0};
    WSABUF buffer = {1, memory};
    DWORD flags = 0, code;
    join(pair.ours, where);
    WSARecv(pair.ours, &buffer, 1, NULL, &flags, &overlapped, NULL);
    send(pair.peer, "x", 1, 0);
    SleepEx(LULL, TRUE);
    answer("port.early", "%s", status_of(&overlapped));
    answer("port.late", packet(where, PATIENCE) ? "%s" : "no packet comes", status_of(&overlapped));

    memset(&overlapped, 0, sizeof overlapped);
    WSARecv(pair.ours, &buffer, 1, NULL, &flags, &overlapped, NULL);
    closesocket(pair.ours);
    if (!packet(where, PATIENCE)) {
        answer("port.closed_code", "none comes");
        return;
    }
    code = (DWORD)overlapped.Internal;
    answer("port.closed_code", "%08lx", code);
}

static void ask_leaving(void)
{
    SOCKET sock = make_socket();
    set_information *set
        = (set_information *)(void *)GetProcAddress(GetModuleHandleA("ntdll"), "NtSetInformationFile");
    struct completion none = {0};
    IO_STATUS_BLOCK ended;
    NTSTATUS status;
    join(sock, new_port());
    answer("port.second", "%s",
           join(sock, new_port())                      ? "ok"
           : GetLastError() == ERROR_INVALID_PARAMETER ? "INVAL"
                                                       : code_name(GetLastError()));
    status = set((HANDLE)sock, &ended, &none, sizeof none, REPLACE_COMPLETION);
    answer("port.replace", "%08lx", (ULONG)status);
    answer("port.rejoin", "%s",
           join(sock, new_port())                      ? "ok"
           : GetLastError() == ERROR_INVALID_PARAMETER ? "INVAL"
                                                       : code_name(GetLastError()));
}

static void ask(void)
{
    answer("port.ifs4", "%s", ifs(AF_INET));
    answer("port.ifs6", "%s", ifs(AF_INET6));
    ask_packets();
    ask_status();
    ask_leaving();
}
