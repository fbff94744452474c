"""TLS: `ssl.SSLSocket` on the engine, for sockets that an SSLContext wraps while the patch is in force.

`ssl.SSLSocket` does all its input and output through `_sslobj`, an object of OpenSSL's that calls recv and
send on the handle. This class puts our stream (python/stream.pyx) in its place. The stream makes OpenSSL work
in memory, and waits as an `iocpsock.socket` does.

A method of `ssl.SSLSocket` reads `_sslobj` twice: to test for a stream, and to use it. Another thread's close
may remove the stream in between. So the methods that programs call concurrently with a close read it once
here.
"""

import socket as _stdlib
import ssl

from iocpsock import socket
from iocpsock._iocpsock import _Stream

_WSAENOTSOCK = 10038


class _ClosedError(OSError, ValueError):
    """The socket is closed. It is an OSError, as for any call that a close ends, and the ValueError that
    `ssl` raises in `read` and `write`."""

    __module__ = "iocpsock"


class SSLSocket(ssl.SSLSocket, socket):
    """An `ssl.SSLSocket` that is an `iocpsock.socket` too: its calls wait on the engine."""

    __module__ = "iocpsock"

    @property
    def _sslobj(self):
        """None, or our stream in the place of the object that `ssl.SSLSocket` has set.

        `ssl.SSLSocket` sets it in two places, in both just before the handshake that it may do there."""
        return self._stream

    @_sslobj.setter
    def _sslobj(self, made):
        if made is not None and self.family in (_stdlib.AF_INET, _stdlib.AF_INET6):
            made = _Stream(self, made, self._session)
        self._stream = made

    def _stream_to(self, action):
        """Return the stream for a call that reads or writes. Each such call reads `_stream` once, here."""
        stream = self._stream
        if stream is None:
            text = f"{action} on closed or unwrapped SSL socket."
            raise _ClosedError(0, text, None, _WSAENOTSOCK) if self._closed else ValueError(text)
        return stream

    def read(self, len=1024, buffer=None):
        self._checkClosed()
        stream = self._stream_to("Read")
        try:
            return stream.read(len) if buffer is None else stream.read(len, buffer)
        except ssl.SSLEOFError:
            if not self.suppress_ragged_eofs:
                raise
            return b"" if buffer is None else 0

    def write(self, data):
        self._checkClosed()
        return self._stream_to("Write").write(data)

    def send(self, data, flags=0):
        if flags != 0 or self._stream is None:
            return super().send(data, flags)
        return self.write(data)

    def pending(self):
        self._checkClosed()
        stream = self._stream
        return 0 if stream is None else stream.pending()

    def _real_close(self):
        """`ssl` removes the TLS object before it closes the handle. A call of another thread in between would
        receive encrypted records, so no call may begin from here on."""
        self._end_calls()
        super()._real_close()

    def _let_go(self):
        """Drop the stream first, because a posted send uses the handle."""
        self._stream = None
        super()._let_go()
