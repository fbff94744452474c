"""create_connection and create_server: the module's two convenience functions."""

import errno
import socket

import pytest

from support import DEADLINE, LOOPBACK, closed_port, free_port


def test_create_connection(net):
    with net.listener() as listener, net.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            assert client.gettimeout() is None
            client.sendall(b"x")
            assert server.recv(1) == b"x"


def test_by_name_every_address_is_tried(net):
    """The name may stand for an IPv6 address first, where nobody listens."""
    with net.listener() as listener:
        with net.create_connection(("localhost", listener.getsockname()[1])) as client:
            assert client.getpeername() == listener.getsockname()
            listener.accept()[0].close()


def test_timeout_of_create_connection(net):
    with net.listener() as listener, net.create_connection(listener.getsockname(),
                                                           timeout=DEADLINE) as client:
        assert client.gettimeout() == DEADLINE
        listener.accept()[0].close()


def test_source_address(net):
    with net.listener() as listener:
        with net.create_connection(listener.getsockname(), source_address=("127.0.0.1", 0)) as client:
            server, address = listener.accept()
            server.close()
            assert address == client.getsockname()


def test_create_connection_refused(net):
    with closed_port() as closed:
        with pytest.raises(ConnectionRefusedError):
            net.create_connection(closed.getsockname())


def test_all_errors(net):
    with closed_port() as closed:
        with pytest.raises(ExceptionGroup) as group:
            net.create_connection(closed.getsockname(), all_errors=True)
    assert [type(error) for error in group.value.exceptions] == [ConnectionRefusedError]


@pytest.mark.parametrize("address", ["127.0.0.1", None, ("127.0.0.1",)], ids=repr)
def test_create_connection_to_no_address(net, address):
    with pytest.raises((TypeError, ValueError)):
        net.create_connection(address)


def test_create_server_listens(net):
    with net.create_server(("127.0.0.1", 0), backlog=5) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.getsockname()[1] != 0
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_create_server_on_every_address(net):
    with net.create_server(("", 0)) as listener:
        with net.create_connection(("127.0.0.1", listener.getsockname()[1])):
            listener.accept()[0].close()


def test_address_in_use(net):
    with net.listener() as listener:
        with pytest.raises(OSError) as error:
            net.create_server(listener.getsockname())
        assert error.value.errno == errno.EADDRINUSE


def test_an_address_can_be_used_again(net):
    """This holds immediately too, and after the server's end has closed connections on it."""
    address = LOOPBACK[socket.AF_INET], free_port()
    with net.create_server(address) as listener:
        client, server = net.connect(listener)
        server.close()
        client.close()
    with net.create_server(address) as listener:
        assert listener.getsockname() == address


def test_address_of_another_machine(net):
    with pytest.raises(OSError) as error:
        net.create_server(("192.0.2.1", 0))
    assert error.value.errno == errno.EADDRNOTAVAIL


def test_ipv6_only(net):
    with net.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_dual_stack(net):
    with net.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        for host in ("127.0.0.1", "::1"):
            with net.create_connection((host, listener.getsockname()[1])) as client:
                server, address = listener.accept()
                server.close()
                assert address[0] in (host, f"::ffff:{host}")
                assert client.getpeername()[0] == host


def test_port_sharing_is_refused(net):
    with pytest.raises(ValueError):
        net.create_server(("127.0.0.1", 0), reuse_port=True)


@pytest.mark.parametrize("port", [-1, 65536])
def test_server_port_out_of_range(net, port):
    with pytest.raises(OverflowError):
        net.create_server(("127.0.0.1", port))


@pytest.mark.parametrize("taken, code, said", [(True, 10048, 10048), (True, 10013, 10048),
                                               (False, 10013, 10013)])
def test_a_refused_bind_is_final(taken, code, said, monkeypatch):
    """A second bind, without SO_EXCLUSIVEADDRUSE, would succeed beside a listener on a more specific address
    on Windows."""
    import iocpsock
    binds = []

    def bind(self, address):
        binds.append(address)
        raise OSError(None, "refused", None, code)

    holder = socket.create_server(("127.0.0.1", 0))
    address = holder.getsockname()
    if not taken:
        holder.close()
    monkeypatch.setattr(iocpsock.socket, "bind", bind, raising=False)
    with pytest.raises(OSError) as caught:
        iocpsock.create_server(address)
    holder.close()
    assert caught.value.winerror == said and binds == [address]


@pytest.mark.parametrize("first", ["127.0.0.1", ""])
@pytest.mark.parametrize("second", ["127.0.0.1", ""])
def test_a_port_that_is_taken(first, second):
    """Windows reports WSAEACCES for some of these pairs."""
    import iocpsock
    with iocpsock.create_server((first, 0)) as holder:
        with pytest.raises(OSError) as caught:
            iocpsock.create_server((second, holder.getsockname()[1]))
        assert caught.value.winerror == 10048


@pytest.mark.parametrize("call, result", [(repr, None), (lambda sock: sock.fileno(), -1),
                                          (lambda sock: sock.detach(), -1)])
def test_an_object_that_was_never_initialised(net, call, result):
    sock = net.socket.__new__(net.socket)
    assert call(sock) == result or result is None
