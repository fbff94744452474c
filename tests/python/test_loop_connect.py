"""create_connection: its addresses, its errors, and its end when nobody waits for it any more."""

import asyncio
import socket
import ssl
import sys

import pytest

from loops import HOST, Recording, away, passes
from secured import contexts
from support import DEADLINE, closed_port

TCP = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
TCP6 = socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""


@pytest.fixture
def listener():
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(DEADLINE)
        yield listener


@pytest.fixture
def names(monkeypatch):
    """Names and the addresses they have; others are looked up as ever."""
    known, real = {}, socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **options):
        if host not in known:
            return real(host, port, *arguments, **options)
        if isinstance(known[host], Exception):
            raise known[host]
        return known[host]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


async def finish(transport):
    """Close it, with a peer that does so too."""
    transport.close()
    await transport.get_protocol().until("connection_lost")


async def connected(listener, *arguments, **options):
    transport, protocol = await asyncio.get_running_loop().create_connection(Recording, *arguments, **options)
    peer, address = await away(listener.accept)
    with peer:
        assert protocol.calls[0] == "connection_made"
        assert transport.get_extra_info("sockname")[:2] == address[:2]
        await finish(transport)


async def test_an_address(aio, listener):
    for _ in range(10):
        await connected(listener, *listener.getsockname())


async def test_a_name(aio, listener, names):
    names["a.name"] = [(*TCP, listener.getsockname())]
    await connected(listener, "a.name", 7)


async def test_the_second_address_of_a_name(aio, listener, names):
    with closed_port() as port:
        names["a.name"] = [(*TCP, port.getsockname()), (*TCP, listener.getsockname())]
        await connected(listener, "a.name", 7)


async def test_happy_eyeballs(aio, listener, names):
    """The first address never answers; the second is tried soon."""
    names["a.name"] = [(*TCP, ("192.0.2.1", 9)), (*TCP, listener.getsockname())]
    await connected(listener, "a.name", 7, happy_eyeballs_delay=0.05)


async def test_happy_eyeballs_when_none_answers(aio, names):
    with closed_port() as port, closed_port() as other:
        names["a.name"] = [(*TCP, port.getsockname()), (*TCP, other.getsockname())]
        with pytest.raises(OSError, match="refused|Multiple exceptions"):
            await asyncio.get_running_loop().create_connection(Recording, "a.name", 7,
                                                               happy_eyeballs_delay=0.05)


@pytest.mark.parametrize("eyeballs", [{}, {"happy_eyeballs_delay": 0.01}, {"interleave": 1}], ids=str)
async def test_interleaved_families(aio, listener, names, eyeballs):
    with closed_port(socket.AF_INET6) as port:
        names["a.name"] = 2 * [(*TCP6, port.getsockname())] + [(*TCP, listener.getsockname())]
        await connected(listener, "a.name", 7, **eyeballs)


async def test_nobody_listens(aio):
    with closed_port() as port, pytest.raises(ConnectionRefusedError):
        await asyncio.get_running_loop().create_connection(Recording, *port.getsockname())


@pytest.mark.fails_on_stock("its text is the system's alone: [WinError 1225]")
async def test_an_error_names_the_address(aio, names):
    """And each of several."""
    loop = asyncio.get_running_loop()
    with closed_port() as port, closed_port() as other:
        addresses = [port.getsockname(), other.getsockname()]
        with pytest.raises(ConnectionRefusedError) as error:
            await loop.create_connection(Recording, *addresses[0])
        assert str(addresses[0]) in str(error.value)
        names["a.name"] = [(*TCP, address) for address in addresses]
        with pytest.raises(OSError, match="Multiple exceptions") as error:
            await loop.create_connection(Recording, "a.name", 7)
        assert all(str(address) in str(error.value) for address in addresses)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="it came with Python 3.12")
async def test_all_errors(aio, names):
    with closed_port() as port, closed_port() as other:
        addresses = [port.getsockname(), other.getsockname()]
        names["a.name"] = [(*TCP, address) for address in addresses]
        with pytest.raises(ExceptionGroup) as group:
            await asyncio.get_running_loop().create_connection(Recording, "a.name", 7, all_errors=True)
    assert [type(error) for error in group.value.exceptions] == 2 * [ConnectionRefusedError]


async def test_a_name_that_nobody_has(aio, names):
    names["a.name"] = socket.gaierror(socket.EAI_NONAME, "no such name")
    with pytest.raises(socket.gaierror, match="no such name"):
        await asyncio.get_running_loop().create_connection(Recording, "a.name", 7)


async def test_a_local_address(aio, listener):
    with closed_port() as port:
        local = port.getsockname()
    transport, protocol = await asyncio.get_running_loop().create_connection(
        Recording, *listener.getsockname(), local_addr=local)
    peer, address = await away(listener.accept)
    with peer:
        assert address == local
        await finish(transport)


async def test_a_local_address_that_is_taken_is_named(aio, listener):
    local = listener.getsockname()
    with pytest.raises(OSError, match=str(local[1])):
        await asyncio.get_running_loop().create_connection(Recording, *listener.getsockname(),
                                                           local_addr=local)


async def test_a_local_address_that_is_not_ours_is_named(aio, listener):
    with pytest.raises(OSError, match="192.0.2.1"):
        await asyncio.get_running_loop().create_connection(Recording, *listener.getsockname(),
                                                           local_addr=("192.0.2.1", 0))


async def test_ipv6(aio):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        listener.settimeout(DEADLINE)
        await connected(listener, *listener.getsockname()[:2])


async def test_arguments_that_contradict_each_other(aio, listener):
    loop = asyncio.get_running_loop()
    with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for arguments, options in (
                ((), {}), ((HOST, 7), {"sock": sock}), ((HOST, 7), {"server_hostname": "x"}),
                ((), {"sock": datagrams}), ((HOST, 7), {"ssl_handshake_timeout": 1}),
                ((), {"sock": sock, "ssl": True})):
            with pytest.raises(ValueError):
                await loop.create_connection(Recording, *arguments, **options)


async def test_a_factory_that_raises(aio, listener):
    """The socket is closed."""
    def refuse():
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().create_connection(refuse, *listener.getsockname())
        peer, _ = await away(listener.accept)
        peer.close()


async def test_an_attempt_that_is_cancelled(aio, listener):
    """It leaves nothing behind."""
    loop = asyncio.get_running_loop()
    for turns in range(6):
        task = asyncio.ensure_future(loop.create_connection(Recording, *listener.getsockname()))
        await passes(turns)
        task.cancel()
        outcome, = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(outcome, asyncio.CancelledError):
            outcome[0].abort()
    task = asyncio.ensure_future(loop.create_connection(Recording, "192.0.2.1", 9))
    await passes(20)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, OSError)):      # this machine may refuse it at once
        await task
    await passes()


async def test_a_time_limit(aio):
    with pytest.raises(OSError):            # TimeoutError, unless this machine refuses it at once
        async with asyncio.timeout(0.1):
            await asyncio.get_running_loop().create_connection(Recording, "192.0.2.1", 9)


async def test_an_error_of_tls_closes_the_connection(aio):
    """The server has no certificate for this name."""
    server_side, client_side = contexts("1.3")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), HOST, 0, ssl=server_side)
    async with server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=client_side,
                                          server_hostname="another.name")


async def test_a_peer_that_closes_at_once(aio, listener):
    """Everything that it has sent before arrives."""
    loop = asyncio.get_running_loop()
    for _ in range(10):
        connecting = asyncio.ensure_future(loop.create_connection(Recording, *listener.getsockname()))
        peer, _ = await away(listener.accept)
        peer.sendall(b"goodbye")
        peer.close()
        _, protocol = await connecting
        await protocol.until("connection_lost")
        assert protocol.data == b"goodbye" and protocol.lost == [None]
        assert protocol.calls == ["connection_made", "data_received", "eof_received", "connection_lost"]
