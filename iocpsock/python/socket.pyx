# Socket: `iocpsock.socket`, a `socket.socket` whose blocking calls run on the engine.
#
# The engine runs the blocking calls of a TCP socket over IPv4 or IPv6, with or without a timeout, and they
# wait without the GIL. Everything else is inherited, and so is every other kind of socket. The engine reads
# nothing ahead, and the sockets belong to no completion port, so select, ssl and event loops see an ordinary
# socket.
# Owner: Python's object owns the handle. Threads: any Python thread.

cdef object _limiting = (SO_RCVTIMEO, SO_SNDTIMEO)
# Warns that a socket was not closed, and closes it.
cdef object _finalize = _core.socket.__del__


class socket(_stdlib.socket):
    """socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None): as `socket.socket`, on the iocpsock
    engine."""

    __module__ = "iocpsock"
    # The guard of the handle; whether it is known to listen; the _Acceptor or None; whether others may use
    # the handle; the tuning attributes; whether connections may inherit SO_RCVTIMEO or SO_SNDTIMEO.
    __slots__ = ("_guard", "_listens", "_acceptor", "_shown", "_acceptcount", "_sendlimit", "_limits")

    def __new__(cls, *arguments, **options):
        self = super().__new__(cls)
        self._guard = _Guard()
        # Closing and finalising read these, even if __init__ never ran.
        self._acceptor = None
        self._shown = True
        return self

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        cdef _Guard guard
        super().__init__(family, type, proto, fileno)
        self._guard = guard = _Guard(_fileno(self))
        guard.asks = fileno is not None
        self._listens = False
        self._acceptor = None
        self._shown = fileno is not None
        self._acceptcount = settings_of_process(SETTING_acceptcount)
        self._sendlimit = settings_of_process(SETTING_sendlimit)
        self._limits = fileno is not None

    def connect(self, address, /):
        """Connect to `address`, (host, port) or for IPv6 (host, port, flowinfo, scope_id)."""
        timeout = _gettimeout(self)
        host = call_plain_host(address, _family(self)) if call_waits(self, timeout) else None
        if host is None:
            return super().connect(address)                 # reports what is wrong with the address
        error = call_connect(self, host, address, timeout)
        if error == WSAENOTSOCK:
            oserror_raise_closed()
        elif error:
            oserror_raise(error)

    def connect_ex(self, address, /):
        """As `connect`, but return what the system says, 0 or an error number, instead of raising it."""
        timeout = _gettimeout(self)
        host = None
        if call_waits(self, timeout) and _fileno(self) >= 0:
            host = call_plain_host(address, _family(self))
        if host is None:
            return super().connect_ex(address)
        error = call_connect(self, host, address, timeout)
        return WSAEWOULDBLOCK if error == TIMEOUT_EXPIRED else error

    def accept(self):
        """Wait for a connection: (socket, address of the peer)."""
        cdef _Guard ours = self._guard, theirs
        timeout = _gettimeout(self)
        connection, address = accept_one(self, timeout)
        theirs = connection._guard
        theirs.asks = ours.asks                             # nobody else has used the new handle
        default = _stdlib.getdefaulttimeout()
        # The new socket may be older than this default, and may have inherited the listener's mode since.
        if timeout or default is not None or _gettimeout(connection) is not None:
            connection.settimeout(default)
        connection._sendlimit = self._sendlimit
        if self._limits:                                    # AcceptEx does not inherit them everywhere
            for option in _limiting:
                connection.setsockopt(_core.SOL_SOCKET, option, self.getsockopt(_core.SOL_SOCKET, option))
        return connection, address

    def recv(self, bufsize, flags=0, /):
        """Receive up to `bufsize` bytes; b"" at the end of the stream."""
        cdef DWORD received, size
        timeout = _gettimeout(self)
        whole = call_receives_whole(flags, timeout)
        if not (whole or call_no_flags(flags)) or not call_waits(self, timeout) \
                or not isinstance(bufsize, int) or not 0 < bufsize <= 0x7FFFFFFF:
            if not call_no_flags(flags):
                call_wait_readable(self, bufsize, flags)
            if timeout == 0.0:
                return call_inherited(self, super().recv, (bufsize, flags))
            return super().recv(bufsize, flags)
        size = bufsize
        data = PyBytes_FromStringAndSize(NULL, size)
        received = call_receive(self, PyBytes_AsString(data), size, timeout, whole)
        return data if received == size else data[:received]

    def recv_into(self, buffer, nbytes=0, flags=0):
        """Receive into a writable contiguous buffer, at most `nbytes` (0: its size): the number of bytes."""
        cdef Py_buffer view
        cdef DWORD size
        timeout = _gettimeout(self)
        whole = call_receives_whole(flags, timeout)
        if not (whole or call_no_flags(flags)) or not call_waits(self, timeout) \
                or not isinstance(nbytes, int) or not 0 <= nbytes <= 0x7FFFFFFFFFFFFFFF:
            if not call_no_flags(flags):
                call_wait_readable(self, call_room(buffer, nbytes), flags)
            if timeout == 0.0:
                return call_inherited(self, super().recv_into, (buffer, nbytes, flags))
            return super().recv_into(buffer, nbytes, flags)
        try:
            PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        except (TypeError, BufferError):
            return super().recv_into(buffer, nbytes, flags)             # reports what is wrong with it
        try:
            if nbytes > view.len:
                raise ValueError("buffer too small for requested bytes")
            size = min(nbytes or view.len, 0x7FFFFFFF)
            return call_receive(self, <char *>view.buf, size, timeout, whole) if size else 0
        finally:
            PyBuffer_Release(&view)

    def recvfrom(self, bufsize, flags=0, /):
        """As recv, with an address that means nothing for a stream: (bytes, address)."""
        call_wait_readable(self, bufsize, flags)
        return super().recvfrom(bufsize, flags)

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        """As recv_into, with an address that means nothing for a stream: (number of bytes, address)."""
        call_wait_readable(self, call_room(buffer, nbytes), flags)
        return super().recvfrom_into(buffer, nbytes, flags)

    def send(self, data, flags=0, /):
        """Send `data`, or part of it: the number of bytes."""
        timeout = _gettimeout(self)
        if timeout == 0.0:
            return call_inherited(self, super().send, (data, flags))
        if not call_waits(self, timeout) or not call_is_flags(flags):
            return super().send(data, flags)
        return call_send(self, data, flags, timeout, False)

    def sendall(self, data, flags=0, /):
        """Send all of `data`. After an error there is no telling how much of it was sent."""
        timeout = _gettimeout(self)
        if timeout == 0.0:
            return call_inherited(self, super().sendall, (data, flags))
        if not call_waits(self, timeout) or not call_is_flags(flags):
            return super().sendall(data, flags)
        call_send(self, data, flags, timeout, True)

    def sendfile(self, file, offset=0, count=None):
        """Send a file opened in binary mode, from `offset` on, to its end or `count` bytes: the number of
        bytes.

        The file's position is then behind what was sent, also after an error."""
        if not call_waits(self, _gettimeout(self)):
            return super().sendfile(file, offset, count)
        return sendfile_send(self, file, offset, count)

    def __repr__(self):
        """Return the stock text without a call of `fileno`: that exposes the handle, and so changes the
        socket."""
        closed = " [closed]" if getattr(self, "_closed", False) else ""
        text = (f"<{type(self).__module__}.{type(self).__qualname__}{closed} fd={_fileno(self)}, "
                f"family={self.family!s}, "
                f"type={self.type!s}, proto={self.proto}")
        if not closed:
            for name, ask in (("laddr", self.getsockname), ("raddr", self.getpeername)):
                try:
                    address = ask()
                except (OSError, AttributeError):
                    continue
                text += f", {name}={address!s}" if address else ""
        return text + ">"

    def fileno(self):
        """The socket's handle, an int, or -1 once it is closed. Asked for it, a listening socket stops
        accepting ahead."""
        accept_expose(self, True)
        return _fileno(self)

    def detach(self):
        """Give the handle away, an int: the object is closed, the socket is not."""
        # A field of socket.socket, whose close waits until its files are closed too.
        self._closed = True
        return call_detach(self)

    def dup(self):
        """Another socket object on a handle of its own, for the same connection."""
        accept_expose(self, False)
        return super().dup()

    def share(self, process_id, /):
        """The socket as bytes for `fromshare` in the process with that id."""
        accept_expose(self, False)
        return super().share(process_id)

    def setsockopt(self, level, option, *value):
        """Set an option, to an int, to bytes, or to None and a length."""
        cdef _Guard guard = self._guard
        super().setsockopt(level, option, *value)
        if level == _core.SOL_SOCKET and option in _limiting:
            self._limits = guard.asks = True

    def settimeout(self, value, /):
        """Let calls wait for `value` seconds, for ever (None), or not at all (0)."""
        # It uses the handle without the GIL.
        call_inherited(self, super().settimeout, (value,))
        call_set_mode(self)
        if _gettimeout(self) == 0.0:
            accept_expose(self, True)

    def setblocking(self, flag, /):
        """`settimeout(None)` if `flag`, otherwise `settimeout(0)`."""
        call_inherited(self, super().setblocking, (flag,))
        call_set_mode(self)
        if _gettimeout(self) == 0.0:
            accept_expose(self, True)

    def _end_calls(self):
        call_end(self)

    def _real_close(self):
        call_close(self)

    def _let_go(self):
        """Release what uses the handle for longer than a call. Connections that were accepted ahead are
        reset."""
        accept_expose(self, False)
        self._acceptor = None

    def __del__(self):
        if _fileno(self) >= 0:
            self._let_go()                                  # while the handle is open
        _finalize(self)

    @property
    def acceptcount(self):
        """Connections that a listening socket accepts ahead: -1 (none), 0 (fitted to the traffic), or up to
        256."""
        return self._acceptcount

    @acceptcount.setter
    def acceptcount(self, value):
        cdef _Acceptor holder = self._acceptor
        self._acceptcount = -1 if value == -1 else socket_checked("acceptcount", SETTING_acceptcount, value,
                                                                  "-1 (none), ")
        if value == -1:
            accept_expose(self, False)
        elif holder is not None:
            holder.acceptor.wanted = value

    @property
    def sendlimit(self):
        """Bytes of a sendall that are with the system at one time, 4096 to 16777216, initially 262144."""
        return self._sendlimit

    @sendlimit.setter
    def sendlimit(self, value):
        self._sendlimit = socket_checked("sendlimit", SETTING_sendlimit, value, "")


cdef object socket_checked(str name, int setting, object value, str also):
    """Return the value if it is legal for the setting. Otherwise TypeError or ValueError."""
    legal = also + setting_table[setting].legal.decode("ascii")
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be {legal}, not {value!r}")
    if not settings_legal(setting, min(max(value, -0x7FFFFFFF), 0x7FFFFFFF)):
        raise ValueError(f"{name} must be {legal}, not {value!r}")
    return value
