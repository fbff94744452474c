/* breach.c - one breach of each rule, on purpose: each must end the process (tests/strict/test_rules.py).
 *
 * Threads: the test's.
 */
#include "stage.h"
#include "../memory.h"
#include <string.h>

static struct pair pair;
static struct sockaddr_in address;

static void overlapped_twice(void)
{
    struct posted *posted = stage_posted();
    stage_receive(pair.client, posted, 10);
    stage_receive(pair.client, posted, 10);
}

static void one_buffer_for_two(void)
{
    struct posted *one = stage_posted(), *other = stage_posted();
    WSABUF buffer = {100, one->data + 50};
    DWORD flags = 0;
    stage_receive(pair.client, one, 100);
    WSARecv(pair.client, &buffer, 1, NULL, &flags, &other->overlapped, NULL);
}

static void buffer_changed(void)
{
    static char data[100000];
    struct posted *posted = stage_posted();
    stage_send(pair.client, posted, data, sizeof data);
    data[500] = 1;
    stage_wait(posted);
}

static void buffer_freed(void)
{
    char *data = memory_take(100);
    WSABUF buffer = {100, data};
    DWORD flags = 0;
    WSARecv(pair.client, &buffer, 1, NULL, &flags, &stage_posted()->overlapped, NULL);
    memory_give(data);
}

/* A listening socket, and one that AcceptEx has just connected. */
static SOCKET fresh_accept(SOCKET *listener)
{
    struct posted *posted = stage_posted();
    SOCKET client = stage_socket(), accepted = stage_socket();
    *listener = stage_listener(5, &address);
    stage_accept(*listener, accepted, posted);
    stage_bind(client);
    stage_connect(client, &address);
    stage_wait(posted);
    return accepted;
}

static void linger_without_context(void)
{
    SOCKET listener;
    stage_linger(fresh_accept(&listener), 0);
}

static void connect_context_of_none(void)
{
    setsockopt(stage_socket(), SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
}

static void context_of_another_listener(void)
{
    SOCKET listener;
    stage_update(fresh_accept(&listener), pair.listener);
}

static void context_of_a_closed_listener(void)
{
    SOCKET listener, accepted = fresh_accept(&listener);
    closesocket(listener);
    stage_update(accepted, listener);
}

static void context_of_wrong_size(void)
{
    SOCKET listener, accepted = fresh_accept(&listener);
    setsockopt(accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&listener, sizeof(int));
}

static void connect_unbound(void)
{
    stage_connect(stage_socket(), &address);
}

static void accept_for_a_bound_socket(void)
{
    SOCKET s = stage_socket();
    stage_bind(s);
    stage_accept(pair.listener, s, stage_posted());
}

static void accept_without_listening(void)
{
    stage_accept(stage_socket(), stage_socket(), stage_posted());
}

static void accept_without_room(void)
{
    struct posted *posted = stage_posted();
    DWORD ignored;
    stage_AcceptEx(pair.listener, stage_socket(), posted->data, 0, 16, 16, &ignored, &posted->overlapped);
}

static void blocking_receive(void)
{
    char data[1];
    stage_receive_at_once(pair.client, data, 1);
}

static void blocking_send(void)
{
    stage_send_at_once(pair.client, "x", 1);
}

static void close_over_a_receive(void)
{
    stage_nonblocking(pair.client);
    stage_send_at_once(pair.client, "x", 1);
    stage_receive(pair.client, stage_posted(), 10);
    closesocket(pair.client);
}

static void late_option(void)
{
    int on = 1;
    setsockopt(pair.listener, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof on);
}

static void two_ports(void)
{
    stage_port(pair.client);
    stage_port(pair.client);
}

static void modes_without_port(void)
{
    SetFileCompletionNotificationModes((HANDLE)pair.client, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS);
}

static void modes_twice(void)
{
    SOCKET s = stage_socket();
    stage_port(s);
    SetFileCompletionNotificationModes((HANDLE)s, FILE_SKIP_SET_EVENT_ON_HANDLE);
    SetFileCompletionNotificationModes((HANDLE)s, FILE_SKIP_SET_EVENT_ON_HANDLE);
}

static void modes_late(void)
{
    stage_port(pair.client);
    stage_receive(pair.client, stage_posted(), 1);
    SetFileCompletionNotificationModes((HANDLE)pair.client, FILE_SKIP_SET_EVENT_ON_HANDLE);
}

static void skip_without_ifs(void)
{
    SOCKET s = stage_socket();
    stage_port(s);
    strict_play("ifs", 0);
    SetFileCompletionNotificationModes((HANDLE)s, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS);
}

static void use_after_close(void)
{
    closesocket(pair.client);
    shutdown(pair.client, SD_SEND);
}

static void close_twice(void)
{
    closesocket(pair.client);
    closesocket(pair.client);
}

static void no_socket(void)
{
    shutdown((SOCKET)0x7ffc, SD_SEND);
}

static void event_closed_early(void)
{
    struct posted *posted = stage_posted();
    stage_receive(pair.client, posted, 10);
    CloseHandle(posted->event);
}

static void event_after_close(void)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    CloseHandle(event);
    SetEvent(event);
}

static void event_closed_twice(void)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    CloseHandle(event);
    CloseHandle(event);
}

static void socket_by_closehandle(void)
{
    CloseHandle((HANDLE)pair.client);
}

static void cancel_of_nothing(void)
{
    struct posted *posted = stage_posted();
    posted->overlapped.Internal = STATUS_PENDING;
    CancelIoEx((HANDLE)pair.client, &posted->overlapped);
}

static void cancel_on_another(void)
{
    struct posted *posted = stage_posted();
    stage_receive(pair.client, posted, 10);
    CancelIoEx((HANDLE)pair.server, &posted->overlapped);
}

static void null_call(void)
{
    void (*volatile function)(void) = NULL;
    function();
}

static void inside_the_loader(void)
{
    LONG(NTAPI *lock)(ULONG, ULONG *, ULONG_PTR *) =
        (LONG(NTAPI *)(ULONG, ULONG *, ULONG_PTR *))(void *)GetProcAddress(GetModuleHandleA("ntdll.dll"),
                                                                           "LdrLockLoaderLock");
    ULONG_PTR cookie;
    lock(0, NULL, &cookie);
    CreateEventW(NULL, TRUE, FALSE, NULL);
}

static void poll_about_another(void)
{
    struct { LARGE_INTEGER timeout; ULONG count, exclusive; HANDLE socket; ULONG events; LONG status; } poll =
        {{{0, 0}}, 1, 0, (HANDLE)pair.server, 4, 0};
    NtDeviceIoControlFile((HANDLE)pair.client, NULL, NULL, NULL,
                          (IO_STATUS_BLOCK *)&stage_posted()->overlapped, 0x12024, &poll,
                          sizeof poll, &poll, sizeof poll);
}

static const struct stage_step breaches[] = {
    {"1 overlapped twice", overlapped_twice}, {"1 one buffer for two", one_buffer_for_two},
    {"1 buffer changed", buffer_changed},
    {"1 buffer freed", buffer_freed}, {"4 linger without context", linger_without_context},
    {"4 connect context of none", connect_context_of_none}, {"5 context of another listener",
                                                             context_of_another_listener},
    {"5 context of a closed listener", context_of_a_closed_listener},
    {"5 context of wrong size", context_of_wrong_size},
    {"6 connect unbound", connect_unbound}, {"7 accept for a bound socket", accept_for_a_bound_socket},
    {"7 accept without listening", accept_without_listening}, {"7 accept without room", accept_without_room},
    {"8 blocking receive", blocking_receive}, {"8 blocking send", blocking_send},
    {"9 close over a receive", close_over_a_receive},
    {"15 late option", late_option}, {"19 two ports", two_ports},
    {"19 modes without port", modes_without_port},
    {"19 modes twice", modes_twice}, {"19 modes late", modes_late}, {"19 skip without ifs", skip_without_ifs},
    {"21 use after close", use_after_close}, {"21 close twice", close_twice}, {"21 no socket", no_socket},
    {"21 event closed early", event_closed_early}, {"21 event after close", event_after_close},
    {"21 event closed twice", event_closed_twice}, {"21 socket by CloseHandle", socket_by_closehandle},
    {"21 cancel of nothing", cancel_of_nothing}, {"21 cancel on another", cancel_on_another},
    {"25 null call", null_call},
    {"28 inside the loader", inside_the_loader}, {"30 poll about another", poll_about_another},
    {NULL, NULL},
};

static int run(const struct stage_step *step, const char *name)
{
    for (; step->name; step++)
        if (!strcmp(step->name, name)) {
            stage_pair(&pair);
            step->function();
            return 0;
        }
    return -1;
}

int strict_breach(const char *name)
{
    return run(breaches, name) && run(file_breaches, name) ? -1 : 0;
}
