"""The stream itself: every byte arrives once, in order, and the end arrives as the end."""

import hashlib
import io
import socket
import threading

import pytest

from support import DEADLINE, pattern, read_all, read_exactly, spawn, still_waits

MEGABYTE = 1 << 20


def digest_of_stream(sock):
    """Read to the end, and return the length and a digest of the bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := sock.recv(65536):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def send_and_finish(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_echo(pair):
    client, server = pair
    client.sendall(b"hello")
    assert server.recv(100) == b"hello"
    server.sendall(b"and back")
    assert client.recv(100) == b"and back"


def test_recv_returns_bytes(pair):
    client, server = pair
    client.sendall(b"x")
    assert type(server.recv(10)) is bytes


def test_recv_takes_no_more_than_asked(pair):
    client, server = pair
    client.sendall(b"abcdefghij")
    assert [server.recv(3), server.recv(4), read_exactly(server, 3)] == [b"abc", b"defg", b"hij"]


def test_recv_takes_what_there_is(pair):
    client, server = pair
    client.sendall(b"abc")
    assert server.recv(10 * MEGABYTE) == b"abc"


def test_recv_of_nothing_does_not_wait(pair):
    _, server = pair
    assert server.recv(0) == b""


def test_recv_of_nothing_takes_nothing(pair):
    client, server = pair
    client.sendall(b"abc")
    assert server.recv(0) == b""
    assert server.recv(10) == b"abc"


def test_recv_waits_for_data(pair):
    client, server = pair
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    client.sendall(b"late")
    assert waiting.result(DEADLINE) == b"late"


def test_send_returns_how_much_was_taken(pair):
    client, server = pair
    data = pattern(100_000)
    reading = spawn(read_all, server)
    sent = client.send(data)
    client.close()
    assert 0 < sent <= len(data)
    assert reading.result(DEADLINE) == data[:sent]


def test_sending_nothing(pair):
    client, server = pair
    assert client.send(b"") == 0
    assert client.sendall(b"") is None
    client.sendall(b"x")
    assert server.recv(10) == b"x"


def test_end_of_stream_repeats(pair):
    client, server = pair
    client.sendall(b"last")
    client.close()
    assert read_exactly(server, 100) == b"last"
    assert server.recv(10) == b""
    assert server.recv(10) == b""
    assert server.recv_into(bytearray(10)) == 0


def test_recv_waiting_for_the_end(pair):
    client, server = pair
    waiting = spawn(server.recv, 10)
    assert still_waits(waiting)
    client.close()
    assert waiting.result(DEADLINE) == b""


def test_half_close(pair):
    client, server = pair
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"question"
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == b"answer"


def test_half_close_by_the_server(pair):
    client, server = pair
    server.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""
    client.sendall(b"still here")
    client.close()
    assert read_all(server) == b"still here"


def test_no_sending_after_shutdown(pair):
    client, _ = pair
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        client.send(b"x")
    with pytest.raises(OSError):
        client.sendall(b"x")


def test_megabytes_in_both_directions_at_once(pair):
    datas = [pattern(8 * MEGABYTE, seed) for seed in range(2)]
    writing = [spawn(send_and_finish, sock, data) for sock, data in zip(pair, datas)]
    reading = [spawn(digest_of_stream, sock) for sock in pair]
    for future in writing:
        future.result(DEADLINE)
    received = [future.result(DEADLINE) for future in reading]
    assert received == [(len(data), hashlib.sha256(data).hexdigest()) for data in reversed(datas)]


def test_sendall_waits_for_a_slow_reader(pair):
    client, server = pair
    data = pattern(16 * MEGABYTE)
    sending = spawn(send_and_finish, client, data)
    assert still_waits(sending)
    assert digest_of_stream(server) == (len(data), hashlib.sha256(data).hexdigest())
    sending.result(DEADLINE)


def test_writes_of_every_size(pair):
    client, server = pair
    sizes = [1, 2, 3, 100, 1459, 1460, 1461, 4095, 4096, 4097, 65535, 65536, 65537, 300_000]
    data = pattern(sum(sizes))

    def write():
        start = 0
        for size in sizes:
            client.sendall(data[start:start + size])
            start += size
        client.close()

    writing = spawn(write)
    assert read_all(server) == data
    writing.result(DEADLINE)


def test_small_writes_keep_their_order(pair):
    client, server = pair
    data = pattern(2000)

    def write():
        for start in range(len(data)):
            client.sendall(data[start:start + 1])
        client.close()

    writing = spawn(write)
    assert read_all(server) == data
    writing.result(DEADLINE)


def test_one_thread_reads_while_another_writes(pair):
    """A waiting reader must not block a writer on the same socket."""
    client, server = pair
    waiting = spawn(client.recv, 10)
    assert still_waits(waiting)
    client.sendall(b"ping")
    assert server.recv(10) == b"ping"
    server.sendall(b"pong")
    assert waiting.result(DEADLINE) == b"pong"


def test_two_threads_read_the_same_socket(pair):
    """Each byte goes to exactly one of them."""
    client, server = pair
    data = pattern(MEGABYTE // 4)
    readers = [spawn(read_all, server) for _ in range(2)]
    send_and_finish(client, data)
    parts = [reader.result(DEADLINE) for reader in readers]
    assert sum(map(len, parts)) == len(data)
    assert sorted(b"".join(parts)) == sorted(data)


def test_a_waiting_call_lets_other_threads_run(pair):
    client, server = pair
    waiting = spawn(server.recv, 10)
    # This thread goes on, because the waiting one has released the GIL.
    assert still_waits(waiting)
    assert sum(range(1000)) == 499500
    client.sendall(b"x")
    assert waiting.result(DEADLINE) == b"x"


def test_many_connections_at_once(net):
    connections, rounds = 40, 10

    def serve(sock):
        with sock:
            while data := sock.recv(4096):
                sock.sendall(data)

    def accept(listener):
        return [spawn(serve, listener.accept()[0]) for _ in range(connections)]

    def converse(address, number):
        with net.create_connection(address) as sock:
            for turn in range(rounds):
                data = pattern(1000, number * rounds + turn)
                sock.sendall(data)
                if read_exactly(sock, len(data)) != data:
                    return False
        return True

    with net.listener() as listener:
        accepting = spawn(accept, listener)
        clients = [spawn(converse, listener.getsockname(), number) for number in range(connections)]
        assert all(client.result(DEADLINE) for client in clients)
        for serving in accepting.result(DEADLINE):
            serving.result(DEADLINE)


def test_connections_one_after_another(net):
    with net.listener() as listener:
        for number in range(100):
            client, server = net.connect(listener)
            with client, server:
                client.sendall(b"%d" % number)
                client.shutdown(socket.SHUT_WR)
                assert read_all(server) == b"%d" % number


def test_peeking_leaves_the_data(pair):
    client, server = pair
    client.sendall(b"abcdef")
    assert server.recv(3, socket.MSG_PEEK) == b"abc"
    assert server.recv(10) == b"abcdef"


def test_peeking_after_a_partial_recv(pair):
    client, server = pair
    client.sendall(b"abcdef")
    assert server.recv(2) == b"ab"
    assert server.recv(3, socket.MSG_PEEK) == b"cde"
    assert read_exactly(server, 4) == b"cdef"


def test_the_calls_that_are_inherited_mix_with_the_others(pair):
    client, server = pair
    client.sendall(b"abcdefgh")
    buffer = bytearray(2)
    assert server.recv(2) == b"ab"
    assert server.recvfrom(2)[0] == b"cd"
    assert server.recvfrom_into(buffer)[0] == 2 and buffer == b"ef"
    assert read_exactly(server, 2) == b"gh"


def test_sendfile(pair):
    client, server = pair
    data = pattern(300_000)
    reading = spawn(read_exactly, server, len(data) - 5)
    assert client.sendfile(io.BytesIO(data), offset=5) == len(data) - 5
    assert reading.result(DEADLINE) == data[5:]


def test_sends_from_several_threads_are_whole(pair):
    """sendall calls of different threads may arrive in any order. The bytes of small ones are not mixed."""
    client, server = pair
    messages = [bytes([number]) * 100 for number in range(20)]
    start = threading.Barrier(len(messages))

    def send(message):
        start.wait(DEADLINE)
        client.sendall(message)

    sending = [spawn(send, message) for message in messages]
    received = read_exactly(server, 2000)
    for future in sending:
        future.result(DEADLINE)
    assert sorted(received[start:start + 100] for start in range(0, 2000, 100)) == messages
