/* taker.c - an extension that takes the handles of Tcl's channels and uses them itself, as TclTLS does in its
 * fast path.
 *
 *   taker::import CHANNEL ?KEY?        stack a driver on the channel, which changes every byte by XOR with
 *                                      KEY.
 *                                      If the channel gives its handle for both directions, it receives and
 *                                      sends on that: "direct"; otherwise it reads and writes the channel
 *                                      below: "through"
 *   taker::handle CHANNEL DIRECTION    the handle; DIRECTION is 2 to read, 4 to write
 *   taker::receive HANDLE SIZE         what recv gives: bytes, or `error CODE`
 *   taker::send HANDLE BYTES           what send gives: a count, or `error CODE`
 *   taker::hard HANDLE                 its close is to reset the connection
 *   taker::small HANDLE                the system is to buffer little of it
 *
 * The stacked driver leaves events to the channel below, as TclTLS does: it hands on what Tcl watches for,
 * and lets every event through. Only Tcl's stub table is needed. Owner: a record belongs to its channel.
 * Threads: the channel's.
 */
#include <winsock2.h>
#include <windows.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tcl_stubs.h"

enum { PIECE = 65536 };

/* In Tcl 8.6. */
TCL_STUB(33, unsigned char *, Tcl_GetByteArrayFromObj, (Tcl_Obj *o, int *length), (o, length))
TCL_STUB(50, Tcl_Obj *, Tcl_NewByteArrayObj, (const unsigned char *bytes, ptrdiff_t length), (bytes, length))
TCL_STUB(151, Tcl_Channel, Tcl_GetChannel, (Tcl_Interp *i, const char *name, int *mode), (i, name, mode))
TCL_STUB(153, int, Tcl_GetChannelHandle, (Tcl_Channel c, int direction, void **handle),
         (c, direction, handle))
TCL_STUB(154, void *, Tcl_GetChannelInstanceData, (Tcl_Channel c), (c))
TCL_STUB(158, const Tcl_ChannelType *, Tcl_GetChannelType, (Tcl_Channel c), (c))
TCL_STUB(161, int, Tcl_GetErrno, (void), ())
TCL_STUB(281, Tcl_Channel, Tcl_StackChannel, (Tcl_Interp *i, const Tcl_ChannelType *t, void *d, int mask,
                                              Tcl_Channel below),
         (i, t, d, mask, below))
TCL_STUB(394, ptrdiff_t, Tcl_ReadRaw, (Tcl_Channel c, char *bytes, ptrdiff_t length), (c, bytes, length))
TCL_STUB(395, ptrdiff_t, Tcl_WriteRaw, (Tcl_Channel c, const char *bytes, ptrdiff_t length),
         (c, bytes, length))
TCL_STUB(396, Tcl_Channel, Tcl_GetTopChannel, (Tcl_Channel c), (c))
TCL_STUB(487, int, Tcl_GetWideIntFromObj, (Tcl_Interp *i, Tcl_Obj *o, int64_t *value), (i, o, value))
/* In Tcl 9. */
TCL_STUB(650, unsigned char *, Tcl_GetBytesFromObj, (Tcl_Interp *i, Tcl_Obj *o, ptrdiff_t *length),
         (i, o, length))

typedef struct Taker {
    Tcl_Channel below;
    /* INVALID_SOCKET: there is none to be had, the channel below is read and written. */
    SOCKET socket;
    int blocking;
    char key;
} Taker;

/* Winsock's last error as an errno of Tcl's. */
static int errno_now(void)
{
    switch (WSAGetLastError()) {
    case WSAEWOULDBLOCK: return EAGAIN;
    case WSAECONNRESET: return ECONNRESET;
    case WSAECONNABORTED: return ECONNABORTED;
    case WSAENOTCONN: return ENOTCONN;
    default: return EIO;
    }
}

/* Wait until the socket can be received from, or sent on. */
static void wait_for(SOCKET s, int writable)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(s, &set);
    select(0, writable ? NULL : &set, writable ? &set : NULL, NULL, NULL);
}

static void change(char *target, const char *source, ptrdiff_t count, char key)
{
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        target[index] = source[index] ^ key;
}

static int taker_input(void *data, char *bytes, int size, int *error)
{
    Taker *taker = data;
    ptrdiff_t count;
    if (taker->socket == INVALID_SOCKET) {
        count = Tcl_ReadRaw(taker->below, bytes, size);
        *error = count < 0 ? Tcl_GetErrno() : 0;
    } else {
        while ((count = recv(taker->socket, bytes, size, 0)) < 0 && WSAGetLastError() == WSAEWOULDBLOCK
               && taker->blocking)
            wait_for(taker->socket, 0);
        *error = count < 0 ? errno_now() : 0;
    }
    if (count > 0)
        change(bytes, bytes, count, taker->key);
    return (int)count;
}

static int taker_output(void *data, const char *bytes, int size, int *error)
{
    Taker *taker = data;
    char changed[PIECE];
    ptrdiff_t count;
    if (size > PIECE)
        size = PIECE;
    change(changed, bytes, size, taker->key);
    if (taker->socket == INVALID_SOCKET) {
        count = Tcl_WriteRaw(taker->below, changed, size);
        *error = count < 0 ? Tcl_GetErrno() : 0;
    } else {
        while ((count = send(taker->socket, changed, size, 0)) < 0 && WSAGetLastError() == WSAEWOULDBLOCK
               && taker->blocking)
            wait_for(taker->socket, 1);
        *error = count < 0 ? errno_now() : 0;
    }
    return (int)count;
}

static void taker_watch(void *data, int mask)
{
    Taker *taker = data;
    Tcl_GetChannelType(taker->below)->watchProc(Tcl_GetChannelInstanceData(taker->below), mask);
}

static int taker_handler(void *data, int mask)
{
    (void)data;
    return mask;
}

static int taker_block_mode(void *data, int mode)
{
    ((Taker *)data)->blocking = mode == TCL_MODE_BLOCKING;
    return 0;
}

static int taker_set_option(void *data, Tcl_Interp *interp, const char *name, const char *value)
{
    Taker *taker = data;
    return Tcl_GetChannelType(taker->below)->setOptionProc(Tcl_GetChannelInstanceData(taker->below), interp,
                                                           name, value);
}

static int taker_get_option(void *data, Tcl_Interp *interp, const char *name, Tcl_DString *result)
{
    Taker *taker = data;
    return Tcl_GetChannelType(taker->below)->getOptionProc(Tcl_GetChannelInstanceData(taker->below), interp,
                                                           name, result);
}

static int taker_close(void *data, Tcl_Interp *interp)
{
    (void)interp;
    free(data);
    return 0;
}

static int taker_close_half(void *data, Tcl_Interp *interp, int flags)
{
    return flags & (TCL_CLOSE_READ | TCL_CLOSE_WRITE) ? EINVAL : taker_close(data, interp);
}

static const Tcl_ChannelType taker_type = {
    .typeName = "taker", .version = TCL_CHANNEL_VERSION, .closeProc = taker_close,
    .close2Proc = taker_close_half, .inputProc = taker_input, .outputProc = taker_output,
    .watchProc = taker_watch, .handlerProc = taker_handler,
    .blockModeProc = taker_block_mode, .setOptionProc = taker_set_option, .getOptionProc = taker_get_option,
};

/* The channel at the top of those that are stacked under this name, or NULL. */
static Tcl_Channel channel_of(Tcl_Interp *interp, Tcl_Obj *name)
{
    Tcl_Channel channel = Tcl_GetChannel(interp, Tcl_GetString(name), NULL);
    return channel ? Tcl_GetTopChannel(channel) : NULL;
}

static int import_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    Tcl_Channel below, top;
    void *to_read = NULL, *to_write = NULL;
    int key = 0;
    Taker *taker;
    (void)data;
    if (objc < 2 || objc > 3) {
        Tcl_WrongNumArgs(interp, 1, objv, "channel ?key?");
        return TCL_ERROR;
    }
    below = channel_of(interp, objv[1]);
    if (!below || (objc == 3 && Tcl_GetIntFromObj(interp, objv[2], &key) != TCL_OK))
        return TCL_ERROR;
    taker = calloc(1, sizeof *taker);
    taker->below = below;
    taker->blocking = 1;
    taker->key = (char)key;
    top = Tcl_StackChannel(interp, &taker_type, taker, TCL_READABLE | TCL_WRITABLE, below);
    if (!top) {
        free(taker);
        return TCL_ERROR;
    }
    taker->socket = INVALID_SOCKET;
    if (Tcl_GetChannelHandle(below, TCL_READABLE, &to_read) == TCL_OK
            && Tcl_GetChannelHandle(below, TCL_WRITABLE, &to_write) == TCL_OK && to_read == to_write)
        taker->socket = (SOCKET)to_read;
    Tcl_SetObjResult(interp, Tcl_NewStringObj(taker->socket == INVALID_SOCKET ? "through" : "direct", -1));
    return TCL_OK;
}

static int handle_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    Tcl_Channel channel;
    void *handle = NULL;
    int direction;
    (void)data;
    if (objc != 3) {
        Tcl_WrongNumArgs(interp, 1, objv, "channel direction");
        return TCL_ERROR;
    }
    channel = channel_of(interp, objv[1]);
    if (!channel || Tcl_GetIntFromObj(interp, objv[2], &direction) != TCL_OK)
        return TCL_ERROR;
    if (Tcl_GetChannelHandle(channel, direction, &handle) != TCL_OK) {
        Tcl_SetObjResult(interp, Tcl_NewStringObj("no handle", -1));
        return TCL_ERROR;
    }
    Tcl_SetObjResult(interp, Tcl_NewWideIntObj((int64_t)(uintptr_t)handle));
    return TCL_OK;
}

static Tcl_Obj *failed(void)
{
    return Tcl_ObjPrintf("error %d", WSAGetLastError());
}

static int receive_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    char bytes[PIECE];
    int64_t handle;
    int size, count;
    (void)data;
    if (objc != 3) {
        Tcl_WrongNumArgs(interp, 1, objv, "handle size");
        return TCL_ERROR;
    }
    if (Tcl_GetWideIntFromObj(interp, objv[1], &handle) != TCL_OK
        || Tcl_GetIntFromObj(interp, objv[2], &size) != TCL_OK)
        return TCL_ERROR;
    count = recv((SOCKET)handle, bytes, size < PIECE ? size : PIECE, 0);
    Tcl_SetObjResult(interp, count < 0 ? failed() : Tcl_NewByteArrayObj((unsigned char *)bytes, count));
    return TCL_OK;
}

static int send_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    int64_t handle;
    ptrdiff_t size = 0;
    const unsigned char *bytes;
    int count, size8 = 0;
    (void)data;
    if (objc != 3) {
        Tcl_WrongNumArgs(interp, 1, objv, "handle bytes");
        return TCL_ERROR;
    }
    if (Tcl_GetWideIntFromObj(interp, objv[1], &handle) != TCL_OK)
        return TCL_ERROR;
    bytes = tcl_major < 9 ? Tcl_GetByteArrayFromObj(objv[2], &size8) : Tcl_GetBytesFromObj(interp, objv[2],
                                                                                           &size);
    if (!bytes)
        return TCL_ERROR;
    size += size8;
    count = send((SOCKET)handle, (const char *)bytes, (int)size, 0);
    Tcl_SetObjResult(interp, count < 0 ? failed() : Tcl_NewWideIntObj(count));
    return TCL_OK;
}

static int hard_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    struct linger hard = {1, 0};
    int64_t handle;
    (void)data;
    if (objc != 2) {
        Tcl_WrongNumArgs(interp, 1, objv, "handle");
        return TCL_ERROR;
    }
    if (Tcl_GetWideIntFromObj(interp, objv[1], &handle) != TCL_OK)
        return TCL_ERROR;
    if (setsockopt((SOCKET)handle, SOL_SOCKET, SO_LINGER, (const char *)&hard, sizeof hard))
        Tcl_SetObjResult(interp, failed());
    return TCL_OK;
}

static int small_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    static const int size = 16384;
    int64_t handle;
    (void)data;
    if (objc != 2) {
        Tcl_WrongNumArgs(interp, 1, objv, "handle");
        return TCL_ERROR;
    }
    if (Tcl_GetWideIntFromObj(interp, objv[1], &handle) != TCL_OK)
        return TCL_ERROR;
    if (setsockopt((SOCKET)handle, SOL_SOCKET, SO_SNDBUF, (const char *)&size, sizeof size)
            || setsockopt((SOCKET)handle, SOL_SOCKET, SO_RCVBUF, (const char *)&size, sizeof size))
        Tcl_SetObjResult(interp, failed());
    return TCL_OK;
}

__declspec(dllexport) int Taker_Init(Tcl_Interp *interp)
{
    if (tcl_stubs_bind(interp) != TCL_OK)
        return TCL_ERROR;
    Tcl_CreateObjCommand(interp, "::taker::import", import_command, NULL, NULL);
    Tcl_CreateObjCommand(interp, "::taker::handle", handle_command, NULL, NULL);
    Tcl_CreateObjCommand(interp, "::taker::receive", receive_command, NULL, NULL);
    Tcl_CreateObjCommand(interp, "::taker::send", send_command, NULL, NULL);
    Tcl_CreateObjCommand(interp, "::taker::hard", hard_command, NULL, NULL);
    Tcl_CreateObjCommand(interp, "::taker::small", small_command, NULL, NULL);
    return TCL_OK;
}
