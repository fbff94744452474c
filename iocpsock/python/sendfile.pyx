# Sendfile: sends a file, by TransmitFile where the system can read the file itself, otherwise through memory.
#
# TransmitFile needs an object that certainly stands for the plain bytes of a system file: one of the io
# module's own file objects. An object that only names such a file (a gzip file has a fileno too) is read
# through memory. So is a file when the call has a timeout, since nobody can tell how much a cancelled
# transmission has sent. TransmitFile is used on Windows Server only: other editions run two at a time on the
# whole machine, and a third waits.
# Threads: any Python thread.
cdef extern from "edition.h":
    bint edition_is_server() nogil

import io as _io
import msvcrt as _msvcrt
import os as _os
import stat as _stat

cdef enum:
    SENDFILE_PIECE = 4 << 20        # bytes of one TransmitFile; progress is known, and the file's position
                                    # set, in such steps
    SENDFILE_READ = 256 * 1024      # bytes of one read and send without TransmitFile
    SENDFILE_TIMED = 64 * 1024      # bytes of one read with a timeout


cdef object sendfile_send(object self, object file, object offset, object count):
    """Run socket.sendfile for a socket whose calls the engine runs."""
    self._check_sendfile_params(file, offset, count)
    if offset:
        file.seek(offset)
    if not sendfile_is_file(file):
        return sendfile_copy(self, file, offset, count)
    if _gettimeout(self) is None and edition_is_server():
        return sendfile_transmit(self, file, file.tell(), count)
    return sendfile_copy(self, file, file.tell(), count)


cdef bint sendfile_is_file(object file):
    """Whether the object is one of io's own, for a regular file that it may read."""
    raw = file.raw if type(file) in (_io.BufferedReader, _io.BufferedRandom) else file
    return type(raw) is _io.FileIO and raw.readable() and _stat.S_ISREG(_os.fstat(raw.fileno()).st_mode)


cdef object sendfile_transmit(object self, object file, object start, object count):
    cdef Timeout limit
    cdef ULONGLONG position = start, end
    cdef DWORD piece, sent = 0
    cdef GuardCall call
    cdef _Guard guard
    cdef size_t handle
    cdef int error = 0
    file.flush()                                            # data written to it may still be in its buffer
    descriptor = file.fileno()
    pointer = _os.lseek(descriptor, 0, _os.SEEK_CUR)        # the file object assumes nobody else moves it
    handle = _msvcrt.get_osfhandle(descriptor)
    end = max(start, _os.fstat(descriptor).st_size)
    if count is not None:
        end = min(end, start + count)
    try:
        while position < end:
            piece = min(end - position, <ULONGLONG>SENDFILE_PIECE)
            interrupt_timeout(&limit, None)
            guard = call_enter(self, &call)
            with nogil:
                error = waiter_transmit(&call, <HANDLE>handle, position, piece, &limit, &sent)
                guard_leave(&call)
            position += sent
            if error:
                call_raise(guard, error)
            if sent == 0:
                break                                       # the file was truncated meanwhile
    finally:
        _os.lseek(descriptor, pointer, _os.SEEK_SET)
        if position > start:
            file.seek(position)
    return position - start


cdef object sendfile_copy(object self, object file, object start_at, object count):
    cdef Timeout limit
    cdef Py_ssize_t done, size
    cdef const char *start
    cdef DWORD piece, sent = 0
    cdef GuardCall call
    cdef _Guard guard
    cdef int error = 0
    timeout = _gettimeout(self)
    largest = SENDFILE_READ if timeout is None else SENDFILE_TIMED
    total = 0
    try:
        while count is None or total < count:
            data = bytes(memoryview(file.read(largest if count is None else min(largest, count - total))))
            done, size, start = 0, len(data), PyBytes_AsString(data)
            if not size:
                break
            while done < size:
                piece = <DWORD>(size - done)
                interrupt_timeout(&limit, timeout)
                guard = call_enter(self, &call)
                with nogil:
                    if limit.deadline:                   # the timeout counts from the last progress
                        error = waiter_send_some(&call, start + done, piece, 0, &limit, &sent)
                    else:
                        error = waiter_send(&call, start + done, piece, 0, &limit, &sent)
                    guard_leave(&call)
                done += sent
                total += sent
                if error:
                    call_raise(guard, error)
        return total
    finally:
        if total and hasattr(file, "seek"):
            file.seek(start_at + total)
