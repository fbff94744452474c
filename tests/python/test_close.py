"""The end of a socket: closed by its owner, by another thread, by the peer, by the garbage collector; reset.
And of the files that makefile makes of it."""

import contextlib
import gc
import socket

import pytest

from support import (DEADLINE, Net, closed_port, eventually, pattern, read_all, read_exactly, reset, spawn,
                     still_waits)


def assert_ended(waiting):
    """The call has ended by itself, with an error that does not pretend to be a time-out."""
    error = waiting.exception(DEADLINE)
    assert isinstance(error, OSError) and not isinstance(error, TimeoutError)


def test_nothing_works_on_a_closed_socket(pair):
    client, server = pair
    address = server.getsockname()
    client.close()
    calls = [lambda: client.recv(1), lambda: client.recv_into(bytearray(1)), lambda: client.send(b"x"),
             lambda: client.sendall(b"x"), lambda: client.connect(address),
             lambda: client.shutdown(socket.SHUT_WR),
             client.accept, client.getsockname, client.getpeername, client.listen]
    for call in calls:
        with pytest.raises(OSError) as error:
            call()
        assert not isinstance(error.value, (TimeoutError, ConnectionError))
    assert client.fileno() == -1
    assert "[closed]" in repr(client)


def test_closing_twice(pair):
    client, _ = pair
    client.close()
    client.close()
    assert client.fileno() == -1


def test_as_a_context_manager(net):
    with net.listener() as listener:
        with net.create_connection(listener.getsockname()) as client:
            assert client.fileno() != -1
        assert client.fileno() == -1
        server, _ = listener.accept()
        with server:
            assert server.recv(1) == b""
        with pytest.raises(ZeroDivisionError), net.socket() as sock:
            raise ZeroDivisionError
        assert sock.fileno() == -1


def test_a_socket_that_was_never_used(net):
    net.socket().close()
    net.socket(socket.AF_INET6).close()
    with net.socket() as sock:
        sock.bind(("127.0.0.1", 0))


def test_what_was_sent_arrives_after_close(pair):
    client, server = pair
    data = pattern(200_000)
    sending = spawn(lambda: (client.sendall(data), client.close()))
    assert read_all(server) == data
    sending.result(DEADLINE)


def test_closing_with_unread_data(pair):
    client, server = pair
    server.sendall(b"never read")
    assert read_exactly(client, 5) == b"never"
    client.close()
    with contextlib.suppress(ConnectionError):      # a reset tells the peer that its data was lost
        assert server.recv(10) == b""


def test_shutdown_wakes_a_waiting_recv(pair):
    client, server = pair
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    client.shutdown(socket.SHUT_RDWR)
    assert waiting.result(DEADLINE) == b""


def test_peer_resets(pair):
    client, server = pair
    reset(client)
    # Wine reports the end of the stream to a recv that comes later.
    with contextlib.suppress(ConnectionResetError):
        assert server.recv(10) == b""


def test_peer_resets_while_recv_waits(pair):
    client, server = pair
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    reset(client)
    with pytest.raises(ConnectionResetError):
        waiting.result(DEADLINE)


def test_sending_to_a_peer_that_has_reset(pair):
    client, server = pair
    reset(client)

    def send_until_it_fails():
        for _ in range(1000):
            server.sendall(bytes(65536))

    with pytest.raises(ConnectionError):
        send_until_it_fails()


def test_peer_resets_while_sendall_waits(pair):
    client, server = pair
    sending = spawn(server.sendall, bytes(32_000_000))
    assert still_waits(sending)
    reset(client)
    with pytest.raises(ConnectionError):
        sending.result(DEADLINE)


def test_a_listener_survives_peers_that_reset(net):
    """Each of them may be accepted, be forgotten, or make one accept fail; the next peer is served."""
    with net.listener() as listener:
        for _ in range(10):
            reset(net.create_connection(listener.getsockname()))
        with net.create_connection(listener.getsockname()) as client:
            client.sendall(b"alive")
            server = accept_from(listener, client.getsockname(), failures=10)
            with server:
                assert server.recv(10) == b"alive"


def accept_from(listener, wanted, failures):
    """The connection from that address; so many accepts may fail or give another one before."""
    for _ in range(failures + 1):
        with contextlib.suppress(OSError):
            server, address = listener.accept()
            if address == wanted:
                return server
            server.close()
    pytest.fail(f"{wanted} was not accepted")


@pytest.mark.parametrize("timeout", [None, 2 * DEADLINE])
def test_closing_while_recv_waits(pair, timeout):
    _, server = pair
    server.settimeout(timeout)
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    server.close()
    assert_ended(waiting)


@pytest.mark.parametrize("timeout", [None, 2 * DEADLINE])
def test_closing_while_accept_waits(net, timeout):
    with net.listener() as listener:
        listener.settimeout(timeout)
        waiting = spawn(listener.accept)
        assert still_waits(waiting)
        listener.close()
        assert_ended(waiting)


def test_closing_while_sendall_waits(net, pair):
    client, _ = pair
    sending = spawn(client.sendall, bytes(32_000_000))
    assert still_waits(sending)
    client.close()
    if net.name == "stock" and still_waits(sending):
        pytest.skip("Wine leaves a stock send waiting when its socket is closed; Windows ends it")
    assert_ended(sending)


def test_closing_while_a_timed_send_waits(net, pair):
    client, _ = pair
    client.settimeout(2 * DEADLINE)

    def send_in_pieces():
        while True:
            client.send(bytes(65536))

    sending = spawn(send_in_pieces)
    assert still_waits(sending)
    client.close()
    assert_ended(sending)


def test_closing_while_the_rest_is_waited_for(balance):
    """What was there of it is returned, and no more is waited for. (Wine's own receive does not wait for the
    rest at all.)"""
    with Net("iocpsock").pair() as (client, server):
        waiting = spawn(server.recv, 10, socket.MSG_WAITALL)
        client.sendall(b"some")
        assert still_waits(waiting)
        server.close()
        assert waiting.result(DEADLINE) == b"some"


def test_a_timed_sendall_whose_socket_becomes_blocking_ends_in_time(balance):
    """The handle becomes blocking when it has ended."""
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(1)
        sending = spawn(client.sendall, bytes(64_000_000))
        assert still_waits(sending)
        client.setblocking(True)
        read_exactly(server, 1_000_000)                     # room for a part
        assert isinstance(sending.exception(DEADLINE), TimeoutError)
        assert still_waits(spawn(socket.socket.recv, client, 1))
        client.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", ["close", "recv"])
def test_a_timed_sendall_whose_socket_becomes_blocking(balance, end):
    """It holds up neither other calls nor the close."""
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(2 * DEADLINE)
        sending = spawn(client.sendall, bytes(32_000_000))
        assert still_waits(sending)
        client.settimeout(None)
        read_exactly(server, 1_000_000)                     # room for a part
        assert still_waits(sending)
        if end == "recv":
            server.sendall(b"x")
            assert spawn(client.recv, 1).result(DEADLINE) == b"x"
        spawn(client.close).result(DEADLINE)
        assert_ended(sending)


def test_makefile_reads_lines(pair):
    client, server = pair
    client.sendall(b"one\r\ntwo\r\nthree")
    client.close()
    with server.makefile("rb") as file:
        assert list(file) == [b"one\r\n", b"two\r\n", b"three"]


def test_makefile_writes(pair):
    client, server = pair
    with client.makefile("w", encoding="utf-8", newline="\n") as file:
        file.write("caf\xe9\n" * 10_000)
    client.close()
    assert read_all(server) == "caf\xe9\n".encode() * 10_000


def test_makefile_unbuffered_both_ways(pair):
    client, server = pair
    with client.makefile("rwb", buffering=0) as file:
        assert file.write(b"question") == 8
        assert server.recv(10) == b"question"
        server.sendall(b"answer")
        buffer = bytearray(10)
        assert file.readinto(buffer) == 6
        assert buffer.startswith(b"answer")


def test_makefile_outlives_its_socket(pair):
    client, server = pair
    file = client.makefile("rb")
    client.close()
    assert client.fileno() != -1                    # the file still needs it
    server.sendall(b"more")
    assert file.read(4) == b"more"
    file.close()
    assert client.fileno() == -1
    assert server.recv(1) == b""


def test_makefile_after_a_timeout(pair):
    client, _ = pair
    client.settimeout(0.05)
    with client.makefile("rb") as file:
        with pytest.raises(TimeoutError):
            file.read(1)
        with pytest.raises(OSError, match="timed out object"):
            file.read(1)


def test_collected_without_close(net, pair):
    with net.listener() as listener:
        client, server = net.connect(listener)
    with server, pytest.warns(ResourceWarning, match="unclosed"):
        del client
        gc.collect()
        assert server.recv(1) == b""


def test_a_failed_connect_leaves_nothing(net):
    with closed_port() as closed, net.socket() as client:
        with pytest.raises(ConnectionRefusedError):
            client.connect(closed.getsockname())


def test_collected_with_a_cycle(net):
    class Owner:
        pass

    with net.listener() as listener:
        owner = Owner()
        owner.client, server = net.connect(listener)
        owner.self = owner
    with server, pytest.warns(ResourceWarning, match="unclosed"):
        del owner
        gc.collect()
        assert server.recv(1) == b""


def test_a_subclass_is_a_socket_too(net):
    class Named(net.socket):
        def __init__(self, *arguments, name=None, **options):
            super().__init__(*arguments, **options)
            self.name = name

    with net.listener() as listener, Named(name="mine") as client:
        client.connect(listener.getsockname())
        with listener.accept()[0] as server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"
        assert client.name == "mine"


def test_repr_shows_the_addresses(pair):
    client, server = pair
    assert f"laddr={client.getsockname()}" in repr(client)
    assert f"raddr={server.getsockname()}" in repr(client)


def test_another_thread_sees_the_end_of_a_burst(pair):
    """Closing is told to a reader that is just being served."""
    client, server = pair
    reading = spawn(read_all, server)
    for _ in range(100):
        client.sendall(b"0123456789")
    client.close()
    assert reading.result(DEADLINE) == b"0123456789" * 100
    assert eventually(lambda: server.recv(1) == b"")
