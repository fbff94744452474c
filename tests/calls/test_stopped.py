"""A thread that is stopped in the middle of a call, while another closes the socket and its handle's number
is given anew.

The call must reach no other socket: neither take its bytes nor add to them, connect it, or take its
connections. Each call is stopped at every call of Windows that it makes on its way: before it has the handle,
between that and its operation, and at that.
"""

import contextlib
import io
import socket

import pytest

import iocpsock
from secured import secured_pair
from support import DEADLINE, PATIENCE, Net, read_exactly, spawn

NOT_A_SOCKET = 10038
# Sockets made after the close; the number of the closed one is among theirs as soon as it is free.
OTHERS = 20
EVENT = "CreateEventW"  # between the guard and the operation

OPERATIONS = ("WSASend", "send_direct", "ConnectEx")

RECEIVES = {
    "recv": lambda sock: sock.recv(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "recv all": lambda sock: sock.recv(100, socket.MSG_WAITALL),
    "recv timed": lambda sock: (sock.settimeout(DEADLINE), sock.recv(100)),
    "recvfrom": lambda sock: sock.recvfrom(100),
}
SENDS = {
    "send": ("WSASend", lambda sock: sock.send(b"mine")),
    "sendall": ("WSASend", lambda sock: sock.sendall(b"mine")),
    "sendall in pieces": ("WSASend", lambda sock: (setattr(sock, "sendlimit", 4096),
                                                   sock.sendall(b"mine" * 2000))),
    "send timed": ("send_direct", lambda sock: (sock.settimeout(DEADLINE), sock.send(b"mine"))),
    "sendall timed": ("send_direct", lambda sock: (sock.settimeout(DEADLINE), sock.sendall(b"mine"))),
    "sendfile": ("WSASend", lambda sock: sock.sendfile(io.BytesIO(b"mine"))),
}


@contextlib.contextmanager
def connected(count):
    """So many stock connections: (socket, its peer)."""
    with contextlib.ExitStack() as stack:
        yield [tuple(map(stack.enter_context, socket.socketpair())) for _ in range(count)]


def assert_closed(future):
    error = future.exception(DEADLINE)
    assert isinstance(error, OSError) and error.winerror == NOT_A_SOCKET, repr(error)


@contextlib.contextmanager
def closed_meanwhile(faults, at, sock, call, close=None):
    """Inside, the call is stopped, and the socket is being closed; then both go on, and the call finds its
    socket closed. Stopped at its operation, it holds up the close, and its operation may be done in time."""
    faults.hold(at)
    calling = spawn(call, sock)
    assert faults.held(), f"the call makes no call of {at}"
    closing = spawn(close or sock.close)
    with contextlib.suppress(TimeoutError):
        closing.exception(PATIENCE)                         # it may have to wait for the call
    try:
        yield
    finally:
        faults.release()
    if at not in OPERATIONS or calling.exception(DEADLINE):
        assert_closed(calling)
    closing.result(DEADLINE)


@pytest.mark.parametrize("at", [EVENT, "WSARecv"])
@pytest.mark.parametrize("name", RECEIVES)
def test_a_receive_takes_no_other_socket_s_bytes(faults, name, at):
    with Net("iocpsock").pair() as (client, server), contextlib.ExitStack() as stack:
        with closed_meanwhile(faults, at, client, RECEIVES[name]):
            others = stack.enter_context(connected(OTHERS))
            for _, peer in others:
                peer.sendall(b"theirs")
        for other, _ in others:
            assert read_exactly(other, 6) == b"theirs"


@pytest.mark.parametrize("at", [EVENT, "WSARecv"])
def test_a_file_of_a_socket_takes_no_other_socket_s_bytes(faults, at):
    with Net("iocpsock").pair() as (client, server), contextlib.ExitStack() as stack:
        file = client.makefile("rb", buffering=0)
        client.close()                                      # the file still has it
        with closed_meanwhile(faults, at, client, lambda sock: file.read(100), file.close):
            others = stack.enter_context(connected(OTHERS))
            for _, peer in others:
                peer.sendall(b"theirs")
        for other, _ in others:
            assert read_exactly(other, 6) == b"theirs"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", SENDS)
def test_a_send_reaches_no_other_socket_s_peer(faults, name, place):
    operation, call = SENDS[name]
    at = operation if place or operation == "send_direct" else EVENT
    with Net("iocpsock").pair() as (client, server), contextlib.ExitStack() as stack:
        with closed_meanwhile(faults, at, client, call):
            others = stack.enter_context(connected(OTHERS))
        for other, peer in others:
            other.sendall(b"theirs")
            assert read_exactly(peer, 6) == b"theirs"


@pytest.mark.parametrize("at", [EVENT, "bind", "ConnectEx"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connect_connects_no_other_socket(faults, host, at):
    with Net("iocpsock").listener() as listener, contextlib.ExitStack() as stack:
        client = stack.enter_context(Net("iocpsock").socket())
        with closed_meanwhile(faults, at, client, lambda sock: sock.connect((host,
                                                                             listener.getsockname()[1]))):
            others = [stack.enter_context(socket.socket()) for _ in range(OTHERS)]
        for other in others:
            with pytest.raises(OSError):
                other.getpeername()


@pytest.mark.parametrize("ahead, at", [(True, "AcceptEx"), (False, EVENT), (False, "AcceptEx")])
def test_an_accept_takes_no_other_listener_s_connection(faults, ahead, at):
    with Net("iocpsock").listener() as listener, contextlib.ExitStack() as stack:
        listener.acceptcount = 0 if ahead else -1
        with closed_meanwhile(faults, at, listener, lambda sock: sock.accept()):
            others = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(OTHERS)]
            clients = [stack.enter_context(socket.create_connection(other.getsockname())) for other in others]
        for other, client in zip(others, clients, strict=True):
            other.settimeout(DEADLINE)
            connection, address = other.accept()
            connection.close()
            assert address == client.getsockname()


@pytest.mark.parametrize("call, at", [("recv", EVENT), ("recv", "WSARecv"), ("send", EVENT),
                                      ("send", "WSASend")])
def test_tls_reaches_no_other_socket(faults, call, at):
    with iocpsock.patched(), secured_pair(Net("iocpsock"), "1.2") as (near,
                                                                      far), contextlib.ExitStack() as stack:
        with closed_meanwhile(faults, at, near, lambda sock: sock.recv(100) if call == "recv"
                              else sock.sendall(b"mine")):
            others = stack.enter_context(connected(OTHERS))
            for other, peer in others:
                peer.sendall(b"theirs")
                other.sendall(b"others")
        for other, peer in others:
            assert read_exactly(other, 6) == b"theirs"
            assert read_exactly(peer, 6) == b"others"


@pytest.mark.parametrize("at", [EVENT, "WSARecv"])
def test_a_socket_is_detached_from_under_a_receive(faults, at):
    """The call ends, and takes nothing from whoever has the handle now."""
    with Net("iocpsock").pair() as (client, server):
        faults.hold(at)
        calling = spawn(client.recv, 100)
        assert faults.held()
        detaching = spawn(client.detach)
        with contextlib.suppress(TimeoutError):
            detaching.exception(PATIENCE)
        server.sendall(b"theirs")
        faults.release()
        with socket.socket(fileno=detaching.result(DEADLINE)) as other:
            if calling.exception(DEADLINE) is None:         # the bytes were there before the call was told
                assert calling.result() == b"theirs"
            else:
                assert_closed(calling)
                assert read_exactly(other, 6) == b"theirs"
