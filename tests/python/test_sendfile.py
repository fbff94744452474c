"""sendfile: files of every kind, from any position, in part and as a whole, and their position afterwards."""

import io
import os
import socket
import threading
import time

import pytest

from support import DEADLINE, pattern, read_all, read_exactly, spawn, still_waits

SIZE = 300_000
DATA = pattern(SIZE)
PLENTY = 9_000_000      # more than one TransmitFile, and more than the system takes without a reader


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


OPEN = {
    "a file": lambda path: open(path, "rb"),
    "a file without a buffer": lambda path: open(path, "rb", buffering=0),
    "a file that may be written": lambda path: open(path, "r+b"),
    "memory": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.fixture(params=OPEN)
def file(request, path):
    with OPEN[request.param](path) as file:
        yield file


def transfer(pair, file, *arguments):
    """The result of sendfile, and the bytes that arrive."""
    client, server = pair
    reading = spawn(read_all, server)
    sent = client.sendfile(file, *arguments)
    client.shutdown(socket.SHUT_WR)
    return sent, reading.result(DEADLINE)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_all_of_it(pair, file, timeout):
    pair[0].settimeout(timeout)
    assert transfer(pair, file) == (SIZE, DATA)
    assert file.tell() == SIZE
    assert file.read() == b""


@pytest.mark.parametrize("offset", [1, 5000, SIZE - 1, SIZE, SIZE + 10])
def test_from_an_offset(pair, file, offset):
    assert transfer(pair, file, offset) == (max(SIZE - offset, 0), DATA[offset:])


@pytest.mark.parametrize("count", [1, 4096, SIZE - 1, SIZE, SIZE + 10])
def test_a_count(pair, file, count):
    assert transfer(pair, file, 0, count) == (min(count, SIZE), DATA[:count])
    assert file.tell() == min(count, SIZE)
    assert file.read(10) == DATA[count:count + 10]


def test_an_offset_and_a_count(pair, file):
    assert transfer(pair, file, 1000, 70_000) == (70_000, DATA[1000:71_000])
    assert file.tell() == 71_000
    assert file.read(10) == DATA[71_000:71_010]


def test_a_file_that_was_read_before(pair, file):
    """The offset counts from the beginning, and the file object's buffer does not matter."""
    assert file.read(10) == DATA[:10]
    assert transfer(pair, file, 5, 20) == (20, DATA[5:25])
    assert file.tell() == 25
    assert file.read(10) == DATA[25:35]


def test_in_several_parts(pair, file):
    client, server = pair
    reading = spawn(read_exactly, server, SIZE)
    total = 0
    while sent := client.sendfile(file, total, 100_001):
        total += sent
    assert total == SIZE
    assert reading.result(DEADLINE) == DATA


def test_an_empty_file(pair, tmp_path):
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty", "rb") as file:
        assert transfer(pair, file) == (0, b"")


def test_what_was_just_written(pair, path):
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(b"fresh")
        file.seek(0)
        assert transfer(pair, file) == (SIZE, b"fresh" + DATA[5:])


def test_a_large_file(pair, tmp_path):
    data = pattern(PLENTY)
    (tmp_path / "large").write_bytes(data)
    with open(tmp_path / "large", "rb") as file:
        assert transfer(pair, file) == (PLENTY, data)


class Decoded:
    """A file object on top of another: with its descriptor but other bytes, like one that unpacks or
    decrypts."""

    def __init__(self, file):
        self.file = file
        self.fileno, self.seek, self.tell = file.fileno, file.seek, file.tell

    def read(self, size):
        return self.file.read(size).hex()[:size].encode()


def test_a_file_object_that_is_not_what_lies_on_the_disk(pair, path):
    with open(path, "rb") as file:
        assert transfer(pair, Decoded(file), 0, 100) == (100, DATA.hex()[:100].encode())


def test_a_pipe(pair):
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    client, server = pair
    with open(reading, "rb", buffering=0) as file, pytest.raises(OSError):
        client.sendfile(file)               # everything is sent; then the pipe cannot be positioned
    assert read_exactly(server, 14) == b"through a pipe"


def test_text_is_refused(pair, path):
    with open(path, encoding="latin-1") as file, pytest.raises(ValueError, match="binary"):
        pair[0].sendfile(file)


@pytest.mark.parametrize("count, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError),
                                          ("1", TypeError)])
def test_a_wrong_count(pair, file, count, error):
    with pytest.raises(error):
        pair[0].sendfile(file, count=count)


def test_a_socket_that_does_not_wait(pair, file):
    pair[0].setblocking(False)
    with pytest.raises(ValueError):
        pair[0].sendfile(file)


def test_a_datagram_socket(net, file):
    with net.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(ValueError):
        sock.sendfile(file)


def test_a_file_that_cannot_be_read(pair, tmp_path):
    with open(tmp_path / "write", "wb") as file, pytest.raises(OSError):
        pair[0].sendfile(file)


def test_a_time_out(pair, tmp_path):
    """The position shows how much was certainly sent."""
    client, server = pair
    data = pattern(PLENTY)
    (tmp_path / "large").write_bytes(data)
    client.settimeout(0.2)
    with open(tmp_path / "large", "rb") as file:
        with pytest.raises(TimeoutError):
            client.sendfile(file)
        sent = file.tell()
    assert 0 < sent < PLENTY
    client.close()
    received = read_all(server)
    assert received == data[:len(received)]
    assert len(received) >= sent


def test_closing_while_it_waits(net, pair, tmp_path):
    client, _ = pair
    (tmp_path / "large").write_bytes(bytes(PLENTY))
    with open(tmp_path / "large", "rb") as file:
        sending = spawn(client.sendfile, file)
        assert still_waits(sending)
        client.close()
        if net.name == "stock" and still_waits(sending):
            pytest.skip("Wine leaves a stock send waiting when its socket is closed; Windows ends it")
        error = sending.exception(DEADLINE)
        assert isinstance(error, OSError) and not isinstance(error, TimeoutError)


def test_on_a_socket_that_is_not_connected(net, file):
    with net.socket() as sock, pytest.raises(OSError):
        sock.sendfile(file)


def test_a_time_out_counts_from_the_last_progress(net, file):
    """A peer that reads slowly but steadily takes longer for the file than the timeout, and gets all of
    it."""
    pause = threading.Event()
    with net.listener() as listener, net.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        server.connect(listener.getsockname())
        client = listener.accept()[0]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.settimeout(1)

        def read_slowly():
            data = bytearray()
            while len(data) < SIZE:
                pause.wait(0.05)
                data += server.recv(8192)
            return bytes(data)

        with client:
            start = time.monotonic()
            reading = spawn(read_slowly)
            assert client.sendfile(file) == SIZE
            took = time.monotonic() - start
            assert reading.result(DEADLINE) == DATA
    # The system may take one send completely, but not the next one too.
    assert took > 1, f"the peer was too fast to tell: {took}"


def test_a_time_out_tells_where_the_file_stands(net, file):
    """The bytes sent until then are counted, and the rest can follow."""
    with net.pair() as (client, server):
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while True:
                file.seek(0)
                client.sendfile(file)
        client.settimeout(DEADLINE)
        client.shutdown(socket.SHUT_WR)
        place = file.tell()
        received = read_all(server)
    assert len(received) % SIZE == place % SIZE
