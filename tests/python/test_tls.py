"""TLS: the behaviour of `ssl.SSLSocket` on the stock sockets and on ours, where OpenSSL works in memory and
the engine waits."""

import contextlib
import select
import selectors
import socket
import ssl

import iocpsock
import pytest

from secured import ByHand, contexts, secured_pair, served_by_hand
from support import DEADLINE, PATIENCE, pattern, read_exactly, readable, spawn, still_waits

LARGE = 32_000_000              # bytes: more than the system takes before somebody reads


@pytest.fixture
def net(net):
    """Each implementation in turn, ours through the patch, as programs use it."""
    with iocpsock.patched() if net.name == "iocpsock" else contextlib.nullcontext():
        yield net


def test_the_class(secured, net):
    assert all(isinstance(end, ssl.SSLSocket) and isinstance(end, net.socket) for end in secured)


@pytest.mark.parametrize("size", [1, 1 << 14, (1 << 14) + 1, 300_000])
def test_sizes(secured, size):
    client, server = secured
    data = pattern(size)
    sending = spawn(client.sendall, data)
    assert read_exactly(server, size) == data
    sending.result(DEADLINE)


def test_a_write_from_memory_with_gaps(secured):
    with pytest.raises(BufferError):
        secured[0].send(memoryview(b"abcdef")[::2])


def test_a_write_of_nothing(secured):
    client, server = secured
    assert client.send(b"") == 0
    client.sendall(b"x")
    assert server.recv(10) == b"x"
    assert server.recv(0) == b""


@pytest.mark.parametrize("flags", [None, 1, ""])
def test_a_write_with_flags(secured, flags):
    near, _ = secured
    for call in (near.send, near.sendall):
        with pytest.raises(ValueError, match="non-zero flags not allowed"):
            call(b"x", flags)


def test_select_and_pending(secured):
    """A loop that waits only when nothing is pending gets every byte, in pieces of any size."""
    client, server = secured
    server.setblocking(False)
    data = pattern(200_000)
    sending = spawn(client.sendall, data)
    received = bytearray()
    while len(received) < len(data):
        assert server.pending() or readable(server)
        with contextlib.suppress(ssl.SSLWantReadError):
            received += server.recv(1000)
    sending.result(DEADLINE)
    assert received == data
    assert not server.pending() and not readable(server, timeout=0)


def test_records_wait_with_the_system(by_hand):
    server, client = by_hand
    client.sock.sendall(client.encrypted(b"one") + client.encrypted(b"two"))
    assert server.recv(1) == b"o"
    assert server.pending() == 2
    assert server.recv(10) == b"ne"
    assert server.pending() == 0
    assert readable(server)
    assert server.recv(10) == b"two"
    assert not readable(server, timeout=0)


def test_a_time_out_in_the_middle_of_a_record(by_hand):
    server, client = by_hand
    server.settimeout(PATIENCE)
    record = client.encrypted(b"in pieces")
    for piece in (record[:3], record[3:8], record[8:-1]):
        client.sock.sendall(piece)
        with pytest.raises(TimeoutError, match="The read operation timed out"):
            server.recv(100)
    client.sock.sendall(record[-1:] + client.encrypted(b"as before"))
    assert server.recv(100) == b"in pieces"
    assert server.recv(100) == b"as before"


def test_without_waiting_in_the_middle_of_a_record(by_hand):
    server, client = by_hand
    server.setblocking(False)
    record = client.encrypted(b"in pieces")
    for piece in (record[:3], record[3:8], record[8:-1]):
        client.sock.sendall(piece)
        assert readable(server)
        with pytest.raises(ssl.SSLWantReadError) as error:
            server.recv(100)
        assert error.value.errno == ssl.SSL_ERROR_WANT_READ
        assert not readable(server, timeout=0)
    client.sock.sendall(record[-1:])
    assert readable(server)
    assert server.recv(100) == b"in pieces"


@pytest.mark.parametrize("timeout", [0, PATIENCE])
def test_a_write_that_is_made_again(by_hand, timeout):
    """Nothing is lost or sent twice, although the thread that began the write ends. Meanwhile the socket can
    be read."""
    server, client = by_hand
    data = pattern(LARGE)
    server.settimeout(timeout)
    with pytest.raises(TimeoutError if timeout else ssl.SSLWantWriteError) as error:
        spawn(server.send, data).result(DEADLINE)
    if timeout:
        assert "The write operation timed out" in str(error.value)
    else:
        assert error.value.errno == ssl.SSL_ERROR_WANT_WRITE
    client.sock.sendall(client.encrypted(b"meanwhile"))
    assert readable(server)
    assert server.recv(100) == b"meanwhile"
    reading = spawn(client.read_exactly, len(data))
    while True:
        assert select.select([], [server], [], DEADLINE)[1]
        try:
            sent = server.send(data)
        except (TimeoutError, ssl.SSLWantWriteError):
            continue
        break
    assert sent == len(data)
    assert reading.result(DEADLINE) == data


def test_a_write_that_is_made_again_with_less(by_hand):
    """A write that has begun cannot be taken back."""
    server, _ = by_hand
    server.settimeout(0)
    with pytest.raises(ssl.SSLWantWriteError):
        server.send(pattern(LARGE))
    with pytest.raises(ssl.SSLError) as error:
        server.send(b"less")
    assert (error.value.library, error.value.reason) == ("SSL", "BAD_LENGTH")


def test_echo_with_selectors(net, version):
    """The server never waits, and the client does."""
    server_side, client_side = contexts(version)
    data = pattern(500_000)

    def serve(sock):
        backlog = bytearray()
        with server_side.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as end, \
                selectors.DefaultSelector() as selector:
            end.setblocking(False)
            wanted, shaken = selectors.EVENT_READ, False
            selector.register(end, wanted)
            while True:
                if not end.pending():
                    selector.modify(end, wanted)
                    assert selector.select(DEADLINE)
                try:
                    if not shaken:
                        end.do_handshake()
                        shaken = True
                    if backlog:
                        del backlog[:end.send(backlog[:30_000])]
                    elif chunk := end.recv(30_000):
                        backlog += chunk
                    else:
                        return
                    wanted = selectors.EVENT_WRITE if backlog else selectors.EVENT_READ
                except ssl.SSLWantReadError:
                    wanted = selectors.EVENT_READ
                except ssl.SSLWantWriteError:
                    wanted = selectors.EVENT_WRITE

    with net.pair() as (near, far):
        serving = spawn(serve, far)
        with client_side.wrap_socket(near, server_hostname="localhost") as client:
            sending = spawn(client.sendall, data)
            assert read_exactly(client, len(data)) == data
            sending.result(DEADLINE)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
            serving.result(DEADLINE)


@pytest.mark.parametrize("timeout", [None, 0, DEADLINE])
def test_what_follows_the_end_of_tls(by_hand, timeout):
    """The plain socket can read it, even if it arrived together with the end."""
    server, client = by_hand
    server.settimeout(timeout)
    client.sock.sendall(client.encrypted(b"last") + client.farewell() + b"plain")
    assert readable(server)
    assert server.recv(100) == b"last"
    assert server.recv(100) == b""
    assert server.recv(100) == b""
    plain = server.unwrap()
    assert plain.recv(100) == b"plain"
    plain.sendall(b"answer")
    with pytest.raises((ssl.SSLError, ValueError)):
        server.unwrap()


def test_unwrap_waits_for_the_answer(by_hand):
    server, client = by_hand
    server.settimeout(PATIENCE)
    with pytest.raises(TimeoutError, match="The read operation timed out"):
        server.unwrap()
    server.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        server.unwrap()
    server.settimeout(None)
    unwrapping = spawn(server.unwrap)
    assert still_waits(unwrapping)
    client.sock.sendall(client.farewell())
    assert unwrapping.result(DEADLINE) is server


def test_a_handshake_that_is_late(net, version):
    server_side, client_side = contexts(version)
    with net.pair() as (near, far):
        with server_side.wrap_socket(far, server_side=True, do_handshake_on_connect=False) as server:
            client = ByHand(near, client_side)
            server.settimeout(PATIENCE)
            with pytest.raises(TimeoutError, match="The handshake operation timed out"):
                server.do_handshake()
            server.settimeout(0)
            with pytest.raises(ssl.SSLWantReadError):
                server.do_handshake()
            shaking = spawn(client.carry, client.tls.do_handshake)
            assert readable(server)
            server.settimeout(DEADLINE)
            server.do_handshake()
            shaking.result(DEADLINE)
            server.sendall(b"at last")
            assert client.read_exactly(7) == b"at last"


def test_a_stream_that_is_cut_off(by_hand):
    server, client = by_hand
    client.sock.sendall(client.encrypted(b"whole") + client.encrypted(b"never whole")[:-1])
    client.sock.shutdown(socket.SHUT_WR)
    assert server.recv(100) == b"whole"
    with pytest.raises(ssl.SSLEOFError):
        server.recv(100)


def test_a_stream_that_is_cut_off_between_records(net, version):
    with served_by_hand(net, version) as (server, client):
        client.sock.shutdown(socket.SHUT_WR)
        assert server.recv(100) == b""
        assert server.recv_into(bytearray(100)) == 0


@pytest.mark.parametrize("hello, reason", [(b"GET / HTTP/1.0\r\n\r\n", "HTTP_REQUEST"),
                                           (b"nothing of the sort", "WRONG_VERSION_NUMBER"),
                                           (b"\x16\x03\x01\xff\xff....", "PACKET_LENGTH_TOO_LONG")])
def test_a_client_that_speaks_no_tls(net, hello, reason):
    """The server waits for no more bytes than it needs to detect this."""
    with net.pair() as (client, server):
        client.sendall(hello)
        server.settimeout(DEADLINE)
        with pytest.raises(ssl.SSLError) as error:
            contexts("1.3")[0].wrap_socket(server, server_side=True)
        assert error.value.reason == reason


def test_a_client_that_does_not_trust_the_server(net, version):
    """It sends the alert before it raises the error."""
    server_side, _ = contexts(version)
    distrustful = ssl.create_default_context()
    with net.pair() as (near, far):
        accepting = spawn(lambda: server_side.wrap_socket(far, server_side=True).recv(1))
        # A close over what the server has sent meanwhile may reset the connection, and take the alert back.
        with distrustful.wrap_socket(near, server_hostname="localhost",
                                     do_handshake_on_connect=False) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                client.do_handshake()
            with pytest.raises(ssl.SSLError) as error:
                accepting.result(DEADLINE)
            assert error.value.reason == "TLSV1_ALERT_UNKNOWN_CA"


def test_files(secured, tmp_path):
    client, server = secured
    data = pattern(200_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as file:
        sending = spawn(client.sendfile, file)
        with server.makefile("rb") as received:
            assert received.read(len(data)) == data
        assert sending.result(DEADLINE) == len(data)


def test_a_session_is_taken_up_again(net, version):
    """The session that is set on the socket reaches OpenSSL's object."""
    server_side, client_side = contexts(version)
    session = None
    for reused in (False, True):
        with net.pair() as (near, far):
            accepting = spawn(lambda: server_side.wrap_socket(far, server_side=True))
            with client_side.wrap_socket(near, server_hostname="localhost", session=session) as client:
                with accepting.result(DEADLINE) as server:
                    server.sendall(b"x")
                    assert client.recv(1) == b"x"
                    assert client.session_reused == reused
                    session = client.session
                    server.context = server_side
                    assert client.context is client_side and client.version() == f"TLSv{version}"


def test_no_call_meets_the_records_of_a_socket_that_is_being_closed(secured, net, monkeypatch):
    """`ssl` removes the TLS object before it closes the handle, and another thread may receive in between."""
    if net.name == "stock":
        pytest.skip("the stock socket returns ciphertext there")
    client, server = secured
    server.sendall(b"secret")
    assert readable(client)
    seen, close = [], iocpsock.socket._real_close

    def receive_and_close(sock):
        if sock is client:
            try:
                seen.append(sock.recv(100))
            except OSError as error:
                seen.append(error.winerror)
        close(sock)

    monkeypatch.setattr(iocpsock.socket, "_real_close", receive_and_close)
    client.close()
    assert seen == [10038]


LOOKS = 4                       # at the stream, in a method of `ssl.SSLSocket`
CALLS = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "read": lambda sock: sock.read(10),
    "write": lambda sock: sock.write(b"x"),
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "pending": lambda sock: sock.pending(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_close_between_any_two_looks_at_the_stream(net, call, monkeypatch):
    """The test simulates another thread's close at each look in turn."""
    if net.name == "stock":
        pytest.skip("the stock socket raises AttributeError there")
    for last in range(LOOKS):
        with secured_pair(net, "1.2") as (client, server):
            server.sendall(b"secret")
            assert readable(client)
            looks = iter(range(LOOKS))

            def look(sock, client=client, looks=looks, last=last):
                if sock is client and next(looks, None) == last:
                    client.close()
                return vars(sock).get("_stream")

            with monkeypatch.context() as patch:
                hook = property(look, lambda sock, stream: vars(sock).update(_stream=stream))
                patch.setattr(type(client), "_stream", hook, raising=False)
                try:
                    CALLS[call](client)
                except OSError as error:
                    assert error.winerror == 10038
                if call in ("read", "write") and last == 0:
                    with pytest.raises(ValueError, match="on closed or unwrapped SSL socket"):
                        CALLS[call](client)
