"""Pipes of the event loop: transports of both ends, servers and clients of named pipes."""

import asyncio
import contextlib
import contextvars
import gc
import random
import socket
import threading

import pytest

from loops import MEGABYTES, Aio, Buffered, KeptOpen, Recording, away, passes, trouble
from piping import address, ends, transports
from support import DEADLINE, pattern

mark = contextvars.ContextVar("mark", default="none")
SMALL = 10_000          # messages


async def test_bytes_arrive_as_they_were_written(aio):
    data = pattern(MEGABYTES)
    async with transports() as (reader, writer):
        writer.transport.write(data)
        assert await reader.until_data(len(data)) == data


async def test_what_a_bytearray_held_is_written(aio):
    async with transports() as (reader, writer):
        data = bytearray(pattern(1_000_000))
        expected = bytes(data)
        writer.transport.write(data)
        data[:] = bytes(len(data))
        writer.transport.writelines([b"one", memoryview(b"two")])
        assert await reader.until_data(len(expected) + 6) == expected + b"onetwo"


async def test_a_buffered_protocol_gets_the_same(aio):
    data = pattern(300_000)
    async with transports(reading=Buffered) as (reader, writer):
        writer.transport.write(data)
        assert await reader.until_data(len(data)) == data
        assert "buffer_updated" in reader.calls


async def test_many_small_messages_in_one_pass(aio):
    messages = [b"%d\n" % number for number in range(SMALL)]
    async with transports() as (reader, writer):
        for message in messages:
            writer.transport.write(message)
        whole = b"".join(messages)
        assert await reader.until_data(len(whole)) == whole


async def test_many_small_messages_one_after_the_other(aio):
    async with transports() as (reader, writer):
        for number in range(1000):
            writer.transport.write(b"%d\n" % number)
            await reader.until_data(sum(len(b"%d\n" % before) for before in range(number + 1)))
        assert bytes(reader.data).split() == [b"%d" % number for number in range(1000)]


async def test_the_writers_end_is_the_readers_end_of_the_stream(aio):
    async with transports() as (reader, writer):
        writer.transport.write(b"the last")
        writer.transport.close()
        await reader.until("connection_lost")
        assert bytes(reader.data) == b"the last"
        assert reader.calls[-2:] == ["eof_received", "connection_lost"]
        assert reader.lost == [None]
        await writer.until("connection_lost")
        assert writer.lost == [None]


async def test_write_eof_is_close(aio):
    async with transports() as (reader, writer):
        assert writer.transport.can_write_eof()
        writer.transport.write(b"x")
        writer.transport.write_eof()
        await reader.until("eof_received")
        assert bytes(reader.data) == b"x"


async def test_close_writes_what_is_queued(aio):
    data = pattern(MEGABYTES)
    async with transports() as (reader, writer):
        writer.transport.write(data)
        writer.transport.close()
        assert writer.transport.is_closing()
        await reader.until("eof_received")
        assert bytes(reader.data) == data


async def test_abort_drops_what_is_queued(aio):
    async with transports() as (reader, writer):
        reader.transport.pause_reading()
        writer.transport.write(bytes(MEGABYTES))
        writer.transport.abort()
        assert writer.transport.get_write_buffer_size() == 0
        await writer.until("connection_lost")
        assert writer.lost == [None]
        reader.transport.resume_reading()
        await reader.until("eof_received")
        assert len(reader.data) < MEGABYTES


async def test_a_reader_that_keeps_open_after_the_end(aio):
    async with transports(reading=KeptOpen) as (reader, writer):
        writer.transport.close()
        await reader.until("eof_received")
        await passes()
        assert not reader.lost
        assert not reader.transport.is_closing()
        reader.transport.close()
        await reader.until("connection_lost")
        assert reader.lost == [None]


async def test_an_idle_writer_hears_that_the_reader_closed(aio):
    async with transports() as (reader, writer):
        reader.transport.close()
        await writer.until("connection_lost")
        assert writer.lost == [None]


async def test_a_writer_with_a_queue_gets_a_broken_pipe(aio):
    async with transports() as (reader, writer):
        reader.transport.pause_reading()
        writer.transport.write(bytes(MEGABYTES))
        await passes()
        reader.transport.close()
        await writer.until("connection_lost")
        assert isinstance(writer.lost[0], BrokenPipeError)


async def test_writes_after_the_loss_are_dropped(aio):
    async with transports() as (reader, writer):
        writer.transport.abort()
        for _ in range(10):
            writer.transport.write(b"into the void")
        await writer.until("connection_lost")
        writer.transport.write(b"into the void")
        assert writer.transport.get_write_buffer_size() == 0


async def test_a_paused_reader_gets_nothing(aio):
    async with transports() as (reader, writer):
        reader.transport.pause_reading()
        reader.transport.pause_reading()
        assert not reader.transport.is_reading()
        writer.transport.write(pattern(100_000))
        await asyncio.sleep(0.1)
        before = len(reader.data)
        await asyncio.sleep(0.1)
        assert len(reader.data) == before == 0
        reader.transport.resume_reading()
        assert reader.transport.is_reading()
        assert await reader.until_data(100_000) == pattern(100_000)


async def test_a_reader_that_pauses_in_data_received(aio):
    class Pausing(Recording):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async with transports(reading=Pausing) as (reader, writer):
        data = pattern(500_000)
        writer.transport.write(data)
        while len(reader.data) < len(data):
            await reader.until_data(len(reader.data) + 1)
            before = len(reader.data)
            await passes()
            assert len(reader.data) == before
            reader.transport.resume_reading()
        assert bytes(reader.data) == data


async def test_the_writer_is_paused_above_the_mark_and_resumed_at_the_low_one(aio):
    async with transports() as (reader, writer):
        reader.transport.pause_reading()
        writer.transport.set_write_buffer_limits(high=100_000, low=1000)
        assert writer.transport.get_write_buffer_limits() == (1000, 100_000)
        while "pause_writing" not in writer.calls:
            writer.transport.write(bytes(10_000))
            await asyncio.sleep(0)
        assert writer.transport.get_write_buffer_size() > 100_000
        assert "resume_writing" not in writer.calls
        reader.transport.resume_reading()
        await writer.until("resume_writing")
        assert writer.transport.get_write_buffer_size() <= 1000


async def test_what_a_pipe_transport_is(aio):
    async with transports() as (reader, writer):
        assert isinstance(reader.transport, asyncio.ReadTransport)
        assert isinstance(writer.transport, asyncio.WriteTransport)
        assert reader.transport.get_protocol() is reader
        assert reader.transport.get_extra_info("pipe").fileno() > 0
        assert reader.transport.get_extra_info("nothing", "default") == "default"
        with pytest.raises(TypeError):
            writer.transport.write("text")
        assert "transport" in repr(reader.transport).lower() or "pipe" in repr(reader.transport).lower()


async def test_another_protocol_takes_over(aio):
    async with transports() as (first, writer):
        second = Recording()
        second.transport = first.transport
        first.transport.set_protocol(second)
        writer.transport.write(b"for the second")
        assert await second.until_data(14) == b"for the second"
        first.transport.set_protocol(first)
        assert not first.data


async def test_a_protocol_that_raises_loses_its_pipe(aio):
    class Raising(Recording):
        def data_received(self, data):
            raise ZeroDivisionError

    async with transports(reading=Raising) as (reader, writer):
        with trouble() as heard:
            writer.transport.write(b"x")
            if aio.name == "iocpsock":
                await reader.until("connection_lost")
                assert isinstance(reader.lost[0], ZeroDivisionError)
            else:
                await asyncio.sleep(0.1)
            assert isinstance(heard[0]["exception"], ZeroDivisionError)


async def test_a_protocol_runs_in_the_context_of_its_connection(aio):
    class Marked(Recording):
        def note(self, name):
            super().note((name, mark.get()))

    mark.set("here")
    near, far = ends(duplex=True)
    loop = asyncio.get_running_loop()
    _, reader = await loop.connect_read_pipe(Marked, near)
    _, writer = await loop.connect_write_pipe(Recording, far)
    mark.set("elsewhere")
    writer.transport.write(b"x")
    writer.transport.close()
    await reader.until(("connection_lost", "here"))
    assert {seen for _, seen in reader.calls} == {"here"}
    await writer.until("connection_lost")


@pytest.mark.parametrize("seed", range(5))
async def test_ends_at_random_moments(aio, seed):
    """Each protocol loses its pipe once, and what a reader got is the beginning of what was written."""
    chance, data = random.Random(seed), pattern(200_000, seed)

    async def one():
        async with transports() as (reader, writer):
            sent = 0
            for _ in range(chance.randrange(1, 12)):
                size = chance.choice([1, 100, 5000, 30_000])
                writer.transport.write(data[sent:sent + size])
                sent += len(data[sent:sent + size])
                if chance.random() < 0.3:
                    reader.transport.pause_reading()
                await asyncio.sleep(chance.choice([0, 0, 0.001]))
                if chance.random() < 0.5:
                    reader.transport.resume_reading()
            chance.choice([writer.transport.close, writer.transport.abort, reader.transport.close])()
            await asyncio.sleep(chance.choice([0, 0.002]))
        assert bytes(reader.data) == data[:len(reader.data)]
        for protocol in reader, writer:
            assert len(protocol.lost) == protocol.calls.count("connection_made") == 1

    await asyncio.gather(*[one() for _ in range(20)])


@pytest.mark.fails_on_stock("PermissionError: it watches by reads, which the handle does not allow")
async def test_a_handle_that_may_only_be_written_to(aio):
    async with transports(duplex=False) as (reader, writer):
        writer.transport.write(b"one way")
        assert await reader.until_data(7) == b"one way"
        reader.transport.close()
        await reader.until("connection_lost")
        while not writer.lost:                              # a write notices
            writer.transport.write(b"x")
            await asyncio.sleep(0.01)
        assert isinstance(writer.lost[0], BrokenPipeError)


@pytest.mark.fails_on_stock("its own error meanwhile, mended in 3.14.10", before=(3, 14))
async def test_a_handle_that_is_not_overlapped_is_refused(aio):
    """The reading protocol is told, and the writing one is not made."""
    loop = asyncio.get_running_loop()
    near, far = ends(overlapped=(False, False))
    with near, far:
        transport, reader = await loop.connect_read_pipe(Recording, near)
        await reader.until("connection_lost")
        assert reader.calls == ["connection_made", "connection_lost"] and transport.is_closing()
        assert isinstance(reader.lost[0], OSError) and near.handle is None      # it is closed
        with pytest.raises(OSError):
            await loop.connect_write_pipe(Recording, far)


@pytest.mark.fails_on_stock("its own error meanwhile, mended in 3.14.10", before=(3, 14))
async def test_a_file_is_refused(aio, tmp_path):
    """Its descriptor is no handle."""
    loop, path = asyncio.get_running_loop(), tmp_path / "file"
    path.write_bytes(b"data")
    _, reader = await loop.connect_read_pipe(Recording, open(path, "rb", 0))
    await reader.until("connection_lost")
    assert isinstance(reader.lost[0], OSError) and not reader.data
    with open(path, "wb", 0) as file, pytest.raises(OSError):
        await loop.connect_write_pipe(Recording, file)


async def test_a_write_of_no_bytes_is_not_the_end(aio):
    """A C runtime makes such writes."""
    if aio.name == "stock":
        pytest.skip("on Windows, it takes such a write for the end of the stream")
    import _winapi
    near, far = ends(overlapped=(True, False))
    with far:
        transport, reader = await asyncio.get_running_loop().connect_read_pipe(Recording, near)
        await away(_winapi.WriteFile, far.fileno(), b"")
        await away(_winapi.WriteFile, far.fileno(), b"data")
        assert await reader.until_data(4) == b"data"
        transport.close()
        await reader.until("connection_lost")


async def test_reading_and_polling_in_one_loop(aio):
    """add_reader beside pipes: the stock loop has no add_reader."""
    if aio.name == "stock":
        pytest.skip("it has no add_reader")
    one, other = socket.socketpair()
    got = asyncio.get_running_loop().create_future()
    with one, other:
        async with transports() as (reader, writer):
            loop = asyncio.get_running_loop()
            loop.add_reader(one, lambda: got.done() or got.set_result(one.recv(10)))
            writer.transport.write(b"by pipe")
            other.send(b"by socket")
            assert await got == b"by socket"
            assert await reader.until_data(7) == b"by pipe"
            loop.remove_reader(one)


# ------------------------------------------------------------------------------ named pipes

async def test_a_server_and_its_clients(aio):
    loop, name, served = asyncio.get_running_loop(), address(), []

    class Echo(Recording):
        def connection_made(self, transport):
            super().connection_made(transport)
            served.append(self)

        def data_received(self, data):
            super().data_received(data)
            self.transport.write(data.upper())

    with pytest.raises(FileNotFoundError):
        await loop.create_pipe_connection(Recording, name)
    [server] = await loop.start_serving_pipe(Echo, name)
    clients = [await loop.create_pipe_connection(Recording, name) for _ in range(20)]
    for number, (transport, _) in enumerate(clients):
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"client %d" % number)
    for number, (transport, client) in enumerate(clients):
        assert await client.until_data(len(b"client %d" % number)) == b"CLIENT %d" % number
        assert transport.get_extra_info("addr") == name
        assert not transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            transport.write_eof()
    server.close()
    sizes = [len(client.data) + 5 for _, client in clients]
    for transport, _ in clients:                            # those who are connected stay so
        transport.write(b"still")
    for (transport, client), size in zip(clients, sizes, strict=True):
        await client.until_data(size)
        transport.close()
        await client.until("connection_lost")
    for protocol in served:
        await protocol.until("connection_lost")
        assert protocol.lost == [None]
    await passes()
    with pytest.raises(FileNotFoundError):
        await loop.create_pipe_connection(Recording, name)


async def test_a_message_that_is_longer_than_a_read(aio):
    loop, name, data = asyncio.get_running_loop(), address(), pattern(1_000_000)
    served = []

    class Sending(Recording):
        def connection_made(self, transport):
            super().connection_made(transport)
            served.append(self)
            transport.write(data)

    [server] = await loop.start_serving_pipe(Sending, name)
    transport, client = await loop.create_pipe_connection(Recording, name)
    assert await client.until_data(len(data)) == data
    server.close()
    transport.close()
    await client.until("connection_lost")
    await served[0].until("connection_lost")


async def test_a_client_that_goes_at_once(aio):
    loop, name = asyncio.get_running_loop(), address()
    [server] = await loop.start_serving_pipe(asyncio.Protocol, name)

    def come_and_go():
        for _ in range(20):
            while True:
                with contextlib.suppress(OSError):          # while no instance is free
                    open(name, "r+b", buffering=0).close()  # noqa: SIM115
                    break

    await away(come_and_go)
    transport, client = await loop.create_pipe_connection(Recording, name)
    transport.close()
    await client.until("connection_lost")
    server.close()
    await passes()


@pytest.mark.fails_on_stock("the server stops after a factory has raised")
async def test_a_factory_that_raises_costs_that_client_only(aio):
    loop, name, count = asyncio.get_running_loop(), address(), 0

    def sometimes():
        nonlocal count
        count += 1
        if count == 1:
            raise ZeroDivisionError
        return Recording()

    [server] = await loop.start_serving_pipe(sometimes, name)
    with trouble() as heard:
        _, first = await loop.create_pipe_connection(Recording, name)
        await first.until("connection_lost")
        transport, second = await loop.create_pipe_connection(Recording, name)
        while count < 2:
            await asyncio.sleep(0.01)
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]
    server.close()
    transport.close()
    await second.until("connection_lost")
    await asyncio.sleep(0.1)


async def test_a_client_waits_for_a_free_instance(aio):
    """Of a server that is not ours and has one instance."""
    import _winapi
    name = address()
    handle = _winapi.CreateNamedPipe(name, _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED,
                                     _winapi.PIPE_WAIT, 1, 8192, 8192, 0, _winapi.NULL)
    try:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_pipe_connection(Recording, name)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.create_pipe_connection(Recording, name), 0.3)
        transport.close()
        await client.until("connection_lost")
    finally:
        _winapi.CloseHandle(handle)


def test_streams_over_a_named_pipe(aio):
    async def main():
        loop, name = asyncio.get_running_loop(), address()

        async def serve(reader, writer):
            while line := await reader.readline():
                writer.write(line[::-1].strip() + b"\n")
                await writer.drain()
            writer.close()

        def factory():
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)

        [server] = await loop.start_serving_pipe(factory, name)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_pipe_connection(lambda: protocol, name)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        for number in range(1000):
            writer.write(b"%d\n" % number)
            await writer.drain()
            assert await reader.readline() == b"%d"[:0] + str(number)[::-1].encode() + b"\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0.1)

    aio.run(main())


# ------------------------------------------------------------------------------ the end of a loop

@pytest.mark.parametrize("writes", [False, True], ids=["idle", "writing"])
def test_pipes_left_open_at_the_loops_end(aio, capfd, writes):
    """They are closed without a word."""
    async def main():
        loop, name = asyncio.get_running_loop(), address()
        await loop.start_serving_pipe(Recording, name)
        kept.append(await loop.create_pipe_connection(Recording, name))
        near, far = ends(duplex=True)
        kept.append(await loop.connect_read_pipe(Recording, near))
        kept.append(await loop.connect_write_pipe(Recording, far))
        if writes:
            kept[1][0].pause_reading()
            kept[2][0].write(bytes(MEGABYTES))
            await passes()

    gc.collect()
    capfd.readouterr()
    kept = []
    aio.run(main())
    if aio.name == "iocpsock":
        for transport, _ in kept:
            transport.close()
            transport.abort()
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
        assert capfd.readouterr() == ("", "")
    del kept[:]
    gc.collect()
    capfd.readouterr()


def test_a_pipe_ends_with_its_loop(balance):
    """The other end hears it."""
    near, far = ends(overlapped=(True, False))

    async def main():
        await asyncio.get_running_loop().connect_read_pipe(Recording, near)

    import _winapi
    Aio("iocpsock").run(main())
    with far, pytest.raises(BrokenPipeError):
        for _ in range(100):
            _winapi.WriteFile(far.fileno(), b"x")


def test_loops_in_threads_have_pipes_of_their_own(aio):
    failures = []

    async def main():
        async with transports() as (reader, writer):
            for _ in range(200):
                writer.transport.write(b"x" * 100)
                await asyncio.sleep(0)
            assert await reader.until_data(20_000) == b"x" * 20_000

    def run():
        try:
            aio.run(main())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not failures
