"""Soak: random use of everything at once for a given time. The server's memory and handles are measured
between the rounds.

    python3 dev.py soak [--minutes N] [--tcl V]

One process of Windows Tcl serves echo on socket2 and makes connections of its own; native peers use it. A
round lasts ROUND seconds. It has conversations, bulk transfers that end with a half-close, connections that
are reset before they send anything, in the middle, or with an answer unread, and peers that do not read. From
the server it has clients whose peer answers, resets or refuses. Every byte that either side receives is
compared with what the other sent: its value, its place and, where nobody has reset the connection, their
number.
A hundred idle connections last from the first round to the last. After each round the peers are gone, the
engine must count no connection except the idle ones, and the process is measured.

The verdict: a figure is flat if its maximum in the last third of the rounds exceeds its maximum in the third
before by at most SLACK. The first third is for warming up. Everything here runs on one thread, in one event
loop.
"""

import asyncio
import contextlib
import random
import socket
import struct
import time
from typing import NamedTuple

from tools.base.report import Problem, say
from tools.environments import run
from tools.load import servers
from tools.load.peers import Peers, hang_up

ROUND = 20              # seconds
LEAST = 9               # rounds without which there is no verdict
PLAYERS = 12            # native peers at a time
PAUSE = 0.2             # seconds between two acts of a player, at most
IDLE = 100
DIGITS = 10             # of the number of a call (tests/programs/caller.tcl)
# The growth that is allowed in the last third: bytes of the process, its handles, bytes of the engine.
SLACK = {"process bytes": 1 << 20, "handles": 8, "engine bytes": 256 << 10}


def stream(number):
    """The bytes that the caller with this number sends after the number, and that the peer of the number
    before sends. caller.tcl has the same."""
    size, words = 1 + number * 7919 % 20000, []
    for _ in range(size // 4 + 1):
        number = (number * 1664525 + 1013904223) & 0xFFFFFFFF
        words.append(number)
    return struct.pack(f"<{len(words)}I", *words)[:size]


class Sample(NamedTuple):
    """The server at rest after a round."""
    process_bytes: int
    handles: int
    engine_bytes: int

    def figures(self):
        return dict(zip(SLACK, self))


class Players:
    """The native side: peers of every kind, and a listener for the server's own connections."""

    def __init__(self, peers, seed):
        self.peers = peers
        self.chance = random.Random(seed)
        self.done = {}          # acts, by name

    async def play(self, until):
        """One player: act after act, until the time is over."""
        acts = (self.talk, self.talk, self.bulk, self.reset_at_once, self.reset_in_the_middle,
                self.leave_unread, self.never_read)
        while time.monotonic() < until:
            act = self.chance.choice(acts)
            async with asyncio.timeout(servers.TIMEOUT):
                await act()
            self.count(act.__name__)
            await asyncio.sleep(self.chance.random() * PAUSE)

    def count(self, act):
        self.done[act] = self.done.get(act, 0) + 1

    async def talk(self):
        with await self.peers.connect() as sock:
            await self.peers.conversation(sock, [self.chance.randrange(1, 20_000)
                                                 for _ in range(self.chance.randrange(1, 10))])

    async def bulk(self):
        said = self.chance.randbytes(self.chance.randrange(100_000, 2_000_000))
        with await self.peers.connect() as sock:
            hearing = asyncio.ensure_future(self.peers.hear(sock))
            await self.peers.loop.sock_sendall(sock, said)
            sock.shutdown(socket.SHUT_WR)
            if await hearing != said:
                raise AssertionError(f"of {len(said)} bytes came back others")

    async def reset_at_once(self):
        hang_up(await self.peers.connect(), reset=True)

    async def reset_in_the_middle(self):
        sock = await self.peers.connect()
        said = self.chance.randbytes(500_000)
        sending = asyncio.ensure_future(self.peers.loop.sock_sendall(sock, said))
        compare(await self.peers.hear(sock, 1000), said, at_least=1000)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        hang_up(sock, reset=True)

    async def leave_unread(self):
        with await self.peers.connect() as sock:
            said = self.chance.randbytes(5000)
            await self.peers.loop.sock_sendall(sock, said)
            compare(await self.peers.hear(sock, 1), said, at_least=1)

    async def never_read(self):
        """Send without reading, until the connection is stuck or everything is sent."""
        sock = await self.peers.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.peers.loop.sock_sendall(sock, bytes(8_000_000)), 0.5)
        hang_up(sock, reset=self.chance.random() < 0.5)

    async def answer(self, sock):
        """Serve a connection that the server made: both ends send their streams at the same time, or this end
        resets it in the middle."""
        number = int(await self.peers.hear(sock, DIGITS))
        theirs, ours = stream(number), stream(number + 1)
        self.count("answer")
        if self.chance.random() < 0.3:
            compare(await self.peers.hear(sock, len(theirs) // 2), theirs, at_least=len(theirs) // 2)
            hang_up(sock, reset=True)
            return
        _, heard = await asyncio.gather(self.peers.loop.sock_sendall(sock, ours),
                                        self.peers.hear(sock, len(theirs)))
        compare(heard, theirs, at_least=len(theirs))
        sock.close()


def compare(heard, said, at_least):
    """Fail unless `heard` is the beginning of `said`, and has at least `at_least` bytes."""
    if len(heard) < at_least or not said.startswith(heard):
        raise AssertionError(f"of {len(said)} bytes came {len(heard)}, "
                             + ("the same" if said.startswith(heard) else "others"))


class Soak:
    """One run: the server, its measurements, its peers."""

    def __init__(self, server, weigh, peers):
        self.server, self.weigh, self.peers = server, weigh, peers
        self.players = Players(peers, seed=time.time_ns())
        self.process = server.process()
        self.samples = []

    def run(self, minutes):
        self.server.eval("source $file", file=self.server.program.path(servers.PROGRAMS / "caller.tcl"))
        self.peers.open(IDLE)
        started = time.monotonic()
        while len(self.samples) < LEAST or time.monotonic() - started < minutes * 60:
            self.peers.run(self.round())
            self.samples.append(self.rest())
            say(f"-- {(time.monotonic() - started) / 60:5.1f} min  " + "  ".join(
                f"{name} {figure:,}" for name, figure in self.samples[-1].figures().items()))
        self.peers.converse(self.peers.sockets, [100])      # the idle ones, which live
        self.peers.close()
        self.server.hang_up()

    async def round(self):
        """Run players and callers until the round is over. Raise the error that one of them found."""
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
            listener.setblocking(False)
            accepting = asyncio.ensure_future(self.accept(listener))
            self.server.eval("caller::start $port", port=listener.getsockname()[1])
            until = time.monotonic() + ROUND
            await asyncio.gather(*(self.players.play(until) for _ in range(PLAYERS)))
            heard = await asyncio.to_thread(self.server.eval, "caller::stop")
            self.players.done["heard by the server"] = int(heard)
            accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await accepting

    async def accept(self, listener):
        async with asyncio.TaskGroup() as answers:
            while True:
                sock, _ = await self.peers.loop.sock_accept(listener)
                answers.create_task(self.players.answer(sock))

    def rest(self):
        """Measure the server once it has only the idle connections."""
        if (left := self.server.await_open(IDLE)) != IDLE:
            raise Problem(f"soak: {left} connections are open after a round, not {IDLE}")
        self.server.await_live(IDLE)
        weight = self.weigh(self.process)
        return Sample(weight.bytes, weight.handles, self.server.stats()["memory"])


def verdict(samples):
    """Whether each figure is flat, and a line of text that reports it."""
    third = len(samples) // 3
    flat, words = True, []
    for name, slack in SLACK.items():
        before = max(sample.figures()[name] for sample in samples[-2 * third:-third])
        after = max(sample.figures()[name] for sample in samples[-third:])
        flat &= after <= before + slack
        words.append(f"{name} {before:,} -> {after:,} (may grow by {slack:,})")
    head = f"{'flat' if flat else 'NOT FLAT'}: the most in the second third and in the last: "
    return flat, head + "; ".join(words)


def main(minutes, version):
    """Soak socket2 in Tcl of the version; the exit status."""
    with run.session() as windows, servers.probe(windows) as weigh, \
            servers.ended(servers.TclServer(windows, version)) as server, Peers(server.address) as peers:
        soak = Soak(server, weigh, peers)
        soak.run(minutes)
        flat, words = verdict(soak.samples)
        stats = server.stats()
    say("-- acts: " + ", ".join(f"{name.replace('_', ' ')} {count}"
                                for name, count in sorted(soak.players.done.items())))
    say(f"-- {stats['accepts']:,} connections accepted, {stats['connects']:,} made, "
        f"{stats['connect_failures']:,} refused; {stats['bytes_received']:,} bytes received, "
        f"{stats['bytes_sent']:,} sent; nothing live at the end")
    say(f"-- {words}")
    return 0 if flat else 1
