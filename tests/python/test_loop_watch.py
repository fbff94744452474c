"""add_reader and add_writer, and the `sock_*` methods: any socket, any number, of any owner."""

import asyncio
import contextlib
import select
import socket
import threading

import pytest

from loops import HOST, away, passes
from support import DEADLINE, Net, pattern, read_exactly, reset, spawn

NO_READERS = "NotImplementedError: the Proactor loop has neither add_reader nor add_writer"


@contextlib.contextmanager
def plain_pair(kind="stock"):
    """A connected pair, the first non-blocking."""
    with Net(kind).pair() as (near, far):
        near.setblocking(False)
        far.settimeout(DEADLINE)
        yield near, far


@contextlib.contextmanager
def datagram_pair():
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        near.bind((HOST, 0))
        far.bind((HOST, 0))
        near.connect(far.getsockname())
        far.connect(near.getsockname())
        near.setblocking(False)
        yield near, far


class Counter:
    """A callback that counts its calls, and does something at each."""

    def __init__(self, action=lambda: None):
        self.count, self.action, self._change = 0, action, asyncio.Event()

    def __call__(self, *arguments):
        self.count += 1
        self.action(*arguments)
        self._change.set()

    async def until(self, count):
        while self.count < count:
            self._change.clear()
            await self._change.wait()


@pytest.mark.fails_on_stock(NO_READERS)
@pytest.mark.parametrize("pair", [plain_pair, datagram_pair, lambda: plain_pair("iocpsock")],
                         ids=["tcp", "udp", "iocpsock"])
async def test_a_reader(aio, pair):
    loop = asyncio.get_running_loop()
    with pair() as (near, far):
        received = []
        reader = Counter(lambda: received.append(near.recv(100)))
        loop.add_reader(near, reader)
        await passes()
        assert reader.count == 0
        for number in range(50):
            far.send(b"%d" % number)
            await reader.until(number + 1)
        assert received == [b"%d" % number for number in range(50)]
        assert loop.remove_reader(near)
        assert not loop.remove_reader(near)
        far.send(b"unheard")
        await passes()
        assert reader.count == 50


@pytest.mark.fails_on_stock(NO_READERS)
@pytest.mark.parametrize("pair", [plain_pair, datagram_pair], ids=["tcp", "udp"])
async def test_a_writer(aio, pair):
    """It is called again and again while there is room."""
    loop = asyncio.get_running_loop()
    with pair() as (near, far):
        writer = Counter()
        loop.add_writer(near, writer)
        await writer.until(10)
        assert loop.remove_writer(near)
        assert not loop.remove_writer(near)
        count = writer.count
        await passes(10)
        assert writer.count == count


@pytest.mark.fails_on_stock(NO_READERS)
async def test_events_are_level_triggered(aio):
    """What the callback leaves is reported again."""
    loop = asyncio.get_running_loop()
    with plain_pair() as (near, far):
        received = bytearray()
        reader = Counter(lambda: received.extend(near.recv(1)))
        loop.add_reader(near.fileno(), reader)
        far.sendall(b"one by one")
        await reader.until(10)
        loop.remove_reader(near.fileno())
        assert received == b"one by one"


@pytest.mark.fails_on_stock(NO_READERS)
async def test_both_directions_of_one_socket(aio):
    loop = asyncio.get_running_loop()
    with plain_pair() as (near, far):
        reader, writer = Counter(lambda: near.recv(100)), Counter(lambda: loop.remove_writer(near))
        loop.add_reader(near, reader)
        for number in range(20):
            loop.add_writer(near, writer)
            await writer.until(number + 1)
            far.sendall(b"x")
            await reader.until(number + 1)
        loop.remove_reader(near)
        assert (reader.count, writer.count) == (20, 20)


@pytest.mark.fails_on_stock(NO_READERS)
async def test_another_callback_takes_the_place_of_the_first(aio):
    loop = asyncio.get_running_loop()
    with plain_pair() as (near, far):
        first, second = Counter(), Counter(lambda word: near.recv(100))
        loop.add_reader(near, first)
        loop.add_reader(near, second, "argument")
        far.sendall(b"x")
        await second.until(1)
        loop.remove_reader(near)
        assert first.count == 0


@pytest.mark.fails_on_stock(NO_READERS)
async def test_a_full_socket_has_no_room(aio):
    loop = asyncio.get_running_loop()
    with plain_pair() as (near, far):
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += near.send(bytes(65536))
        while select.select([], [near], [], 0)[1]:
            sent += near.send(bytes(1000))
        writer = Counter(lambda: loop.remove_writer(near))
        loop.add_writer(near, writer)
        await passes()
        assert writer.count == 0
        await away(read_exactly, far, sent)
        await writer.until(1)


@pytest.mark.fails_on_stock(NO_READERS)
@pytest.mark.parametrize("end", [lambda far: far.close(), reset], ids=["the end", "a reset"])
async def test_the_end_of_the_stream_is_readable(aio, end):
    loop = asyncio.get_running_loop()
    with plain_pair() as (near, far):
        ended = Counter(lambda: loop.remove_reader(near))
        loop.add_reader(near, ended)
        await passes()
        end(far)
        await ended.until(1)
        with contextlib.suppress(ConnectionResetError):
            assert near.recv(1) == b""


@pytest.mark.fails_on_stock(NO_READERS)
async def test_a_listening_socket_is_readable(aio):
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        accepted = []
        reader = Counter(lambda: accepted.append(listener.accept()[0]))
        loop.add_reader(listener, reader)
        with contextlib.ExitStack() as stack:
            for number in range(5):
                stack.enter_context(socket.create_connection(listener.getsockname()))
                await reader.until(number + 1)
                stack.enter_context(accepted[-1])
        loop.remove_reader(listener)


@pytest.mark.fails_on_stock(NO_READERS)
async def test_a_socket_that_is_closed_while_it_is_watched(aio):
    """The loop goes on, and the next socket with that handle can be watched."""
    loop = asyncio.get_running_loop()
    for _ in range(10):
        with plain_pair() as (near, far):
            reader = Counter()
            loop.add_reader(near, reader)
            handle = near.fileno()
            near.close()
            await passes()
            loop.remove_reader(handle)
    with plain_pair() as (near, far):
        reader = Counter(lambda: near.recv(1))
        loop.add_reader(near, reader)
        far.sendall(b"x")
        await reader.until(1)
        loop.remove_reader(near)


@pytest.mark.fails_on_stock(NO_READERS)
async def test_many_sockets(aio):
    """More than `select` can watch: 600."""
    loop, threads = asyncio.get_running_loop(), threading.active_count()
    with socket.socket(type=socket.SOCK_DGRAM) as sender, contextlib.ExitStack() as stack:
        socks, received = [], []
        for _ in range(600):
            sock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            sock.bind((HOST, 0))
            sock.setblocking(False)
            socks.append(sock)
        reader = Counter(lambda sock: received.append(sock.recv(100)))
        for sock in socks:
            loop.add_reader(sock, reader, sock)
        for number, sock in enumerate(socks):
            sender.sendto(b"%d" % number, sock.getsockname())
        await reader.until(600)
        assert threading.active_count() == threads
        for sock in socks:
            loop.remove_reader(sock)
        assert sorted(received, key=int) == [b"%d" % number for number in range(600)]


@pytest.mark.fails_on_stock(NO_READERS)
async def test_a_socket_in_the_port_of_another_loop(aio):
    loop, other = asyncio.get_running_loop(), asyncio.ProactorEventLoop()
    with plain_pair() as (near, far):
        other._proactor._register_with_iocp(near)
        reader = Counter(lambda: near.recv(10))
        loop.add_reader(near, reader)
        far.sendall(b"x")
        await reader.until(1)
        loop.remove_reader(near)
    other.close()


@pytest.mark.fails_on_stock(NO_READERS)
async def test_the_socket_of_a_transport_is_the_transports(aio):
    loop = asyncio.get_running_loop()
    with socket.create_server((HOST, 0)) as listener:
        transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
    with pytest.raises(RuntimeError, match="is used by transport"):
        loop.add_reader(transport.get_extra_info("socket"), print)
    transport.abort()
    await passes()


@pytest.mark.fails_on_stock(NO_READERS)
def test_a_loop_that_is_closed_with_watched_sockets(aio):
    with plain_pair() as (near, far):
        loop = aio.new()
        loop.add_reader(near, print)
        loop.add_writer(near, print)
        loop.close()
        far.sendall(b"x")


async def test_sock_methods_of_a_connection(aio):
    loop = asyncio.get_running_loop()
    data = pattern(2_000_000)
    with socket.create_server((HOST, 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        server, address = await accepting
        with server:
            assert address == client.getsockname()
            sending = asyncio.ensure_future(loop.sock_sendall(client, data))
            buffer, received = bytearray(60_000), bytearray()
            while len(received) < len(data):
                if len(received) % 2:
                    received += await loop.sock_recv(server, 50_000)
                else:
                    received += buffer[:await loop.sock_recv_into(server, buffer)]
            await sending
            assert received == data
            client.close()
            assert await loop.sock_recv(server, 1) == b""


async def test_sock_methods_of_datagrams(aio):
    loop = asyncio.get_running_loop()
    with datagram_pair() as (near, far), socket.socket(type=socket.SOCK_DGRAM) as third:
        third.bind((HOST, 0))
        third.setblocking(False)
        far.connect(third.getsockname())
        receiving = asyncio.ensure_future(loop.sock_recvfrom(third, 100))
        await passes()
        far.send(b"hello")
        assert await receiving == (b"hello", far.getsockname())
        buffer = bytearray(10)
        assert await loop.sock_sendto(third, b"back", far.getsockname()) == 4
        far.settimeout(DEADLINE)
        assert await away(far.recv, 10) == b"back"
        far.send(b"into")
        assert await loop.sock_recvfrom_into(third, buffer) == (4, far.getsockname())
        assert buffer[:4] == b"into"


@pytest.mark.fails_on_stock("sock_recv does not look")
async def test_debug_mode_refuses_a_blocking_socket(aio):
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    with socket.socket() as sock:
        for call in (lambda: loop.sock_recv(sock, 1), lambda: loop.sock_sendall(sock, b"x"),
                     lambda: loop.sock_accept(sock), lambda: loop.sock_connect(sock, (HOST, 9))):
            with pytest.raises(ValueError, match="non-blocking"):
                await call()
    loop.set_debug(False)


@pytest.mark.fails_on_stock("WinError 87: a socket belongs to one completion port for life")
async def test_sock_methods_of_a_socket_in_the_port_of_another_loop(aio):
    loop, other = asyncio.get_running_loop(), asyncio.ProactorEventLoop()
    with plain_pair() as (near, far):
        other._proactor._register_with_iocp(near)
        other.close()
        receiving = spawn(far.recv, 10)
        await loop.sock_sendall(near, b"there")
        assert await asyncio.wrap_future(receiving) == b"there"
        far.sendall(b"back")
        assert await loop.sock_recv(near, 10) == b"back"
