# Call: the calls of a TCP socket that wait: as one overlapped operation on the caller's own memory (engine/waiter.pyx),
# without the GIL. What a socket object must have for them: `_waiters`, the number of its calls on the engine now.
# Owner: Python's object owns the handle. Threads: any Python thread; no Python code runs on a completion thread.
import sys as _sys

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

cdef object _fileno = _core.socket.fileno                   # not the method of iocpsock.socket, which has an effect
cdef object _gettimeout = _core.socket.gettimeout
cdef object _family = _core.socket.family.__get__           # plain ints, without the enums that socket.socket makes of them
cdef object _type = _core.socket.type.__get__
cdef object _families = (_core.AF_INET, _core.AF_INET6)
cdef object _stream = _core.SOCK_STREAM


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


cdef DWORD wait_receive(object sock, char *target, DWORD size, object timeout, bint whole=False) except? 0xFFFFFFFF:
    """Receive so many bytes at most, or with a size of 0 wait until there are any. If `whole`, fewer only at the end of the
    stream, and when an error or a signal comes between, of which the caller hears later."""
    cdef Patience patience
    cdef DWORD received = 0, piece
    cdef SOCKET handle = handle_of(sock)
    cdef int error
    patience_of(&patience, timeout)
    sock._waiters += 1                                      # the GIL guards the count
    try:
        with nogil:
            error = waiter_receive(handle, target, size, &patience, &received)
            piece = received
            patience.interrupted = interrupt_ends_call_with_data
            while whole and not error and piece and received < size:
                if waiter_receive(handle, target + received, size - received, &patience, &piece):
                    break
                received += piece
        if error:
            raise_failure(sock, error)
        interrupt_raise()
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


def is_plain_address(address, family):
    """Whether `address` is what connect understands without the base class: a host name and a port number."""
    return (isinstance(address, tuple) and (len(address) == 2 or family == AF_INET6 and len(address) in (3, 4))
            and isinstance(address[0], str) and address[0] not in ("", "<broadcast>") and "\0" not in address[0]
            and isinstance(address[1], int) and 0 <= address[1] <= 0xFFFF
            and all(isinstance(item, int) and 0 <= item <= 0xFFFFFFFF for item in address[2:]))


cdef bint receives_whole(object flags, object timeout):
    """Whether a receive has to fill its buffer; with a time-out the system takes what is there."""
    return timeout is None and isinstance(flags, int) and flags == _core.MSG_WAITALL


cdef int connect_to(object self, object address, object timeout) except -1:
    """0 or a Winsock code. A lookup that fails, and what a signal handler raises, are raised."""
    cdef Address *remote = NULL
    cdef Patience patience
    cdef SOCKET sock
    cdef int error, family = _family(self), port_number = address[1]
    _sys.audit("socket.connect", self, address)
    error = engine_start()
    if error:
        return error
    name, sock = address[0].encode("idna"), handle_of(self)
    error = address_lookup(name, port_number, family, False, True, &remote)
    if error:                                               # it is no literal address
        found = lookup_addresses(address[0], port_number, family)[0][4]
        name, address = found[0].encode("ascii"), address + found[len(address):]
        error = address_lookup(name, port_number, family, False, True, &remote)
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


cdef object send_from(object self, object data, int flags, object timeout, bint everything):
    """Send from the caller's memory: all of it, or one piece; with a time-out as much of it as the kernel takes at once."""
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
        while True:
            piece = min(view.len - done, cap)
            sock = handle_of(self)
            with nogil:
                if everything or patience.deadline == 0:
                    error = waiter_send(sock, <const char *>view.buf + done, piece, flags, &patience, &sent)
                else:                                       # what was sent when the time is up must be known
                    error = waiter_send_some(sock, <const char *>view.buf + done, piece, flags, &patience, &sent)
            done += sent
            if error or not everything or done == view.len:
                break
        if error:
            raise_failure(self, error)
    finally:
        self._waiters -= 1
        PyBuffer_Release(&view)
    return done
