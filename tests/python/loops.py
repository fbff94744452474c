"""The common part of the event loop's scenarios: the two loops behind one interface, protocols that record
what happens to them, and peers that are plain blocking sockets.

A scenario is a coroutine with the fixture `aio`. It runs on the stock Proactor loop first, which shows that
the expectation is asyncio's, and then on ours. What the Proactor loop is known not to do is marked
`fails_on_stock`, and it must fail there.
"""

import asyncio
import contextlib
import logging
import socket

from support import DEADLINE, reset, spawn

LOOPS = ("stock", "iocpsock")
SIDES = ("connected", "accepted")
HOST = "127.0.0.1"
MEGABYTES = 8_000_000       # bytes: a long transfer


class Aio:
    """One implementation of the event loop."""

    def __init__(self, name):
        self.name = name

    def new(self):
        if self.name == "stock":
            return asyncio.ProactorEventLoop()
        import iocpsock
        return iocpsock.new_event_loop()

    def run(self, coroutine, deadline=DEADLINE, debug=None):
        """asyncio.run on such a loop. A coroutine that waits for ever ends in a TimeoutError."""
        async def limited():
            return await asyncio.wait_for(coroutine, deadline)

        with asyncio.Runner(loop_factory=self.new, debug=debug) as runner:
            return runner.run(limited())


class Recorder:
    """Notes the calls of a protocol's methods: `calls` has their names, `lost` what connection_lost got."""

    keeps_open = False                  # what eof_received returns

    def __init__(self):
        self.calls, self.data, self.lost = [], bytearray(), []
        self.transport = None
        self._change = asyncio.Event()

    def note(self, name):
        self.calls.append(name)
        self._change.set()

    def connection_made(self, transport):
        self.transport = transport
        self.note("connection_made")

    def connection_lost(self, failure):
        self.lost.append(failure)
        self.note("connection_lost")

    def pause_writing(self):
        self.note("pause_writing")

    def resume_writing(self):
        self.note("resume_writing")

    def eof_received(self):
        self.note("eof_received")
        return self.keeps_open

    async def until(self, name):
        """Wait until this method has been called."""
        while name not in self.calls:
            self._change.clear()
            await self._change.wait()

    async def until_data(self, size):
        """Wait until so many bytes have arrived, and return all of them."""
        while len(self.data) < size:
            self._change.clear()
            await self._change.wait()
        return bytes(self.data)


class Recording(Recorder, asyncio.Protocol):
    """A protocol that notes its calls and collects the data."""

    def data_received(self, data):
        self.data += data
        self.note("data_received")


class KeptOpen(Recording):
    """It goes on sending after the peer has sent its last byte."""

    keeps_open = True


class Buffered(Recorder, asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, count):
        self.data += self.buffer[:count]
        self.note("buffer_updated")


async def away(function, *arguments):
    """The result of a call that blocks, made in another thread."""
    return await asyncio.shield(asyncio.wrap_future(spawn(function, *arguments)))


async def passes(count=3):
    """Let the loop run everything that is due now."""
    for _ in range(count):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def linked(side="connected", factory=Recording):
    """A protocol whose transport the loop has connected or accepted, and the peer, a blocking socket."""
    loop = asyncio.get_running_loop()
    if side == "connected":
        with socket.create_server((HOST, 0)) as listener:
            _, protocol = await loop.create_connection(factory, *listener.getsockname())
            peer, _ = listener.accept()
    else:
        made = []

        def make():
            made.append(factory())
            return made[0]

        server = await loop.create_server(make, HOST, 0)
        peer = socket.create_connection(server.sockets[0].getsockname())
        while not made:
            await asyncio.sleep(0.001)
        protocol, = made
        await protocol.until("connection_made")
        server.close()
    peer.settimeout(DEADLINE)
    with peer:
        try:
            yield protocol, peer
        finally:
            protocol.transport.abort()
            await protocol.until("connection_lost")


async def fill(transport, data):
    """Write until the system takes no more, and return what was written."""
    written = bytearray()
    while not transport.get_write_buffer_size():
        transport.write(data)
        written += data
        await asyncio.sleep(0)
    return bytes(written)


@contextlib.contextmanager
def trouble():
    """The contexts that the exception handler of the running loop gets meanwhile."""
    loop, heard = asyncio.get_running_loop(), []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: heard.append(context))
    try:
        yield heard
    finally:
        loop.set_exception_handler(before)


@contextlib.contextmanager
def logged(level=logging.WARNING):
    """The messages that asyncio logs meanwhile."""
    class Handler(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    messages, logger, handler = [], logging.getLogger("asyncio"), Handler(level)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def connect(address, family=socket.AF_INET):
    """A blocking client."""
    client = socket.socket(family)
    client.settimeout(DEADLINE)
    client.connect(address)
    return client


def connect_and_reset(address):
    reset(connect(address))
