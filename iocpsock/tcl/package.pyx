# Package: the procedures that `load iocpsock.dll` calls, the commands that they add, and the process's exit.
#
# Threads: the interpreter's. The DLL is never unloaded (it has no _Unload procedures), because completion
# threads may run in it.

cdef public int Iocpsock_Init(Tcl_Interp *interp) noexcept nogil:
    """Load into a trusted interpreter."""
    if package_init(interp) != TCL_OK:
        return TCL_ERROR
    return TCL_OK


cdef public int Iocpsock_SafeInit(Tcl_Interp *interp) noexcept nogil:
    """Load into a safe interpreter: the command exists there but is hidden, as `socket` is."""
    if package_init(interp) != TCL_OK:
        return TCL_ERROR
    return Tcl_HideCommand(interp, b"socket2", b"socket2")


cdef int package_init(Tcl_Interp *interp) noexcept nogil:
    cdef const char *wrong
    if tcl_stubs_bind(interp) != TCL_OK:
        return TCL_ERROR
    wrong = settings_load()
    if wrong != NULL:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(
            b"iocpsock: IOCPSOCK_SETTINGS is wrong at \"%s\": it wants name=value ...", wrong))
        return TCL_ERROR
    if not notifier_start():
        return failure_refuse(interp, b"iocpsock: no thread-local storage left")
    driver_start()
    package_watch_exit()
    Tcl_CreateObjCommand(interp, b"socket2", command_socket2, NULL, NULL)
    Tcl_CreateObjCommand(interp, b"::iocpsock::stats", package_stats, NULL, NULL)
    Tcl_CreateObjCommand(interp, b"::iocpsock::configure", configure_command, NULL, NULL)
    if Tcl_PkgProvideEx(interp, b"Iocpsock", PACKAGE_VERSION, NULL) != TCL_OK:
        return TCL_ERROR
    return Tcl_PkgProvideEx(interp, b"iocpsock", PACKAGE_VERSION, NULL)


cdef struct Package:
    SRWLOCK lock
    void *life                      # a Tcl mutex. Tcl makes it at its first use, and resets it to NULL when
                                    # it has ended completely

cdef Package package


cdef void package_watch_exit() noexcept nogil:
    """Make Tcl call package_exit once, when it ends. A program may end Tcl and start it again: this then
    undoes the exit state. An interpreter that loads the package while Tcl ends changes nothing."""
    AcquireSRWLockExclusive(&package.lock)
    if package.life == NULL:
        Tcl_MutexLock(&package.life)
        Tcl_MutexUnlock(&package.life)
        driver_exit.deadline = 0
        tcp_go_on()
        Tcl_CreateExitHandler(package_exit, NULL)
    ReleaseSRWLockExclusive(&package.lock)


cdef void package_exit(void *unused) noexcept nogil:
    """Tcl ends. One deadline applies to the data that the engine holds, the data that Tcl holds for refused
    writes, and the data that Tcl flushes after this."""
    driver_exit_begin()
    driver_flush_refused()
    tcp_flush_all(driver_exit.deadline)


cdef int package_stats(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv) noexcept nogil:
    """`iocpsock::stats`: return a dictionary of the engine's counters."""
    cdef Tcl_Obj *result
    cdef int counter
    if objc != 1:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"wrong # args: should be \"%s\"", Tcl_GetString(objv[0])))
        Tcl_SetErrorCode(interp, <const char *>b"TCL", <const char *>b"WRONGARGS")
        return TCL_ERROR
    result = Tcl_NewDictObj()
    for counter in range(COUNTER_COUNT):
        if counter < COUNTER_OBJECTS:
            package_stat(result, b"%s_live", counter, counter_read_live(counter))
            package_stat(result, b"%s_total", counter, counter_read_total(counter))
        else:
            package_stat(result, b"%s", counter, counter_read_total(counter))
    Tcl_SetObjResult(interp, result)
    return TCL_OK


cdef void package_stat(Tcl_Obj *result, const char *form, int counter, LONGLONG value) noexcept nogil:
    Tcl_DictObjPut(NULL, result, Tcl_ObjPrintf(form, counter_names[counter]), Tcl_NewWideIntObj(value))
