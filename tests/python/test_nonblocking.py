"""Sockets that never wait, and select and selectors, which wait for many of them."""

import errno
import select
import selectors
import socket

import pytest

from support import DEADLINE, LOOPBACK, closed_port, pattern, read_exactly, readable, spawn, still_waits

# The result of a non-blocking connect that has begun.
IN_PROGRESS = (errno.EWOULDBLOCK, errno.EINPROGRESS)

# Bytes for one send. Hundreds of such sends are more than the system takes before somebody reads.
PIECE = 65536


def writable(*socks, timeout=DEADLINE):
    """Windows reports a failed connect as exceptional, other systems report it as writable."""
    _, ready, failed = select.select([], socks, socks, timeout)
    return ready or failed


def test_recv(pair):
    client, server = pair
    server.setblocking(False)
    for call in (lambda: server.recv(10), lambda: server.recv_into(bytearray(10))):
        with pytest.raises(BlockingIOError) as error:
            call()
        assert error.value.errno == errno.EWOULDBLOCK
    client.sendall(b"data")
    assert readable(server) == [server]
    assert server.recv(10) == b"data"
    with pytest.raises(BlockingIOError):
        server.recv(10)
    client.close()
    assert readable(server) == [server]
    assert server.recv(10) == b""


def test_nothing_to_read_is_not_readable(pair):
    client, server = pair
    assert readable(server, timeout=0) == []
    client.sendall(b"ab")
    assert readable(server) == [server]
    assert server.recv(1) == b"a"
    assert readable(server, timeout=0) == [server]
    assert server.recv(1) == b"b"
    assert readable(server, timeout=0) == []


def test_send_until_it_would_wait(pair):
    """The test sends in pieces, because the system may take a single send completely, whatever its size."""
    client, server = pair
    client.setblocking(False)
    data = pattern(32_000_000)
    sent = 0
    with pytest.raises(BlockingIOError):
        while sent < len(data):
            sent += client.send(memoryview(data)[sent:sent + PIECE])
    assert 0 < sent < len(data)
    assert writable(client, timeout=0) == []
    assert read_exactly(server, sent) == data[:sent]
    assert writable(client) == [client]
    assert client.send(b"more") == 4
    assert server.recv(10) == b"more"


def test_accept(net):
    with net.listener() as listener:
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with net.create_connection(listener.getsockname()) as client:
            assert readable(listener) == [listener]
            server, address = listener.accept()
            with server:
                assert address == client.getsockname()
                with pytest.raises(BlockingIOError):
                    listener.accept()
                client.sendall(b"x")
                server.setblocking(True)
                assert server.recv(1) == b"x"


def accept_after_waiting(net, listener):
    """Make an accept that has to wait for its connection, so that the implementation prepares what it uses
    for waiting."""
    waiting = spawn(listener.accept)
    assert still_waits(waiting)
    with net.create_connection(listener.getsockname()):
        waiting.result(DEADLINE)[0].close()


def test_a_listener_is_readable_after_a_waiting_accept(net):
    """Whatever accept has prepared for later, the next connection must make the listener readable, and accept
    must return it without waiting."""
    with net.listener() as listener:
        accept_after_waiting(net, listener)
        assert readable(listener, timeout=0) == []
        with net.create_connection(listener.getsockname()) as client:
            assert readable(listener) == [listener]
            listener.setblocking(False)
            server, address = listener.accept()
            server.close()
            assert address == client.getsockname()


def test_a_listener_accepts_without_waiting_after_a_time_out(net):
    with net.listener() as listener:
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with net.create_connection(listener.getsockname()) as client:
            assert readable(listener) == [listener]
            server, address = listener.accept()
            server.close()
            assert address == client.getsockname()


def test_a_listener_passed_on_after_a_waiting_accept(net):
    """Other code may get the handle, and finds the connections that arrive from then on."""
    with net.listener() as listener:
        accept_after_waiting(net, listener)
        with socket.socket(fileno=listener.detach()) as stock:
            with net.create_connection(stock.getsockname()) as client:
                stock.settimeout(DEADLINE)
                server, address = stock.accept()
                server.close()
                assert address == client.getsockname()


def test_a_copy_of_a_listener_after_a_waiting_accept(net):
    with net.listener() as listener:
        accept_after_waiting(net, listener)
        with listener.dup() as copy:
            listener.close()
            copy.settimeout(DEADLINE)
            with net.create_connection(copy.getsockname()) as client:
                server, address = copy.accept()
                server.close()
                assert address == client.getsockname()


@pytest.mark.parametrize("family", LOOPBACK, ids=lambda family: family.name)
def test_connect(net, family):
    with net.listener(family) as listener, net.socket(family) as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError) as error:
            client.connect(listener.getsockname())
        assert error.value.errno in IN_PROGRESS
        assert writable(client) == [client]
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        server, address = listener.accept()
        with server:
            assert address == client.getsockname()
            assert client.getpeername() == listener.getsockname()
            client.setblocking(True)
            client.sendall(b"x")
            assert server.recv(1) == b"x"
            client.shutdown(socket.SHUT_WR)
            assert server.recv(1) == b""


def test_connect_ex(net):
    with net.listener() as listener, net.socket() as client:
        client.setblocking(False)
        assert client.connect_ex(listener.getsockname()) in IN_PROGRESS
        assert writable(client) == [client]
        assert client.connect_ex(listener.getsockname()) in (0, errno.EISCONN)
        listener.accept()[0].close()


def test_connect_refused(net):
    with closed_port() as closed, net.socket() as client:
        client.setblocking(False)
        assert client.connect_ex(closed.getsockname()) in IN_PROGRESS
        assert writable(client) == [client]
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_closing_while_connecting(net):
    with net.listener() as listener:
        client = net.socket()
        client.setblocking(False)
        assert client.connect_ex(listener.getsockname()) in IN_PROGRESS
        client.close()


def test_a_handle_that_another_object_has_made_non_blocking(net, pair):
    """Our object waits according to its own timeout, the stock socket according to the handle's mode."""
    client, server = pair
    with client.dup() as other:
        client.setblocking(False)
        if net.name == "stock":
            with pytest.raises(BlockingIOError):
                other.recv(5)
            return
        receiving = spawn(other.recv, 5)
        assert still_waits(receiving)
        server.sendall(b"hello")
        assert receiving.result(DEADLINE) == b"hello"


def test_sendall_does_not_wait_either(pair):
    client, _ = pair
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        for _ in range(500):
            client.sendall(bytes(PIECE))


def test_selector_echo(net):
    """One thread serves many connections, each of which another thread uses with waiting calls."""
    clients, size = 20, 50_000

    def converse(address, number):
        data = pattern(size, number)
        with net.create_connection(address) as sock:
            sending = spawn(sock.sendall, data)
            received = read_exactly(sock, size)
            sending.result(DEADLINE)
        return received == data

    def serve(listener):
        unsent, served = {}, 0
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while served < clients:
                for key, events in selector.select(DEADLINE):
                    if key.fileobj is listener:
                        sock, _ = listener.accept()
                        sock.setblocking(False)
                        unsent[sock] = bytearray()
                        selector.register(sock, selectors.EVENT_READ)
                    elif echo(selector, key.fileobj, events, unsent[key.fileobj]):
                        selector.unregister(key.fileobj)
                        unsent.pop(key.fileobj)
                        key.fileobj.close()
                        served += 1

    def echo(selector, sock, events, waiting):
        """True when the peer has closed."""
        if events & selectors.EVENT_READ:
            if not (data := sock.recv(4096)):
                return True
            waiting += data
        if waiting:
            try:
                del waiting[:sock.send(waiting)]
            except BlockingIOError:
                pass                        # the selector says when to go on
        selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if waiting else 0))
        return False

    with net.listener() as listener:
        listener.setblocking(False)
        serving = spawn(serve, listener)
        conversations = [spawn(converse, listener.getsockname(), number) for number in range(clients)]
        assert all(conversation.result(DEADLINE) for conversation in conversations)
        serving.result(DEADLINE)
