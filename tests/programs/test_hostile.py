"""Hostile peers, native ones, against an echo server on socket2 and one on iocpsock.socket: whatever they do,
others are served meanwhile and afterwards, what is held for them is bounded, and nothing of them is left.
"""

import asyncio
import contextlib
import random
import socket
import zlib

import pytest

from tools.environments import run
from tools.load import servers
from tools.load.peers import Peers, hang_up

SIZES = 1, 1000, 100_000        # what an honest peer says
SETTLE = 20                     # seconds for what the peers left to be gone
STUCK = 0.5                     # seconds without progress after which a peer counts as stuck


@pytest.fixture(scope="module", params=["socket2", "python"])
def server(request, windows):
    if request.param == "socket2":
        started = servers.TclServer(windows, request.config.getoption("--tcl"))
    else:
        started = servers.PythonServer(windows, run.PYTHON_VERSIONS[-1], "echo_threads.py")
    with servers.ended(started) as server:
        yield server


@pytest.fixture(scope="module")
def tcl(windows, request):
    with servers.ended(servers.TclServer(windows, request.config.getoption("--tcl"))) as server:
        yield server


@pytest.fixture
def peers(server):
    """Peers of the server; afterwards it must serve as before, and hold nothing for those of the test."""
    with Peers(server.address) as peers:
        yield peers
        peers.close()
    settled(server)
    be_honest(server.address)
    settled(server)


def be_honest(address):
    with Peers(address) as honest:
        honest.open(3)
        honest.converse(honest.sockets, SIZES)


def settled(server):
    """No connection lives, in the engine's count."""
    pause = asyncio.Event()

    async def until_none():
        while server.stats()["connections_live"]:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pause.wait(), 0.05)

    asyncio.run(asyncio.wait_for(until_none(), SETTLE))


def test_slow_loris(server, peers):
    """Peers that say a byte now and then do not delay the honest ones, and get their bytes back too."""
    peers.open(100)
    for turn in range(3):
        for sock in peers.sockets:
            sock.send(b"%d" % turn)
        be_honest(server.address)
    for sock in peers.sockets:
        assert peers.run(peers.hear(sock, 3)) == b"012"


def test_one_byte_writers(peers):
    """Each byte in a segment of its own."""
    said = peers.chance.randbytes(300)
    peers.open(20)

    async def trickle(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in said:
            await peers.loop.sock_sendall(sock, bytes([byte]))
        return await peers.hear(sock, len(said))

    assert peers.run(gather(map(trickle, peers.sockets))) == [said] * 20


def test_peers_that_never_read(server, peers):
    """They are held up by TCP, with a bounded amount of memory for each. One reads in the end, and gets every
    byte."""
    count, said = 5, random.Random(1).randbytes(24_000_000)
    before = server.stats()["memory"]
    peers.run(open_small(peers, count))

    async def flood():
        sending = [asyncio.ensure_future(peers.loop.sock_sendall(sock, said)) for sock in peers.sockets]
        done, _ = await asyncio.wait(sending, timeout=2 * STUCK)
        assert not done, "the kernel took all of it, so nobody was held up"
        return sending

    sending = peers.run(flood())
    be_honest(server.address)
    # The bounds of docs/socket2.md for each direction, and for each a receive or a write of the script's that
    # exceeds it.
    assert server.stats()["memory"] - before <= (count + 3) * (131_072 + 262_144 + 2 * 65_536 + 2048)

    async def relent():
        for each in sending[1:]:
            each.cancel()
        heard, _ = await asyncio.gather(peers.hear(peers.sockets[0], len(said)), sending[0])
        return heard

    assert peers.run(relent()) == said
    peers.close(reset=0.5)


async def open_small(peers, count):
    """Connections with small buffers of their own, so that the peer is stuck soon."""
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        peers.sockets.append(sock)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 65536)
        await peers.loop.sock_connect(sock, peers.address)


async def gather(coroutines):
    return await asyncio.wait_for(asyncio.gather(*coroutines), servers.TIMEOUT)


def test_resets_in_the_middle(peers):
    """Of the peer's own sending, with the answer on its way."""
    peers.open(40)

    async def break_off(sock):
        sending = asyncio.ensure_future(peers.loop.sock_sendall(sock, bytes(5_000_000)))
        await peers.hear(sock, 10_000)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    peers.run(gather(map(break_off, peers.sockets)))
    peers.close(reset=1)


def test_half_close_by_the_peer(peers):
    """What was said before it comes back whole, and then the end."""
    said = peers.chance.randbytes(300_000)
    peers.open(20)

    async def ask(sock):
        sending = asyncio.ensure_future(peers.loop.sock_sendall(sock, said))
        heard = asyncio.ensure_future(peers.hear(sock))
        await sending
        sock.shutdown(socket.SHUT_WR)
        return await heard

    assert peers.run(gather(map(ask, peers.sockets))) == [said] * 20


def test_half_close_by_the_server(tcl):
    """The peer goes on talking after the server's end, and is heard."""
    with Peers(("127.0.0.1", int(tcl.eval("port_of [set greeting [echo::start echo::greet]]")))) as peers:
        peers.open(1)
        sock, said = peers.sockets[0], b"%d words" % 3 * 50_000
        assert peers.run(peers.hear(sock)) == b"welcome\n"
        peers.run(peers.loop.sock_sendall(sock, said))
        peers.close()
        answer = tcl.eval("if {![info exists echo::heard]} {vwait echo::heard}; zlib crc32 $echo::heard")
        tcl.eval("close $greeting")
    assert int(answer) == zlib.crc32(said)


@pytest.mark.parametrize("peer_reads", [False, True], ids=["nothing", "all"])
def test_a_closed_connection_lingers(tcl, peer_reads):
    """With `-linger 1` a peer that takes nothing keeps the rest of a closed connection for a second; one that
    reads gets all."""
    port = int(tcl.eval("port_of [set pouring [echo::start {echo::pour 256} -linger 1]]"))
    with Peers(("127.0.0.1", port)) as peers:
        peers.run(open_small(peers, 1))
        if peer_reads:
            assert peers.run(peers.hear(peers.sockets[0])) == b"x" * 65536 * 256
        settled(tcl)
        if not peer_reads:
            with pytest.raises(ConnectionResetError):
                peers.run(peers.hear(peers.sockets[0]))
    tcl.eval("close $pouring")


def test_thousands_connect_and_reset(peers):
    """Some are gone before they are accepted, some after."""
    for _ in range(30):
        peers.open(100)
        peers.close(reset=1)


def test_a_flood(peers):
    """All at once, and all are served."""
    peers.open(200, at_once=200)
    peers.converse(peers.sockets, [10])


def test_a_flood_while_the_program_is_busy(tcl):
    """Nobody takes connections for a second, more than the engine keeps for the program; then everybody is
    served."""
    with Peers(tcl.address) as peers:
        tcl.program.start("after 1000")
        peers.open(1500, at_once=500)
        tcl.program.result()
        peers.converse(peers.sockets, [10])
        peers.close(reset=0.5)
        tcl.hang_up()
        settled(tcl)


def test_a_flood_over_a_short_backlog(tcl):
    """Whom the system turns away, or leaves half connected, is its business; the listener goes on."""
    port = int(tcl.eval("port_of [set short [socket -server echo::accept -backlog 2 -myaddr 127.0.0.1 0]]"))
    with Peers(("127.0.0.1", port)) as peers:

        async def try_to(number):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    peers.sockets.append(await peers.connect())

        tcl.program.start("after 500")
        peers.run(gather(map(try_to, range(400))))
        tcl.program.result()
        peers.close(reset=1)
    be_honest(("127.0.0.1", port))
    tcl.hang_up()
    settled(tcl)
    tcl.eval("close $short")


def test_everything_at_once(peers):
    """Peers of every kind, mixed by chance."""
    chance = random.Random(7)

    async def honest():
        sock = await peers.connect()
        await peers.conversation(sock, [chance.randrange(1, 50_000)])
        sock.close()

    async def resetting(says):
        sock = await peers.connect()
        if says:
            await peers.loop.sock_sendall(sock, bytes(says))
        hang_up(sock, reset=True)

    async def ungrateful():
        sock = await peers.connect()
        await peers.loop.sock_sendall(sock, bytes(5000))
        await peers.hear(sock, 1)
        sock.close()

    kinds = honest, lambda: resetting(0), lambda: resetting(3000), ungrateful
    for _ in range(10):
        peers.run(gather(chance.choice(kinds)() for _ in range(60)))
