# Stream: TLS on the engine. It takes the place of OpenSSL's object in an `ssl.SSLSocket`, which would call
# the socket itself.
#
# OpenSSL works between two memory buffers, and the stream transfers the ciphertext: it receives what OpenSSL
# asks for into one, and sends what OpenSSL has written from the other. The engine does the waiting, so
# Ctrl-C, a close and the timeout end it. Wherever a wait ends, no data is lost or out of order: the state is
# kept in this object, not on a stack.
#
# * The stream receives exactly one record at a time. The kernel keeps the bytes behind it, so `select`
#   together with `pending` tells whether there is something to read, and the plain socket can read what
#   follows the end of TLS.
# * The stream never takes back a send that has to wait, since nobody could tell how much of it was sent. With
#   a timeout the call waits for room. Without one the send is posted, and stays with the kernel if Ctrl-C
#   ends the call. The next call that sends waits for it first.
# * The caller repeats a write that ended early with the same data, OpenSSL's own rule. The write then
#   continues where it stopped.
#
# Owner: the SSLSocket. Threads: Python's. One thread at a time receives a record, and one sends. A lock that
# is not held during waits guards OpenSSL's object and its buffers. A thread that reads may have to send (new
# keys, a certificate): if another thread is sending, that one sends it too.
cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
import weakref as _weakref
from _thread import RLock as _RLock

cdef enum:
    STREAM_PIECE = 4 * RECORD_FULL  # bytes of a write that are encrypted and sent at a time; OpenSSL's buffer
                                    # never shrinks

cdef struct StreamCall:             # one call of a method
    Timeout timeout
    bint waits                      # the socket is not non-blocking
    bint reads                      # it does not complete another call's unfinished write
    bint sends                      # it has the lock `writing`
    bint wrote                      # OpenSSL wrote ciphertext in a step in which a signal handler raised

cdef object _recv = _core.socket.recv
cdef object _send = _core.socket.send


cdef object stream_receive(object sock, DWORD size, Timeout *timeout):
    """Receive at most `size` bytes; b"" at the end."""
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


@cython.no_gc_clear                 # `unsent` belongs to the kernel while a send is posted
cdef class _Stream:
    """The waiting methods of OpenSSL's object for a socket. `tls` has everything else."""
    cdef object owner               # the SSLSocket, a weak reference
    cdef object tls                 # OpenSSL's object ...
    cdef object incoming, outgoing  # ... and its buffers of received ciphertext, and of ciphertext to send
    cdef object state               # guards these three; reentrant, as OpenSSL's object runs signal handlers
    cdef Lock reading, writing
    cdef unsigned char header[RECORD_HEADER]                # of the record that is being received
    cdef DWORD got                                          # bytes of that record so far
    cdef unsigned long long records                         # how many were received before it
    cdef Py_ssize_t begun           # bytes of an unfinished write that OpenSSL has encrypted
    cdef bytes unsent               # ciphertext that is being sent ...
    cdef Py_ssize_t sent            # ... and how much of it was sent
    cdef Waiter *waiter             # the send that is posted, or NULL ...
    cdef GuardCall posted           # ... as a call inside the socket's guard
    cdef _Guard guard
    cdef int failed                 # Winsock code with which sending failed, or 0

    # `model` is the object that the SSLSocket's context made on its handle.
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
                # The handle is open as long as the send is inside the guard.
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
                # A TLS 1.3 server sends session tickets last, and a client that has closed already may have
                # sent data to read. OpenSSL ignores the reset too.
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
        """Begin a call and return its socket."""
        sock = self.owner()
        if sock is None:
            raise tlserror_module.SSLError("Underlying socket connection gone")
        timeout = _gettimeout(sock)
        interrupt_timeout(&call.timeout, timeout)
        call.waits = timeout != 0.0
        call.reads = call.sends = call.wrote = False
        return sock

    cdef object advance(self, object sock, StreamCall *call, object operation, tuple arguments):
        """Run an operation of OpenSSL's, receive what it asks for, and return its result. After an error,
        send the alert that OpenSSL has written for the peer."""
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
                except BaseException:                       # a signal handler's, which OpenSSL's object runs
                    call.wrote = self.outgoing.pending > pending
                    raise
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
        """Encrypt and send, piece by piece, and return the number of bytes."""
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
            # Send what a reading thread has left to this one meanwhile.
            self.flush(sock, call)
        except OSError:
            pass                                            # this call's data are sent
        return size

    cdef object encrypt(self, object sock, StreamCall *call, object octets):
        """Encrypt the next piece, a record at a time: OpenSSL encrypts a record completely or not at all.
        OpenSSL's object then runs signal handlers. If one raises, only new ciphertext shows that the record
        is encrypted. So the handshake, which writes ciphertext too, comes first."""
        cdef Py_ssize_t size = len(octets), stop = min(self.begun + STREAM_PIECE, size)
        with self.state:
            shaken = self.tls.version() is not None
        if not shaken:
            self.advance(sock, call, self.tls.do_handshake, ())
        while True:
            record = octets[self.begun:min(self.begun + RECORD_FULL, size)]
            call.wrote = False
            try:
                self.begun += self.advance(sock, call, self.tls.write, (record,))
            except BaseException:
                if call.wrote:
                    self.begun += len(record)
                raise
            if self.begun >= stop:
                return

    cdef object flush(self, object sock, StreamCall *call):
        """Send all ciphertext, unless another thread is sending. That thread calls this too after it has
        released the lock."""
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
        """Send all ciphertext. The caller has the lock `writing`."""
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
        """Send as much as the kernel takes at once. A call that waits does so until there is room."""
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
        """Post a send of the unsent ciphertext. It is inside the guard until `finish`."""
        cdef const char *data = PyBytes_AsString(self.unsent)
        cdef DWORD size = <DWORD>(len(self.unsent) - self.sent)
        cdef Py_ssize_t start = self.sent
        cdef int error = WSAENOBUFS
        cdef Waiter *waiter
        call_enter(sock, &self.posted)
        self.posted.thread = 0
        with nogil:                                         # this call has the lock `writing`
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
        """Wait for the end of the posted send. The send goes on if the wait ends first."""
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
        """Raise the error of a send. After that nothing can be sent, unless the send did not even begin."""
        if error != WSAENOBUFS:
            self.failed, self.unsent, self.sent = error, b"", 0
        call_raise(self.guard, error)

    cdef object receive(self, object sock, StreamCall *call, unsigned long long records):
        """Receive the missing bytes of the current record for OpenSSL. Return if another thread has done it,
        so that `records`, the count before, no longer holds."""
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
