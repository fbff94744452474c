"""The end of a transport, of a loop, and of a program: what was written arrives, and nothing is printed."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import Future

import pytest

from loops import (HOST, MEGABYTES, SIDES, Aio, Recording, away, connect, fill, linked, logged, passes,
                   trouble)
from support import DEADLINE, pattern, read_all, reset, spawn


@pytest.fixture(params=SIDES)
def side(request):
    return request.param


@pytest.fixture
def unprinted(capfd):
    """At the end of the test nothing has been printed."""
    gc.collect()
    capfd.readouterr()
    yield
    gc.collect()
    assert capfd.readouterr() == ("", "")


async def test_close_sends_what_was_written(aio, side):
    data = pattern(MEGABYTES)
    async with linked(side) as (protocol, peer):
        protocol.transport.write(data)
        protocol.transport.close()
        protocol.transport.close()
        assert protocol.transport.is_closing()
        assert await away(read_all, peer) == data
        await protocol.until("connection_lost")
        await passes()
        assert protocol.lost == [None]


async def test_close_reads_no_more(aio, side):
    async with linked(side) as (protocol, peer):
        await fill(protocol.transport, pattern(1_000_000))
        peer.sendall(b"too late")
        protocol.transport.close()
        peer.sendall(b"too late")
        with contextlib.suppress(ConnectionError):
            await away(read_all, peer)
        await protocol.until("connection_lost")
        assert not protocol.data


def test_data_that_nobody_reads_do_not_break_a_close(balance, side):
    """They reset the connection if they are left in the system: the stock loop sends the rest only if it is
    lucky."""
    async def main():
        async with linked(side) as (protocol, peer):
            written = await fill(protocol.transport, pattern(1_000_000))
            peer.sendall(b"unread")
            protocol.transport.close()
            peer.sendall(b"unread")
            assert await away(read_all, peer) == written
            await protocol.until("connection_lost")
            assert protocol.lost == [None]

    Aio("iocpsock").run(main())


async def test_connection_lost_comes_in_a_later_pass(aio, side):
    async with linked(side) as (protocol, peer):
        protocol.transport.close()
        assert not protocol.lost
        await protocol.until("connection_lost")
    async with linked(side) as (protocol, peer):
        protocol.transport.abort()
        assert not protocol.lost
        await protocol.until("connection_lost")
        assert protocol.lost == [None]


async def test_abort_resets_a_connection_with_data_to_send(aio, side):
    async with linked(side) as (protocol, peer):
        await fill(protocol.transport, pattern(1_000_000))
        protocol.transport.abort()
        assert protocol.transport.get_write_buffer_size() == 0
        await protocol.until("connection_lost")
        assert protocol.lost == [None]
        assert peer.fileno() != -1


async def test_a_reset_while_closing_is_told_once_and_not_logged(aio, side):
    """The peer resets while there is still something to send."""
    async with linked(side) as (protocol, peer):
        await fill(protocol.transport, pattern(1_000_000))
        with logged() as messages, trouble() as heard:
            protocol.transport.close()
            await passes()
            assert not protocol.lost
            reset(peer)
            await protocol.until("connection_lost")
            await passes()
        assert len(protocol.lost) == 1 and isinstance(protocol.lost[0], ConnectionError)
        assert not messages and not heard


async def test_a_reset_while_writing_is_told_once_and_not_logged(aio, side):
    async with linked(side) as (protocol, peer):
        with logged() as messages, trouble() as heard:
            await fill(protocol.transport, pattern(1_000_000))
            reset(peer)
            await protocol.until("connection_lost")
            await passes()
        assert len(protocol.lost) == 1 and isinstance(protocol.lost[0], ConnectionError)
        assert not messages and not heard


async def test_connection_lost_that_raises_is_told(aio, side):
    class Raising(Recording):
        def connection_lost(self, failure):
            super().connection_lost(failure)
            raise ZeroDivisionError

    with trouble() as heard:
        async with linked(side, Raising) as (protocol, peer):
            protocol.transport.close()
            await protocol.until("connection_lost")
            await passes()
            assert await away(peer.recv, 1) == b""
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]


@pytest.mark.parametrize("method", ["eof_received", pytest.param(
    "data_received", marks=pytest.mark.fails_on_stock("its connection stays open"))])
async def test_a_method_that_raises_ends_the_connection(aio, side, method):
    def fail(self, *arguments):
        raise ZeroDivisionError

    failing = type("Failing", (Recording,), {method: fail})
    with trouble() as heard:
        async with linked(side, failing) as (protocol, peer):
            peer.sendall(b"x")
            peer.shutdown(socket.SHUT_WR)
            await protocol.until("connection_lost")
    assert [type(failure) for failure in protocol.lost] == [ZeroDivisionError]
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]


def late_reader(listener, begin):
    """What a peer gets that starts to read when `begin` is done."""
    with listener:
        peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    with peer:
        begin.result(DEADLINE)
        return read_all(peer)


@pytest.mark.parametrize("size", [10, 100_000, pytest.param(MEGABYTES, marks=pytest.mark.fails_on_stock(
    "closing the loop drops what the system has not taken"))])
@pytest.mark.parametrize("close", [True, False], ids=["closed", "left open"])
def test_what_was_written_before_the_end_of_run_arrives(aio, size, close):
    """The peer reads when the loop is closed already."""
    data, over = pattern(size), Future()
    listener = socket.create_server((HOST, 0))
    reading = spawn(late_reader, listener, over)

    async def main():
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol,
                                                                          *listener.getsockname())
        transport.write(data)
        if close:
            transport.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        aio.run(main())
        gc.collect()
    over.set_result(None)
    assert reading.result(DEADLINE) == data


def test_what_was_written_to_a_stream_before_the_end_of_run_arrives(aio):
    data, over = pattern(50_000), Future()
    listener = socket.create_server((HOST, 0))
    reading = spawn(late_reader, listener, over)

    async def main():
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(data)
        writer.close()
        await writer.wait_closed()

    aio.run(main())
    over.set_result(None)
    assert reading.result(DEADLINE) == data


def test_a_closed_loop_sends_to_many_late_readers(aio):
    """And to those that reset meanwhile it sends nothing, without a word."""
    data, over = pattern(MEGABYTES // 4), Future()
    listeners = [socket.create_server((HOST, 0)) for _ in range(8)]
    addresses = [listener.getsockname() for listener in listeners]
    reading = [spawn(late_reader, listener, over) for listener in listeners]
    gone = socket.create_server((HOST, 0))

    async def main():
        loop = asyncio.get_running_loop()
        for address in (*addresses, gone.getsockname()):
            transport, _ = await loop.create_connection(asyncio.Protocol, *address)
            transport.write(data)
            transport.close()

    aio.run(main())
    with gone:
        reset(gone.accept()[0])
    over.set_result(None)
    assert [future.result(DEADLINE) == data for future in reading] == 8 * [True]


def test_a_loop_closed_with_open_transports_prints_nothing(aio, unprinted):
    """Idle ones, a listening server, one that waits to write, and one whose peer is gone."""
    with socket.create_server((HOST, 0)) as listener, logged() as messages:
        address = listener.getsockname()
        kept = []

        async def main():
            loop = asyncio.get_running_loop()
            for _ in range(4):
                kept.append((await loop.create_connection(asyncio.Protocol, *address))[0])
            peers = [listener.accept()[0] for _ in kept]
            kept.append(await loop.create_server(asyncio.Protocol, HOST, 0))
            peers.append(connect(kept[-1].sockets[0].getsockname()))
            await passes()
            kept[1].write(bytes(100_000))
            reset(peers[2])
            kept.extend(peers)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            aio.run(main())
            for peer in kept:
                if isinstance(peer, socket.socket):
                    peer.close()
            kept.clear()
            gc.collect()
    assert not messages


@pytest.mark.parametrize("ending", ["close", "abort", "nothing"])
def test_a_transport_that_is_used_after_its_loop_was_closed(aio, ending, unprinted):
    """Closing it does no harm."""
    with socket.create_server((HOST, 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = aio.new()
        transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol,
                                                                      *listener.getsockname()))
        loop.close()
        if ending != "nothing":
            try:
                getattr(transport, ending)()
            except RuntimeError as error:
                assert str(error) == "Event loop is closed"
        repr(transport)
        transport.is_closing()
        transport.get_extra_info("peername")
        transport.get_write_buffer_size()
        del transport
        gc.collect()


def test_a_transport_that_is_left_open_warns(aio):
    with socket.create_server((HOST, 0)) as listener:
        async def main():
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol,
                                                                              *listener.getsockname())
            repr(transport)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            aio.run(main())
            gc.collect()
    assert [str(warning.message)[:18] for warning in caught
            if issubclass(warning.category, ResourceWarning) and "transport" in str(warning.message)] \
        == ["unclosed transport"]


def test_a_closed_transport_does_not_warn(aio):
    async def main():
        async with linked() as (protocol, peer):
            protocol.transport.close()
            await protocol.until("connection_lost")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_loop_that_is_left_open_warns(aio):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aio.new()
        gc.collect()
    assert "unclosed event loop" in " ".join(str(warning.message) for warning in caught)


PROGRAM = """
    import asyncio, socket, iocpsock
    listener = socket.create_server(("127.0.0.1", 0))
    peers = []

    class Talking(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(bytes(100))

    async def main():
        loop = asyncio.get_running_loop()
        for number in range(3):
            transport, _ = await loop.create_connection(Talking, *listener.getsockname())
            peers.append(listener.accept()[0])
        server = await loop.create_server(Talking, "127.0.0.1", 0)
        peers.append(socket.create_connection(server.sockets[0].getsockname()))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        peers.append(listener.accept()[0])
        writer.write(bytes(1_000_000))
        loop.call_later(100, print, "never")
        asyncio.ensure_future(reader.read())
        transport.write(bytes(1_000_000))

    factory = {factory}
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    print("done")
"""
FACTORIES = {"stock": "asyncio.ProactorEventLoop", "iocpsock": "iocpsock.new_event_loop"}


def test_a_program_that_ends_with_open_transports_prints_nothing(aio):
    program = textwrap.dedent(PROGRAM).format(factory=FACTORIES[aio.name])
    child = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=2 * DEADLINE)
    assert (child.returncode, child.stdout.split(), child.stderr) == (0, [b"done"], b"")


LEFT_OPEN = """
    import asyncio, sys, iocpsock
    sys.kept = loop = {factory}()
    loop.run_until_complete(asyncio.sleep(0))
"""


RUNNING = """
    import asyncio, socket, threading, iocpsock
    listener = socket.create_server(("127.0.0.1", 0))
    begun = threading.Event()

    async def main():
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(bytes(1_000_000))
        asyncio.get_running_loop().call_later(100, print, "never")
        begun.set()
        while True:
            await asyncio.sleep({pause})

    def run():
        with asyncio.Runner(loop_factory={factory}) as runner:
            runner.run(main())

    threading.Thread(target=run, daemon=True).start()
    begun.wait()
    print("done")
"""


@pytest.mark.parametrize("pause", [0, 0.001, 100], ids=["busy", "ticking", "idle"])
def test_a_loop_that_runs_in_a_daemon_thread_at_the_end_prints_nothing(aio, pause):
    program = textwrap.dedent(RUNNING).format(factory=FACTORIES[aio.name], pause=pause)
    for _ in range(3):
        child = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True,
                               timeout=2 * DEADLINE)
        assert (child.returncode, child.stdout.split(), child.stderr) == (0, [b"done"], b"")


def test_a_program_that_closes_no_loop_prints_nothing(aio):
    program = textwrap.dedent(LEFT_OPEN).format(factory=FACTORIES[aio.name])
    child = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=2 * DEADLINE)
    assert (child.returncode, child.stdout, child.stderr) == (0, b"", b"")
