"""Pipes of an event loop: transports of overlapped pipes, servers and clients of named pipes.

`Pipes` is the part of `EventLoop` that has to do with them. A pipe object has `fileno`, which returns the
handle, and `close`; `asyncio.windows_utils.PipeHandle` is one.
"""

import asyncio
import io
from asyncio import constants, windows_events, windows_utils
import warnings

import _overlapped

from iocpsock._iocpsock import _PipeTransport

_INVALID_HANDLE = 6                 # ERROR_INVALID_HANDLE (winerror.h)
SHORTEST, LONGEST = 0.001, 0.1      # seconds between two attempts to connect to a busy pipe


class PipeTransport(_PipeTransport):
    """A pipe. What it does is in python/pipes.pyx. Made by a loop only."""

    def __repr__(self):
        return f"<iocpsock.{type(self).__name__} {self._state()} pipe={self.get_extra_info('pipe')!r}>"

    def __del__(self):
        if self._state() == "open" and self.get_extra_info("pipe") is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)


class _Reading(asyncio.ReadTransport):
    """What isinstance takes a ReadPipe for."""


class _Writing(asyncio.WriteTransport):
    """What isinstance takes a WritePipe for."""


class _Both(asyncio.Transport):
    """What isinstance takes a DuplexPipe for."""


class ReadPipe(PipeTransport):
    __class__ = property(lambda self: _Reading)


class WritePipe(PipeTransport):
    __class__ = property(lambda self: _Writing)

    def writelines(self, lines):
        """Write all of these together."""
        self.write(b"".join(lines))

    def can_write_eof(self):
        return True

    def write_eof(self):
        """Close, behind what was written: a pipe has no other end of the stream."""
        self.close()


class DuplexPipe(WritePipe):
    __class__ = property(lambda self: _Both)

    def can_write_eof(self):
        """False: the other direction would be closed as well."""
        return False

    def write_eof(self):
        raise NotImplementedError("a pipe for both directions has no end of one of them")


class Pipes:
    def _make_read_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        return self._make_pipe(ReadPipe(), pipe, protocol, waiter, True, False, extra)

    def _make_write_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        return self._make_pipe(WritePipe(), pipe, protocol, waiter, False, True, extra)

    def _make_duplex_pipe_transport(self, pipe, protocol, extra=None):
        return self._make_pipe(DuplexPipe(), pipe, protocol, None, True, True, extra)

    def _make_pipe(self, transport, pipe, protocol, waiter, readable, writable, extra):
        try:
            if isinstance(pipe, io.IOBase):     # its number is no handle, or somebody else's
                raise OSError(0, "a file object has no overlapped handle", None, _INVALID_HANDLE)
            transport._open(self, pipe)
        except OSError as error:
            if writable:
                raise
            transport._refuse(self, pipe, protocol, waiter, extra, error)
            return transport
        try:
            transport._start(protocol, waiter, readable, writable, extra)
        except BaseException:
            transport._abandon()
            raise
        return transport

    async def create_pipe_connection(self, protocol_factory, address):
        """Connect to a named pipe: (transport, protocol)."""
        delay = SHORTEST
        while True:
            try:
                pipe = windows_utils.PipeHandle(_overlapped.ConnectPipe(address))
                break
            except OSError as error:
                if error.winerror != _overlapped.ERROR_PIPE_BUSY:
                    raise
            await asyncio.sleep(delay)          # the system has no overlapped way to wait for a free instance
            delay = min(2 * delay, LONGEST)
        try:
            protocol = protocol_factory()
            return self._make_duplex_pipe_transport(pipe, protocol, {"addr": address}), protocol
        except BaseException:
            pipe.close()
            raise

    async def start_serving_pipe(self, protocol_factory, address):
        """Serve a named pipe until the server is closed: a list of the one server."""
        server = windows_events.PipeServer(address)
        self.call_soon(_Accepting(self, server, protocol_factory, address).accept)
        return [server]

    def _abandon_pipes(self):
        for transport in list(self._pipes):
            transport._abandon()


class _Accepting:
    """Gives the clients of a named pipe to protocols, one after the other.

    A client whose protocol factory raises costs that client only. The server makes the instances, keeps one
    ready for the next client, and closes those without a client; it knows this object as the future of the
    next client, which it cancels."""

    def __init__(self, loop, server, protocol_factory, address):
        self._loop, self._server = loop, server
        self._factory, self._address = protocol_factory, address
        self._transport = None

    def accept(self):
        if self._server.closed():
            return
        self._transport = transport = DuplexPipe()
        self._server._accept_pipe_future = self
        self._pipe = None
        try:
            self._pipe = self._server._get_unconnected_pipe()
            transport._open(self._loop, self._pipe)
            transport._listen(self.arrived)
        except OSError as error:
            self.failed(error)

    def arrived(self, failure):
        if self._server.closed():
            return
        if failure is not None:
            self.failed(failure)
            return
        self._server._free_instances.discard(self._pipe)
        try:
            self._transport._start(self._factory(), None, True, True, {"addr": self._address})
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._transport._abandon()
            self.report("Error on transport creation for incoming pipe connection", error)
        self.accept()

    def failed(self, error):
        """The next client is lost, most likely because it has gone already."""
        self._transport._abandon()
        if self._pipe is not None:
            self._pipe.close()
        if isinstance(error, BrokenPipeError):
            self._loop.call_soon(self.accept)
        else:
            self.report("Pipe accept failed", error)
            self._loop.call_later(constants.ACCEPT_RETRY_DELAY, self.accept)

    def report(self, message, error):
        self._loop.call_exception_handler({"message": message, "exception": error})

    def cancel(self):
        self._transport._abandon()
