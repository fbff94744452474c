# Command: `socket2`, with the arguments, defaults and messages of the interpreter's own `socket`.
#
# Threads: the interpreter's. Owns nothing beyond a call.

cdef struct OpenArguments:
    bint is_async
    bint is_server
    int local_port
    int reuse_address               # -1: not given
    int reuse_port
    int backlog
    bint backlog_given
    const char *local_host
    Tcl_Obj *script
    const char *host
    const char *port_text


cdef int command_usage(Tcl_Interp *interp, Tcl_Obj *command) noexcept nogil:
    cdef const char *word = Tcl_GetString(command)
    cdef int version = tcl_major >= 9
    Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"wrong # args: should be \"%s %s\" or \"%s %s\"", word,
                                           usage_client[version], word, usage_server[version]))
    Tcl_SetErrorCode(interp, <const char *>b"TCL", <const char *>b"WRONGARGS")
    return TCL_ERROR


cdef int command_bad_option(Tcl_Interp *interp, const char *name) noexcept nogil:
    Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"bad option \"%s\": must be %s", name,
                                           option_names[tcl_major >= 9]))
    Tcl_SetErrorCode(interp, <const char *>b"TCL", <const char *>b"LOOKUP", <const char *>b"INDEX",
                     <const char *>b"option", name)
    return TCL_ERROR


cdef int command_port(Tcl_Interp *interp, const char *text, int *number) noexcept nogil:
    """Parse a port: a number, or the name of a TCP service."""
    cdef servent *service
    if Tcl_GetInt(NULL, text, number) != TCL_OK:
        service = getservbyname(text, b"tcp")
        if service != NULL:
            number[0] = ntohs(<u_short>service.s_port)
            return TCL_OK
        return Tcl_GetInt(interp, text, number)             # for its error message
    if number[0] > 0xFFFF:
        return failure_refuse(interp, b"couldn't open socket: port number too high")
    if number[0] < 0:
        return failure_refuse(interp, b"couldn't open socket: port number too low")
    return TCL_OK


cdef int command_option(Tcl_Interp *interp, OpenArguments *arguments, const char *name,
                        Tcl_Obj *value) noexcept nogil:
    """Parse one option of the command. `value` is NULL at the end of the line. Return TCL_OK if the option
    took the value, -1 if it takes none, or TCL_ERROR with a message."""
    if strcmp(name, b"-async") == 0:
        if arguments.is_server:
            return failure_refuse(interp, b"cannot set -async option for server sockets")
        arguments.is_async = True
        return -1
    if strcmp(name, b"-server") == 0 and arguments.is_async:
        return failure_refuse(interp, b"cannot set -async option for server sockets")
    if not command_takes_value(name):
        return command_bad_option(interp, name)
    if value == NULL:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"no argument given for %s option", name))
        return TCL_ERROR
    if strcmp(name, b"-server") == 0:
        arguments.is_server = True
        arguments.script = value
    elif strcmp(name, b"-myaddr") == 0:
        arguments.local_host = Tcl_GetString(value)
    elif strcmp(name, b"-myport") == 0:
        return command_port(interp, Tcl_GetString(value), &arguments.local_port)
    elif strcmp(name, b"-reuseaddr") == 0:
        return Tcl_GetBooleanFromObj(interp, value, &arguments.reuse_address)
    elif strcmp(name, b"-reuseport") == 0:
        return Tcl_GetBooleanFromObj(interp, value, &arguments.reuse_port)
    else:
        arguments.backlog_given = True
        return Tcl_GetIntFromObj(interp, value, &arguments.backlog)
    return TCL_OK


cdef bint command_takes_value(const char *name) noexcept nogil:
    return (strcmp(name, b"-server") == 0 or strcmp(name, b"-myaddr") == 0 or strcmp(name, b"-myport") == 0
            or strcmp(name, b"-reuseaddr") == 0 or strcmp(name, b"-reuseport") == 0
            or strcmp(name, b"-backlog") == 0)


cdef int command_parse(Tcl_Interp *interp, int objc, Tcl_Obj *const *objv,
                       OpenArguments *arguments) noexcept nogil:
    cdef int index = 1, code
    memset(arguments, 0, sizeof(OpenArguments))
    arguments.reuse_address = arguments.reuse_port = -1
    while index < objc and Tcl_GetString(objv[index])[0] == c'-':
        code = command_option(interp, arguments, Tcl_GetString(objv[index]), objv[index + 1]
                              if index + 1 < objc else NULL)
        if code == TCL_ERROR:
            return TCL_ERROR
        index += 2 if code == TCL_OK else 1
    if arguments.is_server and arguments.local_port:
        return failure_refuse(interp, b"option -myport is not valid for servers")
    if not arguments.is_server and index < objc:
        arguments.host = Tcl_GetString(objv[index])
        index += 1
    elif not arguments.is_server:
        return command_usage(interp, objv[0])
    if not arguments.is_server and (arguments.reuse_address >= 0 or arguments.reuse_port >= 0
                                    or arguments.backlog_given):
        return failure_refuse(interp,
                              b"options -backlog, -reuseaddr, and -reuseport are only valid for servers")
    if index != objc - 1:
        return command_usage(interp, objv[0])
    arguments.port_text = Tcl_GetString(objv[index])
    return TCL_OK


cdef int command_family(Tcl_Interp *interp) noexcept nogil:
    """Return the address family that the variable ::tcl::unsupported::socketAF selects."""
    cdef const char *family = Tcl_GetVar2(interp, b"::tcl::unsupported::socketAF", NULL, 0)
    if family != NULL and strcmp(family, b"inet") == 0:
        return AF_INET
    if family != NULL and strcmp(family, b"inet6") == 0:
        return AF_INET6
    return AF_UNSPEC


cdef Connection *command_connect(Tcl_Interp *interp, OpenArguments *arguments,
                                 int port_number) noexcept nogil:
    """Start connecting. Return a connection that is open, or that may still be connecting if -async, or NULL
    with a message."""
    cdef Address *remote = NULL
    cdef Address *local = NULL
    cdef Connection *connection
    cdef int family = command_family(interp), error
    cdef bint background = arguments.is_async and settings_of_process(SETTING_lookup) == LOOKUP_BACKGROUND
    error = address_lookup(arguments.host, port_number, family, False, background, &remote)
    if not error or background:
        if arguments.local_host != NULL:
            error = address_lookup(arguments.local_host, arguments.local_port, family, True, False, &local)
        elif remote == NULL:
            error = 0
    if error:
        address_list_free(remote)
        failure_report(interp, b"couldn't open socket", error)
        return NULL
    connection = connector_new(local, arguments.local_port)
    if connection == NULL:
        address_list_free(remote)
        failure_report(interp, b"couldn't open socket", WSAENOBUFS)
        return NULL
    if remote != NULL:
        connector_start(connection, remote)
    elif not connector_resolve(connection, arguments.host, port_number, family):
        tcp_close(connection, 0)
        failure_report(interp, b"couldn't open socket", WSAENOBUFS)
        return NULL
    error = command_await(connection, arguments.is_async)
    if error:
        tcp_close(connection, 0)
        failure_report(interp, b"couldn't open socket", error)
        return NULL
    return connection


cdef int command_await(Connection *connection, bint is_async) noexcept nogil:
    """Wait for the connection unless -async: 0, or the Winsock code of the failure. With -async, a failed
    attempt is reported later, however soon it failed. A failure before any attempt is reported at once."""
    cdef int error
    source_lock(&connection.source)
    while connection.state == CONNECTION_CONNECTING and not is_async:
        source_wait(&connection.source, 0)
    error = 0
    if connection.state == CONNECTION_FAILED and not (is_async and connection.connect_tried):
        error = connection.connect_error
    source_unlock(&connection.source)
    return error


cdef Listener *command_listen(Tcl_Interp *interp, OpenArguments *arguments, int port_number) noexcept nogil:
    """Listen on every address of -myaddr, with one port number for all. NULL with a message if no address can
    be used."""
    cdef Address *list = NULL
    cdef Address *address
    cdef Listener *listener
    cdef SOCKET sock = INVALID_SOCKET
    cdef int error = address_lookup(arguments.local_host, port_number, command_family(interp), True, False,
                                    &list)
    if error:
        failure_report(interp, b"couldn't open socket", error)
        return NULL
    listener = listener_new(&process_port)
    error = WSAENOBUFS
    address = list if listener != NULL else NULL
    while address != NULL:
        address_set_port(address, port_number)
        error = endpoint_bind(address, arguments.backlog if arguments.backlog_given and arguments.backlog >= 0
                              else SOMAXCONN, arguments.reuse_port > 0, &sock)
        if not error:
            if port_number == 0:
                port_number = command_socket_port(sock)
            error = listener_add(listener, sock, address.family)
            if error:
                closesocket(sock)
        address = address.next
    address_list_free(list)
    if listener != NULL and listener.endpoints.first != NULL:
        return listener
    if listener != NULL:
        listener_close(listener)
    failure_report(interp, b"couldn't open socket", error)
    return NULL


cdef int command_socket_port(SOCKET sock) noexcept nogil:
    cdef sockaddr_storage address
    cdef int length = sizeof(address)
    return 0 if getsockname(sock, <sockaddr *>&address, &length) else address_port(<sockaddr *>&address)


cdef int command_socket2(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv) noexcept nogil:
    """The command."""
    cdef OpenArguments arguments
    cdef Connection *connection = NULL
    cdef Listener *listener = NULL
    cdef Server *server = NULL
    cdef Channel *channel
    cdef int port_number, error
    if command_parse(interp, objc, objv, &arguments) != TCL_OK:
        return TCL_ERROR
    if command_port(interp, arguments.port_text, &port_number) != TCL_OK:
        if arguments.is_server and tcl_major >= 9:
            failure_refuse(interp, b"couldn't open socket: invalid port number")
        return TCL_ERROR
    error = completion_start()
    if error:
        return failure_report(interp, b"couldn't start iocpsock", error)
    if arguments.is_server:
        listener = command_listen(interp, &arguments, port_number)
        if listener == NULL:
            return TCL_ERROR
        server = server_new(interp, arguments.script)
    else:
        connection = command_connect(interp, &arguments, port_number)
        if connection == NULL:
            return TCL_ERROR
    channel = driver_new(connection, listener)
    if server != NULL:
        server_attach(server, channel)
    Tcl_RegisterChannel(interp, channel.channel)
    Tcl_SetObjResult(interp, Tcl_NewStringObj(Tcl_GetChannelName(channel.channel), -1))
    return TCL_OK
