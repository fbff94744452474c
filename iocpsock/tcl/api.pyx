# The parts of Tcl that the Tcl side uses: include/tcl_stubs.h, under the functions' own names, and the
# tables.
# Declarations only.
from libc.stdio cimport snprintf
from libc.string cimport strcmp, strlen, strncmp

cdef extern from "tcl_stubs.h" nogil:
    ctypedef struct Tcl_Interp:
        pass
    ctypedef struct Tcl_Obj:
        pass
    ctypedef struct Tcl_DString:
        pass
    ctypedef void *Tcl_Channel
    ctypedef void *Tcl_ThreadId
    ctypedef struct Tcl_Event:
        int (*proc)(Tcl_Event *event, int flags) noexcept nogil
    ctypedef struct Tcl_ChannelType:
        const char *typeName
        void *version
        int (*closeProc)(void *data, Tcl_Interp *interp) noexcept nogil
        int (*inputProc)(void *data, char *buffer, int size, int *error) noexcept nogil
        int (*outputProc)(void *data, const char *buffer, int size, int *error) noexcept nogil
        int (*setOptionProc)(void *data, Tcl_Interp *interp, const char *name,
                             const char *value) noexcept nogil
        int (*getOptionProc)(void *data, Tcl_Interp *interp, const char *name,
                             Tcl_DString *result) noexcept nogil
        void (*watchProc)(void *data, int mask) noexcept nogil
        int (*getHandleProc)(void *data, int direction, void **handle) noexcept nogil
        int (*close2Proc)(void *data, Tcl_Interp *interp, int flags) noexcept nogil
        int (*blockModeProc)(void *data, int mode) noexcept nogil
        void (*threadActionProc)(void *data, int action) noexcept nogil

    ctypedef void (*Tcl_EventSetupProc)(void *data, int flags) noexcept nogil
    ctypedef void (*Tcl_ExitProc)(void *data) noexcept nogil
    ctypedef int (*Tcl_ObjCmdProc)(void *data, Tcl_Interp *interp, int objc,
                                   Tcl_Obj *const *objv) noexcept nogil
    ctypedef void (*Tcl_InterpDeleteProc)(void *data, Tcl_Interp *interp) noexcept nogil
    ctypedef int (*Tcl_EventDeleteProc)(Tcl_Event *event, void *data) noexcept nogil

    enum:
        TCL_OK
        TCL_ERROR
        TCL_READABLE
        TCL_WRITABLE
        TCL_CLOSE_READ
        TCL_CLOSE_WRITE
        TCL_MODE_NONBLOCKING
        TCL_CHANNEL_THREAD_INSERT
        TCL_DONT_WAIT
        TCL_FILE_EVENTS
        TCL_EVAL_GLOBAL
        TCL_EVAL_DIRECT
        TCL_QUEUE_TAIL

    void *TCL_CHANNEL_VERSION
    int tcl_major
    int tcl_stubs_bind(Tcl_Interp *interp)
    Tcl_Obj *tcl_obj_hold(Tcl_Obj *value)
    void tcl_obj_drop(Tcl_Obj *value)
    void tcl_poll_now()

    int Tcl_PkgProvideEx(Tcl_Interp *interp, const char *name, const char *version, const void *data)
    void *Tcl_Alloc(size_t size)
    void Tcl_Free(void *memory)
    Tcl_Obj *Tcl_ConcatObj(Py_ssize_t count, Tcl_Obj *const *values)
    int Tcl_GetBoolean(Tcl_Interp *interp, const char *text, int *value)
    int Tcl_GetBooleanFromObj(Tcl_Interp *interp, Tcl_Obj *object, int *value)
    int Tcl_GetInt(Tcl_Interp *interp, const char *text, int *value)
    int Tcl_GetIntFromObj(Tcl_Interp *interp, Tcl_Obj *object, int *value)
    int Tcl_ListObjAppendElement(Tcl_Interp *interp, Tcl_Obj *list, Tcl_Obj *element)
    Tcl_Obj *Tcl_NewListObj(Py_ssize_t count, Tcl_Obj *const *values)
    Tcl_Obj *Tcl_NewStringObj(const char *text, Py_ssize_t length)
    int Tcl_BadChannelOption(Tcl_Interp *interp, const char *name, const char *known)
    void Tcl_CallWhenDeleted(Tcl_Interp *interp, Tcl_InterpDeleteProc proc, void *data)
    Tcl_Channel Tcl_CreateChannel(const Tcl_ChannelType *kind, const char *name, void *data, int mask)
    void Tcl_CreateEventSource(Tcl_EventSetupProc setup, Tcl_EventSetupProc check, void *data)
    void Tcl_CreateExitHandler(Tcl_ExitProc proc, void *data)
    void *Tcl_CreateObjCommand(Tcl_Interp *interp, const char *name, Tcl_ObjCmdProc proc, void *data,
                               void *deleted)
    void Tcl_DeleteEvents(Tcl_EventDeleteProc proc, void *data)
    void Tcl_DeleteEventSource(Tcl_EventSetupProc setup, Tcl_EventSetupProc check, void *data)
    void Tcl_DontCallWhenDeleted(Tcl_Interp *interp, Tcl_InterpDeleteProc proc, void *data)
    char *Tcl_DStringAppend(Tcl_DString *target, const char *text, Py_ssize_t length)
    char *Tcl_DStringAppendElement(Tcl_DString *target, const char *text)
    void Tcl_DStringEndSublist(Tcl_DString *target)
    void Tcl_DStringStartSublist(Tcl_DString *target)
    const char *Tcl_ErrnoMsg(int number)
    const char *Tcl_GetChannelName(Tcl_Channel channel)
    const char *Tcl_GetVar2(Tcl_Interp *interp, const char *name, const char *index, int flags)
    int Tcl_HideCommand(Tcl_Interp *interp, const char *name, const char *hidden)
    int Tcl_InterpDeleted(Tcl_Interp *interp)
    void Tcl_MutexLock(void **mutex)
    void Tcl_MutexUnlock(void **mutex)
    void Tcl_NotifyChannel(Tcl_Channel channel, int mask)
    void Tcl_Preserve(void *data)
    const char *Tcl_PosixError(Tcl_Interp *interp)
    void Tcl_QueueEvent(Tcl_Event *event, int position)
    void Tcl_RegisterChannel(Tcl_Interp *interp, Tcl_Channel channel)
    void Tcl_Release(void *data)
    int Tcl_SetChannelOption(Tcl_Interp *interp, Tcl_Channel channel, const char *name, const char *value)
    void Tcl_SetErrno(int number)
    void Tcl_SetObjResult(Tcl_Interp *interp, Tcl_Obj *result)
    int Tcl_UnregisterChannel(Tcl_Interp *interp, Tcl_Channel channel)
    void Tcl_CreateThreadExitHandler(Tcl_ExitProc proc, void *data)
    int Tcl_EvalObjEx(Tcl_Interp *interp, Tcl_Obj *script, int flags)
    Tcl_ThreadId Tcl_GetCurrentThread()
    void Tcl_ThreadAlert(Tcl_ThreadId thread)
    const char *Tcl_GetString(Tcl_Obj *object)
    Tcl_Obj *Tcl_NewWideIntObj(long long value)
    int Tcl_DictObjPut(Tcl_Interp *interp, Tcl_Obj *dictionary, Tcl_Obj *key, Tcl_Obj *value)
    Tcl_Obj *Tcl_NewDictObj()
    void Tcl_BackgroundException(Tcl_Interp *interp, int code)
    int Tcl_CloseEx(Tcl_Interp *interp, Tcl_Channel channel, int flags)
    Tcl_Obj *Tcl_ObjPrintf(const char *format, ...)
    void Tcl_AppendPrintfToObj(Tcl_Obj *object, const char *format, ...)
    void Tcl_SetErrorCode(Tcl_Interp *interp, ...)

cdef extern from "tcl_tables.h" nogil:
    ctypedef struct errno_row:
        int winsock
        int number
    const errno_row *errno_table
    enum:
        ERRNO_ROWS
        ERRNO_DEFAULT
    const char *const *usage_client
    const char *const *usage_server
    const char *const *option_names
    const char *const *readable_options
    const char *const *writable_options

cdef extern from *:
    """
    #define PACKAGE_VERSION IOCPSOCK_VERSION
    """
    const char *PACKAGE_VERSION
