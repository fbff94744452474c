# Configure: `iocpsock::configure`, the settings of the process: the initial settings of new connections and
# listeners, and the settings of the engine as a whole.
#
# Owns nothing. Threads: the interpreter's. The settings are single ints that any thread may read.

cdef int configure_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv) noexcept nogil:
    """`iocpsock::configure`: without arguments return a dictionary of all settings, with a name the value of
    that setting. With names and values change them, all or none."""
    cdef Settings settings = settings_process.settings
    cdef int index = 1, setting
    if objc == 1:
        return configure_all(interp)
    if objc == 2:
        setting = configure_find(interp, objv[1])
        if setting < 0:
            return TCL_ERROR
        Tcl_SetObjResult(interp, configure_value(setting))
        return TCL_OK
    if objc % 2 == 0:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"wrong # args: should be \"%s ?-option value ...?\"",
                                               Tcl_GetString(objv[0])))
        Tcl_SetErrorCode(interp, <const char *>b"TCL", <const char *>b"WRONGARGS")
        return TCL_ERROR
    for index in range(1, objc, 2):
        setting = configure_find(interp, objv[index])
        if setting < 0 or option_read_setting(interp, setting, Tcl_GetString(objv[index + 1]),
                                              &settings.value[setting]) != TCL_OK:
            return TCL_ERROR
        if setting == SETTING_threads and completion.started \
                and settings.value[setting] != settings_of_process(setting):
            return failure_refuse(interp,
                                  b"option -threads can only be changed before the first socket is made")
    settings_process.settings = settings
    return TCL_OK


cdef int configure_find(Tcl_Interp *interp, Tcl_Obj *name) noexcept nogil:
    """Return the setting with this name, or -1 with a message that lists all settings."""
    cdef int setting
    cdef Tcl_Obj *message
    for setting in range(SETTING_COUNT):
        if strcmp(Tcl_GetString(name), setting_table[setting].option) == 0:
            return setting
    message = Tcl_ObjPrintf(b"bad option \"%s\": must be %s", Tcl_GetString(name), setting_table[0].option)
    for setting in range(1, SETTING_COUNT):
        Tcl_AppendPrintfToObj(message, b", or %s" if setting == SETTING_COUNT - 1 else b", %s",
                              setting_table[setting].option)
    Tcl_SetObjResult(interp, message)
    Tcl_SetErrorCode(interp, <const char *>b"TCL", <const char *>b"LOOKUP", <const char *>b"INDEX",
                     <const char *>b"option", Tcl_GetString(name))
    return -1


cdef Tcl_Obj *configure_value(int setting) noexcept nogil:
    cdef int value = settings_of_process(setting)
    cdef const char *word = settings_word(setting, value)
    return Tcl_NewStringObj(word, -1) if word != NULL else Tcl_NewWideIntObj(value)


cdef int configure_all(Tcl_Interp *interp) noexcept nogil:
    cdef Tcl_Obj *result = Tcl_NewDictObj()
    cdef int setting
    for setting in range(SETTING_COUNT):
        Tcl_DictObjPut(NULL, result, Tcl_NewStringObj(setting_table[setting].option, -1),
                       configure_value(setting))
    Tcl_SetObjResult(interp, result)
    return TCL_OK
