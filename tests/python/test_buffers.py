"""What recv_into fills and send reads: every kind of buffer, parts of buffers, and what is refused."""

import array
import ctypes
import mmap
import socket

import pytest

from support import DEADLINE, pattern, read_exactly, spawn, still_waits

WRITABLE = {
    "bytearray": lambda: bytearray(8),
    "memoryview": lambda: memoryview(bytearray(8)),
    "array of bytes": lambda: array.array("B", bytes(8)),
    "array of integers": lambda: array.array("i", bytes(8)),
    "ctypes array": lambda: (ctypes.c_char * 8)(),
    "ctypes integer": lambda: ctypes.c_uint64(0),
    "mmap": lambda: mmap.mmap(-1, 8),
    "two dimensions": lambda: memoryview(bytearray(8)).cast("B", (2, 4)),
}
READ_ONLY = {"bytes": lambda: bytes(8), "view of bytes": lambda: memoryview(bytes(8))}
NOT_BUFFERS = {"text": "eight...", "integer": 8, "none": None, "list": [0] * 8}


def holes():
    """Every other byte of a buffer: not one piece of memory."""
    return memoryview(bytearray(16))[::2]


@pytest.mark.parametrize("kind", WRITABLE)
def test_recv_into(pair, kind):
    client, server = pair
    buffer = WRITABLE[kind]()
    client.sendall(b"12345678")
    assert server.recv_into(buffer) == 8
    assert memoryview(buffer).tobytes() == b"12345678"


@pytest.mark.parametrize("kind", [*WRITABLE, *READ_ONLY])
def test_sendall(pair, kind):
    client, server = pair
    buffer = {**WRITABLE, **READ_ONLY}[kind]()
    client.sendall(buffer)
    assert read_exactly(server, 8) == bytes(8)


@pytest.mark.parametrize("kind", [*WRITABLE, *READ_ONLY])
def test_send(pair, kind):
    client, server = pair
    assert client.send({**WRITABLE, **READ_ONLY}[kind]()) == 8
    assert read_exactly(server, 8) == bytes(8)


def test_recv_into_less_than_the_buffer(pair):
    client, server = pair
    buffer = bytearray(b"........")
    client.sendall(b"abc")
    assert server.recv_into(buffer) == 3
    assert buffer == b"abc....."


def test_recv_into_a_part(pair):
    client, server = pair
    buffer = bytearray(b"........")
    client.sendall(b"abcdef")
    assert server.recv_into(memoryview(buffer)[2:5]) == 3
    assert buffer == b"..abc..."
    assert server.recv_into(memoryview(buffer)[5:]) == 3
    assert buffer == b"..abcdef"


def test_recv_into_with_a_count(pair):
    client, server = pair
    buffer = bytearray(b"........")
    client.sendall(b"abcdef")
    assert server.recv_into(buffer, 2) == 2
    assert server.recv_into(memoryview(buffer)[2:], nbytes=3) == 3
    assert buffer == b"abcde..."


def test_recv_into_with_a_count_of_zero_means_all(pair):
    client, server = pair
    buffer = bytearray(4)
    client.sendall(b"abcdef")
    assert server.recv_into(buffer, 0) == 4
    assert buffer == b"abcd"


def test_recv_into_nothing_does_not_wait(pair):
    _, server = pair
    assert server.recv_into(bytearray()) == 0


def test_recv_into_with_flags(pair):
    client, server = pair
    buffer = bytearray(3)
    client.sendall(b"abc")
    assert server.recv_into(buffer, 0, socket.MSG_PEEK) == 3
    assert server.recv(10) == b"abc"


def test_recv_into_large(pair):
    client, server = pair
    data = pattern(3_000_000)
    sending = spawn(client.sendall, data)
    buffer = bytearray(len(data))
    filled = 0
    while filled < len(data):
        filled += server.recv_into(memoryview(buffer)[filled:])
    assert buffer == data
    sending.result(DEADLINE)


@pytest.mark.parametrize("buffer", READ_ONLY.values(), ids=READ_ONLY)
def test_recv_into_refuses_what_is_read_only(pair, buffer):
    with pytest.raises(TypeError):
        pair[1].recv_into(buffer())


@pytest.mark.parametrize("thing", NOT_BUFFERS.values(), ids=NOT_BUFFERS)
def test_recv_into_refuses_what_is_no_buffer(pair, thing):
    with pytest.raises(TypeError):
        pair[1].recv_into(thing)


def test_holes_are_refused(pair):
    client, server = pair
    for call in (server.recv_into, client.send, client.sendall):
        with pytest.raises((TypeError, BufferError)):
            call(holes())
    client.sendall(b"still good")
    assert server.recv(100) == b"still good"


@pytest.mark.parametrize("thing", NOT_BUFFERS.values(), ids=NOT_BUFFERS)
def test_sending_refuses_what_is_no_buffer(pair, thing):
    client, _ = pair
    for call in (client.send, client.sendall):
        with pytest.raises(TypeError):
            call(thing)


def test_counts_out_of_range(pair):
    _, server = pair
    with pytest.raises(ValueError):
        server.recv(-1)
    with pytest.raises(ValueError):
        server.recv_into(bytearray(4), -1)
    with pytest.raises(ValueError):
        server.recv_into(bytearray(4), 5)
    with pytest.raises(OverflowError):
        server.recv(1 << 70)


@pytest.mark.parametrize("size", ["10", 1.5, None, b"1"])
def test_recv_refuses_what_is_no_count(pair, size):
    with pytest.raises(TypeError):
        pair[1].recv(size)


def test_counts_may_be_anything_with_an_index(pair):
    class Three:
        def __index__(self):
            return 3

    client, server = pair
    client.sendall(b"abcdef")
    assert server.recv(Three()) == b"abc"
    assert server.recv(True) == b"d"


def test_arguments_missing_or_too_many(pair):
    client, server = pair
    for call in (server.recv, server.recv_into, client.send, client.sendall, client.connect):
        with pytest.raises(TypeError):
            call()
    for call in (server.recv, client.send, client.sendall):
        with pytest.raises(TypeError):
            call(b"1", 0, 0, 0)


def test_a_buffer_stays_in_place_while_it_is_being_filled(pair):
    """Growing a bytearray may move it, so it is refused as long as the system may write to it."""
    client, server = pair
    buffer = bytearray(8)
    waiting = spawn(server.recv_into, buffer)
    assert still_waits(waiting)
    with pytest.raises(BufferError):
        buffer.extend(bytes(1000))
    client.sendall(b"12345678")
    assert waiting.result(DEADLINE) == 8
    assert buffer == b"12345678"
    buffer.extend(bytes(1000))              # released with the call


def test_a_buffer_stays_in_place_while_it_is_being_sent(pair):
    client, server = pair
    data = pattern(16_000_000)
    buffer = bytearray(data)
    sending = spawn(client.sendall, buffer)
    assert still_waits(sending)
    with pytest.raises(BufferError):
        buffer.clear()
    assert read_exactly(server, len(data)) == data
    sending.result(DEADLINE)
    buffer.clear()


def test_a_buffer_is_released_after_an_error(net):
    buffer = bytearray(8)
    with net.socket() as sock:
        for call in (sock.recv_into, sock.send, sock.sendall):
            with pytest.raises(OSError):
                call(buffer)
    buffer.extend(b"free to grow")
