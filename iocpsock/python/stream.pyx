# Stream: TLS on the engine, where `ssl.SSLSocket` has OpenSSL's object for a socket, which would do the
# socket's calls itself.
#
# OpenSSL works here between two buffers in memory, and the stream carries the ciphertext: what OpenSSL asks
# for is received into one, what it has written is sent from the other, by waits of the engine. So they end by
# Ctrl-C, by a close and at the time-out, and wherever they end nothing is lost or out of order: everything
# under way is kept here, not on a stack.
#
# * Exactly one record is received at a time. What comes behind it stays with the system, so that `select`
#   together with `pending` tells whether there is something to read, and what follows the end of TLS is there
#   for the plain socket.
# * A send that has to wait is never taken back, since nobody could tell then how much of it was sent. With a
#   timeout the call waits for room. Without one the send is posted, and stays with the system when Ctrl-C
#   ends the call; the next that sends begins by waiting for it.
# * A write that ended early is to be made again with the same data, OpenSSL's own rule: it goes on where it
# was.
#
# Owner: the SSLSocket. Threads: Python's; one at a time receives a record, one sends, and OpenSSL's object
# and its buffers are guarded by a lock that is not held during waits. A thread that reads may have to send
# (new keys, a certificate): if another is sending, that one sends it too.
cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
import weakref as _weakref
from _thread import RLock as _RLock

cdef enum:
    STREAM_PIECE = 4 * RECORD_FULL  # of a write, encrypted and sent at a time; OpenSSL's buffer keeps the
                                    # size it once had

cdef struct StreamCall:             # one call of a method
    Timeout timeout
    bint waits                      # the socket is not non-blocking
    bint reads                      # what is left of a write is none of its business
    bint sends                      # it has the turn to send
    bint wrote                      # OpenSSL has made ciphertext in its last step

cdef object _recv = _core.socket.recv
cdef object _send = _core.socket.send


cdef object stream_receive(object sock, DWORD size, Timeout *timeout):
    """What there is to receive, but not more than that; b"" at the end."""
    cdef GuardCall inside
    cdef _Guard guard = call_enter(sock, &inside)
    cdef DWORD received = 0
    cdef int error
    data = PyBytes_FromStringAndSize(NULL, size)
    cdef char *target = PyBytes_AsString(data)
    with nogil:
        error = waiter_receive(&inside, target, size, timeout, &received)
        guard_leave(&inside)
    if error:
        call_raise(guard, error)
    return data if received == size else data[:received]


@cython.no_gc_clear                 # `unsent` belongs to the system while a send is under way
cdef class _Stream:
    """The part of OpenSSL's object for a socket that waits; everything else is asked of `tls`."""
    cdef object owner               # the SSLSocket, a weak reference
    cdef object tls                 # OpenSSL's object, and the ciphertext before and behind it
    cdef object incoming, outgoing
    cdef object state               # guards them; the same thread may come twice, as OpenSSL's object runs
                                    # signal handlers
    cdef Lock reading, writing
    cdef unsigned char header[RECORD_HEADER]                # of the record that is being received
    cdef DWORD got                                          # bytes of that record so far
    cdef unsigned long long records                         # how many have been received before it
    cdef Py_ssize_t begun           # bytes of an unfinished write that OpenSSL has
    cdef bytes unsent               # ciphertext that is being sent, and how much of it was
    cdef Py_ssize_t sent
    cdef Waiter *waiter             # the send that is posted, or NULL ...
    cdef GuardCall posted           # ... as a call inside the socket's guard
    cdef _Guard guard
    cdef int failed                 # how sending has failed: a Winsock code

    # The model: what the context of the SSLSocket has made on its handle.
    def __init__(self, owner, model, session):
        tlserror_load()
        self.owner = _weakref.ref(owner)
        self.guard = owner._guard
        self.incoming, self.outgoing = tlserror_module.MemoryBIO(), tlserror_module.MemoryBIO()
        self.tls = model.context._wrap_bio(self.incoming, self.outgoing, model.server_side,
                                           model.server_hostname, owner=owner, session=session)
        self.state = _RLock()
        self.unsent = b""

    def __dealloc__(self):
        if self.waiter != NULL:
            with nogil:
                # On a handle that is open as long as the send is inside.
                guard_cancel(&self.posted)
                waiter_await(self.waiter, &self.posted)
                guard_break(&self.posted)
                guard_leave(&self.posted)
            waiter_give(self.waiter)
        lock_free(&self.reading)
        lock_free(&self.writing)

    def __getattr__(self, name):
        return getattr(self.tls, name)

    @property
    def context(self):
        return self.tls.context

    @context.setter
    def context(self, value):
        self.tls.context = value

    @property
    def session(self):
        return self.tls.session

    @session.setter
    def session(self, value):
        self.tls.session = value

    def read(self, *arguments):
        cdef StreamCall call
        sock = self.begin(&call)
        call.reads = True
        try:
            return self.advance(sock, &call, self.tls.read, arguments)
        except TimeoutError as error:
            raise tlserror_timeout(error, "read") from None
        except ConnectionError as error:
            raise tlserror_lost(error) from None

    def write(self, data):
        cdef StreamCall call
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            sock = self.begin(&call)
            return self.write_all(sock, &call, PyMemoryView_FromMemory(<char *>view.buf, view.len,
                                                                       PyBUF_READ))
        except TimeoutError as error:
            raise tlserror_timeout(error, "write") from None
        except ConnectionError as error:
            raise tlserror_lost(error) from None
        finally:
            PyBuffer_Release(&view)

    def do_handshake(self):
        cdef StreamCall call
        sock = self.begin(&call)
        try:
            self.advance(sock, &call, self.tls.do_handshake, ())
            try:
                self.flush(sock, &call)
            except ConnectionResetError:
                # A server's last words are tickets for a later session, and a client that is gone already may
                # have left something to read. OpenSSL does the same.
                if not (self.tls.server_side and self.tls.version() == "TLSv1.3"):
                    raise
        except TimeoutError as error:
            raise tlserror_timeout(error, "handshake") from None

    def shutdown(self):
        cdef StreamCall call
        sock = self.begin(&call)
        try:
            self.advance(sock, &call, self.tls.shutdown, ())
            self.flush(sock, &call)
        except TimeoutError as error:
            raise tlserror_timeout(error, "read") from None
        return sock

    cdef object begin(self, StreamCall *call):
        """Begin a call: its socket."""
        sock = self.owner()
        if sock is None:
            raise tlserror_module.SSLError("Underlying socket connection gone")
        timeout = _gettimeout(sock)
        interrupt_timeout(&call.timeout, timeout)
        call.waits = timeout != 0.0
        call.reads = call.sends = call.wrote = False
        return sock

    cdef object advance(self, object sock, StreamCall *call, object operation, tuple arguments):
        """What OpenSSL's operation returns, once it has all that it has to receive for it. Of an error the
        peer is told."""
        cdef unsigned long long records
        cdef Py_ssize_t pending
        while True:
            with self.state:
                records = self.records
                pending = self.outgoing.pending
                try:
                    return operation(*arguments)
                except tlserror_module.SSLError as error:
                    outcome = error
                finally:
                    call.wrote = self.outgoing.pending > pending
            wants = isinstance(outcome, tlserror_module.SSLWantReadError)
            try:
                self.flush(sock, call)
                if wants:
                    self.receive(sock, call, records)
            except BlockingIOError:
                raise outcome
            except OSError:
                if wants:
                    raise
            if not wants:
                raise outcome

    cdef object write_all(self, object sock, StreamCall *call, object octets):
        """Encrypt and send, a piece after the other: the number of bytes."""
        cdef Py_ssize_t size = len(octets)
        cdef bint asked
        if self.writing.taken and not call.waits:
            raise tlserror_want_write()
        lock_acquire(&self.writing, &call.timeout)
        call.sends, asked = True, self.begun > 0
        try:
            if self.begun > size:
                raise tlserror_new("SSLError", "SSL_ERROR_SSL", "[SSL: BAD_LENGTH] bad length", "BAD_LENGTH")
            while True:
                self.send(sock, call)
                if asked and self.begun == size:
                    break
                self.encrypt(sock, call, octets)
                asked = True
            self.begun = 0
        finally:
            call.sends = False
            lock_release(&self.writing)
        call.reads = True
        try:
            # What a thread that reads has left to this one meanwhile.
            self.flush(sock, call)
        except OSError:
            pass                                            # the data are sent
        return size

    cdef object encrypt(self, object sock, StreamCall *call, object octets):
        """Encrypt the next piece, a record at a time: one record either is encrypted or is not. OpenSSL's
        object runs signal handlers when it has encrypted it, and if one raises, only the ciphertext tells."""
        cdef Py_ssize_t size = len(octets), stop = min(self.begun + STREAM_PIECE, size)
        while True:
            record = octets[self.begun:min(self.begun + RECORD_FULL, size)]
            try:
                self.begun += self.advance(sock, call, self.tls.write, (record,))
            except tlserror_module.SSLError:
                raise
            except BaseException:
                if call.wrote:
                    self.begun += len(record)
                raise
            if self.begun >= stop:
                return

    cdef object flush(self, object sock, StreamCall *call):
        """Send what there is, unless another thread does. It looks here too when it has given its turn
        away."""
        if call.sends:
            self.send(sock, call)
        elif self.failed:
            if not call.reads:
                call_raise(self.guard, self.failed)
        else:
            while not self.writing.taken and (self.outgoing.pending
                                              or self.sent < len(self.unsent) and not (call.reads
                                                                                       and self.begun)):
                lock_acquire(&self.writing, &call.timeout)
                try:
                    self.send(sock, call)
                finally:
                    lock_release(&self.writing)

    cdef object send(self, object sock, StreamCall *call):
        """Send all ciphertext there is. Only in one's turn."""
        if self.failed:
            call_raise(self.guard, self.failed)
        while True:
            if self.sent == len(self.unsent):
                with self.state:
                    self.unsent = self.outgoing.read()
                self.sent = 0
                if not self.unsent:
                    return
            if self.waiter == NULL and call.timeout.deadline == 0 and call.waits:
                self.post(sock)
            if self.waiter == NULL:
                self.send_some(sock, call)
            else:
                if waiter_pending(self.waiter):
                    self.wait(sock, call)
                self.finish()

    cdef object send_some(self, object sock, StreamCall *call):
        """Send what the system takes at once, when it has room."""
        cdef GuardCall inside
        cdef const char *data = PyBytes_AsString(self.unsent)
        cdef DWORD size = <DWORD>(len(self.unsent) - self.sent), sent = 0
        cdef int error
        if not call.waits:
            try:
                self.sent += call_inherited(sock, _send, (sock, memoryview(self.unsent)[self.sent:]))
            except BlockingIOError:
                raise tlserror_want_write() from None
            except OSError as failure:
                self.fail(failure.winerror)
            return
        call_enter(sock, &inside)
        with nogil:
            error = waiter_send_some(&inside, data + self.sent, size, 0, &call.timeout, &sent)
            guard_leave(&inside)
        self.sent += sent
        if error == WSAEINTR or error == TIMEOUT_EXPIRED:
            call_raise(self.guard, error)
        if error:
            self.fail(error)

    cdef object post(self, object sock):
        """Begin to send what there is. The posted send is inside the guard until `finish`."""
        cdef const char *data = PyBytes_AsString(self.unsent)
        cdef DWORD size = <DWORD>(len(self.unsent) - self.sent)
        cdef Py_ssize_t start = self.sent
        cdef int error = WSAENOBUFS
        cdef Waiter *waiter
        call_enter(sock, &self.posted)
        self.posted.thread = 0
        with nogil:                                         # the turn to send is this call's
            waiter = waiter_take()
            if waiter != NULL:
                error = waiter_post_send(waiter, &self.posted, data + start, size, 0)
                if error == WSA_IO_PENDING:
                    error = 0
                if error:
                    waiter_give(waiter)
                    waiter = NULL
        self.waiter = waiter
        if error:
            call_leave(&self.posted)
            self.fail(error)

    cdef object wait(self, object sock, StreamCall *call):
        """Wait for the end of the send that is posted, which goes on if the wait ends before."""
        cdef int error
        if not call.waits:
            raise tlserror_want_write()
        with nogil:
            error = waiter_wait(self.waiter, &call.timeout)
        if error:
            call_raise(self.guard, error)

    cdef object finish(self):
        cdef int error = error_from_status(self.waiter.overlapped.Internal)
        cdef DWORD sent = <DWORD>self.waiter.overlapped.InternalHigh
        guard_ended(&self.posted, &self.waiter.overlapped)
        call_leave(&self.posted)
        waiter_give(self.waiter)
        self.waiter = NULL
        self.sent += sent
        counter_add(COUNTER_bytes_sent, sent)
        if error:
            self.fail(error)

    cdef object fail(self, int error):
        """Raise what a send has failed with. After that nothing can be sent any more, unless it has not even
        begun."""
        if error != WSAENOBUFS:
            self.failed, self.unsent, self.sent = error, b"", 0
        call_raise(self.guard, error)

    cdef object receive(self, object sock, StreamCall *call, unsigned long long records):
        """Receive what is missing of a record, for OpenSSL, unless another thread has done it: there were so
        many."""
        cdef DWORD size, missing
        if self.reading.taken and not call.waits:
            raise BlockingIOError
        lock_acquire(&self.reading, &call.timeout)
        try:
            while self.records == records:
                missing = record_size(self.header, self.got, not records) - self.got
                if call.waits:
                    data = stream_receive(sock, missing, &call.timeout)
                else:
                    data = call_inherited(sock, _recv, (sock, missing))
                size = len(data)
                with self.state:
                    self.incoming.write(data) if size else self.incoming.write_eof()
                if self.got < RECORD_HEADER:
                    memcpy(self.header + self.got, PyBytes_AsString(data), size)
                self.got += size
                if not size or self.got == record_size(self.header, self.got, not records):
                    self.got = 0
                    self.records += 1
        finally:
            lock_release(&self.reading)
