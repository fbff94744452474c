/* tcl_stubs.h - the part of Tcl's C interface that the channel driver uses, for Tcl 8.6 and 9 from one
 * binary.
 *
 * Tcl publishes its functions to extensions as a table of pointers; slot numbers never change within a major
 * version, and for every function used here 8.6 and 9.0 agree on the slot. The table is read from the
 * interpreter that loads us (tcl_stubs_bind), so the DLL needs neither a Tcl header nor a Tcl library to
 * build, and imports nothing from Tcl.
 *
 * What differs between the majors is handled here and nowhere else:
 *   - a length that was int became ptrdiff_t. By-value lengths are declared ptrdiff_t: on x64 and ARM64 an
 *     8.6 callee reads the low 32 bits of the same register. We never pass the address of a length.
 *   - Tcl_Obj's reference count is int or ptrdiff_t at the same offset: its low 32 bits serve both
 *     (tcl_obj_hold / _drop).
 *   - Tcl_Time holds 32-bit or 64-bit seconds: only the zero time is ever passed (tcl_poll_now).
 *   - the driver's closeProc is required by 8.6 and ignored by 9, which uses close2Proc alone
 *     (struct Tcl_ChannelType).
 *
 * Owner: the table belongs to Tcl and lives as long as its DLL. Threads: bound once, read-only afterwards.
 */
#ifndef IOCPSOCK_TCL_STUBS_H
#define IOCPSOCK_TCL_STUBS_H

#include <stddef.h>
#include <stdint.h>

#define TCL_STUBS_MAGIC_8 ((int)0xFCA3BACF)
#define TCL_STUBS_MAGIC_9 ((int)(0xFCA3BACB + sizeof(void *)))
#define TCL_STUBS_SLOTS 690

enum { TCL_OK = 0, TCL_ERROR = 1 };
enum { TCL_READABLE = 2, TCL_WRITABLE = 4 };
enum { TCL_CLOSE_READ = 2, TCL_CLOSE_WRITE = 4 };
enum { TCL_MODE_BLOCKING = 0, TCL_MODE_NONBLOCKING = 1 };
enum { TCL_CHANNEL_THREAD_INSERT = 0, TCL_CHANNEL_THREAD_REMOVE = 1 };
enum { TCL_DONT_WAIT = 2, TCL_FILE_EVENTS = 8 };
enum { TCL_EVAL_GLOBAL = 0x20000, TCL_EVAL_DIRECT = 0x40000 };
enum { TCL_QUEUE_TAIL = 0 };

typedef struct Tcl_Channel_ *Tcl_Channel;
typedef struct Tcl_ThreadId_ *Tcl_ThreadId;
typedef struct Tcl_DString Tcl_DString;

/* The head of Tcl's interpreter record: the same in both majors, and promised to stay. */
typedef struct Tcl_Interp {
    const char *result;
    void (*free_result)(char *);
    int error_line;
    const struct TclStubTable *stubs;
} Tcl_Interp;

typedef struct TclStubTable {
    int magic;
    const void *hooks;
    void (*slot[TCL_STUBS_SLOTS])(void);
} TclStubTable;

typedef struct Tcl_Obj {
    int32_t references;    /* the low word of a ptrdiff_t in Tcl 9 */
    int32_t references_high;
    char *bytes;
} Tcl_Obj;

typedef struct Tcl_Event {
    int (*proc)(struct Tcl_Event *event, int flags);
    struct Tcl_Event *next;
} Tcl_Event;

typedef int Tcl_ObjCmdProc(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv);
typedef void Tcl_EventSetupProc(void *data, int flags);
typedef void Tcl_ExitProc(void *data);
typedef void Tcl_InterpDeleteProc(void *data, Tcl_Interp *interp);
typedef int Tcl_EventDeleteProc(Tcl_Event *event, void *data);

/* Channel driver, version 5: the only one Tcl 9 accepts; the offsets are the same in both majors. */
typedef struct Tcl_ChannelType {
    const char *typeName;
    void *version;
    int (*closeProc)(void *data, Tcl_Interp *interp);
    int (*inputProc)(void *data, char *buffer, int size, int *error);
    int (*outputProc)(void *data, const char *buffer, int size, int *error);
    void *seekProc;
    int (*setOptionProc)(void *data, Tcl_Interp *interp, const char *name, const char *value);
    int (*getOptionProc)(void *data, Tcl_Interp *interp, const char *name, Tcl_DString *result);
    void (*watchProc)(void *data, int mask);
    int (*getHandleProc)(void *data, int direction, void **handle);
    int (*close2Proc)(void *data, Tcl_Interp *interp, int flags);
    int (*blockModeProc)(void *data, int mode);
    int (*flushProc)(void *data);
    int (*handlerProc)(void *data, int mask);
    void *wideSeekProc;
    void (*threadActionProc)(void *data, int action);
    void *truncateProc;
} Tcl_ChannelType;

#define TCL_CHANNEL_VERSION ((void *)5)

static const TclStubTable *tcl_stubs;   /* bound by the first interpreter that loads the package */
static int tcl_major;                   /* 8 or 9 */

#define TCL_STUB(slot_number, result, name, parameters, arguments) \
    static inline result name parameters { return ((result (*) parameters)tcl_stubs->slot[slot_number]) arguments; }

TCL_STUB(0, int, Tcl_PkgProvideEx, (Tcl_Interp *i, const char *n, const char *v, const void *d), (i, n, v, d))
TCL_STUB(3, void *, Tcl_Alloc, (size_t size), (size))
TCL_STUB(4, void, Tcl_Free, (void *memory), (memory))
TCL_STUB(17, Tcl_Obj *, Tcl_ConcatObj, (ptrdiff_t n, Tcl_Obj *const *v), (n, v))
TCL_STUB(30, void, TclFreeObj, (Tcl_Obj *o), (o))
TCL_STUB(31, int, Tcl_GetBoolean, (Tcl_Interp *i, const char *s, int *v), (i, s, v))
TCL_STUB(32, int, Tcl_GetBooleanFromObj, (Tcl_Interp *i, Tcl_Obj *o, int *v), (i, o, v))
TCL_STUB(37, int, Tcl_GetInt, (Tcl_Interp *i, const char *s, int *v), (i, s, v))
TCL_STUB(38, int, Tcl_GetIntFromObj, (Tcl_Interp *i, Tcl_Obj *o, int *v), (i, o, v))
TCL_STUB(44, int, Tcl_ListObjAppendElement, (Tcl_Interp *i, Tcl_Obj *l, Tcl_Obj *e), (i, l, e))
TCL_STUB(53, Tcl_Obj *, Tcl_NewListObj, (ptrdiff_t n, Tcl_Obj *const *v), (n, v))
TCL_STUB(56, Tcl_Obj *, Tcl_NewStringObj, (const char *s, ptrdiff_t n), (s, n))
TCL_STUB(78, int, Tcl_BadChannelOption, (Tcl_Interp *i, const char *n, const char *l), (i, n, l))
TCL_STUB(79, void, Tcl_CallWhenDeleted, (Tcl_Interp *i, Tcl_InterpDeleteProc *p, void *d), (i, p, d))
TCL_STUB(88, Tcl_Channel, Tcl_CreateChannel, (const Tcl_ChannelType *t, const char *n, void *d, int m),
         (t, n, d, m))
TCL_STUB(90, void, Tcl_CreateCloseHandler, (Tcl_Channel c, Tcl_ExitProc *p, void *d), (c, p, d))
TCL_STUB(92, void, Tcl_CreateEventSource, (Tcl_EventSetupProc *s, Tcl_EventSetupProc *c, void *d), (s, c, d))
TCL_STUB(93, void, Tcl_CreateExitHandler, (Tcl_ExitProc *p, void *d), (p, d))
TCL_STUB(96, void *, Tcl_CreateObjCommand, (Tcl_Interp *i, const char *n, Tcl_ObjCmdProc *p, void *d,
                                            void *del), (i, n, p, d, del))
TCL_STUB(105, void, Tcl_DeleteEvents, (Tcl_EventDeleteProc *p, void *d), (p, d))
TCL_STUB(106, void, Tcl_DeleteEventSource, (Tcl_EventSetupProc *s, Tcl_EventSetupProc *c, void *d), (s, c, d))
TCL_STUB(107, void, Tcl_DeleteExitHandler, (Tcl_ExitProc *p, void *d), (p, d))
TCL_STUB(114, void, Tcl_DontCallWhenDeleted, (Tcl_Interp *i, Tcl_InterpDeleteProc *p, void *d), (i, p, d))
TCL_STUB(117, char *, Tcl_DStringAppend, (Tcl_DString *d, const char *s, ptrdiff_t n), (d, s, n))
TCL_STUB(118, char *, Tcl_DStringAppendElement, (Tcl_DString *d, const char *s), (d, s))
TCL_STUB(119, void, Tcl_DStringEndSublist, (Tcl_DString *d), (d))
TCL_STUB(125, void, Tcl_DStringStartSublist, (Tcl_DString *d), (d))
TCL_STUB(128, const char *, Tcl_ErrnoMsg, (int code), (code))
TCL_STUB(156, const char *, Tcl_GetChannelName, (Tcl_Channel c), (c))
TCL_STUB(166, Tcl_Obj *, Tcl_GetObjResult, (Tcl_Interp *i), (i))
TCL_STUB(176, const char *, Tcl_GetVar2, (Tcl_Interp *i, const char *a, const char *b, int f), (i, a, b, f))
TCL_STUB(179, int, Tcl_HideCommand, (Tcl_Interp *i, const char *n, const char *t), (i, n, t))
TCL_STUB(184, int, Tcl_InterpDeleted, (Tcl_Interp *i), (i))
TCL_STUB(185, int, Tcl_IsSafe, (Tcl_Interp *i), (i))
TCL_STUB(194, void, Tcl_NotifyChannel, (Tcl_Channel c, int mask), (c, mask))
TCL_STUB(201, void, Tcl_Preserve, (void *d), (d))
TCL_STUB(204, const char *, Tcl_PosixError, (Tcl_Interp *i), (i))
TCL_STUB(205, void, Tcl_QueueEvent, (Tcl_Event *e, int position), (e, position))
TCL_STUB(210, void, Tcl_RegisterChannel, (Tcl_Interp *i, Tcl_Channel c), (i, c))
TCL_STUB(216, void, Tcl_Release, (void *d), (d))
TCL_STUB(225, int, Tcl_SetChannelOption, (Tcl_Interp *i, Tcl_Channel c, const char *n, const char *v),
         (i, c, n, v))
TCL_STUB(227, void, Tcl_SetErrno, (int code), (code))
TCL_STUB(229, void, Tcl_SetMaxBlockTime, (const void *time), (time))
TCL_STUB(235, void, Tcl_SetObjResult, (Tcl_Interp *i, Tcl_Obj *o), (i, o))
TCL_STUB(252, int, Tcl_UnregisterChannel, (Tcl_Interp *i, Tcl_Channel c), (i, c))
TCL_STUB(264, void, Tcl_WrongNumArgs, (Tcl_Interp *i, ptrdiff_t n, Tcl_Obj *const *v, const char *m),
         (i, n, v, m))
TCL_STUB(279, void, Tcl_GetVersion, (int *major, int *minor, int *patch, int *type),
         (major, minor, patch, type))
TCL_STUB(288, void, Tcl_CreateThreadExitHandler, (Tcl_ExitProc *p, void *d), (p, d))
TCL_STUB(289, void, Tcl_DeleteThreadExitHandler, (Tcl_ExitProc *p, void *d), (p, d))
TCL_STUB(293, int, Tcl_EvalObjEx, (Tcl_Interp *i, Tcl_Obj *o, int flags), (i, o, flags))
TCL_STUB(300, Tcl_ThreadId, Tcl_GetCurrentThread, (void), ())
TCL_STUB(308, void, Tcl_MutexLock, (void **m), (m))
TCL_STUB(309, void, Tcl_MutexUnlock, (void **m), (m))
TCL_STUB(318, void, Tcl_ThreadAlert, (Tcl_ThreadId t), (t))
TCL_STUB(340, const char *, Tcl_GetString, (Tcl_Obj *o), (o))
TCL_STUB(488, Tcl_Obj *, Tcl_NewWideIntObj, (int64_t v), (v))
TCL_STUB(494, int, Tcl_DictObjPut, (Tcl_Interp *i, Tcl_Obj *d, Tcl_Obj *k, Tcl_Obj *v), (i, d, k, v))
TCL_STUB(503, Tcl_Obj *, Tcl_NewDictObj, (void), ())
TCL_STUB(609, void, Tcl_BackgroundException, (Tcl_Interp *i, int code), (i, code))
TCL_STUB(624, int, Tcl_CloseEx, (Tcl_Interp *i, Tcl_Channel c, int flags), (i, c, flags))

/* The variadic functions: the caller passes the arguments of the format straight to Tcl. */
#define Tcl_ObjPrintf(...) (((Tcl_Obj *(*)(const char *, ...))tcl_stubs->slot[578])(__VA_ARGS__))
#define Tcl_AppendPrintfToObj(...) (((void (*)(Tcl_Obj *, const char *, ...))tcl_stubs->slot[579])(__VA_ARGS__))
#define Tcl_SetErrorCode(interp, ...) (((void (*)(Tcl_Interp *, ...))tcl_stubs->slot[228])((interp), __VA_ARGS__, (char *)0))

static inline Tcl_Obj *tcl_obj_hold(Tcl_Obj *object) { object->references++; return object; }

static inline void tcl_obj_drop(Tcl_Obj *object)
{
    if (--object->references <= 0)
        TclFreeObj(object);
}

/* Tell the notifier not to sleep in this turn. Zero has one layout in both majors. */
static inline void tcl_poll_now(void)
{
    static const int64_t zero[2] = {0, 0};
    Tcl_SetMaxBlockTime(zero);
}

/* An interpreter whose table we cannot use has no function to report that with: both majors' `load` command
 * reads a message left in the interpreter's old result field. */
static inline int tcl_stubs_refuse(Tcl_Interp *interp, const char *message)
{
    interp->result = message;
    interp->free_result = NULL;
    return TCL_ERROR;
}

/* Take the function table from `interp`, or leave an error in it. Tcl 9's own name for itself is "tcl", and
 * "Tcl" one for old extensions. No version is too new: the magic number changes when the table does. */
static inline int tcl_stubs_bind(Tcl_Interp *interp)
{
    const TclStubTable *table = interp->stubs;
    const char *package;
    int major, minor, patch, type;

    if (table == NULL || (table->magic != TCL_STUBS_MAGIC_8 && table->magic != TCL_STUBS_MAGIC_9))
        return tcl_stubs_refuse(interp, "iocpsock: this interpreter does not offer Tcl's stub table (Tcl 8.6 or later is needed)");
    if (tcl_stubs != NULL && tcl_stubs != table)
        return tcl_stubs_refuse(interp, "iocpsock: already in use by another Tcl library in this process");
    package = table->magic == TCL_STUBS_MAGIC_8 ? "Tcl" : "tcl";
    if (((const char *(*)(Tcl_Interp *, const char *, const char *, int, void *))table->slot[1])(interp, package, "8.6-", 0, NULL) == NULL)
        return TCL_ERROR;
    ((void (*)(int *, int *, int *, int *))table->slot[279])(&major, &minor, &patch, &type);
    tcl_major = major;
    tcl_stubs = table;
    return TCL_OK;
}

#endif
