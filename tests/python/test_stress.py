"""Many of everything at once, at random, for a few seconds: nothing is lost, nothing is left, nothing
crashes."""

import contextlib
import random
import select
import socket
import struct
import threading

from support import DEADLINE, pattern, read_all, read_exactly, spawn


def serve_echo(sock):
    """Send everything back until the peer ends the connection in any way."""
    with sock:
        try:
            while data := sock.recv(4096):
                sock.sendall(data)
        except OSError:
            pass                            # the peer has reset: that is one of the things it does here


def test_clients_of_every_temper(net):
    """Some close properly, some reset, some close with an answer unread or do not wait for it."""
    threads, turns = 8, 25

    def polite(sock, chance):
        data = pattern(chance.randrange(1, 50_000), chance.randrange(1000))
        sending = spawn(sock.sendall, data)
        assert read_exactly(sock, len(data)) == data
        sending.result(DEADLINE)

    def resetting(sock, chance):
        sock.sendall(b"x" * chance.randrange(1, 2000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH", 1, 0))

    def ungrateful(sock, chance):
        sock.sendall(b"x" * 1000)
        sock.recv(chance.randrange(1, 100))

    def impatient(sock, chance):
        sock.settimeout(0.001)
        try:
            sock.recv(10)
        except TimeoutError:
            pass

    def live(address, number):
        chance = random.Random(number)
        for _ in range(turns):
            with net.create_connection(address) as sock:
                chance.choice([polite, polite, resetting, ungrateful, impatient])(sock, chance)

    def accept(listener):
        serving = []
        while not finished.is_set():
            with contextlib.suppress(OSError):          # a timeout, or a peer that has reset already
                serving.append(spawn(serve_echo, listener.accept()[0]))
        return serving

    finished = threading.Event()
    with net.listener(backlog=100) as listener:
        listener.settimeout(0.05)
        accepting = spawn(accept, listener)
        lives = [spawn(live, listener.getsockname(), number) for number in range(threads)]
        for each in lives:
            each.result(2 * DEADLINE)
        finished.set()
        for serving in accepting.result(DEADLINE):
            serving.result(DEADLINE)


def test_hundreds_of_connections_that_say_nothing(net):
    """More than fit into one select call of Windows (512)."""
    count = 600
    with net.listener(backlog=count) as listener:
        pairs = [net.connect(listener) for _ in range(count)]
        for number, (client, _) in enumerate(pairs):
            client.sendall(struct.pack("!I", number))
        assert [read_exactly(server, 4) for _, server in pairs] == [struct.pack("!I", number)
                                                                    for number in range(count)]
        assert select.select([server for _, server in pairs[:400]], [], [], 0)[0] == []
        for client, _ in pairs:
            client.close()
        assert all(server.recv(1) == b"" for _, server in pairs)
        for _, server in pairs:
            server.close()


def test_hundreds_of_threads_that_wait(net):
    count = 150
    with net.listener(backlog=count) as listener:
        pairs = [net.connect(listener) for _ in range(count)]
        waiting = [spawn(server.recv, 100) for _, server in pairs]
        for number, (client, _) in enumerate(pairs):
            client.sendall(b"%d" % number)
        assert [future.result(DEADLINE) for future in waiting] == [b"%d" % number for number in range(count)]
        for pair in pairs:
            for sock in pair:
                sock.close()


def test_a_chain_of_relays(net):
    """Data passed on from connection to connection, each in a thread of its own, arrives whole."""
    links, data = 6, pattern(2_000_000)

    def relay(source, target):
        while chunk := source.recv(16_384):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)

    with net.listener() as listener:
        pairs = [net.connect(listener) for _ in range(links)]
    relays = [spawn(relay, pairs[number][1], pairs[number + 1][0]) for number in range(links - 1)]

    def feed():
        pairs[0][0].sendall(data)
        pairs[0][0].shutdown(socket.SHUT_WR)

    feeding = spawn(feed)
    assert read_all(pairs[-1][1]) == data
    for future in [feeding, *relays]:
        future.result(DEADLINE)
    for pair in pairs:
        for sock in pair:
            sock.close()
