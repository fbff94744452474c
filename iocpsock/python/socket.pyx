# Socket: `iocpsock.socket`, a `socket.socket` whose blocking calls run on the engine.
#
# A TCP socket over IPv4 or IPv6 that blocks, with or without a time-out, waits here without the GIL: `connect`, `recv`,
# `recv_into`, `send`, `sendall`, `accept` as one overlapped operation on the caller's own memory (engine/waiter.pyx).
# Everything else, and every other kind of socket, is inherited. Nothing is read or accepted ahead, and the sockets belong to
# no completion port, so select, ssl and event loops see an ordinary socket.
# Owner: Python's object owns the handle. Threads: any Python thread; no Python code runs on a completion thread.
import sys as _sys

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

cdef enum:
    SEND_PIECE = 256 * 1024         # bytes of sendall in flight at a time; the kernel locks them (iocp.md 3.36)


cdef DWORD milliseconds_of(object timeout):
    """A time-out in seconds, or None, as the engine counts; rounded up, so that it never ends early."""
    if timeout is None:
        return WAITER_FOREVER
    return <DWORD>min(int(timeout * 1000) + 1, 0x7FFFFFFF)


cdef object peer_name(sockaddr_storage *peer, int length):
    """An address as Python writes it."""
    cdef char host[ADDRESS_HOST_MAX]
    cdef char service[32]
    cdef sockaddr_in6 *ipv6 = <sockaddr_in6 *>peer
    option_name_info(peer, length, host, service, NI_NUMERICHOST | NI_NUMERICSERV)
    name = host.decode("ascii"), address_port(<sockaddr *>peer)
    return name if peer.ss_family == AF_INET else (*name, ntohl(ipv6.sin6_flowinfo), ipv6.sin6_scope_id)


cdef object _enter(object sock):
    """A call of this socket goes to the engine; the GIL guards the count."""
    sock._waiters = getattr(sock, "_waiters", 0) + 1


cdef object _leave(object sock):
    sock._waiters -= 1


cdef SOCKET handle_of(object sock) except? 0:
    """The handle of a socket that is not closed."""
    handle = sock.fileno()
    if handle < 0:
        raise_error(WSAENOTSOCK)
    return handle


class socket(_stdlib.socket):
    """socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None): as `socket.socket`, on the iocpsock engine."""

    __module__ = "iocpsock"
    __slots__ = ("_listens", "_waiters")                    # known to listen; calls on the engine now, of all threads

    def _on_engine(self):
        """Whether a blocking call of this socket is ours: TCP, and not in non-blocking mode."""
        return (self.type == _stdlib.SOCK_STREAM and self.family in (_stdlib.AF_INET, _stdlib.AF_INET6)
                and self.gettimeout() != 0)

    def connect(self, address):
        """Connect to `address`, (host, port) or for IPv6 (host, port, flowinfo, scope_id)."""
        cdef Address *remote = NULL
        cdef SOCKET sock
        cdef DWORD milliseconds
        cdef const char *host
        cdef int error, family, port_number
        if not self._on_engine() or not _is_plain_address(address, self.family):
            return super().connect(address)                 # which knows what is wrong with it
        _sys.audit("socket.connect", self, address)
        error = engine_start()
        if error:
            raise_error(error)
        name = address[0].encode("idna")
        host, port_number, family, sock = name, address[1], self.family, handle_of(self)
        milliseconds = milliseconds_of(self.gettimeout())
        with nogil:
            error = address_lookup(host, port_number, family, False, False, &remote)
        if error:
            raise_lookup_error(error)
        if family == AF_INET6 and len(address) > 2:
            (<sockaddr_in6 *>&remote.storage).sin6_flowinfo = htonl(address[2])
            if len(address) > 3:
                (<sockaddr_in6 *>&remote.storage).sin6_scope_id = address[3]
        _enter(self)
        with nogil:
            error = waiter_connect(sock, remote, milliseconds)
            address_list_free(remote)
        _leave(self)
        if error:
            raise_error(error)

    def accept(self):
        """Wait for a connection: (socket, address of the peer)."""
        cdef SOCKET sock, accepted = INVALID_SOCKET
        cdef sockaddr_storage peer
        cdef ULONGLONG deadline = 0
        cdef int family, error
        timeout = self.gettimeout()
        if not self._on_engine():
            handle, address = self._accept()
        else:
            error = engine_start()
            if error:
                raise_error(error)
            sock, family = handle_of(self), self.family
            if not getattr(self, "_listens", False):        # where it does not, AcceptEx might wait for ever
                if not self.getsockopt(_stdlib.SOL_SOCKET, _stdlib.SO_ACCEPTCONN):
                    raise_error(WSAEINVAL)
                self._listens = True
            if timeout is not None:
                deadline = GetTickCount64() + milliseconds_of(timeout)
            _enter(self)
            with nogil:
                error = waiter_accept(sock, family, deadline, &accepted, &peer)
            _leave(self)
            if error:
                raise_error(error)
            handle, address = accepted, peer_name(&peer, sizeof(peer))
        connection = socket(self.family, self.type, self.proto, fileno=handle)
        if _stdlib.getdefaulttimeout() is None and timeout:
            connection.setblocking(True)
        return connection, address

    def recv(self, bufsize, flags=0):
        """Receive up to `bufsize` bytes; b"" at the end of the stream."""
        cdef DWORD received = 0, size, milliseconds
        cdef SOCKET sock
        cdef char *target
        cdef int error
        if flags or not isinstance(bufsize, int) or not 0 < bufsize <= 0x7FFFFFFF or not self._on_engine():
            return super().recv(bufsize, flags)
        size, sock, milliseconds = bufsize, handle_of(self), milliseconds_of(self.gettimeout())
        data = PyBytes_FromStringAndSize(NULL, size)
        target = PyBytes_AsString(data)
        _enter(self)
        with nogil:
            error = waiter_receive(sock, target, size, 0, milliseconds, &received)
        _leave(self)
        if error:
            raise_error(error)
        return data if received == size else data[:received]

    def recv_into(self, buffer, nbytes=0, flags=0):
        """Receive into a writable contiguous buffer, at most `nbytes` (0: its size): the number of bytes."""
        cdef Py_buffer view
        cdef DWORD received = 0, size, milliseconds
        cdef SOCKET sock
        cdef int error
        if flags or not isinstance(nbytes, int) or nbytes < 0 or not self._on_engine():
            return super().recv_into(buffer, nbytes, flags)
        try:
            PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        except (TypeError, BufferError):
            return super().recv_into(buffer, nbytes, flags)             # which knows what is wrong with it
        try:
            if nbytes > view.len:
                raise ValueError("buffer too small for requested bytes")
            size = min(nbytes or view.len, 0x7FFFFFFF)
            if size == 0:
                return 0
            sock, milliseconds = handle_of(self), milliseconds_of(self.gettimeout())
            _enter(self)
            with nogil:
                error = waiter_receive(sock, <char *>view.buf, size, 0, milliseconds, &received)
            _leave(self)
        finally:
            PyBuffer_Release(&view)
        if error:
            raise_error(error)
        return received

    def send(self, data, flags=0):
        """Send `data`, or part of it: the number of bytes."""
        if flags or self.gettimeout() is not None or not self._on_engine():
            return super().send(data, flags)                # with a time-out: only what the kernel takes at once
        return _send(self, data, False)

    def sendall(self, data, flags=0):
        """Send all of `data`. After an error there is no telling how much of it was sent."""
        if flags or not self._on_engine():
            return super().sendall(data, flags)
        _send(self, data, True)

    def _real_close(self):
        cdef SOCKET sock
        if getattr(self, "_waiters", 0) and self.fileno() >= 0:         # wake whoever waits on another thread
            sock = self.fileno()
            CancelIoEx(<HANDLE>sock, NULL)
        super()._real_close()


def _is_plain_address(address, family):
    """Whether `address` is what connect understands without the base class: a host name and a port number."""
    return (isinstance(address, tuple) and (len(address) == 2 or family == _stdlib.AF_INET6 and len(address) in (3, 4))
            and isinstance(address[0], str) and address[0] not in ("", "<broadcast>") and "\0" not in address[0]
            and isinstance(address[1], int) and 0 <= address[1] <= 0xFFFF
            and all(isinstance(item, int) and 0 <= item <= 0xFFFFFFFF for item in address[2:]))


cdef object _send(object self, object data, bint everything):
    """Send from the caller's memory: all of it, or one piece."""
    cdef Py_buffer view
    cdef Py_ssize_t done = 0
    cdef DWORD sent = 0, piece, milliseconds = WAITER_FOREVER
    cdef ULONGLONG deadline = 0, now
    cdef SOCKET sock
    cdef int error = 0
    timeout = self.gettimeout()
    if timeout is not None:
        deadline = GetTickCount64() + milliseconds_of(timeout)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        while not error and done < view.len:
            if deadline:
                now = GetTickCount64()
                milliseconds = <DWORD>(deadline - now) if now < deadline else 0
            piece = min(view.len - done, SEND_PIECE)
            sock = handle_of(self)
            _enter(self)
            with nogil:
                error = waiter_send(sock, <const char *>view.buf + done, piece, 0, milliseconds, &sent)
            _leave(self)
            done += sent
            if not everything:
                break
    finally:
        PyBuffer_Release(&view)
    if error:
        raise_error(error)
    return done
