# Server: the script that a listening channel evaluates for each connection, and its evaluation.
#
# Owner: the listener's channel record. The interpreter may be deleted first, or the channel may move to
# another thread, where the interpreter must not be used. Then there is no script to evaluate, and the driver
# closes the connections. The script may close anything, the listener included, so nothing of the listener is
# used after the call.
# Threads: the channel's. The interpreter's deletion callback frees the record if the channel was closed in
# another thread, or by the deletion of the interpreter.

cdef struct Server:
    Tcl_Interp *interp              # NULL after it is deleted
    Tcl_Obj *script                 # held
    Tcl_ThreadId thread             # the interpreter's
    LONG abandoned                  # set by the channel or the interpreter, whichever goes first; the other
                                    # one frees the record


cdef Server *server_new(Tcl_Interp *interp, Tcl_Obj *script) noexcept nogil:
    cdef Server *server = <Server *>Tcl_Alloc(sizeof(Server))
    server.interp = interp
    server.script = tcl_obj_hold(script)
    server.thread = Tcl_GetCurrentThread()
    server.abandoned = 0
    Tcl_CallWhenDeleted(interp, server_interp_deleted, server)
    return server


cdef void server_attach(Server *server, Channel *channel) noexcept nogil:
    """From now on the server's script is called for the connections of this channel."""
    channel.server = server
    channel.event = server_event
    channel.closed = server_free


cdef void server_interp_deleted(void *data, Tcl_Interp *interp) noexcept nogil:
    cdef Server *server = <Server *>data
    server.interp = NULL
    if InterlockedExchange(&server.abandoned, 1):
        server_destroy(server)


cdef void server_free(Server *server) noexcept nogil:
    """The channel is closed. If the interpreter's deletion closes it, Tcl is certain to call the deletion
    callback, and Tcl 8.6 cannot remove it any more."""
    if server.thread != Tcl_GetCurrentThread() or (server.interp != NULL
                                                   and Tcl_InterpDeleted(server.interp)):
        if InterlockedExchange(&server.abandoned, 1):
            server_destroy(server)
        return
    if server.interp != NULL:
        Tcl_DontCallWhenDeleted(server.interp, server_interp_deleted, server)
    server_destroy(server)


cdef void server_destroy(Server *server) noexcept nogil:
    tcl_obj_drop(server.script)
    Tcl_Free(server)


cdef void server_event(Channel *listener_channel) noexcept nogil:
    """Pass one accepted connection to the script. If there are more, another event follows."""
    cdef Listener *listener = listener_channel.listener
    cdef Server *server = listener_channel.server
    cdef Connection *connection
    cdef int more = 0
    cdef Channel *channel
    cdef char address[ADDRESS_HOST_MAX]
    cdef char service[32]
    connection = listener_take(listener, &more)
    if more:
        source_notify(&listener.source)
        tcl_poll_now()
    if connection == NULL:
        return
    option_name_info(<const sockaddr *>&connection.peer, connection.peer_length, address, service,
                     NI_NUMERICHOST | NI_NUMERICSERV)
    channel = driver_new(connection, NULL)
    if server.interp == NULL or server.thread != Tcl_GetCurrentThread():
        Tcl_CloseEx(NULL, channel.channel, 0)
    else:
        server_call(server.interp, server.script, channel.channel, address,
                    address_port(<sockaddr *>&connection.peer))


cdef Tcl_Obj *server_command(Tcl_Obj *script, Tcl_Channel channel, const char *address,
                             int port_number) noexcept nogil:
    """Return the script with the three words appended. Tcl 8.6 appends text, 9 concatenates lists."""
    cdef Tcl_Obj *words[2]
    cdef Tcl_Obj *command
    if tcl_major < 9:
        return Tcl_ObjPrintf(b"%s %s %s %d", Tcl_GetString(script), Tcl_GetChannelName(channel), address,
                             port_number)
    words[0] = script
    words[1] = tcl_obj_hold(Tcl_NewListObj(0, NULL))
    Tcl_ListObjAppendElement(NULL, words[1], Tcl_NewStringObj(Tcl_GetChannelName(channel), -1))
    Tcl_ListObjAppendElement(NULL, words[1], Tcl_NewStringObj(address, -1))
    Tcl_ListObjAppendElement(NULL, words[1], Tcl_NewWideIntObj(port_number))
    command = Tcl_ConcatObj(2, words)
    tcl_obj_drop(words[1])
    return command


cdef void server_call(Tcl_Interp *interp, Tcl_Obj *script, Tcl_Channel channel, const char *address,
                      int port_number) noexcept nogil:
    """Evaluate the script for a connection. An error goes to the background error handler and closes the
    connection."""
    cdef Tcl_Obj *command = tcl_obj_hold(server_command(script, channel, address, port_number))
    cdef int code
    Tcl_Preserve(interp)
    Tcl_RegisterChannel(interp, channel)
    Tcl_RegisterChannel(NULL, channel)                      # keeps the channel, whatever the script does
    code = Tcl_EvalObjEx(interp, command, TCL_EVAL_DIRECT | TCL_EVAL_GLOBAL if tcl_major >= 9 else 0)
    tcl_obj_drop(command)
    if code != TCL_OK:
        Tcl_BackgroundException(interp, code)
        Tcl_UnregisterChannel(interp, channel)
    Tcl_UnregisterChannel(NULL, channel)
    Tcl_Release(interp)
