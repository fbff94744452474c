"""TLS: `ssl.SSLSocket` on the engine, for what an SSLContext wraps while the patch is in force.

`ssl.SSLSocket` does all its input and output through `_sslobj`, an object of OpenSSL's that calls recv and
send on the handle. Here it is a stream of ours (python/stream.pyx), which has OpenSSL work in memory and
waits as an `iocpsock.socket` does.
"""

import socket as _stdlib
import ssl

from iocpsock import socket
from iocpsock._iocpsock import _Stream


class SSLSocket(ssl.SSLSocket, socket):
    """An `ssl.SSLSocket` that is an `iocpsock.socket` too: its calls wait on the engine."""

    __module__ = "iocpsock"

    @property
    def _sslobj(self):
        """What `ssl.SSLSocket` has set: None, or a stream in the place of what its context has made.

        It sets it in two places, both just before the handshake that they may begin with."""
        return self._stream

    @_sslobj.setter
    def _sslobj(self, made):
        if made is not None and self.family in (_stdlib.AF_INET, _stdlib.AF_INET6):
            made = _Stream(self, made, self._session)
        self._stream = made

    def _real_close(self):
        """`ssl` takes the TLS away before it closes the handle. A call of another thread in between would receive
        the records as they are, so no call begins from here on."""
        self._end_calls()
        super()._real_close()

    def _let_go(self):
        """A send that is posted uses the handle."""
        self._stream = None
        super()._let_go()
