"""One end of a connection of the storm: one thread sends a stream by all calls there are, one receives."""

import array
import contextlib
import io
import random
import select
import socket
import ssl
import tempfile
import threading

SIZES = 1, 7, 100, 1000, 5000, 20_000, 70_000
MOMENT = 0.01           # seconds of a look that may find nothing


class End:
    """`sends` and `receives` are streams; `report` takes faults, `count` what was done."""

    def __init__(self, sock, sends, receives, seed, report, count):
        self.sock, self.sends, self.receives, self.report, self.count = sock, sends, receives, report, count
        self.seed = seed
        self.tls = isinstance(sock, ssl.SSLSocket)
        self.sent = self.received = 0
        self.broken = threading.Event()         # the connection is ended before its time
        names = ("recv recv_into array file timed selected" if self.tls else
                 "recv recv_into array file timed selected recvfrom recvfrom_into peek whole")
        self.ways = [getattr(self, "by_" + name) for name in names.split()]

    # Sending: each takes the bytes that are next and returns how many of them went.

    def by_sendall(self, data):
        self.sock.sendall(data)
        return len(data)

    def by_send(self, data):
        return self.sock.send(data)

    def by_view(self, data):
        self.sock.sendall(memoryview(bytearray(b"x" + data))[1:])
        return len(data)

    def by_memory(self, data):
        return self.sock.sendfile(io.BytesIO(data))

    def by_disk(self, data):
        with tempfile.TemporaryFile() as file:
            file.write(b"before" + data)
            return self.sock.sendfile(file, 6, len(data))

    def by_writer(self, data):
        with self.sock.makefile("wb", 4096) as file:
            return file.write(data)

    def when_writable(self, data):
        return self.sock.send(data) if select.select([], [self.sock], [], MOMENT)[1] else 0

    SENDING = by_sendall, by_send, by_view, by_memory, by_disk, by_writer, when_writable

    def send_all(self):
        chance = random.Random(self.seed)
        try:
            while self.sent < self.sends.size and not self.broken.is_set():
                size = min(chance.choice(SIZES), self.sends.size - self.sent)
                self.sent += chance.choice(self.SENDING)(self, self.sends.bytes[self.sent : self.sent + size])
                self.count("sends")
            if not self.tls and not self.broken.is_set():
                self.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError) as error:          # ValueError: a file or a TLS socket that is closed
            self.failed("send", self.sends, self.sent, error)

    # Receiving: each takes what comes, at most so much.

    def by_recv(self, size, chance):
        return self.sock.recv(size)

    def by_recv_into(self, size, chance):
        buffer = bytearray(size)
        return buffer[: self.sock.recv_into(buffer)]

    def by_array(self, size, chance):
        buffer = array.array("H", bytes(2 * size))
        taken = self.sock.recv_into(buffer, chance.choice([0, size]))
        return memoryview(buffer).cast("B")[:taken].tobytes()

    def by_file(self, size, chance):
        with self.sock.makefile("rb", 0) as file:
            return file.read(size)

    def by_recvfrom(self, size, chance):
        return self.sock.recvfrom(size)[0]

    def by_recvfrom_into(self, size, chance):
        buffer = bytearray(size)
        return buffer[: self.sock.recvfrom_into(buffer)[0]]

    def by_peek(self, size, chance):
        """What was only looked at comes again."""
        self.check(self.sock.recv(size, socket.MSG_PEEK))
        return None

    def by_whole(self, size, chance):
        want = min(size, self.receives.size - self.received)
        return self.sock.recv(want, socket.MSG_WAITALL) if want else None

    def by_timed(self, size, chance):
        before = self.sock.gettimeout()
        self.sock.settimeout(chance.choice([0.001, MOMENT]))
        try:
            return self.sock.recv(size)
        except TimeoutError:
            self.count("time-outs")
            return None
        finally:
            with contextlib.suppress(OSError):          # it was closed meanwhile
                self.sock.settimeout(before)

    def by_selected(self, size, chance):
        there = self.tls and self.sock.pending() or select.select([self.sock], [], [], MOMENT)[0]
        return self.sock.recv(size) if there else None

    def receive_all(self):
        chance = random.Random(self.seed + 0.5)
        try:
            while not self.broken.is_set() and not (self.tls and self.received == self.receives.size):
                data = chance.choice(self.ways)(chance.choice(SIZES), chance)
                if data is None:
                    continue
                if not data:
                    return
                if not self.check(data):
                    self.broken.set()
                    self.sock.close()       # and so the other end ends
                    return
                self.received += len(data)
                self.count("receives")
        except (OSError, ValueError) as error:
            self.failed("receive", self.receives, self.received, error)

    def check(self, data):
        fault = self.receives.fault(self.received, data)
        if fault:
            self.report(fault)
        return not fault

    def failed(self, what, stream, position, error):
        if not self.broken.is_set():
            self.report(f"{what}, {stream.name}, at {position} of {stream.size}: {error!r}")
