"""Timeouts: none, zero and small ones, on every call that can wait. None of them loses a byte or a
connection."""

import errno
import socket
import threading
import time

import pytest

from support import DEADLINE, SOON, pattern, read_all, read_exactly, reset, spawn, still_waits

SO_SNDTIMEO, SO_RCVTIMEO = 0x1005, 0x1006      # milliseconds; not every version of `socket` has the names

SHORT = 0.1             # seconds; the system's timer has a grain of 16 ms
TINY = 0.001


def assert_times_out(call, *arguments):
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="^timed out$"):
        call(*arguments)
    assert SHORT / 2 < time.monotonic() - start < DEADLINE


def test_there_is_none_at_first(pair):
    client, server = pair
    assert client.gettimeout() is server.gettimeout() is None
    assert client.getblocking() and server.getblocking()


@pytest.mark.parametrize("value, kept", [(None, None), (0, 0.0), (0.0, 0.0), (2, 2.0), (1.5, 1.5),
                                         (1e6, 1e6)])
def test_setting_one(pair, value, kept):
    client, _ = pair
    client.settimeout(value)
    assert client.gettimeout() == client.timeout == kept
    assert client.getblocking() is (kept != 0.0)


def test_setblocking(pair):
    client, _ = pair
    client.setblocking(False)
    assert client.gettimeout() == 0.0
    client.setblocking(True)
    assert client.gettimeout() is None


@pytest.mark.parametrize("value, error", [(-1, ValueError), (-0.1, ValueError), ("1", TypeError),
                                          (b"", TypeError), (1e100, OverflowError)])
def test_setting_a_wrong_one(pair, value, error):
    client, server = pair
    client.settimeout(3)
    with pytest.raises(error):
        client.settimeout(value)
    assert client.gettimeout() == 3.0


def test_recv(pair):
    _, server = pair
    server.settimeout(SHORT)
    assert_times_out(server.recv, 10)
    assert_times_out(server.recv_into, bytearray(10))


def test_recv_goes_on_after_one(pair):
    client, server = pair
    server.settimeout(SHORT)
    assert_times_out(server.recv, 10)
    client.sendall(b"late")
    server.settimeout(DEADLINE)
    assert server.recv(10) == b"late"


def test_the_buffer_is_free_after_one(pair):
    """Later data must not be written to a buffer that belongs to the caller again."""
    client, server = pair
    buffer = bytearray(10)
    server.settimeout(SHORT)
    assert_times_out(server.recv_into, buffer)
    client.sendall(b"later")
    server.settimeout(DEADLINE)
    assert server.recv(10) == b"later"
    assert buffer == bytes(10)
    buffer.clear()


def test_data_in_time(pair):
    client, server = pair
    server.settimeout(DEADLINE)
    waiting = spawn(server.recv, 10)
    client.sendall(b"in time")
    assert waiting.result(DEADLINE) == b"in time"
    client.close()
    assert server.recv(10) == b""


def test_nothing_is_lost_to_many(pair):
    client, server = pair
    data = pattern(3000)

    timed_out = threading.Event()

    def write():
        timed_out.wait(DEADLINE)            # however busy the machine is, one comes before the data
        for start in range(0, len(data), 10):
            client.sendall(data[start:start + 10])
            if start % 300 == 0:
                time.sleep(5 * TINY)        # long enough for the reader's timeout to expire
        client.close()

    server.settimeout(TINY)
    writing = spawn(write)
    received, timeouts = bytearray(), 0
    while True:
        try:
            if not (chunk := server.recv(7)):
                break
            received += chunk
        except TimeoutError:
            timeouts += 1
            timed_out.set()
    writing.result(DEADLINE)
    assert received == data
    assert timeouts


def test_sendall(pair):
    """The test sends in pieces, because the system may take a single send completely, whatever its size."""
    client, server = pair
    data = pattern(32_000_000)
    client.settimeout(SHORT)

    def sendall_until_full():
        for place in range(0, len(data), 100_000):
            client.sendall(data[place:place + 100_000])

    assert_times_out(sendall_until_full)
    client.close()
    received = read_all(server)
    assert received == data[:len(received)]


def test_send(pair):
    """When the time is up, the number of sent bytes is known exactly."""
    client, server = pair
    data = pattern(32_000_000)
    client.settimeout(SHORT)
    sent = 0

    def send_until_full():
        nonlocal sent
        while True:
            sent += client.send(data[sent:sent + 100_000])

    assert_times_out(send_until_full)
    client.close()
    assert 0 < sent < len(data)
    assert read_all(server) == data[:sent]


def test_send_waits_for_room(pair):
    client, server = pair
    data = pattern(32_000_000)
    client.settimeout(DEADLINE)

    def send_in_pieces():
        sent = 0
        while sent < len(data):
            sent += client.send(data[sent:sent + 100_000])

    sending = spawn(send_in_pieces)
    assert still_waits(sending)
    assert read_exactly(server, len(data)) == data
    sending.result(DEADLINE)


@pytest.mark.parametrize("end", ["shutdown", "reset"])
def test_send_hears_of_the_end(pair, end):
    """The connection ends while the send waits for room."""
    client, server = pair
    client.settimeout(DEADLINE)

    def send_in_pieces():
        while True:
            client.send(bytes(65536))

    sending = spawn(send_in_pieces)
    assert still_waits(sending)
    if end == "reset":
        reset(server)
    else:
        client.shutdown(socket.SHUT_WR)
        read_all(server)
    error = sending.exception(DEADLINE)
    assert isinstance(error, OSError) and not isinstance(error, TimeoutError)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_sending_nothing(pair, timeout):
    client, server = pair
    client.settimeout(timeout)
    assert client.send(b"") == 0
    assert client.sendall(b"") is None
    client.sendall(b"x")
    assert server.recv(10) == b"x"
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        client.send(b"")
    client.close()
    with pytest.raises(OSError):
        client.send(b"")
    with pytest.raises(OSError):
        client.sendall(b"")


def test_sendall_within_one(pair):
    client, server = pair
    data = pattern(4_000_000)
    client.settimeout(DEADLINE)
    sending = spawn(client.sendall, data)
    assert read_exactly(server, len(data)) == data
    sending.result(DEADLINE)


def test_accept(net):
    with net.listener() as listener:
        listener.settimeout(SHORT)
        assert_times_out(listener.accept)
        with net.create_connection(listener.getsockname()) as client:
            server, address = listener.accept()
            with server:
                assert address == client.getsockname()


def test_accepted_sockets_have_none(net):
    with net.listener() as listener:
        listener.settimeout(DEADLINE)
        client, server = net.connect(listener)
        with client, server:
            assert server.gettimeout() is None
            assert server.getblocking()


def test_no_connection_is_lost_to_many(net):
    with net.listener() as listener:
        listener.settimeout(TINY)
        connecting = spawn(lambda: [net.create_connection(listener.getsockname()) for _ in range(50)])
        addresses = []
        while len(addresses) < 50:
            try:
                server, address = listener.accept()
            except TimeoutError:
                continue
            server.close()
            addresses.append(address)
        clients = connecting.result(DEADLINE)
        assert sorted(addresses) == sorted(client.getsockname() for client in clients)
        for client in clients:
            client.close()


def test_connect_within_one(net):
    with net.listener() as listener, net.socket() as client:
        client.settimeout(DEADLINE)
        client.connect(listener.getsockname())
        assert client.gettimeout() == DEADLINE
        server, _ = listener.accept()
        with server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"


def test_connect_to_a_listener_that_is_full(net):
    """Windows refuses connections beyond the backlog. Other systems leave them unanswered."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        address = listener.getsockname()
        clients = [net.socket() for _ in range(8)]
        try:
            with pytest.raises((TimeoutError, ConnectionRefusedError)):
                for client in clients:
                    client.settimeout(2 * SHORT)
                    client.connect(address)
        finally:
            for client in clients:
                client.close()


def test_connect_ex_to_a_listener_that_is_full(net):
    """connect_ex returns a timeout as a code too."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        clients = [net.socket() for _ in range(8)]
        try:
            codes = set()
            for client in clients:
                client.settimeout(2 * SHORT)
                codes.add(client.connect_ex(listener.getsockname()))
            assert codes in ({0, errno.EWOULDBLOCK}, {0, errno.ECONNREFUSED})
        finally:
            for client in clients:
                client.close()


def test_the_default(net):
    socket.setdefaulttimeout(5.0)
    try:
        with net.pair() as (client, server):
            assert client.gettimeout() == server.gettimeout() == 5.0
            client.sendall(b"x")
            assert server.recv(1) == b"x"
    finally:
        socket.setdefaulttimeout(None)


def test_changing_while_in_use(pair):
    """Blocking, with a timeout, non-blocking, and back, on the same connection."""
    client, server = pair
    for timeout in (None, DEADLINE, 0, DEADLINE, None):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        server.settimeout(timeout)
        if timeout == 0:
            with pytest.raises(BlockingIOError):
                server.recv(1)
            server.settimeout(DEADLINE)


def limited(sock, option):
    sock.setsockopt(socket.SOL_SOCKET, option, 200)
    return sock


LIMITED = {
    "recv": lambda sock: sock.recv(1),
    "recv_into": lambda sock: sock.recv_into(bytearray(1)),
    "peek": lambda sock: sock.recv(1, socket.MSG_PEEK),
    "recvfrom": lambda sock: sock.recvfrom(1),
    "file": lambda sock: sock.makefile("rb").read(1),
}


@pytest.mark.parametrize("call", LIMITED)
def test_the_sockets_own_time_out(pair, call):
    """SO_RCVTIMEO applies where Python's timeout is None. The socket works as before afterwards."""
    client, server = pair
    limited(server, SO_RCVTIMEO)
    with pytest.raises(TimeoutError) as caught:
        LIMITED[call](server)
    assert caught.value.winerror == 10060
    client.sendall(b"x")
    assert server.recv(1) == b"x"


def test_pythons_time_out_comes_before_the_sockets_own(pair):
    client, server = pair
    limited(server, SO_RCVTIMEO).settimeout(DEADLINE)
    receiving = spawn(server.recv, 1)
    assert still_waits(receiving) and still_waits(receiving)
    client.sendall(b"x")
    assert receiving.result(DEADLINE) == b"x"


@pytest.mark.parametrize("call", ["send", "sendall"])
def test_the_sockets_own_time_out_to_send(pair, call):
    client, _ = pair
    limited(client, SO_SNDTIMEO)
    with pytest.raises(TimeoutError) as caught:
        while True:
            getattr(client, call)(bytes(1 << 20))
    assert caught.value.winerror == 10060


@pytest.mark.parametrize("count", [1, 2])
def test_connections_inherit_the_listeners_own_time_out(net, count):
    """This holds for connections accepted ahead and others. The option does not limit accept itself."""
    with net.listener() as listener:
        limited(listener, SO_RCVTIMEO)
        accepting = spawn(listener.accept)
        assert still_waits(accepting) and still_waits(accepting)
        for _ in range(count):
            with net.socket() as client:
                client.connect(listener.getsockname())
                server = accepting.result(DEADLINE)[0]
                with server, pytest.raises(TimeoutError) as caught:
                    server.recv(1)
                assert caught.value.winerror == 10060
            accepting = spawn(listener.accept)
        with net.socket() as client:
            client.connect(listener.getsockname())
            accepting.result(DEADLINE)[0].close()


def test_a_time_out_of_a_receive_into_much_memory(pair):
    """The engine does not give the system all the memory at once."""
    with pytest.raises(TimeoutError):
        received = bytearray(1 << 28)
        pair[1].settimeout(0.05)
        start = time.monotonic()
        pair[1].recv_into(received)
    assert time.monotonic() - start < SOON
