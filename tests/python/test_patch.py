"""patch, unpatch and patched: what they replace, and that they put it back."""

import multiprocessing
import os
import pickle
import socket
import ssl
import threading
from multiprocessing.reduction import ForkingPickler

import pytest

from peers import client_context
from support import DEADLINE, pattern, read_exactly, spawn

STOCK = socket.socket
TLS_STOCK = ssl.SSLContext.sslsocket_class


@pytest.fixture
def ours(balance):
    """The module. The process is not patched before the test, and must not be patched after it."""
    import iocpsock
    assert in_force(iocpsock) is False
    yield iocpsock
    iocpsock.unpatch()
    assert in_force(iocpsock) is False


def in_force(iocpsock):
    """Whether the patch is in force, completely or not at all."""
    new = {socket.socket is iocpsock.socket, issubclass(ssl.SSLContext.sslsocket_class, iocpsock.socket)}
    old = {socket.socket is STOCK, ssl.SSLContext.sslsocket_class is TLS_STOCK}
    assert len(new) == len(old) == 1 and new != old
    return new.pop()


def test_patch_and_unpatch(ours):
    assert ours.patch() is None
    assert in_force(ours)
    ours.unpatch()
    assert not in_force(ours)


def test_they_may_be_repeated(ours):
    ours.unpatch()
    ours.patch()
    ours.patch()
    assert in_force(ours)
    ours.unpatch()
    assert not in_force(ours)
    ours.unpatch()
    assert not in_force(ours)


def test_blocks_nest(ours):
    with ours.patched():
        with ours.patched():
            assert in_force(ours)
        assert in_force(ours)
    assert not in_force(ours)


def test_a_block_leaves_what_patch_began(ours):
    ours.patch()
    with ours.patched():
        pass
    assert in_force(ours)


def test_unpatch_leaves_an_open_block(ours):
    with ours.patched():
        ours.patch()
        ours.unpatch()
        assert in_force(ours)
    assert not in_force(ours)


def test_a_block_ends_by_an_exception(ours):
    with pytest.raises(KeyError), ours.patched():
        assert in_force(ours)
        raise KeyError
    assert not in_force(ours)


def test_a_decorated_function(ours):
    @ours.patched()
    def function():
        return in_force(ours)

    assert function() and function()
    assert not in_force(ours)


def test_blocks_of_many_threads(ours):
    begin = threading.Barrier(8)

    def work():
        begin.wait(DEADLINE)
        for _ in range(200):
            with ours.patched():
                assert in_force(ours)

    threads = [spawn(work) for _ in range(8)]
    for thread in threads:
        thread.result(DEADLINE)
    assert not in_force(ours)


def test_what_somebody_else_has_replaced(ours, monkeypatch):
    class Foreign(STOCK):
        pass

    monkeypatch.setattr(socket, "socket", Foreign)
    with pytest.raises(RuntimeError, match="already replaced, by .*Foreign"):
        ours.patch()
    with pytest.raises(RuntimeError, match="already replaced"), ours.patched():
        pytest.fail("the block was entered")
    assert socket.socket is Foreign and ssl.SSLContext.sslsocket_class is TLS_STOCK


def test_what_somebody_else_replaces_meanwhile(ours, monkeypatch):
    ours.patch()
    with monkeypatch.context() as other:
        other.setattr(socket, "socket", STOCK)
        with pytest.raises(RuntimeError, match="'socket' was replaced since, by"):
            ours.unpatch()
    assert in_force(ours)               # nothing was half undone, and it can be tried again


def test_every_way_to_make_a_socket(ours):
    with ours.patched():
        with (socket.create_server(("127.0.0.1", 0)) as listener,
              socket.create_connection(listener.getsockname()) as client,
              listener.accept()[0] as server, client.dup() as twin):
            left, right = socket.socketpair()
            copy = socket.fromfd(client.fileno(), client.family, client.type)
            shared = socket.fromshare(client.share(os.getpid()))
            with left, right, copy, shared:
                made = listener, client, server, twin, left, right, copy, shared
                assert {type(each) for each in made} == {ours.socket}


def test_sockets_outlive_the_patch(ours):
    with ours.patched():
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
    with listener, client, listener.accept()[0] as server:
        assert type(server) is ours.socket
        sending = spawn(client.sendall, pattern(300_000))
        assert read_exactly(server, 300_000) == pattern(300_000)
        sending.result(DEADLINE)
    with socket.socket() as after:
        assert type(after) is STOCK


def test_stock_sockets_go_on_under_the_patch(ours):
    with socket.create_server(("127.0.0.1", 0)) as listener, ours.patched():
        with STOCK() as client:
            client.connect(listener.getsockname())
            with listener.accept()[0] as server:
                assert type(server) is ours.socket
                client.sendall(b"x")
                assert server.recv(1) == b"x"


def test_classes_derived_under_the_patch(ours):
    with ours.patched():
        class Derived(socket.socket):
            def accept(self):
                connection, address = super().accept()
                return connection, ("seen", address)

        with Derived() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with socket.create_connection(listener.getsockname()) as client:
                connection, (seen, address) = listener.accept()
                with connection:
                    assert (seen, address) == ("seen", client.getsockname())


def test_other_kinds_of_sockets(ours):
    with (ours.patched(), socket.socket(type=socket.SOCK_DGRAM) as one,
          socket.socket(type=socket.SOCK_DGRAM) as other):
        one.bind(("127.0.0.1", 0))
        other.sendto(b"x", one.getsockname())
        assert one.recvfrom(10)[0] == b"x"


def test_a_context_of_its_own_class(ours):
    """A context that has its own class for TLS sockets keeps it."""
    class Chosen(ssl.SSLSocket):
        pass

    context = client_context()
    context.sslsocket_class = Chosen
    with ours.patched(), socket.socket() as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as secured:
            assert type(secured) is Chosen


def test_pickle_refuses_them_as_before(ours):
    with ours.patched(), socket.socket() as sock:
        with pytest.raises(TypeError, match="cannot pickle 'socket' object"):
            pickle.dumps(sock)
        with client_context().wrap_socket(sock, server_hostname="localhost") as secured:
            with pytest.raises(TypeError, match="cannot pickle 'SSLSocket' object"):
                pickle.dumps(secured)


def test_multiprocessing_sends_them(ours):
    """The pickler of its queues and connections sends them. They are read in the same process, after the
    patch."""
    with ours.patched():
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
    with listener, client, listener.accept()[0] as server:
        with pickle.loads(ForkingPickler.dumps(client)) as sent:
            assert type(sent) is ours.socket and sent.getsockname() == client.getsockname()
            sent.sendall(b"x")
            assert server.recv(1) == b"x"


def answer(channel):
    """Runs in another process, without a patch: answer on the socket that arrives."""
    with channel.recv() as sock:
        sock.sendall(sock.recv(100).upper() + type(sock).__module__.encode())


def test_another_process_receives_them(ours):
    here, there = multiprocessing.Pipe()
    with ours.patched():
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        process = multiprocessing.get_context("spawn").Process(target=answer, args=(there,), daemon=True)
        process.start()
    with listener, client, here, there:
        with listener.accept()[0] as server:
            here.send(server)
            client.sendall(b"hello ")
            client.settimeout(DEADLINE)
            assert read_exactly(client, 14) == b"HELLO iocpsock"
        process.join(DEADLINE)
        assert process.exitcode == 0
        process.close()
