# Option: the options that fconfigure reads and sets, as with the stock sockets of the interpreter's Tcl.
#
# Names may be abbreviated. A list of all options contains only Tcl's own, because programs compare that list.
# The engine's settings (engine/settings.pyx) are options too, by their full names only.
# Threads: the channel's.

cdef enum:
    OPTION_ADDRESS = 0              # option_append_name: which address of a socket
    OPTION_PEER
    OPTION_LISTED = 512             # bytes for the names of all options
    OPTION_NEAR = 4                 # characters, dash included, that make an unknown name look like a setting


cdef bint option_matches(const char *name, const char *option) noexcept nogil:
    """Whether `name` is `option` or a beginning of it with at least one letter."""
    cdef size_t length = strlen(name)
    return length > 1 and strncmp(name, option, length) == 0


cdef int option_set(void *data, Tcl_Interp *interp, const char *name, const char *value) noexcept nogil:
    cdef Channel *channel = <Channel *>data
    if option_matches(name, b"-keepalive"):
        return option_set_flag(channel, interp, value, CONNECTION_KEEPALIVE)
    if option_matches(name, b"-nodelay"):
        return option_set_flag(channel, interp, value, CONNECTION_NODELAY)
    if option_setting(name) >= 0:
        return option_set_setting(channel, interp, option_setting(name), value)
    return option_refuse(interp, name, writable_options[tcl_major >= 9])


cdef int option_refuse(Tcl_Interp *interp, const char *name, const char *options) noexcept nogil:
    """Report an unknown option: TCL_ERROR. The message lists the `options` of the stock command. It also
    lists the settings if the name begins like one of them."""
    cdef char listed[OPTION_LISTED]
    cdef int setting
    cdef bint near = False
    snprintf(listed, OPTION_LISTED, b"%s", options)
    for setting in range(SETTING_PROCESS):
        near = near or strncmp(name, setting_table[setting].option, OPTION_NEAR) == 0
    for setting in range(SETTING_PROCESS if near else 0):
        snprintf(&listed[strlen(listed)], OPTION_LISTED - strlen(listed), b" %s",
                 setting_table[setting].option + 1)
    return Tcl_BadChannelOption(interp, name, listed)


cdef int option_setting(const char *name) noexcept nogil:
    """Return the setting of a channel that has this name, or -1."""
    cdef int setting
    for setting in range(SETTING_PROCESS):
        if strcmp(name, setting_table[setting].option) == 0:
            return setting
    return -1


cdef inline Settings *option_settings(Channel *channel) noexcept nogil:
    return &channel.connection.settings if channel.connection != NULL else &channel.listener.settings


cdef int option_servers_only(Tcl_Interp *interp, int setting) noexcept nogil:
    if interp != NULL:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"option %s is only valid for servers",
                                               setting_table[setting].option))
    return TCL_ERROR


cdef int option_read_setting(Tcl_Interp *interp, int setting, const char *text, int *value) noexcept nogil:
    """Parse a setting's value. The error message names the legal values. Numbers have Tcl's usual syntax."""
    if settings_word(setting, 0) != NULL:
        if settings_parse(setting, text, strlen(text), value):
            return TCL_OK
    elif Tcl_GetInt(NULL, text, value) == TCL_OK and settings_legal(setting, value[0]):
        return TCL_OK
    if interp != NULL:
        Tcl_SetObjResult(interp, Tcl_ObjPrintf(b"bad value \"%s\" for option %s: must be %s", text,
                                               setting_table[setting].option, setting_table[setting].legal))
    return TCL_ERROR


cdef int option_set_setting(Channel *channel, Tcl_Interp *interp, int setting,
                            const char *text) noexcept nogil:
    """Change a setting; an illegal value changes nothing."""
    cdef Source *source = channel_source(channel)
    cdef int value = 0
    if setting >= SETTING_LISTENER and channel.listener == NULL:
        return option_servers_only(interp, setting)
    if option_read_setting(interp, setting, text, &value) != TCL_OK:
        return TCL_ERROR
    source_lock(source)
    option_settings(channel).value[setting] = value
    source_unlock(source)
    if setting >= SETTING_LISTENER:
        listener_renew_slots(channel.listener)
    return TCL_OK


cdef int option_get_setting(Channel *channel, Tcl_Interp *interp, int setting,
                            Tcl_DString *result) noexcept nogil:
    cdef char digits[16]
    cdef int value = option_settings(channel).value[setting]
    cdef const char *word = settings_word(setting, value)
    if setting >= SETTING_LISTENER and channel.listener == NULL:
        return option_servers_only(interp, setting)
    if word != NULL:
        Tcl_DStringAppend(result, word, -1)
    else:
        snprintf(digits, sizeof(digits), b"%d", value)
        Tcl_DStringAppend(result, digits, -1)
    return TCL_OK


cdef int option_set_flag(Channel *channel, Tcl_Interp *interp, const char *value, int flag) noexcept nogil:
    """Set -keepalive or -nodelay. On a connection that is still connecting it applies to the socket that the
    connection will get. On a server it applies to the connections that it will accept."""
    cdef int on, error = 0
    if Tcl_GetBoolean(interp, value, &on) != TCL_OK:
        return TCL_ERROR
    if channel.listener != NULL:
        source_lock(&channel.listener.source)
        channel.listener.wanted_flags[flag] = on
        source_unlock(&channel.listener.source)
    else:
        source_lock(&channel.connection.source)
        error = connection_set_flag(channel.connection, flag, on)
        source_unlock(&channel.connection.source)
    return failure_report(interp, b"couldn't set socket option", error) if error else TCL_OK


cdef const char *option_get_flag(Channel *channel, int flag) noexcept nogil:
    """Return the value that the sockets of the channel have, or will have."""
    cdef int wanted = (channel.listener.wanted_flags[flag] if channel.listener != NULL
                       else channel.connection.wanted_flags[flag])
    if wanted < 0:                                          # the program has not asked for anything
        return b"1" if flag == CONNECTION_NODELAY else b"0"
    return b"1" if wanted else b"0"


cdef int option_get(void *data, Tcl_Interp *interp, const char *name, Tcl_DString *result) noexcept nogil:
    """Append one option's value, or all names and values when `name` is NULL or empty."""
    cdef Channel *channel = <Channel *>data
    if name == NULL or name[0] == 0:
        return option_get_all(channel, interp, result)
    if option_matches(name, b"-error"):
        option_append_error(channel, result)
    elif option_matches(name, b"-connecting"):
        Tcl_DStringAppend(result, b"1" if option_connecting(channel) else b"0", 1)
    elif option_matches(name, b"-peername"):
        return option_append_names(channel, interp, result, OPTION_PEER)
    elif option_matches(name, b"-sockname"):
        return option_append_names(channel, interp, result, OPTION_ADDRESS)
    elif option_matches(name, b"-keepalive"):
        Tcl_DStringAppend(result, option_get_flag(channel, CONNECTION_KEEPALIVE), 1)
    elif option_matches(name, b"-nodelay"):
        Tcl_DStringAppend(result, option_get_flag(channel, CONNECTION_NODELAY), 1)
    elif option_setting(name) >= 0:
        return option_get_setting(channel, interp, option_setting(name), result)
    else:
        return option_refuse(interp, name, readable_options[tcl_major >= 9])
    return TCL_OK


cdef int option_get_all(Channel *channel, Tcl_Interp *interp, Tcl_DString *result) noexcept nogil:
    """Append the stock list of the Tcl version. A listener has no -peername, and neither has a connection
    that failed or was reset."""
    cdef sockaddr_storage address
    cdef int length
    if channel.connection != NULL and (option_connecting(channel) or not option_address(
            channel.connection.socket, OPTION_PEER, &address, &length)):
        Tcl_DStringAppendElement(result, b"-peername")
        Tcl_DStringStartSublist(result)
        option_append_names(channel, NULL, result, OPTION_PEER)
        Tcl_DStringEndSublist(result)
    Tcl_DStringAppendElement(result, b"-sockname")
    Tcl_DStringStartSublist(result)
    option_append_names(channel, interp, result, OPTION_ADDRESS)
    Tcl_DStringEndSublist(result)
    if tcl_major >= 9:
        Tcl_DStringAppendElement(result, b"-keepalive")
        Tcl_DStringAppendElement(result, option_get_flag(channel, CONNECTION_KEEPALIVE))
        Tcl_DStringAppendElement(result, b"-nodelay")
        Tcl_DStringAppendElement(result, option_get_flag(channel, CONNECTION_NODELAY))
    return TCL_OK


cdef bint option_connecting(Channel *channel) noexcept nogil:
    cdef bint connecting = False
    if channel.connection != NULL:
        source_lock(&channel.connection.source)
        connecting = channel.connection.state == CONNECTION_CONNECTING
        source_unlock(&channel.connection.source)
    return connecting


cdef void option_append_error(Channel *channel, Tcl_DString *result) noexcept nogil:
    """Append why an -async connection failed, once. Reads and writes report a failure of the stream."""
    cdef int error
    if channel.connection == NULL:
        return
    source_lock(&channel.connection.source)
    error = channel.connection.pending_error
    channel.connection.pending_error = 0
    source_unlock(&channel.connection.source)
    if error:
        failure_append_message(result, error)


cdef int option_append_names(Channel *channel, Tcl_Interp *interp, Tcl_DString *result,
                             int which) noexcept nogil:
    """Append {address name port} of the socket's peer or of its own end. For a listener, append one triple
    for each of its addresses. Append nothing while connecting."""
    cdef Endpoint *endpoint
    cdef int error = 0
    if option_connecting(channel):
        return TCL_OK
    if channel.connection != NULL:
        error = option_append_name(channel.connection.socket, interp, result, which)
    elif which == OPTION_PEER:
        error = WSAENOTCONN
    else:
        endpoint = <Endpoint *>queue_first(&channel.listener.endpoints)
        while endpoint != NULL and not error:
            error = option_append_name(endpoint.socket, interp, result, which)
            endpoint = <Endpoint *>queue_next(&endpoint.link)
    if not error:
        return TCL_OK
    return failure_report(interp, b"can't get peername" if which == OPTION_PEER else b"can't get sockname",
                          error)


cdef int option_address(SOCKET sock, int which, sockaddr_storage *address, int *length) noexcept nogil:
    """Get one address of a socket: 0 or a Winsock code."""
    length[0] = sizeof(sockaddr_storage)
    if sock == INVALID_SOCKET:
        return WSAENOTCONN
    if which == OPTION_PEER:
        return error_last() if getpeername(sock, <sockaddr *>address, length) else 0
    return error_last() if getsockname(sock, <sockaddr *>address, length) else 0


cdef int option_append_name(SOCKET sock, Tcl_Interp *interp, Tcl_DString *result, int which) noexcept nogil:
    """Append one triple: 0 or a Winsock code."""
    cdef sockaddr_storage address
    cdef int length, error, flags = NI_NUMERICSERV
    cdef char host[ADDRESS_HOST_MAX]
    cdef char service[32]
    error = option_address(sock, which, &address, &length)
    if error:
        return error
    if address_is_unspecified(<const sockaddr *>&address) or (
            interp != NULL and Tcl_GetVar2(interp, b"::tcl::unsupported::noReverseDNS", NULL, 0) != NULL):
        flags |= NI_NUMERICHOST
    option_name_info(<const sockaddr *>&address, length, host, service, NI_NUMERICHOST | NI_NUMERICSERV)
    Tcl_DStringAppendElement(result, host)
    option_name_info(<const sockaddr *>&address, length, host, service, flags)
    Tcl_DStringAppendElement(result, host)
    Tcl_DStringAppendElement(result, service)
    return 0


cdef void option_name_info(const sockaddr *address, int length, char *host, char *service,
                           int flags) noexcept nogil:
    """Get the names of an address; its digits if it has none; empty strings if it is not an address."""
    host[0] = service[0] = 0
    if getnameinfo(address, length, host, ADDRESS_HOST_MAX, service, 32, flags):
        getnameinfo(address, length, host, ADDRESS_HOST_MAX, service, 32,
                    NI_NUMERICHOST | NI_NUMERICSERV)
