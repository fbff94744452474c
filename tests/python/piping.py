"""The common part of the event loop's pipes and processes: pairs of pipe ends, child programs, transports."""

import asyncio
import contextlib
import itertools
import os
import sys
from asyncio import windows_utils

from loops import Recording

NUMBERS = itertools.count()

# Children: each is a program in one string, run without `site`, which starts sooner.
ECHO = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)"
TALK = "import os\nos.write(1, b'ready')\nos.read(0, 1)"            # says so, and waits for a byte or the end
LINES = """
import sys
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(line.upper())
    sys.stdout.buffer.flush()
"""


def program(code):
    """The arguments that run a program in Python."""
    return sys.executable, "-S", "-E", "-c", code


def address():
    """A name for a pipe that no other test has."""
    return rf"\\.\pipe\iocpsock-test-{os.getpid()}-{next(NUMBERS)}"


def ends(overlapped=(True, True), duplex=False):
    """The two ends of a pipe, as pipe objects: data goes from the second to the first."""
    return [windows_utils.PipeHandle(handle)
            for handle in windows_utils.pipe(overlapped=overlapped, duplex=duplex)]


@contextlib.asynccontextmanager
async def transports(reading=Recording, writing=Recording, duplex=True):
    """The protocols at both ends of a pipe: of the one that reads, and of the one that writes."""
    loop = asyncio.get_running_loop()
    near, far = ends(duplex=duplex)
    _, reader = await loop.connect_read_pipe(reading, near)
    _, writer = await loop.connect_write_pipe(writing, far)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        reader.transport.close()                # the stock one has no abort
        for protocol in (reader, writer):
            await protocol.until("connection_lost")


class Child(asyncio.SubprocessProtocol):
    """Notes what a process does."""

    def __init__(self):
        self.data = {1: bytearray(), 2: bytearray()}
        self.calls, self.lost = [], {}
        self.change = asyncio.Event()

    def note(self, name):
        self.calls.append(name)
        self.change.set()

    def connection_made(self, transport):
        self.transport = transport
        self.note("connection_made")

    def pipe_data_received(self, fd, data):
        self.data[fd] += data
        self.note("pipe_data_received")

    def pipe_connection_lost(self, fd, failure):
        self.lost[fd] = failure
        self.note(f"pipe_connection_lost {fd}")

    def process_exited(self):
        self.note("process_exited")

    def connection_lost(self, failure):
        self.note("connection_lost")

    async def until(self, condition):
        while not condition():
            self.change.clear()
            await self.change.wait()

    async def until_called(self, name):
        await self.until(lambda: name in self.calls)
