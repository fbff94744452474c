"""connect, accept, the addresses of both ends, and everything that can be wrong with them."""

import errno
import socket
import threading

import pytest

from support import DEADLINE, LOOPBACK, closed_port, free_port, spawn, still_waits

FAMILIES = pytest.mark.parametrize("family", LOOPBACK, ids=lambda family: family.name)
UNKNOWN_HOST = "no-such-host.invalid"


@FAMILIES
def test_both_ends_know_both_addresses(net, family):
    with net.listener(family) as listener:
        client = net.socket(family)
        client.connect(listener.getsockname())
        server, address = listener.accept()
        with client, server:
            assert address == client.getsockname() == server.getpeername()
            assert client.getpeername() == server.getsockname() == listener.getsockname()
            assert len(address) == {socket.AF_INET: 2, socket.AF_INET6: 4}[family]
            assert address[0] == LOOPBACK[family]


@FAMILIES
def test_data_flows(net, family):
    with net.pair(family) as (client, server):
        client.sendall(b"there")
        assert server.recv(10) == b"there"
        server.sendall(b"and back")
        assert client.recv(10) == b"and back"


def test_sockets_are_of_the_class(net):
    with net.pair() as (client, server), net.listener() as listener:
        with net.create_connection(listener.getsockname()) as third:
            assert {type(sock) for sock in (client, server, listener, third)} == {net.socket}
            listener.accept()[0].close()
        assert isinstance(client, socket.socket)
        assert (server.family, server.type, server.proto) == (client.family, client.type, client.proto)
        assert server.family is socket.AF_INET and server.type is socket.SOCK_STREAM


def test_sockets_are_not_inherited_by_child_processes(net):
    with net.pair() as (client, server), net.listener() as listener:
        assert not any(sock.get_inheritable() for sock in (client, server, listener))


def test_connect_returns_none(net):
    with net.listener() as listener, net.socket() as client:
        assert client.connect(listener.getsockname()) is None
        listener.accept()[0].close()


def test_connect_ex(net):
    with net.listener() as listener, net.socket() as client:
        assert client.connect_ex(listener.getsockname()) == 0
        listener.accept()[0].close()


def test_connect_by_name(net):
    with net.listener() as listener, net.socket() as client:
        client.connect(("localhost", listener.getsockname()[1]))
        assert client.getpeername() == listener.getsockname()
        listener.accept()[0].close()


def test_by_name_where_no_thread_can_be_started(net, monkeypatch):
    """The lookup then needs no thread."""
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    with net.listener() as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr("_thread.start_new_thread", refuse)
        with net.create_connection(("localhost", port)) as client, listener.accept()[0] as server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"


def forbidden(*arguments, **options):
    raise RuntimeError("a lookup was made")


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_the_program_has_its_own_getaddrinfo(net, monkeypatch, call):
    """connect asks the system, even if the public name has another function."""
    with net.listener() as listener, net.socket() as client:
        monkeypatch.setattr(socket, "getaddrinfo", forbidden)
        getattr(client, call)(("localhost", listener.getsockname()[1]))
        assert client.getpeername() == listener.getsockname()
        listener.accept()[0].close()


def test_create_connection_asks_the_programs_getaddrinfo(net, monkeypatch):
    """It calls it once, on the calling thread, with the arguments of the stock function."""
    calls, real = [], socket.getaddrinfo

    def redirect(host, *rest):
        calls.append((host, rest, threading.get_ident()))
        return real("127.0.0.1", *rest)

    with net.listener() as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", redirect)
        with net.create_connection(("no-such-host.invalid", port)) as client, listener.accept()[0]:
            assert client.getpeername() == listener.getsockname()
    assert calls == [("no-such-host.invalid", (port, 0, socket.SOCK_STREAM), threading.get_ident())]


def test_audit_events(net, audited):
    """The same as with the stock socket, in the same order."""
    with net.listener() as listener, net.socket() as client:
        port = listener.getsockname()[1]
        with audited() as events:
            client.connect(("localhost", port))
            with pytest.raises(socket.gaierror):
                net.socket().connect(("no-such-host.invalid", port))
        listener.accept()[0].close()
    assert [event for event in events if event in ("socket.connect",
                                                   "socket.getaddrinfo")] == ["socket.connect"]


HOSTS = ["a" * 64 + ".invalid", "a..invalid", ".invalid", "a.b..", "x" * 300, "\u200d.invalid",
         "b\u00fccher" + "\u00fc" * 70 + ".invalid", "\xe9\udc80", "a\0b", b"a..invalid"]


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
@pytest.mark.parametrize("host", HOSTS, ids=ascii)
def test_a_name_that_is_none(net, host, call):
    """The system refuses an ASCII name, and IDNA any other. No call raises UnicodeError."""
    with net.socket() as client:
        client.settimeout(DEADLINE)
        refused = host in ("a\0b", "\xe9\udc80", "\u200d.invalid") or isinstance(host,
                                                                                 str) and not host.isascii()
        with pytest.raises(TypeError if refused else socket.gaierror):
            getattr(client, call)((host, 9))


def test_a_flow_label_that_is_too_large(net):
    with net.socket(socket.AF_INET6) as client, pytest.raises(OverflowError):
        client.connect(("::1", 9, 1 << 20))


@pytest.mark.parametrize("host", [b"127.0.0.1", bytearray(b"127.0.0.1")],
                         ids=lambda host: type(host).__name__)
def test_host_in_bytes(net, host):
    with net.listener() as listener, net.socket() as client:
        client.connect((host, listener.getsockname()[1]))
        listener.accept()[0].close()


@pytest.mark.parametrize("extra", [(), (0,), (0, 0)])
def test_ipv6_address_of_every_length(net, extra):
    with net.listener(socket.AF_INET6) as listener, net.socket(socket.AF_INET6) as client:
        client.connect((*listener.getsockname()[:2], *extra))
        listener.accept()[0].close()


def test_connect_from_a_bound_address(net):
    with net.listener() as listener, net.socket() as client:
        client.bind(("127.0.0.1", 0))
        bound = client.getsockname()
        client.connect(listener.getsockname())
        server, address = listener.accept()
        server.close()
        assert address == client.getsockname() == bound


def test_connecting_twice(net):
    with net.listener() as listener:
        client, server = net.connect(listener)
        with client, server:
            with pytest.raises(OSError) as error:
                client.connect(listener.getsockname())
            assert error.value.errno == errno.EISCONN
            client.sendall(b"unharmed")
            assert server.recv(10) == b"unharmed"


@FAMILIES
def test_refused(net, family):
    with closed_port(family) as closed, net.socket(family) as client:
        with pytest.raises(ConnectionRefusedError) as error:
            client.connect(closed.getsockname())
        assert error.value.errno == errno.ECONNREFUSED


def test_refused_by_connect_ex(net):
    with closed_port() as closed, net.socket() as client:
        assert client.connect_ex(closed.getsockname()) == errno.ECONNREFUSED


def test_refused_with_a_timeout(net):
    with closed_port() as closed, net.socket() as client:
        client.settimeout(DEADLINE)
        with pytest.raises(ConnectionRefusedError):
            client.connect(closed.getsockname())


def test_connecting_again_after_a_refusal(net):
    with closed_port() as closed, net.listener() as listener, net.socket() as client:
        with pytest.raises(ConnectionRefusedError):
            client.connect(closed.getsockname())
        try:
            client.connect(listener.getsockname())
        except ConnectionAbortedError:
            pytest.skip("Wine gives up a socket whose first connect was refused; Windows does not")
        server, _ = listener.accept()
        with server:
            client.sendall(b"at last")
            assert server.recv(10) == b"at last"


def test_unknown_host(net):
    with net.socket() as client:
        with pytest.raises(socket.gaierror):
            client.connect((UNKNOWN_HOST, 80))
    with pytest.raises(socket.gaierror):
        net.create_connection((UNKNOWN_HOST, 80), DEADLINE)


def test_host_of_the_wrong_family(net):
    with net.socket() as client:
        with pytest.raises(socket.gaierror):
            client.connect(("::1", 80))


@pytest.mark.parametrize("port", [-1, 65536, 1 << 40])
def test_port_out_of_range(net, port):
    with net.socket() as client:
        with pytest.raises(OverflowError):
            client.connect(("127.0.0.1", port))
        with pytest.raises(OverflowError):
            client.bind(("127.0.0.1", port))


@pytest.mark.parametrize("address", [
    "127.0.0.1", None, 80, ["127.0.0.1", 80], ("127.0.0.1",), ("127.0.0.1", 80, 0), ("127.0.0.1",
                                                                                     "80"), ("127.0.0.1",
                                                                                             80.0),
    (None, 80), (80, "127.0.0.1")], ids=repr)
def test_address_of_the_wrong_type(net, address):
    with net.socket() as client:
        with pytest.raises(TypeError):
            client.connect(address)
        with pytest.raises(TypeError):
            client.connect_ex(address)


@pytest.mark.parametrize("host", ["nul\0nul", "\xe4" * 64 + ".invalid", b"nul\0nul"], ids=ascii)
def test_host_that_cannot_be_a_name(net, host):
    with net.socket() as client:
        with pytest.raises((TypeError, ValueError)):
            client.connect((host, 80))


def test_not_connected(net):
    with net.socket() as sock:
        for call in (lambda: sock.recv(1), lambda: sock.recv_into(bytearray(1)), sock.getpeername):
            with pytest.raises(OSError) as error:
                call()
            assert error.value.errno == errno.ENOTCONN
        for call in (sock.send, sock.sendall):
            with pytest.raises(OSError):
                call(b"x")


def test_accepting_without_listening(net):
    with net.socket() as sock:
        with pytest.raises(OSError):
            sock.accept()
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(OSError) as error:
            sock.accept()
        assert error.value.errno == errno.EINVAL


def test_listening_with_every_backlog(net):
    for arguments in [(), (0,), (1,), (1000,), (-1,)]:
        with net.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(*arguments)
            client, server = net.connect(listener)
            client.close()
            server.close()


def test_accept_waits_for_a_connection(net):
    with net.listener() as listener:
        waiting = spawn(listener.accept)
        assert still_waits(waiting)
        with net.create_connection(listener.getsockname()) as client:
            server, address = waiting.result(DEADLINE)
            with server:
                assert address == client.getsockname()


def test_connections_are_accepted_in_their_order(net):
    with net.listener() as listener:
        clients = [net.create_connection(listener.getsockname()) for _ in range(20)]
        accepted = [listener.accept() for _ in clients]
        assert [address for _, address in accepted] == [client.getsockname() for client in clients]
        for sock in [*clients, *(sock for sock, _ in accepted)]:
            sock.close()


def test_several_threads_accept(net):
    with net.listener() as listener:
        accepting = [spawn(listener.accept) for _ in range(8)]
        clients = [net.create_connection(listener.getsockname()) for _ in accepting]
        accepted = [future.result(DEADLINE) for future in accepting]
        assert sorted(address for _, address in accepted) == sorted(client.getsockname()
                                                                    for client in clients)
        for sock in [*clients, *(sock for sock, _ in accepted)]:
            sock.close()


def test_data_sent_before_accept(net):
    with net.listener() as listener, net.create_connection(listener.getsockname()) as client:
        client.sendall(b"early")
        client.shutdown(socket.SHUT_WR)
        server, _ = listener.accept()
        with server:
            assert server.recv(10) == b"early"
            assert server.recv(10) == b""


def test_a_connection_outlives_its_listener(net):
    with net.listener() as listener:
        client, server = net.connect(listener)
    with client, server:
        client.sendall(b"on our own")
        assert server.recv(20) == b"on our own"


def test_nobody_connects_to_a_closed_listener(net):
    address = LOOPBACK[socket.AF_INET], free_port()
    net.create_server(address).close()
    with net.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(address)


def test_what_was_not_accepted_is_ended_with_the_listener(net):
    with net.listener() as listener:
        client = net.create_connection(listener.getsockname(), DEADLINE)
    with client:
        try:
            assert client.recv(1) == b""
        except ConnectionError:
            pass                            # reset: equally an end
