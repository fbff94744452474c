# Socket: `iocpsock.socket`, a `socket.socket` whose blocking calls run on the engine.
#
# A TCP socket over IPv4 or IPv6 that blocks, with or without a time-out, waits here without the GIL: as one overlapped
# operation on the caller's own memory (engine/waiter.pyx). Everything else, and every other kind of socket, is inherited.
# Nothing is read ahead and the sockets belong to no completion port, so select, ssl and event loops see an ordinary socket.
# A listening socket accepts ahead (engine/acceptor.pyx) from its first blocking accept on, as long as nothing but its own
# object can look at its handle: see _expose.
# Owner: Python's object owns the handle. Threads: any Python thread; no Python code runs on a completion thread.
import sys as _sys
import _socket as _core

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

cdef object _fileno = _core.socket.fileno       # without the method below, which has an effect
cdef object _gettimeout = _core.socket.gettimeout
cdef object _family = _core.socket.family.__get__           # plain ints, without the enums that socket.socket makes of them
cdef object _type = _core.socket.type.__get__
cdef object _families = (_core.AF_INET, _core.AF_INET6)
cdef object _stream = _core.SOCK_STREAM

cdef class _Acceptor:
    """Owns an engine's acceptor."""
    cdef Acceptor *acceptor

    def __dealloc__(self):
        if self.acceptor != NULL:
            acceptor_free(self.acceptor)


cdef object peer_name(sockaddr_storage *peer, int length):
    """An address as Python writes it."""
    cdef char host[ADDRESS_HOST_MAX]
    cdef char service[32]
    cdef sockaddr_in6 *ipv6 = <sockaddr_in6 *>peer
    option_name_info(peer, length, host, service, NI_NUMERICHOST | NI_NUMERICSERV)
    name = host.decode("ascii"), address_port(<sockaddr *>peer)
    return name if peer.ss_family == AF_INET else (*name, ntohl(ipv6.sin6_flowinfo), ipv6.sin6_scope_id)


cdef SOCKET handle_of(object sock) except? 0:
    """The handle of a socket that is not closed."""
    handle = _fileno(sock)
    if handle < 0:
        raise_error(WSAENOTSOCK)
    return handle


cdef bint waits(object sock, object timeout):
    """Whether a call that may block is the engine's."""
    return timeout != 0.0 and _type(sock) == _stream and _family(sock) in _families


cdef object raise_failure(object sock, int error):
    """Raise what ended a call of this socket."""
    if error == WSAEINTR:
        interrupt_raise()
    if _fileno(sock) < 0 and (error == WSA_OPERATION_ABORTED or error == WSAECONNABORTED or error == WSAENOTSOCK):
        raise_closed()
    raise_error(error)


cdef DWORD wait_receive(object sock, char *target, DWORD size, object timeout) except? 0xFFFFFFFF:
    """Receive so many bytes at most, or with a size of 0 wait until there are any."""
    cdef Patience patience
    cdef DWORD received = 0
    cdef SOCKET handle = handle_of(sock)
    cdef int error
    patience_of(&patience, timeout)
    sock._waiters += 1                                      # the GIL guards the count
    try:
        with nogil:
            error = waiter_receive(handle, target, size, &patience, &received)
        if error:
            raise_failure(sock, error)
    finally:
        sock._waiters -= 1
    return received


cdef object wait_readable(object sock, object size, object flags):
    """Before an inherited call that receives: wait here for something to receive, where Ctrl-C and close are heard. Not if
    the call is wrong, asks for nothing, or for urgent data, which are no reason for a receive to end."""
    timeout = _gettimeout(sock)
    if not isinstance(size, int) or size <= 0 or not isinstance(flags, int) or flags & _core.MSG_OOB:
        return
    if waits(sock, timeout) and _fileno(sock) >= 0:
        try:
            wait_receive(sock, NULL, 0, timeout)
        except (TimeoutError, KeyboardInterrupt):
            raise
        except OSError:
            if _fileno(sock) < 0:
                raise
            # Otherwise the inherited call knows best what is wrong.


cdef object room_in(object buffer, object nbytes):
    """How much an inherited call would receive into the buffer; 0 if it would refuse that."""
    try:
        view = memoryview(buffer)
    except TypeError:
        return 0
    if view.readonly or not view.c_contiguous or not isinstance(nbytes, int) or not 0 <= nbytes <= view.nbytes:
        return 0
    return view.nbytes


class socket(_stdlib.socket):
    """socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None): as `socket.socket`, on the iocpsock engine."""

    __module__ = "iocpsock"
    # Calls on the engine now, of all threads; known to listen; the _Acceptor, if there is one; whether others may
    # look at the handle; the tuning attributes.
    __slots__ = ("_waiters", "_listens", "_acceptor", "_shown", "_acceptcount", "_sendcap")

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, proto, fileno)
        self._waiters = 0
        self._listens = False
        self._acceptor = None
        self._shown = fileno is not None
        self._acceptcount = settings_of_process(SETTING_acceptcount)
        self._sendcap = settings_of_process(SETTING_sendcap)

    def connect(self, address):
        """Connect to `address`, (host, port) or for IPv6 (host, port, flowinfo, scope_id)."""
        timeout = _gettimeout(self)
        if not waits(self, timeout) or not _is_plain_address(address, _family(self)):
            return super().connect(address)                 # which knows what is wrong with it
        error = connect_to(self, address, timeout)
        if error:
            raise_failure(self, error)

    def connect_ex(self, address):
        """As `connect`, but return what the system says, 0 or an error number, instead of raising it."""
        timeout = _gettimeout(self)
        if not waits(self, timeout) or not _is_plain_address(address, _family(self)) or _fileno(self) < 0:
            return super().connect_ex(address)
        error = connect_to(self, address, timeout)
        return WSAEWOULDBLOCK if error == PATIENCE_EXPIRED else error

    def accept(self):
        """Wait for a connection: (socket, address of the peer)."""
        timeout = _gettimeout(self)
        handle, address = accept_one(self, timeout)
        connection = socket(_family(self), _type(self), self.proto, handle)
        if _stdlib.getdefaulttimeout() is None and timeout:
            connection.setblocking(True)
        connection._sendcap = self._sendcap
        return connection, address

    def recv(self, bufsize, flags=0):
        """Receive up to `bufsize` bytes; b"" at the end of the stream."""
        cdef DWORD received, size
        timeout = _gettimeout(self)
        if flags or not isinstance(bufsize, int) or not 0 < bufsize <= 0x7FFFFFFF or not waits(self, timeout):
            if flags:
                wait_readable(self, bufsize, flags)
            return super().recv(bufsize, flags)
        size = bufsize
        data = PyBytes_FromStringAndSize(NULL, size)
        received = wait_receive(self, PyBytes_AsString(data), size, timeout)
        return data if received == size else data[:received]

    def recv_into(self, buffer, nbytes=0, flags=0):
        """Receive into a writable contiguous buffer, at most `nbytes` (0: its size): the number of bytes."""
        cdef Py_buffer view
        cdef DWORD size
        timeout = _gettimeout(self)
        if flags or not isinstance(nbytes, int) or nbytes < 0 or not waits(self, timeout):
            if flags:
                wait_readable(self, room_in(buffer, nbytes), flags)
            return super().recv_into(buffer, nbytes, flags)
        try:
            PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        except (TypeError, BufferError):
            return super().recv_into(buffer, nbytes, flags)             # which knows what is wrong with it
        try:
            if nbytes > view.len:
                raise ValueError("buffer too small for requested bytes")
            size = min(nbytes or view.len, 0x7FFFFFFF)
            return wait_receive(self, <char *>view.buf, size, timeout) if size else 0
        finally:
            PyBuffer_Release(&view)

    def recvfrom(self, bufsize, flags=0):
        """As recv, with an address that means nothing for a stream: (bytes, address)."""
        wait_readable(self, bufsize, flags)
        return super().recvfrom(bufsize, flags)

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        """As recv_into, with an address that means nothing for a stream: (number of bytes, address)."""
        wait_readable(self, room_in(buffer, nbytes), flags)
        return super().recvfrom_into(buffer, nbytes, flags)

    def send(self, data, flags=0):
        """Send `data`, or part of it: the number of bytes."""
        timeout = _gettimeout(self)
        if timeout is not None or not waits(self, timeout):
            return super().send(data, flags)                # with a time-out: only what the kernel takes at once
        return _send(self, data, flags, None, False)

    def sendall(self, data, flags=0):
        """Send all of `data`. After an error there is no telling how much of it was sent."""
        timeout = _gettimeout(self)
        if not waits(self, timeout):
            return super().sendall(data, flags)
        _send(self, data, flags, timeout, True)

    def sendfile(self, file, offset=0, count=None):
        """Send a file opened in binary mode, from `offset` on, to its end or `count` bytes: the number of bytes.

        The file's position is then behind what was sent, also after an error."""
        if not waits(self, _gettimeout(self)):
            return super().sendfile(file, offset, count)
        return send_file(self, file, offset, count)

    def fileno(self):
        """The socket's handle, an int, or -1 once it is closed. Asked for it, a listening socket stops accepting ahead."""
        _expose(self, True)
        return _fileno(self)

    def detach(self):
        """Give the handle away, an int: the object is closed, the socket is not."""
        _expose(self, False)
        return super().detach()

    def dup(self):
        """Another socket object on a handle of its own, for the same connection."""
        _expose(self, False)
        return super().dup()

    def share(self, process_id):
        """The socket as bytes for `fromshare` in the process with that id."""
        _expose(self, False)
        return super().share(process_id)

    def settimeout(self, value):
        """Let calls wait for `value` seconds, for ever (None), or not at all (0)."""
        super().settimeout(value)
        if _gettimeout(self) == 0.0:
            _expose(self, True)

    def setblocking(self, flag):
        """`settimeout(None)` if `flag`, otherwise `settimeout(0)`."""
        super().setblocking(flag)
        if _gettimeout(self) == 0.0:
            _expose(self, True)

    def _real_close(self):
        cdef SOCKET sock
        if (self._waiters or self._acceptor is not None) and _fileno(self) >= 0:
            sock = _fileno(self)
            CancelIoEx(<HANDLE>sock, NULL)                  # wake whoever waits on another thread
        _expose(self, False)
        super()._real_close()
        self._acceptor = None                               # what was taken and not handed out is reset

    @property
    def acceptcount(self):
        """Connections that a listening socket accepts ahead: -1 (none), 0 (fitted to the traffic), or up to 128."""
        return self._acceptcount

    @acceptcount.setter
    def acceptcount(self, value):
        cdef _Acceptor holder = self._acceptor
        self._acceptcount = -1 if value == -1 else checked("acceptcount", SETTING_acceptcount, value, "-1 (none), ")
        if value == -1:
            _expose(self, False)
        elif holder is not None:
            holder.acceptor.wanted = value

    @property
    def sendcap(self):
        """Bytes of a sendall that are with the system at one time, 4096 to 16777216, initially 262144."""
        return self._sendcap

    @sendcap.setter
    def sendcap(self, value):
        self._sendcap = checked("sendcap", SETTING_sendcap, value, "")


cdef object checked(str name, int setting, object value, str also):
    """The value, if the setting can have it; otherwise TypeError or ValueError."""
    legal = also + setting_table[setting].legal.decode("ascii")
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be {legal}, not {value!r}")
    if not settings_legal(setting, min(max(value, -0x7FFFFFFF), 0x7FFFFFFF)):
        raise ValueError(f"{name} must be {legal}, not {value!r}")
    return value


def _is_plain_address(address, family):
    """Whether `address` is what connect understands without the base class: a host name and a port number."""
    return (isinstance(address, tuple) and (len(address) == 2 or family == AF_INET6 and len(address) in (3, 4))
            and isinstance(address[0], str) and address[0] not in ("", "<broadcast>") and "\0" not in address[0]
            and isinstance(address[1], int) and 0 <= address[1] <= 0xFFFF
            and all(isinstance(item, int) and 0 <= item <= 0xFFFFFFFF for item in address[2:]))


cdef object _expose(object self, bint to_select):
    """From now on others may look at the socket's handle, and must see its connections: nothing is accepted ahead any more.
    What was, is what the next calls of accept return, and whoever has the handle `to_select` on it is told to make them."""
    cdef _Acceptor holder = self._acceptor
    self._shown = True
    if holder is not None:
        with nogil:
            acceptor_stop(holder.acceptor, to_select)


cdef _Acceptor _acceptor_of(object self, SOCKET sock):
    """What accepts for this socket, or None if each call is to post an operation of its own."""
    cdef _Acceptor holder = self._acceptor
    if holder is not None or self._shown or self._acceptcount < 0:
        return holder
    holder = _Acceptor()
    holder.acceptor = acceptor_new(sock, _family(self), self._acceptcount)
    if holder.acceptor == NULL:
        raise_error(WSAENOBUFS)
    if self._acceptor is None and not self._shown:          # another thread may have been here meanwhile
        self._acceptor = holder
    return self._acceptor


cdef int connect_to(object self, object address, object timeout) except -1:
    """0 or a Winsock code. A lookup that fails, and what a signal handler raises, are raised."""
    cdef Address *remote = NULL
    cdef Patience patience
    cdef SOCKET sock
    cdef const char *host
    cdef int error, family = _family(self), port_number = address[1]
    _sys.audit("socket.connect", self, address)
    error = engine_start()
    if error:
        return error
    name = address[0].encode("idna")
    host, sock = name, handle_of(self)
    with nogil:
        error = address_lookup(host, port_number, family, False, False, &remote)
    if error:
        raise_lookup_error(error)
    if family == AF_INET6 and len(address) > 2:
        (<sockaddr_in6 *>&remote.storage).sin6_flowinfo = htonl(address[2])
        if len(address) > 3:
            (<sockaddr_in6 *>&remote.storage).sin6_scope_id = address[3]
    patience_of(&patience, timeout)
    self._waiters += 1
    try:
        with nogil:
            error = waiter_connect(sock, remote, &patience)
            address_list_free(remote)
        if error == WSAEINTR:
            interrupt_raise()
    finally:
        self._waiters -= 1
    return error


cdef object accept_one(object self, object timeout):
    """(handle, address of the peer) of the next connection."""
    cdef Patience patience
    cdef sockaddr_storage peer
    cdef SOCKET sock, accepted = INVALID_SOCKET
    cdef _Acceptor holder = self._acceptor
    cdef int family = _family(self), error = 0
    if holder is not None:
        with nogil:
            error = acceptor_take(holder.acceptor, &accepted, &peer)
        if not error:
            return accepted, peer_name(&peer, sizeof(peer))
    if not waits(self, timeout):
        return self._accept()
    error = engine_start()
    if error:
        raise_error(error)
    sock = handle_of(self)
    if not self._listens:                                   # where it does not, AcceptEx might wait for ever
        if not self.getsockopt(_core.SOL_SOCKET, _core.SO_ACCEPTCONN):
            raise_error(WSAEINVAL)
        self._listens = True
    holder = _acceptor_of(self, sock)
    patience_of(&patience, timeout)
    self._waiters += 1
    try:
        error = WSA_OPERATION_ABORTED
        if holder is not None:
            with nogil:
                error = acceptor_accept(holder.acceptor, &patience, &accepted, &peer)
            if error == WSA_OPERATION_ABORTED and self._closed:
                raise_closed()
        if error == WSA_OPERATION_ABORTED:                  # there are no slots, or they ended meanwhile
            with nogil:
                error = waiter_accept(sock, family, &patience, &accepted, &peer)
        if error:
            raise_failure(self, error)
    finally:
        self._waiters -= 1
    return accepted, peer_name(&peer, sizeof(peer))


cdef object _send(object self, object data, int flags, object timeout, bint everything):
    """Send from the caller's memory: all of it, or one piece."""
    cdef Py_buffer view
    cdef Patience patience
    cdef Py_ssize_t done = 0, cap = self._sendcap
    cdef DWORD sent = 0, piece
    cdef SOCKET sock
    cdef int error = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    patience_of(&patience, timeout)
    self._waiters += 1
    try:
        while not error and done < view.len:
            piece = min(view.len - done, cap)
            sock = handle_of(self)
            with nogil:
                error = waiter_send(sock, <const char *>view.buf + done, piece, flags, &patience, &sent)
            done += sent
            if not everything:
                break
        if error:
            raise_failure(self, error)
    finally:
        self._waiters -= 1
        PyBuffer_Release(&view)
    return done
