# Call: the blocking calls of a TCP socket. Each runs without the GIL, as one overlapped operation on the
# caller's own memory (engine/waiter.pyx), unless it is a sendall of many pieces (engine/bulk.pyx) or a send
# with a timeout. A call is inside the guard of its socket (`_guard`, engine/guard.pyx) only while it uses the
# handle. It does lookups, file reads and anything else that runs Python code for a while outside the guard.
# Owner: the Python socket object owns the handle and its guard. Threads: any Python thread. No Python code
# runs on a completion thread.
cimport cython
import sys as _sys

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

# The base class's methods: those of iocpsock.socket have side effects.
cdef object _fileno = _core.socket.fileno
cdef object _detach = _core.socket.detach
cdef object _gettimeout = _core.socket.gettimeout
# These return plain ints, not the enums of socket.socket.
cdef object _family = _core.socket.family.__get__
cdef object _type = _core.socket.type.__get__
cdef object _families = (_core.AF_INET, _core.AF_INET6)
cdef object _stream = _core.SOCK_STREAM

cdef enum:
    CALL_RECEIVE = 4 << 20          # bytes of the largest posted receive: the kernel locks all its memory


cdef class _Guard:
    """The guard of a socket object's handle. It guards no handle until the object is initialised."""
    cdef Guard guard
    cdef bint asks                  # somebody may have set SO_RCVTIMEO or SO_SNDTIMEO on the handle

    def __cinit__(self, handle=-1):
        self.asks = True
        guard_init(&self.guard, INVALID_SOCKET if handle < 0 else <SOCKET><size_t>handle)


cdef _Guard call_enter(object sock, GuardCall *call):
    """Enter the guard of a socket and return it. The caller keeps it until it has left. OSError if the socket
    is closed."""
    cdef _Guard guard = sock._guard
    cdef int error = 0
    if not guard_try_enter(&guard.guard, call, &error):
        with nogil:
            error = guard_enter(&guard.guard, call)
    if error:
        oserror_raise(error)
    return guard


cdef object call_leave(GuardCall *call):
    """Leave the guard; the GIL is held. Wait for the guard's lock only without the GIL, because the thread
    that has the lock may need the GIL."""
    if not guard_try_leave(call):
        with nogil:
            guard_leave(call)


@cython.no_gc
@cython.freelist(16)
cdef class _Inside:
    """A call that takes the GIL again before it leaves the guard. At interpreter shutdown CPython may end the
    thread there, and its stack is gone. This object remains, so the guard may still refer to it."""
    cdef _Guard guard
    cdef GuardCall call

    def __dealloc__(self):
        if self.call.guard != NULL:
            guard_leave(&self.call)


cdef bint call_waits(object sock, object timeout):
    """Whether the engine runs this call: it may block, on a TCP socket."""
    return timeout != 0.0 and _type(sock) == _stream and _family(sock) in _families


cdef object call_raise(_Guard guard, int error):
    """Raise the exception for the error that ended a call inside this guard. If the socket was closed
    meanwhile, the close is the reason, except after a signal."""
    if error == WSAEINTR:
        interrupt_raise()
    if guard.guard.state != GUARD_OPEN:
        oserror_raise_closed()
    oserror_raise(error)


cdef DWORD call_receive(object sock, char *target, DWORD size, object timeout,
                        bint whole=False) except? 0xFFFFFFFF:
    """Receive at most `size` bytes, or with a size of 0 wait until there are any. If `whole`, return fewer
    only at the end of the stream, or after an error or a signal. The caller learns of either later."""
    cdef Timeout limit
    cdef GuardCall call
    cdef DWORD received = 0, piece
    cdef _Guard guard = call_enter(sock, &call)
    cdef int error
    interrupt_timeout(&limit, timeout)
    limit.asks = guard.asks
    with nogil:
        error = waiter_receive(&call, target, min(size, <DWORD>CALL_RECEIVE), &limit, &received)
        piece = received
        limit.interrupted = interrupt_ends_call_with_data
        while whole and not error and piece and received < size:
            if waiter_receive(&call, target + received, min(size - received, <DWORD>CALL_RECEIVE), &limit,
                              &piece):
                break
            received += piece
        guard_leave(&call)
    if error:
        call_raise(guard, error)
    interrupt_raise()
    return received


cdef bint call_is_flags(object flags):
    """Whether `flags` can be the flags of a call. The inherited call refuses anything else."""
    return isinstance(flags, int) and -0x80000000 <= flags <= 0x7FFFFFFF


cdef bint call_no_flags(object flags):
    return isinstance(flags, int) and flags == 0


cdef object call_wait_readable(object sock, object size, object flags):
    """Called before an inherited call that receives: wait here for data, so that Ctrl-C and a close end the
    wait. Do not wait if the arguments are invalid, ask for no bytes or for more than Winsock's int can
    express, or ask for urgent data, whose arrival does not end a receive."""
    timeout = _gettimeout(sock)
    if not isinstance(size, int) or not 0 < size <= 0x7FFFFFFF or not call_is_flags(flags) \
            or flags & _core.MSG_OOB:
        return
    if call_waits(sock, timeout) and _fileno(sock) >= 0:
        try:
            call_receive(sock, NULL, 0, timeout)
        except (TimeoutError, KeyboardInterrupt):
            raise
        except OSError:
            if (<_Guard>sock._guard).guard.state != GUARD_OPEN:
                raise
            # Otherwise the inherited call reports the error.


cdef object call_room(object buffer, object nbytes):
    """Return how many bytes the buffer has room for; 0 if the inherited call would refuse the arguments."""
    try:
        view = memoryview(buffer)
    except TypeError:
        return 0
    if view.readonly or not view.c_contiguous:
        return 0
    if not isinstance(nbytes, int) or not 0 <= nbytes <= view.nbytes:
        return 0
    return view.nbytes


cdef bytes call_plain_host(object address, int family):
    """Return the host of an address (host, port, ...) that connect handles without the base class. None for
    any other address: the base class reports what is wrong with it."""
    if not isinstance(address, tuple) or not 2 <= len(address) <= (4 if family == AF_INET6 else 2):
        return None
    if not all(isinstance(item, int) and 0 <= item <= most
               for item, most in zip(address[1:], (0xFFFF, 0xFFFFF, 0xFFFFFFFF))):
        return None
    return lookup_name(address[0])


cdef bint call_receives_whole(object flags, object timeout):
    """Whether a receive has to fill its buffer. With a timeout the system takes the bytes that are there."""
    return timeout is None and isinstance(flags, int) and flags == _core.MSG_WAITALL


cdef int call_connect(object self, bytes host, object address, object timeout) except -1:
    """Connect: 0 or a Winsock code. The errors of a lookup and of a signal handler are raised."""
    cdef Address remote
    cdef Timeout limit
    cdef GuardCall call
    # Take the guard now: a lookup takes time, and the object may have another handle after it.
    cdef _Guard guard = self._guard
    cdef int error, family = _family(self)
    lookup_address(host, family, address[1], &remote)
    if family == AF_INET6 and len(address) > 2:
        (<sockaddr_in6 *>&remote.storage).sin6_flowinfo = htonl(address[2])
        if len(address) > 3:
            (<sockaddr_in6 *>&remote.storage).sin6_scope_id = address[3]
    _sys.audit("socket.connect", self, address)
    interrupt_timeout(&limit, timeout)
    with nogil:
        error = guard_enter(&guard.guard, &call)
        if not error:
            error = waiter_connect(&call, &remote, &limit)
            guard_leave(&call)
    if error == WSAEINTR:
        interrupt_raise()
    return WSAENOTSOCK if error and guard.guard.state != GUARD_OPEN else error


cdef object call_send(object self, object data, int flags, object timeout, bint everything):
    """Send from the caller's memory and return how many bytes were sent: all if `everything`, otherwise one
    piece. With a timeout each send is as much as the kernel takes at once."""
    cdef Py_buffer view
    cdef Timeout limit
    cdef GuardCall call
    cdef _Guard guard
    cdef Py_ssize_t done = 0, cap = self._sendlimit
    cdef DWORD sent = 0, piece
    cdef int error = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        guard = call_enter(self, &call)
        interrupt_timeout(&limit, timeout)
        limit.asks = guard.asks
        with nogil:
            while True:
                if everything and limit.deadline == 0 and view.len > cap:
                    error = bulk_send(&call, <const char *>view.buf, <size_t>view.len,
                                      <DWORD>(cap // BULK_SENDS), flags, &limit)
                    done = view.len
                    break
                piece = <DWORD>min(view.len - done, cap)
                if limit.deadline == 0:
                    error = waiter_send(&call, <const char *>view.buf + done, piece, flags, &limit, &sent)
                else:                                       # no send may be outstanding when the time is up
                    error = waiter_send_some(&call, <const char *>view.buf + done, piece, flags, &limit,
                                             &sent)
                done += sent
                if error or not everything or done == view.len:
                    break
            guard_leave(&call)
        if error:
            call_raise(guard, error)
    finally:
        PyBuffer_Release(&view)
    return done


cdef object call_inherited(object sock, object method, tuple arguments):
    """Make an inherited call of a TCP socket. It does not wait, so it may run inside the guard, which keeps
    the handle open. Without a handle there is nothing to keep, and the inherited call says what is wrong."""
    if _fileno(sock) < 0:
        return method(*arguments)
    cdef _Inside inside = _Inside.__new__(_Inside)
    inside.guard = call_enter(sock, &inside.call)
    try:
        return method(*arguments)
    finally:
        call_leave(&inside.call)


cdef object call_set_mode(object sock):
    """The timeout has changed. Tell the guard the new mode of the handle."""
    cdef _Guard guard = sock._guard
    cdef bint blocking = _gettimeout(sock) is None
    with nogil:
        guard_set_blocking(&guard.guard, blocking)


cdef object call_end(object sock):
    """End the calls on a socket with WSAENOTSOCK, and let no other begin."""
    cdef _Guard guard = sock._guard
    with nogil:
        guard_close(&guard.guard, GUARD_CLOSED)


cdef object call_close(object sock):
    """Close a socket. Its calls on other threads end. The handle is closed when they have left the guard."""
    cdef _Guard guard = sock._guard
    cdef int error = 0
    call_end(sock)
    sock._let_go()
    if _fileno(sock) < 0:
        return
    _detach(sock)                                           # the object no longer has the handle's number
    with nogil:
        guard_wait(&guard.guard)
        error = guard_finish(&guard.guard)
    if error and error != WSAECONNRESET:
        oserror_raise(error)


cdef object call_detach(object sock):
    """Return the handle, which the caller now owns. Receives on other threads end. Posted sends go on, since
    nobody can take them back."""
    cdef _Guard guard = sock._guard
    with nogil:
        guard_close(&guard.guard, GUARD_DETACHED)
    sock._let_go()
    with nogil:
        guard_wait(&guard.guard)
    return _detach(sock)
