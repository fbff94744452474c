"""sendfile on the event loop: the whole file or a part, in its place among what else is written."""

import asyncio
import io
import socket

import pytest

from loops import HOST, MEGABYTES, SIDES, KeptOpen, away, linked
from secured import contexts
from support import DEADLINE, pattern, read_exactly, reset, spawn

DATA = pattern(2_000_000)


@pytest.fixture(params=SIDES)
def side(request):
    return request.param


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        yield file


async def test_a_file(aio, side, file):
    async with linked(side) as (protocol, peer):
        reading = spawn(read_exactly, peer, len(DATA))
        assert await asyncio.get_running_loop().sendfile(protocol.transport, file) == len(DATA)
        assert await asyncio.wrap_future(reading) == DATA
        assert file.tell() == len(DATA)


async def test_a_part_between_other_data(aio, side, file):
    async with linked(side) as (protocol, peer):
        expected = b"before" + DATA[1000:301_000] + b"after"
        reading = spawn(read_exactly, peer, len(expected))
        protocol.transport.write(b"before")
        assert await asyncio.get_running_loop().sendfile(protocol.transport, file, 1000, 300_000) == 300_000
        protocol.transport.write(b"after")
        assert await asyncio.wrap_future(reading) == expected
        assert file.tell() == 301_000


async def test_the_file_position_does_not_matter(aio, file):
    async with linked() as (protocol, peer):
        file.seek(5000)
        assert await asyncio.get_running_loop().sendfile(protocol.transport, file, 10, 20) == 20
        assert await away(read_exactly, peer, 20) == DATA[10:30]


async def test_beyond_the_end_of_the_file(aio, file):
    async with linked() as (protocol, peer):
        loop = asyncio.get_running_loop()
        assert await loop.sendfile(protocol.transport, file, len(DATA) - 10, 100) == 10
        assert await loop.sendfile(protocol.transport, file, len(DATA) + 10) == 0
        assert await away(read_exactly, peer, 10) == DATA[-10:]


async def test_what_is_no_file_of_the_system(aio, side):
    """It goes through memory."""
    async with linked(side) as (protocol, peer):
        reading = spawn(read_exactly, peer, len(DATA))
        assert await asyncio.get_running_loop().sendfile(protocol.transport, io.BytesIO(DATA)) == len(DATA)
        assert await asyncio.wrap_future(reading) == DATA


async def test_without_the_fallback(aio):
    """A program may ask for an error rather."""
    async with linked() as (protocol, peer):
        with pytest.raises(asyncio.SendfileNotAvailableError):
            await asyncio.get_running_loop().sendfile(protocol.transport, io.BytesIO(b"x"), fallback=False)


async def test_a_peer_that_reads_late_keeps_the_memory_small(aio, side):
    """The file is read no faster than the peer takes it."""
    async with linked(side) as (protocol, peer):
        file = io.BytesIO(bytes(2 * MEGABYTES))
        sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(protocol.transport, file))
        await stops(sending, file)
        assert protocol.transport.get_write_buffer_size() < 2_000_000
        reading = spawn(read_exactly, peer, 2 * MEGABYTES)
        assert await sending == 2 * MEGABYTES
        assert len(await asyncio.wrap_future(reading)) == 2 * MEGABYTES


async def stops(sending, file):
    """Wait until the sending waits for the peer."""
    position = -1
    while file.tell() != position and not sending.done():
        position = file.tell()
        await asyncio.sleep(0.1)
    assert not sending.done()


async def test_reading_goes_on_meanwhile(aio, side, file):
    async with linked(side) as (protocol, peer):
        sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(protocol.transport, file))
        await asyncio.sleep(0)
        peer.sendall(b"meanwhile")
        reading = spawn(read_exactly, peer, len(DATA))
        await sending
        assert await protocol.until_data(9) == b"meanwhile"
        assert await asyncio.wrap_future(reading) == DATA


async def test_a_transport_that_is_closing(aio, file):
    async with linked() as (protocol, peer):
        protocol.transport.close()
        with pytest.raises(RuntimeError, match="closing"):
            await asyncio.get_running_loop().sendfile(protocol.transport, file)


async def test_a_reset_meanwhile(aio, side):
    async with linked(side, KeptOpen) as (protocol, peer):
        sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(
            protocol.transport, io.BytesIO(bytes(2 * MEGABYTES))))
        await asyncio.sleep(0.1)
        reset(peer)
        with pytest.raises(ConnectionError):
            await sending
        await protocol.until("connection_lost")


async def test_it_is_cancelled(aio):
    async with linked() as (protocol, peer):
        big = io.BytesIO(bytes(2 * MEGABYTES))
        sending = asyncio.ensure_future(asyncio.get_running_loop().sendfile(protocol.transport, big))
        await stops(sending, big)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        protocol.transport.abort()
        await protocol.until("connection_lost")


async def test_a_file_over_tls(aio, file):
    received, over = bytearray(), asyncio.Event()

    async def collect(reader, writer):
        received.extend(await reader.readexactly(len(DATA)))
        over.set()
        writer.close()

    server = await asyncio.start_server(collect, HOST, 0, ssl=contexts("1.3")[0])
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=contexts("1.3")[1],
                                                  server_hostname="localhost")
        assert await asyncio.get_running_loop().sendfile(writer.transport, file) == len(DATA)
        await over.wait()
        writer.close()
    assert received == DATA


async def test_sock_sendfile(aio, file):
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener, socket.create_connection(
            listener.getsockname()) as sock, listener.accept()[0] as peer:
        peer.settimeout(DEADLINE)
        sock.setblocking(False)
        reading = spawn(read_exactly, peer, len(DATA) - 1000)
        assert await loop.sock_sendfile(sock, file, 1000) == len(DATA) - 1000
        assert await asyncio.wrap_future(reading) == DATA[1000:]
