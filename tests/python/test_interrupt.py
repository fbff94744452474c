"""Ctrl-C: every call that waits in the main thread ends at once, unless the program's own handler lets it go
on."""

import _socket
import contextlib
import io
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from support import (DEADLINE, PATIENCE, SOON, Net, assert_interrupted, interrupt, outlasts, pattern,
                     read_exactly, spawn)


class Handled(Exception):
    """The exception of our handler."""


@pytest.fixture
def net(balance):
    """Only our sockets: the stock calls cannot be interrupted."""
    return Net("iocpsock")


def raising(number, frame):
    raise Handled


def send_until_full(sock):
    while True:
        sock.send(bytes(65536))


WAITING = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "recv with flags": lambda sock: sock.recv(10, socket.MSG_PEEK),
    "recv_into with flags": lambda sock: sock.recv_into(bytearray(10), 0, socket.MSG_PEEK),
    "recvfrom": lambda sock: sock.recvfrom(10),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10)),
    "file": lambda sock: sock.makefile("rb").readline(),
    "send": lambda sock: send_until_full(sock),
    "sendall": lambda sock: sock.sendall(bytes(32_000_000)),
    "sendfile": lambda sock: sock.sendfile(io.BytesIO(bytes(32_000_000))),
}


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("call", WAITING)
def test_a_connected_socket(pair, call, timeout):
    _, server = pair
    server.settimeout(timeout)
    assert_interrupted(WAITING[call], server)


def test_sendfile_of_a_file(pair, tmp_path):
    client, _ = pair
    path = tmp_path / "file"
    path.write_bytes(bytes(32_000_000))
    with path.open("rb") as file:
        assert_interrupted(client.sendfile, file)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("before", [0, 3], ids=["first", "later"])
def test_accept(net, before, timeout):
    with net.listener() as listener:
        for _ in range(before):
            for sock in net.connect(listener):
                sock.close()
        listener.settimeout(timeout)
        assert_interrupted(listener.accept)
        client, server = net.connect(listener)
        with client, server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"


@pytest.fixture(params=["a full listener", "an address that nobody has"])
def unanswered(request):
    """An address that does not answer. One is that of a full listener: Windows refuses its connections, other
    systems let them wait."""
    if request.param == "an address that nobody has":
        yield "192.0.2.1", 9                # reserved for documentation
        return
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_connect(net, unanswered, timeout, call):
    with net.socket() as client:
        client.settimeout(timeout)
        start = time.monotonic()
        striking = interrupt()
        try:
            if code := getattr(client, call)(unanswered):
                raise OSError(code, "refused")
        except KeyboardInterrupt:
            assert time.monotonic() - start < SOON
        except OSError:
            with pytest.raises(KeyboardInterrupt):
                time.sleep(DEADLINE)        # until the strike
            pytest.skip("this machine refuses such a connection at once")
        striking.result(DEADLINE)


def test_data_are_not_lost(pair):
    client, server = pair
    assert_interrupted(server.recv, 10)
    buffer = bytearray(10)
    assert_interrupted(server.recv_into, buffer)
    client.sendall(b"after all")
    assert server.recv(10) == b"after all"
    assert buffer == bytes(10)
    buffer.clear()                          # and nobody writes to the caller's memory any more


def test_data_are_not_lost_to_many(pair, strikes):
    """Ctrl-C interrupts the stream many times, and each byte arrives: the handler records it and returns."""
    client, server = pair
    data = pattern(40_000)

    def write():
        for start in range(0, len(data), 400):
            client.sendall(data[start:start + 400])
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.002)

    writing = spawn(write)
    assert read_exactly(server, len(data)) == data
    writing.result(DEADLINE)
    assert strikes


@pytest.mark.parametrize("into", [False, True])
def test_the_rest_of_a_receive(pair, into):
    """Some of the bytes that MSG_WAITALL waits for have arrived already."""
    client, server = pair
    client.sendall(b"some")
    if not into:
        assert_interrupted(server.recv, 10, socket.MSG_WAITALL)
        return
    buffer = bytearray(10)
    assert_interrupted(server.recv_into, buffer, 0, socket.MSG_WAITALL)
    assert buffer == b"some" + bytes(6)


def test_the_rest_of_a_receive_after_a_handler_that_returns(pair, strikes):
    client, server = pair
    client.sendall(b"some,")
    received = outlasts(strikes, lambda: server.recv(9, socket.MSG_WAITALL),
                        then=lambda: client.sendall(b"more"))
    assert received == b"some,more"


def test_a_send_that_is_timed_goes_on_after_a_handler_that_returns(pair, strikes):
    client, server = pair
    received = []
    client.settimeout(PATIENCE)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += client.send(bytes(65536))
    client.settimeout(DEADLINE)
    assert outlasts(strikes, lambda: client.send(b"late"),
                    then=lambda: received.append(len(read_exactly(server, sent)))) == 4
    assert received == [sent]
    assert server.recv(10) == b"late"


@pytest.fixture
def lookup(monkeypatch):
    """The lookup of a name lasts until the test is over; an address needs no time."""
    over, real = threading.Event(), _socket.getaddrinfo

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        if not flags & socket.AI_NUMERICHOST and host == "a.name":
            over.wait(DEADLINE)
            host = "127.0.0.1"
        return real(host, port, family, type, proto, flags)

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)     # behind the public function
    yield over
    over.set()


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_lookup(net, lookup, timeout):
    assert_interrupted(net.create_connection, ("a.name", 9), timeout)


def test_a_lookup_goes_on_after_a_handler_that_returns(net, lookup, strikes):
    with net.listener() as listener:
        address = "a.name", listener.getsockname()[1]
        with outlasts(strikes, lambda: net.create_connection(address),
                      then=lookup.set) as client, listener.accept()[0] as server:
            client.sendall(b"found")
            assert server.recv(10) == b"found"


def test_the_call_goes_on_after_a_handler_that_returns(pair, strikes):
    client, server = pair
    assert outlasts(strikes, lambda: server.recv(10), then=lambda: client.sendall(b"late")) == b"late"


def test_sendall_goes_on_after_a_handler_that_returns(pair, strikes):
    client, server = pair
    data, received = pattern(32_000_000), []
    outlasts(strikes, lambda: client.sendall(data), then=lambda: received.append(read_exactly(server,
                                                                                              len(data))))
    assert received == [data]


@pytest.mark.parametrize("before", [0, 3], ids=["first", "later"])
def test_accept_goes_on_after_a_handler_that_returns(net, strikes, before):
    with net.listener() as listener:
        for _ in range(before):
            for sock in net.connect(listener):
                sock.close()
        clients = []
        server, address = outlasts(strikes, listener.accept,
                                   then=lambda: clients.append(net.create_connection(listener.getsockname())))
        assert address == clients[0].getsockname()
        server.close()
        clients[0].close()


def test_only_the_rest_of_the_time_is_left(pair, handler):
    _, server = pair
    handler(lambda number, frame: None)
    server.settimeout(4 * PATIENCE)
    start = time.monotonic()
    striking = interrupt(2 * PATIENCE)
    with pytest.raises(TimeoutError):
        server.recv(10)
    assert 3.5 * PATIENCE < time.monotonic() - start < SOON
    striking.result(DEADLINE)


def test_the_handlers_exception_is_raised(pair, handler):
    _, server = pair
    handler(raising)
    striking = interrupt()
    with pytest.raises(Handled):
        server.recv(10)
    striking.result(DEADLINE)


def test_an_earlier_signal_does_not_end_a_later_call(pair, handler):
    """The event is still set from a signal that was handled outside of any wait."""
    client, server = pair
    handler(lambda number, frame: None)
    signal.raise_signal(signal.SIGINT)
    server.settimeout(PATIENCE)
    with pytest.raises(TimeoutError):
        server.recv(10)
    client.sendall(b"x")
    assert server.recv(10) == b"x"


def test_other_threads_go_on(pair, handler):
    """Handlers run in the main thread, and do not end a wait of another thread."""
    client, server = pair
    handler(lambda number, frame: None)
    waiting = spawn(server.recv, 10)
    interrupt().result(DEADLINE)
    client.sendall(b"as before")
    assert waiting.result(DEADLINE) == b"as before"
    assert threading.current_thread() is threading.main_thread()


CONSOLE = """
    import ctypes, threading, time, iocpsock
    listener = iocpsock.create_server(("127.0.0.1", 0))
    def strike():
        time.sleep(0.3)
        if not ctypes.windll.kernel32.GenerateConsoleCtrlEvent(0, 0):
            print("no console", ctypes.GetLastError(), flush=True)
    threading.Thread(target=strike, daemon=True).start()
    ctypes.windll.kernel32.SetConsoleCtrlHandler(None, False)
    start = time.monotonic()
    try:
        listener.settimeout(20)
        listener.accept()
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - start < 5, flush=True)
    except TimeoutError:
        print("timed out", flush=True)
"""


def test_from_the_console():
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(CONSOLE)], input=b"", capture_output=True,
                           timeout=3 * DEADLINE, creationflags=subprocess.CREATE_NEW_CONSOLE)
    assert child.stdout.split() == [b"interrupted", b"True"], child.stderr.decode(errors="replace")
