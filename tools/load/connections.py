"""Load: very many connections open at the same time on one listener, a few of them busy, then all closed.

    python3 dev.py soak --load [--count N]

For each server: native peers open the connections, and the server's memory and handles are measured while
they are idle. One in a hundred of them exchanges checked data. Then the peers close all (a tenth of them by a
reset), and the engine must count nothing as live any more.
"""

import time
from typing import NamedTuple

from tools.base.report import Problem, say
from tools.environments import run
from tools.load import servers
from tools.load.peers import Peers

COUNT = 10_000
SIZES = 1, 1000, 65536, 300_000         # bytes of each message on a busy connection
OURS = 1024             # bytes that the engine may hold for an idle connection without a buffer


class Figures(NamedTuple):
    """The results of a load. Bytes and handles are for each connection."""
    server: str
    connections: int
    seconds: float      # to open them
    ours: float         # bytes, of the engine's own
    bytes: float        # of the process, what the language holds included
    handles: float
    busy: int           # connections that exchanged data
    echoed: int         # bytes

    def __str__(self):
        return (f"{self.server}: {self.connections} connections open in {self.seconds:.1f} s; each "
                f"{self.ours:.0f} bytes of ours, {self.bytes:.0f} of the process, {self.handles:.2f} "
                f"handles; {self.echoed} bytes echoed on {self.busy} of them, every byte compared; all "
                "closed, nothing live")


def hold(server, weigh, count):
    """Put the load on the server, and return the figures."""
    process = server.process()
    with Peers(server.address) as peers:
        warm(server, peers)
        empty, before = weigh(process), server.stats()
        started = time.monotonic()
        server.expect(count)
        peers.open(count)
        assert server.await_open(count) == count
        seconds = time.monotonic() - started
        full, during = weigh(process), server.stats()
        busy = peers.chance.sample(peers.sockets, count // 100)
        echoed = server.converse(peers, busy, SIZES)
        peers.close(reset=0.1)
        server.hang_up()
    return Figures(server.name, count, seconds, (during["memory"] - before["memory"]) / count,
                   (full.bytes - empty.bytes) / count, (full.handles - empty.handles) / count, len(busy),
                   echoed)


def warm(server, peers):
    """Use one connection first, so that the engine makes its one-time objects before the first
    measurement."""
    server.expect(1)
    peers.open(1)
    assert server.await_open(1) == 1
    server.converse(peers, peers.sockets, SIZES)
    peers.close()
    server.hang_up()


def kinds(windows):
    """The servers, as functions that start them."""
    for version in run.TCL_VERSIONS:
        for mode in ("zero", "auto", "buffered"):
            yield lambda version=version, mode=mode: servers.TclServer(windows, version, recvmode=mode)
    for version in (run.DEFAULT_PYTHON,):
        yield lambda version=version: servers.PythonServer(windows, version)


def main(count):
    """Load every kind of server and print the figures; the exit status."""
    with run.session() as windows, servers.probe(windows) as weigh:
        for start in kinds(windows):
            with servers.ended(start()) as server:
                figures = hold(server, weigh, count)
            say(f"-- {figures}")
            if "zero" in figures.server and figures.ours > OURS:
                raise Problem(f"an idle connection costs {figures.ours:.0f} bytes of ours, more than {OURS}")
    return 0
