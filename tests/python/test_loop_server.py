"""Servers of the event loop: what becomes of a connection that fails, and that the others still come."""

import asyncio
import contextlib
import os
import socket
import sys

import pytest

from loops import HOST, Recording, away, connect, connect_and_reset, logged, passes, trouble
from secured import contexts
from support import DEADLINE, read_all


@contextlib.asynccontextmanager
async def serving(factory, **options):
    """(server, its address)."""
    server = await asyncio.get_running_loop().create_server(factory, HOST, 0, **options)
    async with server:
        yield server, server.sockets[0].getsockname()


class Greeting(asyncio.Protocol):
    """Sends one word and closes."""

    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


def greeted(address):
    with connect(address) as client:
        return read_all(client)


class Refused(Exception):
    """What a protocol factory raises."""


@pytest.mark.fails_on_stock("the server stops accepting after a factory has raised")
async def test_a_factory_that_raises_costs_that_connection_only(aio):
    """And the client is told at once, by the end of its connection."""
    count = 0

    def sometimes():
        nonlocal count
        count += 1
        if count % 2:
            raise Refused
        return Greeting()

    with trouble() as heard:
        async with serving(sometimes) as (_, address):
            for _ in range(5):
                with connect(address) as client, contextlib.suppress(ConnectionError):
                    assert await away(client.recv, 10) == b""
                assert await away(greeted, address) == b"hello"
    assert [type(context["exception"]) for context in heard] == 5 * [Refused]


async def test_a_client_that_speaks_no_tls_costs_that_connection_only(aio):
    async with serving(Greeting, ssl=contexts("1.3")[0]) as (_, address):
        with connect(address) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(1000))
            with contextlib.suppress(ConnectionError):
                await away(read_all, client)
        reader, writer = await asyncio.open_connection(*address, ssl=contexts("1.3")[1],
                                                       server_hostname="localhost")
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()


async def test_connection_made_that_raises_is_told_and_the_server_goes_on(aio):
    class Refusing(Recording):
        def connection_made(self, transport):
            self.transport = transport
            protocols.append(self)
            raise Refused

    protocols = []
    with trouble() as heard:
        async with serving(lambda: Greeting() if protocols else Refusing()) as (_, address):
            with connect(address):
                while not heard:
                    await asyncio.sleep(0)
                assert await away(greeted, address) == b"hello"
                protocols[0].transport.abort()
                await protocols[0].until("connection_lost")
    assert [type(context["exception"]) for context in heard] == [Refused]


async def test_a_connection_right_after_create_server(aio):
    """No pass of the loop lies between."""
    for _ in range(20):
        async with serving(Greeting) as (_, address):
            with connect(address) as client:
                assert await away(read_all, client) == b"hello"


async def test_a_connection_before_the_server_starts_to_serve(aio):
    async with serving(Greeting, start_serving=False) as (server, address):
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        assert await away(greeted, address) == b"hello"


@pytest.mark.long
@pytest.mark.fails_on_stock("an accept that fails closes the listening socket")
async def test_the_thousandth_connection_after_resets(aio):
    """Clients reset their connections as soon as they are made, while they are being accepted."""
    def storm(address):
        for _ in range(100):
            connect_and_reset(address)

    with logged() as messages, trouble() as heard:
        async with serving(Greeting) as (_, address):
            for _ in range(10):
                await away(storm, address)
                assert await away(greeted, address) == b"hello"
    assert not messages and not heard


async def test_many_connections_at_once(aio):
    async with serving(Recording, backlog=200) as (_, address):
        with contextlib.ExitStack() as stack:
            clients = []

            def come():
                for number in range(150):
                    clients.append(stack.enter_context(connect(address)))
                    clients[-1].sendall(b"%d\n" % number)

            await away(come)
            assert len(clients) == 150


async def test_a_server_that_is_closed_accepts_no_more_and_keeps_its_connections(aio):
    made = []

    class Noted(Recording):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)

    async with serving(Noted) as (server, address):
        with connect(address) as client:
            while not made:
                await asyncio.sleep(0.001)
            server.close()
            assert not server.is_serving() and server.sockets == ()
            with pytest.raises(OSError):
                await away(connect, address)
            client.sendall(b"still here")
            assert await made[0].until_data(10) == b"still here"
        await made[0].until("connection_lost")
        await server.wait_closed()


@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="before Python 3.12.1 it does not wait")
async def test_wait_closed_waits_for_the_connections(aio):
    made = []

    class Noted(Recording):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)

    async with serving(Noted) as (server, address):
        with connect(address):
            while not made:
                await asyncio.sleep(0.001)
            server.close()
            waiting = asyncio.ensure_future(server.wait_closed())
            await passes()
            assert not waiting.done()
        await waiting
        assert made[0].calls[-1] == "connection_lost"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="it came with Python 3.13")
@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
async def test_closing_the_connections_of_a_server(aio, how):
    made = []

    class Noted(Recording):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)

    async with serving(Noted) as (server, address):
        with connect(address) as client:
            while not made:
                await asyncio.sleep(0.001)
            server.close()
            getattr(server, how)()
            await made[0].until("connection_lost")
            await server.wait_closed()
            with contextlib.suppress(ConnectionError):
                assert await away(client.recv, 10) == b""
    assert made[0].lost == [None]


async def test_serve_forever_ends_with_its_task(aio):
    async with serving(Greeting) as (server, address):
        task = asyncio.ensure_future(server.serve_forever())
        assert await away(greeted, address) == b"hello"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()


async def test_the_sockets_of_a_server(aio):
    async with serving(Greeting) as (server, address):
        assert isinstance(server, asyncio.AbstractServer)
        assert isinstance(server.sockets, tuple)
        assert [type(sock) for sock in server.sockets] == [asyncio.trsock.TransportSocket]
        assert server.sockets[0].getsockname() == address
        assert server.sockets[0].family == socket.AF_INET


async def test_a_server_of_both_families(aio):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Greeting, [HOST, "::1"], 0)
    async with server:
        for sock in server.sockets:
            with await away(connect, sock.getsockname(), sock.family) as client:
                assert await away(read_all, client) == b"hello"


async def test_an_address_that_is_taken(aio):
    """The error names it."""
    async with serving(Greeting) as (_, address):
        with pytest.raises(OSError, match=str(address[1])):
            await asyncio.get_running_loop().create_server(Greeting, *address)


def accept_on_both(aio, share):
    """Two loops, each in a thread, serve one listening socket. `share` makes the second's. When the first
    stops, the second goes on."""
    accepted = []

    async def serve(name, sock, listening, over):
        class Noted(Greeting):
            def connection_made(self, transport):
                accepted.append(name)
                super().connection_made(transport)

        async with await asyncio.get_running_loop().create_server(Noted, sock=sock):
            listening()
            await over.wait()

    async def main():
        here, over = asyncio.get_running_loop(), asyncio.Event()
        both, ends = asyncio.Event(), []

        async def second():
            ends.append((asyncio.get_running_loop(), asyncio.Event()))
            await serve("second", share(listener), lambda: here.call_soon_threadsafe(both.set), ends[0][1])

        with socket.create_server((HOST, 0), backlog=50) as listener:
            address = listener.getsockname()
            first = asyncio.ensure_future(serve("first", listener.dup(), lambda: None, over))
            other = asyncio.ensure_future(away(aio.run, second()))
            await asyncio.wait([other, asyncio.ensure_future(both.wait())],
                               return_when=asyncio.FIRST_COMPLETED)
            assert not other.done() or await other
            assert [await away(greeted, address) for _ in range(20)] == 20 * [b"hello"]
            over.set()
            await first
            accepted.clear()
            assert [await away(greeted, address) for _ in range(20)] == 20 * [b"hello"]
            ends[0][0].call_soon_threadsafe(ends[0][1].set)
            await other
        assert accepted == 20 * ["second"]

    aio.run(main())


@pytest.mark.fails_on_stock("WinError 87: a socket belongs to one completion port for life")
def test_a_listening_socket_that_two_loops_share_by_dup(aio):
    accept_on_both(aio, lambda listener: listener.dup())


@pytest.mark.fails_on_stock("WinError 87: a socket belongs to one completion port for life")
def test_a_listening_socket_that_two_loops_share_by_its_handle(aio):
    """As a child process gets it."""
    accept_on_both(aio, lambda listener: socket.fromshare(listener.share(os.getpid())))


@pytest.mark.fails_on_stock("WinError 87: the listening socket stays in the port of the loop that has ended")
def test_a_listening_socket_that_outlives_its_loop(aio):
    """The next loop serves it as well."""
    async def main(listener):
        server = await asyncio.get_running_loop().create_server(Greeting, sock=listener.dup())
        async with server:
            assert await away(greeted, listener.getsockname()) == b"hello"

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(DEADLINE)
        aio.run(main(listener))
        aio.run(main(listener))
