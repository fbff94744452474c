"""TLS on the event loop: connections, start_tls, and every way in which they end."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from loops import HOST, MEGABYTES, Recording, away, logged, passes, trouble
from secured import ByHand, contexts
from support import DEADLINE, pattern, read_all, reset, spawn


@contextlib.asynccontextmanager
async def serving(factory, version, **options):
    server = await asyncio.get_running_loop().create_server(factory, HOST, 0, ssl=contexts(version)[0],
                                                            **options)
    async with server:
        yield server.sockets[0].getsockname()


@contextlib.asynccontextmanager
async def secured_by_hand(version, factory=Recording, **options):
    """A protocol of an accepted TLS connection, and its client, a ByHand on a blocking socket."""
    made = []

    def make():
        made.append(factory())
        return made[0]

    async with serving(make, version, **options) as address:
        sock = socket.create_connection(address)
        sock.settimeout(DEADLINE)
        with sock:
            client = ByHand(sock, contexts(version)[1])
            await away(client.carry, client.tls.do_handshake)
            await made[0].until("connection_made")
            try:
                yield made[0], client
            finally:
                made[0].transport.abort()
                await made[0].until("connection_lost")


async def test_a_stream_both_ways(aio, version):
    data = pattern(1_000_000)

    async def echo(reader, writer):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0, ssl=contexts(version)[0])
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(),
                                                       ssl=contexts(version)[1], server_hostname="localhost")
        assert writer.get_extra_info("ssl_object").version() == f"TLSv{version}"
        assert writer.get_extra_info("peername") == server.sockets[0].getsockname()
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await passes(10)


async def test_what_it_is(aio, version):
    async with secured_by_hand(version) as (protocol, client):
        transport = protocol.transport
        assert isinstance(transport, asyncio.Transport)
        assert not transport.can_write_eof()
        assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        assert transport.get_extra_info("peername") == client.sock.getsockname()
        assert transport.get_extra_info("socket").getpeername() == client.sock.getsockname()


async def test_megabytes_to_a_peer_that_reads_late(aio, version):
    data = pattern(MEGABYTES)
    async with secured_by_hand(version) as (protocol, client):
        protocol.transport.write(data)
        await passes(10)
        assert await away(client.read_exactly, len(data)) == data


async def test_close_sends_what_was_written_and_the_farewell(aio, version):
    """At the end the client gets close_notify, not only the end of the TCP stream."""
    data = pattern(300_000)
    async with secured_by_hand(version) as (protocol, client):
        protocol.transport.write(data)
        protocol.transport.close()
        assert await away(client.read_exactly, len(data)) == data
        assert await away(client.carry, client.tls.read, 1) == b""
        client.sock.sendall(client.farewell())
        await protocol.until("connection_lost")
        assert protocol.lost == [None]


async def test_data_and_farewell_in_one_packet(aio, version):
    """What the peer sent before its close_notify arrives."""
    async with secured_by_hand(version) as (protocol, client):
        client.sock.sendall(client.encrypted(b"last words") + client.farewell())
        await protocol.until("connection_lost")
        assert protocol.data == b"last words"
        assert protocol.calls[-2:] == ["eof_received", "connection_lost"]


async def test_the_end_of_the_connection_without_a_farewell(aio, version):
    async with secured_by_hand(version) as (protocol, client):
        with logged() as messages, trouble() as heard:
            client.sock.close()
            await protocol.until("connection_lost")
            await passes(10)
        assert not messages and not heard


async def test_a_reset(aio, version):
    async with secured_by_hand(version) as (protocol, client):
        await passes()
        with logged() as messages, trouble() as heard:
            reset(client.sock)
            await protocol.until("connection_lost")
            await passes(10)
        assert isinstance(protocol.lost[0], ConnectionError)
        assert not messages and not heard


async def test_abort_says_nothing(aio, version):
    """Neither then nor when the TLS layer comes to its end, with something to send or not."""
    for size in (0, 100, MEGABYTES):
        async with secured_by_hand(version) as (protocol, client):
            with logged() as messages, trouble() as heard:
                if size:
                    protocol.transport.write(pattern(size))
                protocol.transport.abort()
                await protocol.until("connection_lost")
                protocol.transport.close()
                protocol.transport.abort()
                await passes(10)
            assert not messages and not heard
            assert len(protocol.lost) == 1


async def test_close_and_then_abort_says_nothing(aio, version):
    async with secured_by_hand(version) as (protocol, client):
        with logged() as messages, trouble() as heard:
            protocol.transport.write(pattern(MEGABYTES))
            protocol.transport.close()
            await passes()
            protocol.transport.abort()
            await protocol.until("connection_lost")
            await passes(10)
        assert not messages and not heard


async def test_a_peer_that_never_answers_the_farewell(aio, version):
    """The transport is lost after the time for it, with no word but that."""
    async with secured_by_hand(version, ssl_shutdown_timeout=0.1) as (protocol, client):
        with logged() as messages:
            protocol.transport.close()
            await protocol.until("connection_lost")
            await passes(10)
        assert not messages
        assert protocol.lost == [None] or isinstance(protocol.lost[0], (TimeoutError, ConnectionError))


async def test_a_peer_that_never_begins_the_handshake(aio, version):
    made = []

    async with serving(lambda: made.append(True) or Recording(), version,
                       ssl_handshake_timeout=0.1) as address:
        with socket.create_connection(address) as client:
            client.settimeout(DEADLINE)
            with trouble(), contextlib.suppress(ConnectionError):
                assert await away(client.recv, 10) == b""


async def test_start_tls(aio, version):
    """Both ends change over in the middle of a conversation."""
    server_side, client_side = contexts(version)
    loop, upgraded = asyncio.get_running_loop(), []

    async def converse(reader, writer):
        assert await reader.readline() == b"upgrade\n"
        writer.write(b"go on\n")
        await writer.start_tls(server_side)
        writer.write(await reader.readline())
        await writer.drain()
        upgraded.append(writer.get_extra_info("ssl_object") is not None)
        writer.close()

    server = await asyncio.start_server(converse, HOST, 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"upgrade\n")
        assert await reader.readline() == b"go on\n"
        await writer.start_tls(client_side, server_hostname="localhost")
        writer.write(b"a secret\n")
        assert await reader.readline() == b"a secret\n"
        assert writer.get_extra_info("ssl_object").version() == f"TLSv{version}"
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert upgraded == [True]
    assert loop.is_running()


async def test_start_tls_with_a_peer_by_hand(aio, version):
    """The connection's own transport is under the TLS one."""
    loop = asyncio.get_running_loop()
    server_side, client_side = contexts(version)
    with socket.create_server((HOST, 0)) as listener:
        transport, protocol = await loop.create_connection(Recording, *listener.getsockname())
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    wrapping = spawn(lambda: server_side.wrap_socket(peer, server_side=True))
    secure = await loop.start_tls(transport, protocol, client_side, server_hostname="localhost")
    with await asyncio.wrap_future(wrapping) as wrapped:
        secure.write(b"secret")
        assert await away(wrapped.recv, 10) == b"secret"
        wrapped.sendall(b"answer")
        assert await protocol.until_data(6) == b"answer"
        secure.close()
        assert await away(read_all, wrapped) == b""
    await protocol.until("connection_lost")
    assert protocol.calls.count("connection_lost") == 1


async def test_start_tls_that_fails(aio, version):
    """The other name is not in the certificate."""
    loop = asyncio.get_running_loop()
    server_side, client_side = contexts(version)

    def accept(sock):
        with contextlib.suppress(OSError), sock:
            server_side.wrap_socket(sock, server_side=True).close()

    with socket.create_server((HOST, 0)) as listener:
        transport, protocol = await loop.create_connection(Recording, *listener.getsockname())
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    wrapping = spawn(accept, peer)
    with pytest.raises(ssl.SSLCertVerificationError):
        await loop.start_tls(transport, protocol, client_side, server_hostname="another.name")
    await asyncio.wrap_future(wrapping)
    await passes(10)


async def test_start_tls_of_what_cannot(aio):
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        transport, protocol = await loop.create_connection(Recording, *listener.getsockname())
        with pytest.raises(TypeError, match="SSLContext"):
            await loop.start_tls(transport, protocol, None)
        transport.close()
        await protocol.until("connection_lost")
