"""Native peers: many connections from this machine to one server under test, driven by one event loop.

A Peers owns its sockets and its loop; everything runs on the thread that calls it. Each conversation compares
the bytes that come back from an echo server, one by one, with those that were sent.
"""

import asyncio
import contextlib
import random
import socket
import struct

TIMEOUT = 60            # seconds for one connection or one conversation
AT_ONCE = 100           # connection attempts at a time, which the server's backlog must hold
RESET = struct.pack("ii", 1, 0)


class Peers:
    """Connections to one address of an echo server."""

    def __init__(self, address, seed=1):
        self.address = address
        self.chance = random.Random(seed)
        self.sockets = []
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
        self.loop.close()

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def open(self, count, at_once=AT_ONCE):
        """Open `count` more connections."""
        turns = asyncio.Semaphore(at_once)

        async def one():
            async with turns, asyncio.timeout(TIMEOUT):
                self.sockets.append(await self.connect())

        self.run(_all(one() for _ in range(count)))

    async def connect(self):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await self.loop.sock_connect(sock, self.address)
        except BaseException:
            sock.close()
            raise
        return sock

    def converse(self, sockets, sizes):
        """On each socket and for each size, send that many bytes and receive them again. Return their total
        number."""
        return sum(self.run(_all(self.conversation(sock, sizes) for sock in sockets)))

    async def conversation(self, sock, sizes):
        async with asyncio.timeout(TIMEOUT):
            for size in sizes:
                said = self.chance.randbytes(size)
                _, heard = await asyncio.gather(self.loop.sock_sendall(sock, said), self.hear(sock, size))
                if heard != said:
                    raise AssertionError(f"of {size} bytes came back {len(heard)}, "
                                         + ("the same" if said.startswith(heard) else "others"))
        return sum(sizes)

    async def hear(self, sock, size=None):
        """Receive `size` bytes, or all up to the end of the stream; fewer if the stream ends first."""
        heard = bytearray()
        while size is None or len(heard) < size:
            data = await self.loop.sock_recv(sock, 65536 if size is None else min(65536, size - len(heard)))
            if not data:
                break
            heard += data
        return bytes(heard)

    def close(self, reset=0.0):
        """Close all sockets, the given share of them by a reset."""
        for sock in self.sockets:
            hang_up(sock, reset=self.chance.random() < reset)
        self.sockets = []


def hang_up(sock, reset=False):
    """Close the socket, by a reset if `reset`."""
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


async def _all(coroutines):
    """The results of the coroutines; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.gather(*tasks, return_exceptions=True)
        raise
