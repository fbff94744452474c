"""Datagrams on the event loop: endpoints, the errors of one datagram, and the end."""

import asyncio
import contextlib
import gc
import socket
import sys
import warnings

import pytest

from loops import HOST, away, logged, passes, trouble
from support import DEADLINE, SOON


class Receiver(asyncio.DatagramProtocol):
    """Notes what comes."""

    def __init__(self):
        self.received, self.errors, self.lost = [], [], []
        self._change = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.received.append((data, address))
        self._change.set()

    def error_received(self, error):
        self.errors.append(error)
        self._change.set()

    def connection_lost(self, failure):
        self.lost.append(failure)
        self._change.set()

    async def until(self, condition):
        while not condition():
            self._change.clear()
            await self._change.wait()


@contextlib.asynccontextmanager
async def endpoint(**options):
    options.setdefault("local_addr", (HOST, 0))
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, **options)
    try:
        yield protocol, protocol.transport.get_extra_info("sockname")
    finally:
        protocol.transport.abort()
        await protocol.until(lambda: protocol.lost)


@contextlib.contextmanager
def peer_socket(family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1" if family == socket.AF_INET6 else HOST, 0))
        sock.settimeout(DEADLINE)
        yield sock


@contextlib.contextmanager
def nobody():
    """An address at which nobody listens: sending there is answered by an error."""
    with peer_socket() as sock:
        address = sock.getsockname()
    yield address


@pytest.fixture(scope="module")
def unreachable():
    """For the tests that want the error of an address at which nobody listens: some machines give none."""
    with peer_socket() as sock, nobody() as address:
        sock.connect(address)
        sock.send(b"x")
        sock.settimeout(1)
        with contextlib.suppress(ConnectionError):
            try:
                sock.recv(10)
            except TimeoutError:
                pytest.skip("this machine does not tell that a datagram was refused")


async def test_there_and_back(aio):
    async with endpoint() as (protocol, address):
        with peer_socket() as peer:
            for number in range(100):
                peer.sendto(b"%d" % number, address)
                await protocol.until(lambda: len(protocol.received) > number)
                assert protocol.received[number] == (b"%d" % number, peer.getsockname())
                protocol.transport.sendto(b"back", peer.getsockname())
                assert await away(peer.recv, 10) == b"back"


async def test_what_it_is(aio):
    async with endpoint() as (protocol, address):
        transport = protocol.transport
        assert isinstance(transport, asyncio.DatagramTransport)
        assert isinstance(transport.get_extra_info("socket"), asyncio.trsock.TransportSocket)
        assert transport.get_extra_info("peername") is None
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()


@pytest.mark.parametrize("size", [60_000, pytest.param(0, marks=[
    pytest.mark.fails_on_stock("an empty datagram is not received"),
    pytest.mark.skipif(sys.version_info < (3, 13), reason="before Python 3.13 asyncio sends none")])])
async def test_an_empty_or_a_large_datagram(aio, size):
    async with endpoint() as (protocol, address):
        with peer_socket() as peer:
            peer.sendto(bytes(size), address)
            await protocol.until(lambda: protocol.received)
            assert protocol.received == [(bytes(size), peer.getsockname())]
            protocol.transport.sendto(bytes(size), peer.getsockname())
            assert await away(peer.recv, 65536) == bytes(size)


async def test_a_connected_endpoint(aio):
    with peer_socket() as peer, peer_socket() as stranger:
        async with endpoint(remote_addr=peer.getsockname()) as (protocol, address):
            transport = protocol.transport
            assert transport.get_extra_info("peername") == peer.getsockname()
            transport.sendto(b"hello")
            transport.sendto(b"again", peer.getsockname())
            assert [await away(peer.recv, 10) for _ in range(2)] == [b"hello", b"again"]
            with pytest.raises(ValueError):
                transport.sendto(b"x", stranger.getsockname())
            stranger.sendto(b"unheard", address)
            peer.sendto(b"heard", address)
            await protocol.until(lambda: protocol.received)
            assert protocol.received == [(b"heard", peer.getsockname())]


@pytest.mark.parametrize("connected", [False, True])
async def test_ipv6(aio, connected):
    with peer_socket(socket.AF_INET6) as peer:
        remote = {"remote_addr": peer.getsockname()[:2]} if connected else {}
        async with endpoint(local_addr=("::1", 0), **remote) as (protocol, address):
            protocol.transport.sendto(b"hello", None if connected else peer.getsockname())
            data, sender = await away(peer.recvfrom, 10)
            assert (data, sender[:2]) == (b"hello", address[:2])
            peer.sendto(b"back", address)
            await protocol.until(lambda: protocol.received)
            assert protocol.received[0][0] == b"back"
            assert protocol.received[0][1][:2] == peer.getsockname()[:2]


async def test_an_unreachable_address_is_told(aio, unreachable):
    """Windows gives the error to the next receive."""
    with nobody() as address:
        async with endpoint(remote_addr=address) as (protocol, here):
            with logged() as messages, trouble() as heard:
                protocol.transport.sendto(b"x")
                await protocol.until(lambda: protocol.errors)
                assert isinstance(protocol.errors[0], ConnectionError)
                assert not protocol.transport.is_closing() and not protocol.lost
            assert not messages and not heard


async def test_an_endpoint_goes_on_after_an_unreachable_address(aio):
    with peer_socket() as peer, nobody() as address:
        async with endpoint() as (protocol, here):
            for _ in range(3):
                protocol.transport.sendto(b"x", address)
                await passes()
            peer.sendto(b"still", here)
            await protocol.until(lambda: protocol.received)
            assert protocol.received == [(b"still", peer.getsockname())]
            assert not protocol.lost


async def test_a_datagram_that_is_too_large_does_not_stop_the_others(aio):
    async with endpoint() as (protocol, here):
        with peer_socket() as peer:
            protocol.transport.sendto(bytes(70_000), peer.getsockname())
            await protocol.until(lambda: protocol.errors)
            protocol.transport.sendto(b"fine", peer.getsockname())
            assert await away(peer.recv, 10) == b"fine"
            assert isinstance(protocol.errors[0], OSError) and not protocol.lost


@pytest.mark.fails_on_stock("connection_lost is never called", before=(3, 14))
async def test_what_was_sent_before_close_goes_out(aio):
    with peer_socket() as peer:
        async with endpoint() as (protocol, here):
            for number in range(50):
                protocol.transport.sendto(b"%d" % number, peer.getsockname())
            protocol.transport.close()
            protocol.transport.close()
            await protocol.until(lambda: protocol.lost)
            assert protocol.lost == [None]
        assert [await away(peer.recv, 10) for _ in range(50)] == [b"%d" % number for number in range(50)]


@pytest.mark.fails_on_stock("the end of the loop drops all but the first")
def test_what_was_sent_before_the_end_of_run_goes_out(aio):
    async def main(address):
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver,
                                                                                 local_addr=(HOST, 0))
        for number in range(20):
            transport.sendto(b"%d" % number, address)
        transport.close()

    with peer_socket() as peer:
        aio.run(main(peer.getsockname()))
        peer.settimeout(SOON)
        assert [peer.recv(10) for _ in range(20)] == [b"%d" % number for number in range(20)]


async def test_the_callers_buffer_may_change(aio):
    with peer_socket() as peer:
        async with endpoint() as (protocol, here):
            data = bytearray(b"before")
            protocol.transport.sendto(data, peer.getsockname())
            data[:] = b"after!"
            assert await away(peer.recv, 10) == b"before"


async def test_a_method_that_raises(aio):
    class Raising(Receiver):
        def datagram_received(self, data, address):
            raise ZeroDivisionError

    loop = asyncio.get_running_loop()
    with peer_socket() as peer, trouble() as heard:
        transport, protocol = await loop.create_datagram_endpoint(Raising, local_addr=(HOST, 0))
        peer.sendto(b"x", transport.get_extra_info("sockname"))
        while not heard:
            await asyncio.sleep(0.001)
        transport.abort()
        await protocol.until(lambda: protocol.lost)
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]


async def test_an_address_that_is_taken_is_named(aio):
    with peer_socket() as peer, pytest.raises(OSError):
        async with endpoint(local_addr=peer.getsockname()):
            pass


async def test_an_endpoint_of_the_programs_socket(aio):
    loop = asyncio.get_running_loop()
    with peer_socket() as peer:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        transport, protocol = await loop.create_datagram_endpoint(Receiver, sock=sock)
        peer.sendto(b"hello", sock.getsockname())
        await protocol.until(lambda: protocol.received)
        transport.close()
        await protocol.until(lambda: protocol.lost)
        await passes()
        assert sock.fileno() == -1


async def test_recvfrom_tells_what_became_of_a_datagram(aio, unreachable):
    """The error of a datagram that was sent before."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sock, nobody() as address:
        sock.setblocking(False)
        sock.bind((HOST, 0))
        sock.connect(address)
        await loop.sock_sendto(sock, b"x", address)
        with pytest.raises(ConnectionResetError):
            await loop.sock_recvfrom(sock, 10)


def test_an_endpoint_that_is_left_open_warns(aio):
    async def main():
        await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=(HOST, 0))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aio.run(main())
        gc.collect()
    assert "unclosed transport" in " ".join(str(warning.message) for warning in caught)
