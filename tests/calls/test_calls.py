"""iocpsock.socket while calls of Windows fail: every blocking call ends, with its result or an OSError, and
leaves nothing.

One round trip is made again and again, the fault one call later each time, until it is not reached.
"""

import socket

import pytest

import iocpsock
from support import (DEADLINE, Net, assert_interrupted, eventually, live_counters, pattern, read_all,
                     read_exactly, spawn, still_waits)

DATA = pattern(200_000)
WORKSTATION, SERVER = 1, 3         # wProductType
NO_SYSTEM_RESOURCES, NOT_FOUND, INVALID_HANDLE = 1450, 1168, 6


def status(code):
    return code - (1 << 32)


RESET, REFUSED, INSUFFICIENT, CANCELLED = (status(code) for code in (0xC000020D, 0xC0000236, 0xC000009A,
                                                                     0xC0000120))

# (call, action, code, whether the round trip succeeds all the same)
SWEEPS = [
    ("WSARecv", "fail", 10055, False), ("WSARecv", "fail", 10054, False), ("WSARecv", "status", RESET, False),
    ("WSARecv", "status", INSUFFICIENT, False), ("WSARecv", "short", 3, True),
    ("WSASend", "fail", 10055, False), ("WSASend", "status", RESET, False), ("WSASend", "short", 7, True),
    ("ConnectEx", "fail", 10055, False), ("ConnectEx", "status", REFUSED, False), ("ConnectEx", "inline", 0,
                                                                                   True),
    ("AcceptEx", "fail", 10024, False), ("AcceptEx", "status", RESET, True), ("AcceptEx", "status",
                                                                              INSUFFICIENT, False),
    ("WSASocketW", "fail", 10024, False), ("setsockopt", "fail", 10055, False), ("bind", "fail", 10055,
                                                                                 False),
    ("GetAddrInfoW", "fail", 11001, False), ("malloc", "fail", 8, False), ("CreateEventW", "fail", 8, False),
    ("WaitForMultipleObjects", "fail", INVALID_HANDLE, False),
]


def serve(listener):
    """Echo one connection to its end."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(read_all(connection))


def round_trip(net, ahead=True):
    """What came back, and the error of either end. Not `ahead`, the engine itself makes the socket of the
    accept."""
    with net.listener() as listener:
        listener.settimeout(5)
        if not ahead:
            listener.acceptcount = -1
        server = spawn(serve, listener)
        try:
            with net.create_connection(listener.getsockname(), timeout=5) as client:
                client.sendall(DATA)
                client.shutdown(socket.SHUT_WR)
                result, error = read_all(client), None
        except OSError as caught:
            result, error = None, caught
        failure = server.exception(20)
    assert failure is None or isinstance(failure, OSError), repr(failure)
    return result, error or failure


@pytest.mark.parametrize("call, action, code, succeeds", SWEEPS, ids=lambda value: str(value))
def test_a_round_trip_under_a_fault(faults, call, action, code, succeeds):
    net = Net("iocpsock")
    ahead = call != "WSASocketW"
    assert round_trip(net) == (DATA, None)
    before = live_counters(iocpsock.stats)
    skip = count = 0
    while count < 40:
        faults.clear()
        faults.plan(call, action, code, skip)
        result, error = round_trip(net, ahead)
        struck = faults.fired(call)
        faults.clear()
        assert eventually(lambda: live_counters(iocpsock.stats) == before), (skip, before,
                                                                             live_counters(iocpsock.stats))
        assert error is not None or result == DATA, \
            f"after {skip} calls: {len(result)} of {len(DATA)} bytes and no error"
        if succeeds:
            assert error is None, f"after {skip} calls: {error!r}"
        if not struck:
            break
        count += 1
        skip += 1
    assert round_trip(net) == (DATA, None)
    print(f"{call} {action} {code}: {count} faults")
    assert count, "the round trip has no such call"


@pytest.mark.parametrize("product, timeout, transmits", [(SERVER, None, True), (SERVER, 20, False),
                                                         (WORKSTATION, None, False)])
@pytest.mark.parametrize("offset, count", [(0, None), (0, 70_000), (1000, None), (1000, 70_000),
                                           (len(DATA) + 10, None)])
def test_transmissions_are_for_servers_without_a_time_out(faults, tmp_path, product, timeout, transmits,
                                                          offset, count):
    file = tmp_path / "data"
    file.write_bytes(DATA)
    expected = DATA[offset:][:count]
    faults.plan("RtlGetVersion", "value", product, times=-1)
    with Net("iocpsock").pair() as (client, server), file.open("rb") as source:
        client.settimeout(timeout)
        reading = spawn(read_all, server)
        assert client.sendfile(source, offset, count) == len(expected)
        assert source.tell() == offset + len(expected)
        client.shutdown(socket.SHUT_WR)
        assert reading.result(20) == expected
    assert (faults.calls("TransmitFile") > 0) == (transmits and expected != b"")


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_ctrl_c_ends_the_lookup_of_connect(faults, call):
    faults.plan("GetAddrInfoW", "late", 8000, skip=1)       # the first asks whether it is a literal address
    with Net("iocpsock").socket() as client:
        assert_interrupted(getattr(client, call), ("localhost", 9))
    assert faults.fired("GetAddrInfoW") == 1


@pytest.mark.parametrize("action, code", [("fail", 10055), ("status", RESET), ("status", INSUFFICIENT)])
def test_a_failed_transmission_is_reported(faults, tmp_path, action, code):
    file = tmp_path / "data"
    file.write_bytes(DATA)
    with Net("iocpsock").pair() as (client, server), file.open("rb") as source:
        faults.plan("RtlGetVersion", "value", SERVER)
        faults.plan("TransmitFile", action, code)
        with pytest.raises(OSError):
            client.sendfile(source)
        assert faults.fired("TransmitFile") == 1


@pytest.mark.parametrize("action, code", [("fail", NOT_FOUND), ("fail", NO_SYSTEM_RESOURCES)])
def test_a_time_out_whose_cancel_fails_loses_nothing(faults, action, code):
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(0.2)
        faults.plan("CancelIoEx", action, code)
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert faults.fired("CancelIoEx") == 1
        server.sendall(b"later")
        assert client.recv(100) == b"later"


def test_nothing_follows_a_send_that_ended_with_a_cancel_of_something_else(faults):
    """Should Windows end a send because a receive beside it was cancelled, nobody can tell how much of it
    went out."""
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(None)
        faults.plan("WSASend", "status", CANCELLED)
        with pytest.raises(OSError) as first:
            client.send(b"lost, or not")
        with pytest.raises(OSError) as second:
            client.send(b"what would follow")
        assert (first.value.winerror, second.value.winerror) == (995, 10053)
        server.send(b"the other direction")
        assert client.recv(100) == b"the other direction"


def test_every_waiter_needs_an_event(faults):
    """More waiters at a time than ever before, and no event to be had."""
    with Net("iocpsock").pair() as (client, server):
        faults.plan("CreateEventW", "fail", 8, times=-1)
        waiting = [spawn(client.recv, 1) for _ in range(40)]
        failures = [future for future in waiting
                    if eventually(lambda future=future: future.done()) and future.exception()] \
            if eventually(lambda: any(future.done() for future in waiting)) else []
        assert failures
        assert all(isinstance(future.exception(), OSError) and future.exception().errno == 10055
                   for future in failures)
        server.close()
        for future in waiting:
            future.exception(20)


@pytest.mark.parametrize("code, times, said", [(122, 3, 10048), (122, -1, 10013), (1450, 1, 10013)])
def test_the_table_of_tcp_sockets_grows_or_cannot_be_had(faults, code, times, said, monkeypatch):
    """Between two calls for a busy machine's table it grows (122, ERROR_INSUFFICIENT_BUFFER)."""
    def bind(sock, address):
        raise OSError(None, "refused", None, 10013)

    with iocpsock.create_server(("127.0.0.1", 0)) as holder:
        monkeypatch.setattr(iocpsock.socket, "bind", bind, raising=False)
        faults.plan("GetExtendedTcpTable", "fail", code, times=times)
        with pytest.raises(OSError) as caught:
            iocpsock.create_server(holder.getsockname())
    assert faults.fired("GetExtendedTcpTable") and caught.value.winerror == said


@pytest.mark.parametrize("status", [INSUFFICIENT, status(0xC0000008)])
def test_a_wait_for_room_that_fails_is_reported(faults, status):
    """No more and no less was sent than was said."""
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(20)
        faults.plan("NtDeviceIoControlFile", "fail", status)
        sent = 0
        with pytest.raises(OSError):
            while True:
                sent += client.send(DATA[:65536])
        assert faults.fired("NtDeviceIoControlFile") == 1
        client.close()
        assert len(read_all(server)) == sent


def test_a_wait_asks_for_the_socket_s_own_time_out_if_there_may_be_one(faults):
    """The question is a call of the system, which a socket of which nobody knows the handle need not make."""
    def waits(call, act):
        before = faults.calls("getsockopt")
        waiting = spawn(call)
        assert still_waits(waiting)
        act()
        waiting.result(DEADLINE)
        return faults.calls("getsockopt") - before

    with Net("iocpsock").pair() as (client, server):
        for sock, peer in ((client, server), (server, client)):
            assert waits(lambda: sock.recv(1), lambda: peer.sendall(b"x")) == 0
        assert waits(lambda: client.sendall(bytes(16_000_000)), lambda: read_exactly(server, 16_000_000)) == 0
        client.fileno()                                     # from now on anybody may have set it
        assert waits(lambda: client.recv(1), lambda: server.sendall(b"x")) > 0
        server.setsockopt(socket.SOL_SOCKET, 0x1006, 10_000)
        assert waits(lambda: server.recv(1), lambda: client.sendall(b"x")) > 0
