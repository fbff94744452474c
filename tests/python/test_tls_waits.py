"""TLS on the engine: Ctrl-C and a close end its waits, and lose no data; threads share a socket."""

import contextlib
import signal
import socket
import ssl
import time

import iocpsock
import pytest

from secured import ByHand, contexts
from support import (DEADLINE, PATIENCE, Net, assert_interrupted, interrupt, outlasts, pattern, read_exactly,
                     spawn, still_waits)

LARGE = 32_000_000              # bytes: more than the system takes before somebody reads
TIMEOUTS = pytest.mark.parametrize("timeout", [None, DEADLINE])


@pytest.fixture
def net(balance):
    """Only our sockets: Ctrl-C does not end OpenSSL's own waits, and its object for a socket does not support
    several threads."""
    with iocpsock.patched():
        yield Net("iocpsock")


@TIMEOUTS
def test_interrupted_reading(by_hand, timeout):
    """Interrupted before a record, and in the middle of one, which is complete in the end."""
    server, client = by_hand
    server.settimeout(timeout)
    record = client.encrypted(b"after all")
    for piece in (b"", record[:3], record[3:8], record[8:-1]):
        client.sock.sendall(piece)
        assert_interrupted(server.recv, 100)
    assert_interrupted(server.recv_into, bytearray(100))
    client.sock.sendall(record[-1:])
    assert server.recv(100) == b"after all"


@TIMEOUTS
def test_interrupted_handshake(net, version, timeout):
    server_side, client_side = contexts(version)
    with net.pair() as (near, far):
        client = ByHand(near, client_side)
        with server_side.wrap_socket(far, server_side=True, do_handshake_on_connect=False) as server:
            server.settimeout(timeout)
            assert_interrupted(server.do_handshake)
            shaking = spawn(client.carry, client.tls.do_handshake)
            server.do_handshake()
            shaking.result(DEADLINE)
            server.sendall(b"at last")
            assert client.read_exactly(7) == b"at last"


@pytest.mark.parametrize("breaks", ["time-out", "interrupt"])
def test_a_write_that_ends_in_its_handshake_has_written_nothing(net, version, breaks):
    """A write begins with the handshake. If it ends in there, the repeated write sends all of its data."""
    server_side, client_side = contexts(version)
    data = pattern(5000)
    with net.pair() as (near, far):
        client = ByHand(near, client_side)
        with server_side.wrap_socket(far, server_side=True, do_handshake_on_connect=False) as server:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
            client.sock.sendall(client.outgoing.read())
            if breaks == "time-out":
                server.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    server.send(data)
                server.settimeout(DEADLINE)
            else:
                assert_interrupted(server.send, data)
            reading = spawn(client.read_exactly, len(data))
            assert server.send(data) == len(data)
            assert reading.result(DEADLINE) == data


def test_interrupted_in_wrap_socket(net, version):
    with net.pair() as (_, far):
        assert_interrupted(lambda: contexts(version)[0].wrap_socket(far, server_side=True))


@TIMEOUTS
def test_interrupted_writing(by_hand, timeout):
    """The repeated write continues where it stopped."""
    server, client = by_hand
    server.settimeout(timeout)
    data = pattern(LARGE)
    for _ in range(3):
        assert_interrupted(server.send, data)
    client.sock.sendall(client.encrypted(b"meanwhile"))
    assert server.recv(100) == b"meanwhile"
    reading = spawn(client.read_exactly, len(data))
    assert server.send(data) == len(data)
    assert reading.result(DEADLINE) == data


class Interrupted(Exception):
    """The exception of a handler."""


@TIMEOUTS
def test_interrupted_while_it_encrypts(by_hand, handler, timeout):
    """The peer keeps up, so most signals arrive while OpenSSL works. Its object runs their handlers after it
    has written a record. The signals end while much is unsent: after a complete write nobody can tell whether
    the exception came behind it."""
    server, client = by_hand
    server.settimeout(timeout)
    data, received, interrupts, writing = pattern(LARGE), bytearray(), 0, []

    def raise_it(number, frame):
        if writing:
            writing.clear()
            raise Interrupted

    def read():
        while len(received) < len(data):
            received.extend(client.carry(client.tls.read, len(data) - len(received)))

    def strike():
        while len(received) < len(data) // 2 and not reading.done():
            time.sleep(0.002)
            signal.raise_signal(signal.SIGINT)

    handler(raise_it)
    reading = spawn(read)
    striking = spawn(strike)
    sent = 0
    while not sent:
        with contextlib.suppress(Interrupted):
            writing.append(True)
            sent = server.send(data)
        interrupts += 1
    striking.result(DEADLINE)
    reading.result(DEADLINE)
    assert sent == len(data) and received == data
    assert interrupts > 5


@TIMEOUTS
def test_interrupted_sendall(secured, timeout):
    client, _ = secured
    client.settimeout(timeout)
    assert_interrupted(client.sendall, bytes(LARGE))


def test_sendall_goes_on_after_a_handler_that_returns(secured, strikes):
    client, server = secured
    data, received = pattern(LARGE), []
    outlasts(strikes, lambda: client.sendall(data), then=lambda: received.append(read_exactly(server,
                                                                                              len(data))))
    assert received == [data]


def test_a_read_goes_on_after_a_handler_that_returns(secured, strikes):
    client, server = secured
    assert outlasts(strikes, lambda: server.recv(10), then=lambda: client.sendall(b"late")) == b"late"


@TIMEOUTS
def test_interrupted_unwrap(by_hand, timeout):
    server, client = by_hand
    server.settimeout(timeout)
    assert_interrupted(server.unwrap)
    client.sock.sendall(client.farewell() + b"plain")
    assert server.unwrap().recv(100) == b"plain"


def test_interrupted_waiting_for_another_thread(secured):
    """One thread receives. The main thread waits for its turn, and Ctrl-C ends that wait."""
    client, server = secured
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    assert_interrupted(server.recv, 10)
    client.sendall(b"x")
    assert waiting.result(DEADLINE) == b"x"


def test_a_time_out_while_another_thread_is_at_it(secured):
    client, server = secured
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    server.settimeout(PATIENCE)
    with pytest.raises(TimeoutError):
        server.recv(10)
    client.sendall(b"x")
    assert waiting.result(DEADLINE) == b"x"


BLOCKED = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "send": lambda sock: sock.send(bytes(LARGE)),
    "sendall": lambda sock: sock.sendall(bytes(LARGE)),
    "unwrap": lambda sock: sock.unwrap(),
}


@TIMEOUTS
@pytest.mark.parametrize("call", BLOCKED)
def test_closed_by_another_thread(secured, call, timeout):
    _, server = secured
    server.settimeout(timeout)
    calls = [spawn(BLOCKED[call], server) for _ in range(2)]
    assert all(still_waits(waiting) for waiting in calls)
    server.close()
    for waiting in calls:
        with pytest.raises((OSError, ValueError)) as error:
            waiting.result(DEADLINE)
        assert isinstance(error.value, ValueError) or error.value.winerror == 10038


def test_a_handshake_closed_by_another_thread(net, version):
    with net.pair() as (_, far):
        server = contexts(version)[0].wrap_socket(far, server_side=True, do_handshake_on_connect=False)
        shaking = spawn(server.do_handshake)
        assert still_waits(shaking)
        server.close()
        with pytest.raises(OSError) as error:
            shaking.result(DEADLINE)
        assert error.value.winerror == 10038


@TIMEOUTS
@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_an_unfinished_write_is_given_up(secured, end, timeout):
    """The bytes that the system has not taken yet are taken back, and the peer gets a truncated stream."""
    client, server = secured
    client.settimeout(timeout)
    assert_interrupted(client.send, bytes(LARGE))
    client.close() if end == "close" else client.shutdown(socket.SHUT_RDWR)
    received = 0
    # It may also be the end of the stream: up to CPython 3.12 a reset looks like one.
    with contextlib.suppress(ConnectionError):
        while chunk := server.recv(1 << 20):
            received += len(chunk)
    assert received < LARGE


def test_a_handler_that_writes(secured, handler):
    client, server = secured
    handler(lambda number, frame: server.sendall(b"from the handler"))
    striking = interrupt(then=lambda: client.sendall(client.recv(100)))
    assert server.recv(100) == b"from the handler"
    striking.result(DEADLINE)


def test_a_handler_that_reads_what_is_being_read(secured, handler):
    client, server = secured
    handler(lambda number, frame: server.recv(100))
    striking = interrupt()
    with pytest.raises(RuntimeError, match="reentrant"):
        server.recv(100)
    striking.result(DEADLINE)
    client.sendall(b"as before")
    assert server.recv(100) == b"as before"


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_reader_and_a_writer_at_each_end(secured, timeout):
    """Four threads, two sockets."""
    for end in secured:
        end.settimeout(timeout)
    client, server = secured
    there, back = pattern(3_000_000, 1), pattern(3_000_000, 2)
    calls = [spawn(client.sendall, there), spawn(server.sendall, back),
             spawn(read_exactly, server, len(there)), spawn(read_exactly, client, len(back))]
    results = [call.result(DEADLINE) for call in calls]
    assert results[2] == there
    assert results[3] == back


def test_several_readers_and_writers(secured):
    """Each write arrives completely, and each byte is read once."""
    client, server = secured
    writes = [bytes([number]) * 10_000 for number in range(8)]
    writing = [spawn(client.sendall, data) for data in writes]
    reading = [spawn(read_exactly, server, 20_000) for _ in range(4)]
    read = b"".join(call.result(DEADLINE) for call in reading)
    for call in writing:
        call.result(DEADLINE)
    assert sorted(read) == sorted(b"".join(writes))
