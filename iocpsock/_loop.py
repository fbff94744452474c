"""The event loop: asyncio's semantics on the engine.

`EventLoop` takes from the standard library what is not its business: tasks, executors, name lookups, happy
eyeballs, TLS, `sock_*` and datagrams on a selector. Its own are the wait, the transports of TCP connections,
and the servers.
"""

import asyncio
import atexit
import weakref
from asyncio import constants, exceptions, selector_events, sslproto, transports
import sys
import time
import warnings

from iocpsock._iocpsock import _connected, _flush_loops, _Loop, _Serving, _Transport
from iocpsock._pipes import Pipes
from iocpsock._selector import PollSelector
from iocpsock._subprocess import Subprocesses


_loops = weakref.WeakSet()                      # all that were not closed, for the end of the process


_INVALID_PARAMETER = 87     # from Windows, for a handle that is in a completion port already


class _Kind(transports._FlowControlMixin, asyncio.Transport):
    """What isinstance takes a Transport for."""


class Transport(_Transport):
    """A TCP connection. The engine's part of it is in python/transport.pyx.

    For isinstance it is an `asyncio.Transport`: an extension class cannot derive from one, which has
    slots."""

    __class__ = property(lambda self: _Kind)
    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(self):
        """Made by a loop only."""

    def __repr__(self):
        return f"<iocpsock.Transport {self._state()} peer={self.get_extra_info('peername')!r}>"

    def __del__(self):
        if self._state() == "open":
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)


class EventLoop(_Loop, Pipes, Subprocesses, selector_events.BaseSelectorEventLoop):
    """An event loop on an I/O completion port. It is what `new_event_loop` returns."""

    _closed = True                              # until it is open: there may be no memory for a port

    def __init__(self):
        self._living = set()                    # transports, until connection_lost
        self._acceptors = {}                    # by handle
        self._pipes, self._children = set(), set()      # both fill them themselves
        selector = PollSelector(self)
        super().__init__(selector)
        self._clock_resolution = time.get_clock_info("perf_counter").resolution
        self._share(self._ready, selector._keys)
        _loops.add(self)

    # Other threads wake the loop by a packet: there is no socket pair.

    def _make_self_pipe(self):
        pass

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        self._wake()

    def run_forever(self):
        self._begin()
        try:
            super().run_forever()
        finally:
            self._rest()

    async def _sendfile_native(self, transport, file, offset, count):
        raise exceptions.SendfileNotAvailableError("sendfile goes through memory")

    def close(self):
        """As asyncio's. The engine goes on sending what was written to transports."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        for acceptor in list(self._acceptors.values()):
            acceptor.close()
        self._acceptors.clear()
        super().close()
        self._leave()

    def _leave(self):
        """Leave the transports and the port to the engine."""
        for transport in self._living:
            transport._abandon()
        self._living.clear()
        self._abandon_pipes()
        self._abandon_children()
        self._end()

    # ---------------------------------------------------------------- transports

    def _make_socket_transport(self, sock, protocol, waiter=None, *, extra=None, server=None):
        made = _connected(self, sock, protocol, waiter, extra, server)
        if made is None:                        # the handle is in another completion port
            made = super()._make_socket_transport(sock, protocol, waiter, extra=extra, server=server)
        return made

    _new_transport = Transport

    def _make_ssl_transport(self, rawsock, protocol, sslcontext, waiter=None, *, server_side=False,
                            server_hostname=None, extra=None, server=None, **times):
        times.pop("context", None)
        tls = sslproto.SSLProtocol(self, protocol, sslcontext, waiter, server_side, server_hostname, **times)
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls._app_transport

    # ---------------------------------------------------------------- servers

    def _start_serving(self, protocol_factory, sock, sslcontext=None, server=None, backlog=100, *times,
                       **more):
        given = protocol_factory, sock, sslcontext, server, backlog, *times
        options = dict(more)
        names = ("ssl_handshake_timeout", "ssl_shutdown_timeout")
        more.update(zip(names, times))
        more.pop("context", None)

        def arrived(transport):
            protocol = protocol_factory()
            if sslcontext is not None:
                protocol = sslproto.SSLProtocol(self, protocol, sslcontext, None, True, None, **more)
            return protocol, server

        try:
            self._acceptors[sock.fileno()] = _Serving(self, sock, arrived)
        except OSError as error:
            if error.winerror != _INVALID_PARAMETER:
                raise
            super()._start_serving(*given, **options)   # the handle is in another completion port: poll it

    def _stop_serving(self, sock):
        acceptor = self._acceptors.pop(sock.fileno(), None)
        if acceptor is None:
            super()._stop_serving(sock)
        else:
            acceptor.close()
            sock.close()

    if sys.version_info >= (3, 13):
        def _attach(self, server, transport):
            server._attach(transport)

        def _detach(self, server, transport):
            server._detach(transport)
    else:
        def _attach(self, server, transport):
            server._attach()

        def _detach(self, server, transport):
            server._detach()


@atexit.register
def _end_loops():
    for loop in list(_loops):
        loop._leave()
    _flush_loops()


def new_event_loop():
    """A new `iocpsock.EventLoop`, for `asyncio.run(main(), loop_factory=iocpsock.new_event_loop)`."""
    return EventLoop()


def run(main, *, debug=None):
    """Run a coroutine as `asyncio.run` does, on an `iocpsock.EventLoop`, and return its result."""
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
