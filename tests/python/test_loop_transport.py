"""Transports of TCP connections: reading, writing, their buffers, half of the stream closed."""

import asyncio
import contextlib
import socket

import pytest

from loops import (HOST, MEGABYTES, SIDES, Buffered, KeptOpen, Recording, away, fill, linked, logged, passes,
                   trouble)
from support import DEADLINE, pattern, read_all, read_exactly, reset, spawn, still_waits


@pytest.fixture(params=SIDES)
def side(request):
    return request.param


async def test_what_it_is(aio, side):
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        assert isinstance(transport, asyncio.Transport)
        assert isinstance(transport, asyncio.ReadTransport) and isinstance(transport, asyncio.WriteTransport)
        assert not isinstance(transport, asyncio.DatagramTransport)
        assert transport.get_protocol() is protocol
        assert transport.can_write_eof()
        assert not transport.is_closing() and transport.is_reading()


async def test_extra_info(aio, side):
    """The addresses are known after the end as well."""
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        assert transport.get_extra_info("peername") == peer.getsockname()
        assert transport.get_extra_info("sockname") == peer.getpeername()
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getpeername() == peer.getsockname() and sock.family == socket.AF_INET
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert transport.get_extra_info("nothing") is None
        assert transport.get_extra_info("nothing", "default") == "default"
        address = peer.getsockname()
        transport.close()
        await protocol.until("connection_lost")
        await passes()
        assert transport.get_extra_info("peername") == address
        assert transport.get_extra_info("nothing", 5) == 5
        assert sock.fileno() == -1


async def test_the_addresses_are_known_after_the_end_if_nobody_asked_before(aio, side):
    async with linked(side) as (protocol, peer):
        names = peer.getsockname(), peer.getpeername()
        protocol.transport.abort()
        await protocol.until("connection_lost")
        await passes()
        assert (protocol.transport.get_extra_info("peername"),
                protocol.transport.get_extra_info("sockname")) == names


@pytest.mark.parametrize("side", ["connected", pytest.param("accepted", marks=pytest.mark.fails_on_stock(
    "it leaves the algorithm on in what it accepts"))])
async def test_nagles_algorithm_is_off(aio, side):
    async with linked(side) as (protocol, peer):
        sock = protocol.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_write(aio, side, kind):
    async with linked(side) as (protocol, peer):
        protocol.transport.write(kind(b"some bytes"))
        assert await away(read_exactly, peer, 10) == b"some bytes"


async def test_write_of_what_is_not_bytes(aio, side):
    async with linked(side) as (protocol, peer):
        for wrong in ("text", 5, None, [b"x"]):
            with pytest.raises(TypeError):
                protocol.transport.write(wrong)
        protocol.transport.write(b"")
        protocol.transport.write(b"fine")
        assert await away(read_exactly, peer, 4) == b"fine"


async def test_the_callers_buffer_may_change_after_write(aio, side):
    async with linked(side) as (protocol, peer):
        data = bytearray(pattern(MEGABYTES))
        sent = bytes(data)
        protocol.transport.write(data)
        data[:] = bytes(len(data))
        assert await away(read_exactly, peer, len(sent)) == sent


async def test_writelines(aio, side):
    async with linked(side) as (protocol, peer):
        protocol.transport.writelines([b"a", bytearray(b"bc"), memoryview(b"def")])
        protocol.transport.writelines([])
        protocol.transport.writelines(bytes([number]) for number in range(100))
        assert await away(read_exactly, peer, 106) == b"abcdef" + bytes(range(100))


async def test_megabytes_both_ways_at_once(aio, side):
    up, down = pattern(MEGABYTES, 1), pattern(MEGABYTES, 2)
    async with linked(side) as (protocol, peer):
        sending, receiving = spawn(peer.sendall, up), spawn(read_exactly, peer, len(down))
        protocol.transport.write(down)
        assert await protocol.until_data(len(up)) == up
        assert await asyncio.wrap_future(receiving) == down
        await asyncio.wrap_future(sending)


async def test_a_buffered_protocol(aio, side):
    data = pattern(1_000_000)
    async with linked(side, Buffered) as (protocol, peer):
        sending = spawn(peer.sendall, data)
        assert await protocol.until_data(len(data)) == data
        await asyncio.wrap_future(sending)
        peer.shutdown(socket.SHUT_WR)
        await protocol.until("eof_received")


async def test_a_buffered_protocol_with_an_empty_buffer(aio, side):
    async with linked(side, Buffered) as (protocol, peer):
        protocol.buffer = bytearray()
        with trouble() as heard:
            peer.sendall(b"x")
            await protocol.until("connection_lost")
    assert [type(context["exception"]) for context in heard] == [RuntimeError]
    assert isinstance(protocol.lost[0], RuntimeError)


async def test_another_protocol_gets_what_comes_later(aio, side):
    async with linked(side) as (protocol, peer):
        peer.sendall(b"first")
        await protocol.until_data(5)
        other = Buffered()
        protocol.transport.set_protocol(other)
        assert protocol.transport.get_protocol() is other
        peer.sendall(b"second")
        assert await other.until_data(6) == b"second"
        protocol.transport.set_protocol(protocol)
        peer.sendall(b"third")
        assert await protocol.until_data(10) == b"firstthird"


async def test_a_paused_transport_gives_no_data_and_loses_none(aio, side):
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        data = pattern(MEGABYTES)
        peer.settimeout(None)       # with a timeout the system may take all at once
        sending = spawn(peer.sendall, data)
        assert await away(still_waits, sending)
        assert not protocol.data
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        assert await protocol.until_data(len(data)) == data
        await asyncio.wrap_future(sending)


async def test_pausing_in_data_received_holds_at_once(aio, side):
    class Careful(Recording):
        def data_received(self, data):
            self.transport.pause_reading()
            super().data_received(data)

    async with linked(side, Careful) as (protocol, peer):
        data = pattern(2_000_000)
        sending = spawn(peer.sendall, data)
        while len(protocol.data) < len(data):
            size = len(protocol.data)
            await protocol.until_data(size + 1)
            size = len(protocol.data)
            await passes(2)
            assert len(protocol.data) == size
            protocol.transport.resume_reading()
        assert protocol.data == data
        await asyncio.wrap_future(sending)


async def test_the_end_of_the_stream_waits_for_a_paused_reader(aio, side):
    async with linked(side) as (protocol, peer):
        protocol.transport.pause_reading()
        peer.sendall(b"last")
        peer.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        assert protocol.calls == ["connection_made"]
        protocol.transport.resume_reading()
        await protocol.until("eof_received")
        assert protocol.data == b"last"


async def test_the_end_of_the_stream_closes_the_transport(aio, side):
    async with linked(side) as (protocol, peer):
        peer.sendall(b"last")
        peer.shutdown(socket.SHUT_WR)
        await protocol.until("connection_lost")
        assert protocol.calls == ["connection_made", "data_received", "eof_received", "connection_lost"]
        assert protocol.lost == [None]
        assert await away(peer.recv, 10) == b""


async def test_the_end_of_the_stream_leaves_a_protocol_that_says_so_writing(aio, side):
    async with linked(side, KeptOpen) as (protocol, peer):
        peer.shutdown(socket.SHUT_WR)
        await protocol.until("eof_received")
        await passes()
        assert not protocol.transport.is_closing()
        data = pattern(MEGABYTES)
        protocol.transport.write(data)
        protocol.transport.close()
        assert await away(read_all, peer) == data
        assert protocol.lost == [None]


async def test_write_eof(aio, side):
    """The peer gets all of it and the end, and can go on sending."""
    async with linked(side) as (protocol, peer):
        data = pattern(MEGABYTES)
        protocol.transport.write(data)
        protocol.transport.write_eof()
        protocol.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            protocol.transport.write(b"more")
        assert await away(read_all, peer) == data
        assert not protocol.lost
        peer.sendall(b"answer")
        assert await protocol.until_data(6) == b"answer"
        peer.close()
        await protocol.until("connection_lost")
        assert protocol.lost == [None]


async def test_water_marks(aio, side):
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.set_write_buffer_limits(low=1000)
        assert transport.get_write_buffer_limits() == (1000, 4000)
        transport.set_write_buffer_limits(high=5000, low=2000)
        assert transport.get_write_buffer_limits() == (2000, 5000)
        for wrong in ({"high": 1, "low": 2}, {"low": -1}, {"high": -1}):
            with pytest.raises(ValueError):
                transport.set_write_buffer_limits(**wrong)
        assert transport.get_write_buffer_limits() == (2000, 5000)


async def test_a_full_buffer_pauses_the_writer_once(aio, side):
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        written = await fill(transport, pattern(1_000_000))
        transport.write(bytes(200_000))
        transport.write(bytes(200_000))
        assert transport.get_write_buffer_size() > 400_000 - 1
        assert protocol.calls.count("pause_writing") == 1
        assert "resume_writing" not in protocol.calls
        assert await away(read_exactly, peer, len(written) + 400_000) == written + bytes(400_000)
        await protocol.until("resume_writing")
        assert protocol.calls.count("resume_writing") == 1
        assert transport.get_write_buffer_size() <= 16 * 1024


async def test_a_full_buffer_pauses_a_writer_that_writes_in_data_received(aio, side):
    class Answering(Recording):
        written = 0

        def data_received(self, data):
            super().data_received(data)
            while "pause_writing" not in self.calls:        # the system may take one piece of any size
                self.transport.write(bytes(100_000))
                self.written += 100_000

    with trouble() as heard:
        async with linked(side, Answering) as (protocol, peer):
            peer.sendall(b"x")
            await protocol.until("pause_writing")
            assert len(await away(read_exactly, peer, protocol.written)) == protocol.written
            await protocol.until("resume_writing")
    assert not heard


async def test_a_limit_of_zero_resumes_when_all_is_sent(aio, side):
    async with linked(side) as (protocol, peer):
        protocol.transport.set_write_buffer_limits(high=0)
        written = await fill(protocol.transport, pattern(1_000_000))
        assert "pause_writing" in protocol.calls
        assert await away(read_exactly, peer, len(written)) == written
        await protocol.until("resume_writing")
        assert protocol.transport.get_write_buffer_size() == 0


async def test_writes_after_close_are_dropped_and_logged_when_there_are_many(aio, side):
    async with linked(side) as (protocol, peer):
        with logged() as messages:
            protocol.transport.close()
            for _ in range(4):
                protocol.transport.write(b"x")
            await protocol.until("connection_lost")
            assert not messages
            for _ in range(10):
                protocol.transport.write(b"x")
        assert messages and set(messages) == {"socket.send() raised exception."}


async def test_calls_after_the_end(aio, side):
    async with linked(side) as (protocol, peer):
        transport = protocol.transport
        transport.abort()
        await protocol.until("connection_lost")
        transport.close()
        transport.abort()
        transport.pause_reading()
        transport.resume_reading()
        assert transport.is_closing() and not transport.is_reading()
        assert transport.get_write_buffer_size() == 0
        assert "closed" in repr(transport)
        await passes()
        assert protocol.calls.count("connection_lost") == 1


async def test_streams(aio):
    async def echo(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                writer.write((await reader.readexactly(1000))[::-1])
                await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for number in range(300):
            data = pattern(1000, number)
            writer.write(data)
            await writer.drain()
            assert await reader.readexactly(1000) == data[::-1]
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_an_accepted_or_connected_socket_of_the_programs(aio, side):
    """Its socket object is the program's; the transport closes it."""
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    with peer:
        if side == "connected":
            transport, protocol = await loop.create_connection(Recording, sock=sock)
        else:
            transport, protocol = await loop.connect_accepted_socket(Recording, sock)
        peer.sendall(b"hello")
        assert await protocol.until_data(5) == b"hello"
        transport.close()
        await protocol.until("connection_lost")
        await passes()
        assert sock.fileno() == -1
        assert await away(peer.recv, 1) == b""


@pytest.mark.fails_on_stock("WinError 87: a socket belongs to one completion port for life")
async def test_a_socket_that_another_loop_has_used(aio):
    """It stays in the other's completion port."""
    loop, other = asyncio.get_running_loop(), asyncio.ProactorEventLoop()
    with socket.create_server((HOST, 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    with peer:
        other._proactor._register_with_iocp(sock)
        other.close()
        sock.setblocking(False)
        transport, protocol = await loop.create_connection(Recording, sock=sock)
        peer.sendall(b"hello")
        assert await protocol.until_data(5) == b"hello"
        transport.write(b"world")
        transport.close()
        assert await away(read_all, peer) == b"world"
        await protocol.until("connection_lost")


async def test_a_reset_is_told_by_connection_lost(aio, side):
    async with linked(side) as (protocol, peer):
        await passes()                      # a receive waits: without one Wine reports the end of the stream
        with logged() as messages, trouble() as heard:
            reset(peer)
            await protocol.until("connection_lost")
            await passes()
        assert [type(failure) for failure in protocol.lost] == [ConnectionResetError]
        assert "eof_received" not in protocol.calls
        assert not messages and not heard
