/* outside.c - what the host does with sockets itself, without the engine, and the closing of any.
 *
 * Python's sockets are made, configured and closed by its module _socket, too. Its calls of Winsock are seen
 * by way of its import table; they break no rule, but change what the engine's calls find. Its closings of
 * pipes and processes are seen as well: before them the engine has to let go of the handle. A socket that has
 * a duplicate keeps its operations when one of the handles is closed (rule 23), which Wine would end: then
 * the handle stays open until the last is closed.
 * Owner: `file` is shared by the records of one socket's handles. Threads: any.
 */
#include "layer.h"
#include <stdio.h>

struct file {
    int handles;                /* that are open in this process */
    SOCKET kept[16];            /* closed, as far as anybody knows */
    int kept_count;
};

/* Between WSADuplicateSocketW and the WSASocketW that follows it. */
static __thread struct file *duplicating;

/* Whether the handle is kept open, because operations and a duplicate are left. */
static int keep(struct sock *sock)
{
    struct file *file = sock->file;
    struct op *op = NULL;
    int pending = 0;
    if (!file)
        return 0;
    file->handles--;
    while ((op = op_next(op)))
        pending += op->sock == sock;
    if (!file->handles) {
        while (file->kept_count)
            closesocket(file->kept[--file->kept_count]);
        return 0;
    }
    if (!pending || !play(PLAY_duplicates) || file->kept_count == 16)
        return 0;
    file->kept[file->kept_count++] = sock->handle;
    counts[COUNT_zombies]++;
    return 1;
}

/* Close it as Windows does: an error if it stays open. */
int close_played(SOCKET s, const char *what)
{
    static const struct linger hard = {1, 0};
    struct sock *sock;
    struct op *op = NULL;
    int receives, result = 0, size;
    layer_lock();
    sock = sock_need(s, what);
    if (sock->lingers && sock->linger_time && sock->mode == MODE_NONBLOCKING && sock->context != CONTEXT_NONE
        && play(PLAY_linger)) {
        history_add(&sock->history, what, NULL, WSAEWOULDBLOCK);
        layer_unlock();
        WSASetLastError(WSAEWOULDBLOCK);
        return SOCKET_ERROR;
    }
    size = sizeof sock->local;
    getsockname(s, (struct sockaddr *)&sock->local, &size);
    if (!keep(sock)) {
        receives = ops_pending(sock, OP_RECEIVE);
        if (receives && !(sock->lingers && !sock->linger_time) && play(PLAY_close)) {
            if (sock->sent && !sock->hosts)
                violation(9, what, sock, NULL, "with %d receives pending, after %lld bytes were sent",
                          receives, sock->sent);
            setsockopt(s, SOL_SOCKET, SO_LINGER, (const char *)&hard, sizeof hard);
            CancelIoEx((HANDLE)s, NULL);        /* Wine sends FIN all the same while one is under way */
            counts[COUNT_resets]++;
        }
        while ((op = op_next(op)))
            if (op->sock == sock)
                held_cancel(op);
        if (sock->broken)
            setsockopt(s, SOL_SOCKET, SO_LINGER, (const char *)&hard, sizeof hard);
        result = closesocket(s);
    }
    sock_close(sock, what);
    layer_unlock();
    return result;
}

/* The record of a host's socket, which vouches for it by its use. The lock is held from here on. */
static struct sock *vouched(SOCKET s, const char *what, LONG_PTR value)
{
    struct sock *sock;
    layer_lock();
    sock = sock_find(s);
    if (!sock || sock->nature != NATURE_SOCKET)
        sock = sock_adopt(s);
    if (!sock)
        sock = sock_new(s, AF_UNSPEC, 1, what);     /* its call is going to fail */
    history_add(&sock->history, what, NULL, value);
    return sock;
}

static SOCKET WSAAPI outside_WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info,
                                        GROUP group, DWORD flags)
{
    SOCKET s;
    struct sock *sock;
    layer_lock();
    s = WSASocketW(family, type, protocol, info, group, flags);
    if (s != INVALID_SOCKET) {
        sock = info ? sock_adopt(s) : sock_new(s, family, 1, "the host's WSASocketW");
        sock->mode = info ? MODE_UNKNOWN : MODE_BLOCKING;
        if (info && duplicating) {
            sock->file = duplicating;
            sock->file->handles++;
        }
    }
    duplicating = NULL;
    layer_unlock();
    return s;
}

static int WSAAPI outside_WSADuplicateSocketW(SOCKET s, DWORD process, WSAPROTOCOL_INFOW *info)
{
    struct sock *sock = vouched(s, "the host's WSADuplicateSocketW", process);
    int result = WSADuplicateSocketW(s, process, info);
    if (!result && process == GetCurrentProcessId()) {
        if (!sock->file) {
            sock->file = calloc(1, sizeof *sock->file);
            sock->file->handles = 1;
        }
        duplicating = sock->file;
    }
    layer_unlock();
    return result;
}

static int WSAAPI outside_closesocket(SOCKET s)
{
    vouched(s, "the host's closesocket", 0);
    layer_unlock();
    return close_played(s, "the host's closesocket");
}

static int WSAAPI outside_ioctlsocket(SOCKET s, long command, u_long *argument)
{
    struct sock *sock = vouched(s, "the host's ioctlsocket", *argument);
    int result = ioctlsocket(s, command, argument);
    if (!result && command == (long)FIONBIO)
        sock->mode = *argument ? MODE_NONBLOCKING : MODE_BLOCKING;
    layer_unlock();
    return result;
}

static int WSAAPI outside_setsockopt(SOCKET s, int level, int option, const char *value, int length)
{
    struct sock *sock = vouched(s, "the host's setsockopt", option);
    int result = setsockopt(s, level, option, value, length);
    if (!result && level == SOL_SOCKET && option == SO_EXCLUSIVEADDRUSE)
        sock->exclusive = *(const int *)value;
    if (!result && level == SOL_SOCKET && option == SO_REUSEADDR)
        sock->reuse = *(const int *)value;
    if (!result && level == SOL_SOCKET && option == SO_LINGER) {
        sock->lingers = ((const struct linger *)value)->l_onoff;
        sock->linger_time = ((const struct linger *)value)->l_linger;
    }
    layer_unlock();
    return result;
}

static int WSAAPI outside_bind(SOCKET s, const struct sockaddr *address, int length)
{
    int result = bind_played(vouched(s, "the host's bind", ntohs((u_short)address_port(address))), address,
                             length);
    layer_unlock();
    return result;
}

static int WSAAPI outside_listen(SOCKET s, int backlog)
{
    struct sock *sock = vouched(s, "the host's listen", backlog);
    int result = listen(s, backlog);
    if (!result) {
        sock->listening = 1;
        sock->backlog = backlog < 1 ? 1 : backlog < 200 || backlog == SOMAXCONN ? backlog : 200;
    }
    layer_unlock();
    return result;
}

static int WSAAPI outside_getsockname(SOCKET s, struct sockaddr *address, int *length)
{
    int port = vouched(s, "the host's getsockname", 0)->played_port;
    int result = getsockname(s, address, length);
    layer_unlock();
    if (!result && port)
        ((struct sockaddr_in *)address)->sin_port = (u_short)port;
    return result;
}

static int WSAAPI outside_connect(SOCKET s, const struct sockaddr *address, int length)
{
    struct sock *sock = vouched(s, "the host's connect", ntohs((u_short)address_port(address)));
    struct sockaddr_storage target;
    int result;
    memcpy(&target, address, length);
    address_map((struct sockaddr *)&target);
    layer_unlock();
    result = connect(s, (struct sockaddr *)&target, length);
    /* None that fails later is taken for connected by a rule. */
    if (!result || WSAGetLastError() == WSAEWOULDBLOCK) {
        sock->bound = 1;
        sock->context = CONTEXT_UPDATED;
    }
    return result;
}

static SOCKET WSAAPI outside_accept(SOCKET s, struct sockaddr *address, int *length)
{
    SOCKET accepted;
    struct sock *sock;
    int mode = vouched(s, "the host's accept", 0)->mode;
    layer_unlock();
    accepted = accept(s, address, length);
    if (accepted == INVALID_SOCKET)
        return accepted;
    layer_lock();
    sock = sock_new(accepted, AF_UNSPEC, 1, "the host's accept");
    sock->bound = 1;
    sock->context = CONTEXT_UPDATED;
    sock->mode = mode;
    backlog_accepted(s);
    layer_unlock();
    return accepted;
}

static BOOL WINAPI outside_CloseHandle(HANDLE handle)
{
    struct sock *sock;
    layer_lock();
    waits_close(handle, "the host's CloseHandle");
    sock = sock_find((SOCKET)handle);
    if (sock)
        file_close(sock, "the host's CloseHandle");
    layer_unlock();
    return CloseHandle(handle);
}

struct ours {
    const char *name;
    void *function;
};

/* Put ours in the place of each function of the library that the module imports. */
static void take_over(char *module, const char *library, const struct ours *ours, size_t count)
{
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(module + ((IMAGE_DOS_HEADER *)module)->e_lfanew);
    IMAGE_IMPORT_DESCRIPTOR *imports = (IMAGE_IMPORT_DESCRIPTOR *)(module
        + headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT].VirtualAddress);
    HMODULE exporter = GetModuleHandleA(library);
    void **slot;
    DWORD before;
    size_t index;
    for (; imports->Name; imports++)
        for (slot = (void **)(module + imports->FirstThunk); *slot; slot++)
            for (index = 0; index < count; index++)
                if (*slot == (void *)GetProcAddress(exporter, ours[index].name)) {
                    VirtualProtect(slot, sizeof *slot, PAGE_READWRITE, &before);
                    *slot = ours[index].function;
                    VirtualProtect(slot, sizeof *slot, before, &before);
                }
}

/* Python itself, which closes pipes and processes; NULL: the host is not Python. */
static HMODULE find_python(void)
{
    char name[30];
    HMODULE module = NULL;
    int minor;
    for (minor = 8; minor < 30 && !module; minor++) {
        snprintf(name, sizeof name, "python3%d.dll", minor);
        module = GetModuleHandleA(name);
        snprintf(name, sizeof name, "python3%dt.dll", minor);
        module = module ? module : GetModuleHandleA(name);
    }
    return module;
}

/* From now on see what Python's own modules do: before this DLL's first call, if they are there by then. */
__attribute__((constructor)) void outside_watch(void)
{
    static const struct ours sockets[] = {
        {"WSASocketW", outside_WSASocketW}, {"WSADuplicateSocketW", outside_WSADuplicateSocketW},
        {"closesocket", outside_closesocket},
        {"ioctlsocket", outside_ioctlsocket}, {"setsockopt", outside_setsockopt}, {"bind", outside_bind},
        {"listen", outside_listen},
        {"getsockname", outside_getsockname}, {"connect", outside_connect}, {"accept", outside_accept}};
    static const struct ours handles[] = {{"CloseHandle", outside_CloseHandle}};
    static HMODULE watched, python;
    HMODULE module = GetModuleHandleA("_socket.pyd");
    if (module && module != watched) {
        watched = module;
        take_over((char *)module, "ws2_32.dll", sockets, sizeof sockets / sizeof *sockets);
    }
    if (!python && (python = find_python()))
        take_over((char *)python, "kernel32.dll", handles, 1);
}
