"""Sockets that change hands: detached, adopted, shared, duplicated; and not pickled."""

import os
import pickle
import socket
import threading

import pytest

from support import read_exactly


def test_detach(net, pair):
    client, server = pair
    handle = client.detach()
    assert client.fileno() == -1
    with socket.socket(fileno=handle) as stock:
        stock.sendall(b"out")
        assert server.recv(10) == b"out"
        server.sendall(b"and in")
        assert stock.recv(10) == b"and in"
    assert server.recv(10) == b""


def test_a_detached_socket_is_closed(pair):
    client, _ = pair
    with socket.socket(fileno=client.detach()):
        assert client._closed and "[closed]" in repr(client)
        with pytest.raises(OSError):
            client.recv(1)
        assert client.detach() == -1


def test_detach_and_adopt(net, pair):
    client, server = pair
    with net.socket(fileno=client.detach()) as adopted:
        assert (adopted.family, adopted.type) == (socket.AF_INET, socket.SOCK_STREAM)
        adopted.sendall(b"out")
        assert server.recv(10) == b"out"
        server.sendall(b"and in")
        assert adopted.recv(10) == b"and in"
        server.close()
        assert adopted.recv(10) == b""


def test_detach_after_use(net, pair):
    client, server = pair
    server.sendall(b"first,second")
    assert read_exactly(client, 6) == b"first,"
    with net.socket(fileno=client.detach()) as adopted:
        assert read_exactly(adopted, 6) == b"second"


def test_adopting_another_socket(net):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stock = socket.create_connection(listener.getsockname())
        with net.socket(fileno=stock.detach()) as adopted, listener.accept()[0] as server:
            adopted.sendall(b"out")
            assert server.recv(10) == b"out"


def test_share(net, pair):
    """A copy by way of bytes, as one process hands a socket to another."""
    client, server = pair
    with socket.fromshare(client.share(os.getpid())) as copy:
        client.close()
        copy.sendall(b"by the copy")
        assert server.recv(20) == b"by the copy"
    assert server.recv(1) == b""


def test_adopting_nonsense(net):
    with pytest.raises(ValueError):
        net.socket(fileno=-1)
    with pytest.raises(OSError):
        net.socket(fileno=0x7ffff0)
    with pytest.raises(TypeError):
        net.socket(fileno="4")


def test_dup(net, pair):
    client, server = pair
    with client.dup() as copy:
        assert type(copy) is net.socket
        assert copy.fileno() != client.fileno()
        client.close()
        copy.sendall(b"by the copy")
        assert server.recv(20) == b"by the copy"
        server.sendall(b"to the copy")
        assert copy.recv(20) == b"to the copy"
    assert server.recv(10) == b""


def test_sockets_are_not_pickled(pair):
    with pytest.raises(TypeError):
        pickle.dumps(pair[0])


def test_closing_a_duplicate_leaves_the_other_socket_waiting(pair):
    """Both handles are one connection: only the calls of the closed object end."""
    client, server = pair
    duplicate = server.dup()
    received = []
    reader = threading.Thread(target=lambda: received.append(server.recv(10)))
    reader.start()
    duplicate.close()
    client.sendall(b"after all")
    reader.join()
    assert received == [b"after all"]
