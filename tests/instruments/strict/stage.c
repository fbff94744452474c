/* stage.c - see stage.h. */
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LPFN_ACCEPTEX stage_AcceptEx;
LPFN_CONNECTEX stage_ConnectEx;
LPFN_TRANSMITFILE stage_TransmitFile;

static void extension(SOCKET s, GUID identifier, void *function)
{
    DWORD size;
    WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, &identifier, sizeof identifier, function, sizeof(void *),
             &size, NULL, NULL);
}

void stage_start(void)
{
    GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX, transmit_id = WSAID_TRANSMITFILE;
    WSADATA data;
    SOCKET s;
    WSAStartup(0x0202, &data);
    s = stage_socket();
    extension(s, accept_id, &stage_AcceptEx);
    extension(s, connect_id, &stage_ConnectEx);
    extension(s, transmit_id, &stage_TransmitFile);
    closesocket(s);
}

SOCKET stage_socket(void)
{
    return WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
}

struct posted *stage_posted(void)
{
    struct posted *posted = calloc(1, sizeof *posted);
    posted->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    posted->overlapped.hEvent = (HANDLE)((ULONG_PTR)posted->event | 1);
    return posted;
}

SOCKET stage_listener(int backlog, struct sockaddr_in *address)
{
    SOCKET s = stage_socket();
    int length = sizeof *address;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(s, (struct sockaddr *)address, sizeof *address);
    listen(s, backlog);
    getsockname(s, (struct sockaddr *)address, &length);
    return s;
}

void stage_accept(SOCKET listener, SOCKET accepted, struct posted *posted)
{
    DWORD ignored;
    stage_AcceptEx(listener, accepted, posted->data, 0, ADDRESS, ADDRESS, &ignored, &posted->overlapped);
}

void stage_bind(SOCKET s)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    bind(s, (struct sockaddr *)&address, sizeof address);
}

int stage_wait(struct posted *posted)
{
    while ((DWORD)posted->overlapped.Internal == STATUS_PENDING
           && WaitForSingleObject(posted->event, PATIENCE) == WAIT_OBJECT_0)
        ;
    return (int)posted->overlapped.Internal;
}

int stage_connect(SOCKET s, const struct sockaddr_in *address)
{
    struct posted *posted = stage_posted();
    int status = 0;
    if (!stage_ConnectEx(s, (struct sockaddr *)address, sizeof *address, NULL, 0, NULL,
                         &posted->overlapped)) {
        if (WSAGetLastError() != WSA_IO_PENDING)
            return WSAGetLastError();
        status = stage_wait(posted);
    }
    return status < 0 || status == STATUS_PENDING ? (int)RtlNtStatusToDosError(status) : 0;
}

int stage_update(SOCKET s, SOCKET listener)
{
    return setsockopt(s, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&listener, sizeof listener);
}

void stage_pair(struct pair *pair)
{
    struct sockaddr_in address;
    struct posted *accept = stage_posted();
    stage_start();
    pair->listener = stage_listener(5, &address);
    pair->server = stage_socket();
    stage_accept(pair->listener, pair->server, accept);
    pair->client = stage_socket();
    stage_bind(pair->client);
    stage_connect(pair->client, &address);
    setsockopt(pair->client, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
    stage_wait(accept);
    stage_update(pair->server, pair->listener);
}

int stage_receive(SOCKET s, struct posted *posted, DWORD size)
{
    WSABUF buffer = {size, posted->data};
    DWORD flags = 0;
    return WSARecv(s, &buffer, 1, NULL, &flags, &posted->overlapped, NULL) ? WSAGetLastError() : 0;
}

int stage_send(SOCKET s, struct posted *posted, char *data, DWORD size)
{
    WSABUF buffer = {size, data};
    return WSASend(s, &buffer, 1, NULL, 0, &posted->overlapped, NULL) ? WSAGetLastError() : 0;
}

int stage_send_at_once(SOCKET s, const char *data, DWORD size)
{
    WSABUF buffer = {size, (char *)data};
    DWORD sent;
    return WSASend(s, &buffer, 1, &sent, 0, NULL, NULL) ? WSAGetLastError() : 0;
}

int stage_receive_at_once(SOCKET s, char *data, DWORD size)
{
    WSABUF buffer = {size, data};
    DWORD flags = 0, received;
    return WSARecv(s, &buffer, 1, &received, &flags, NULL, NULL) ? -WSAGetLastError() : (int)received;
}

void stage_nonblocking(SOCKET s)
{
    u_long on = 1;
    ioctlsocket(s, FIONBIO, &on);
}

void stage_linger(SOCKET s, int seconds)
{
    struct linger linger = {1, (u_short)seconds};
    setsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&linger, sizeof linger);
}

HANDLE stage_port(SOCKET s)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    CreateIoCompletionPort((HANDLE)s, port, 1, 0);
    return port;
}

struct posted *stage_quiet(void)
{
    struct posted *posted = stage_posted();
    posted->overlapped.hEvent = NULL;
    return posted;
}

void stage_pipe(struct pipe *pipe, DWORD mode)
{
    char name[60];
    static int number;
    snprintf(name, sizeof name, "\\\\.\\pipe\\iocpsock-stage-%lu-%d", GetCurrentProcessId(), number++);
    pipe->ours = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, mode, 1, 4096, 4096, 0,
                                  NULL);
    pipe->theirs = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                               FILE_FLAG_OVERLAPPED, NULL);
    pipe->port = stage_port((SOCKET)pipe->ours);
    stage_port((SOCKET)pipe->theirs);
}

int stage_read(HANDLE file, DWORD size)
{
    struct posted *posted = stage_posted();
    ReadFile(file, posted->data, size, NULL, &posted->overlapped);
    return stage_wait(posted) ? 0 : (int)posted->overlapped.InternalHigh;
}

void stage_write(HANDLE file, const char *data, DWORD size)
{
    struct posted *posted = stage_posted();
    WriteFile(file, data, size, NULL, &posted->overlapped);
    stage_wait(posted);
}

BOOL stage_dequeue(HANDLE port, OVERLAPPED **ended, DWORD milliseconds)
{
    DWORD bytes, waited = 0;
    ULONG_PTR key;
    BOOL result;
    do {
        result = GetQueuedCompletionStatus(port, &bytes, &key, ended, 10);
        waited += 10;
    } while (!result && !*ended && waited < milliseconds);
    return result;
}
