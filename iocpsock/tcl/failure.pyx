# Failure: the only place of the Tcl side that translates Winsock codes to errno, messages and errorCode. The
# table is in tcl_tables.h.
# Threads: the interpreter's.

cdef enum:
    TCL_MESSAGE_MAX = 512           # bytes of a system message in UTF-8


cdef int failure_errno(int error) noexcept nogil:
    """Return the errno for a Winsock code."""
    cdef int row
    for row in range(ERRNO_ROWS):
        if errno_table[row].winsock == error:
            return errno_table[row].number
    return ERRNO_DEFAULT


cdef bint failure_is_lookup(int error) noexcept nogil:
    """Whether the code came from name resolution (WSAHOST_NOT_FOUND and the codes around it), which has no
    errno."""
    return WSASERVICE_NOT_FOUND <= error <= WSANO_DATA or error == WSATYPE_NOT_FOUND


cdef void failure_lookup_message(int error, char *message) noexcept nogil:
    """Get the system's message for a name resolution error, as gai_strerror gives it, in UTF-8."""
    cdef WCHAR wide[TCL_MESSAGE_MAX]
    cdef DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS
                                        | FORMAT_MESSAGE_MAX_WIDTH_MASK,
                                       NULL, <DWORD>error, 0, wide, TCL_MESSAGE_MAX // 4, NULL)
    cdef int size = WideCharToMultiByte(CP_UTF8, 0, wide, <int>length, message, TCL_MESSAGE_MAX - 1, NULL,
                                        NULL)
    message[size if size > 0 else 0] = 0


cdef void failure_append_message(Tcl_DString *target, int error) noexcept nogil:
    """Append the message for a Winsock code."""
    cdef char message[TCL_MESSAGE_MAX]
    if failure_is_lookup(error):
        failure_lookup_message(error, message)
        Tcl_DStringAppend(target, message, -1)
    else:
        Tcl_DStringAppend(target, Tcl_ErrnoMsg(failure_errno(error)), -1)


cdef int failure_report(Tcl_Interp *interp, const char *what, int error) noexcept nogil:
    """Set the interpreter's result to "what: message", and its errorCode to the POSIX one. Return TCL_ERROR.
    `interp` may be NULL."""
    cdef char message[TCL_MESSAGE_MAX]
    if failure_is_lookup(error):
        if interp != NULL:
            failure_lookup_message(error, message)
            Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"%s: %s", what, message))
        return TCL_ERROR
    Tcl_SetErrno(failure_errno(error))
    if interp != NULL:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"%s: %s", what, Tcl_PosixError(interp)))
    return TCL_ERROR


cdef int failure_refuse(Tcl_Interp *interp, const char *message) noexcept nogil:
    """Set the interpreter's result to a fixed message. Return TCL_ERROR."""
    Tcl_SetObjResult(interp, Tcl_NewStringObj(message, -1))
    return TCL_ERROR
