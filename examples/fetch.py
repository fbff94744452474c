"""Fetch every path of a manifest from an HTTP/1.1 server, over several keep-alive connections at once.

    python fetch.py --sockets iocpsock|stock HOST PORT MANIFEST [--connections N]

MANIFEST is a text file with one URL path per line, "-" for standard input. One line of JSON is printed: how
many requests and bytes, in how many seconds (from before the first connect to after the last byte), and for
each path its length and SHA-256. A status other than 200 or a body that is not as long as announced is an
error; errors are listed, and make the exit status 1.

Only the blocking calls of a socket are used, the same ones whichever module they come from. Each connection
belongs to one thread; the threads share nothing but the iterator that deals out the paths and the table of
results.
"""

import argparse
import hashlib
import importlib
import json
import sys
import threading
import time

MODULES = {"stock": "socket", "iocpsock": "iocpsock"}
TIMEOUT = 60            # seconds for one call; a server that is silent for longer is broken
BUFFER = 65536


class ProtocolError(Exception):
    """The server's answer is not what HTTP or this program expects."""


class Connection:
    """One keep-alive connection. Owns its socket and one buffer, which may hold the start of what follows."""

    def __init__(self, net, host, port):
        self.socket = net.create_connection((host, port), TIMEOUT)
        self.host = host
        self.buffer = memoryview(bytearray(BUFFER))
        self.filled = 0

    def close(self):
        self.socket.close()

    def get(self, path):
        """Return the body's length and SHA-256."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        length = self._read_head()
        return length, self._read_body(length)

    def _receive(self):
        count = self.socket.recv_into(self.buffer[self.filled:])
        if not count:
            raise ProtocolError("the server closed the connection in the middle of an answer")
        self.filled += count

    def _consume(self, count):
        self.buffer[:self.filled - count] = self.buffer[count:self.filled]
        self.filled -= count

    def _read_head(self):
        """Read up to the empty line; return the announced length of the body."""
        while (end := bytes(self.buffer[:self.filled]).find(b"\r\n\r\n")) < 0:
            if self.filled == BUFFER:
                raise ProtocolError(f"the head of the answer exceeds {BUFFER} bytes")
            self._receive()
        status, *fields = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        self._consume(end + 4)
        if status.split(" ", 2)[1:2] != ["200"]:
            raise ProtocolError(f"status {status!r}")
        for field in fields:
            name, _, value = field.partition(":")
            if name.lower() == "content-length":
                return int(value)
        raise ProtocolError("no Content-Length in the answer")

    def _read_body(self, length):
        digest = hashlib.sha256()
        while length:
            if not self.filled:
                self._receive()
            count = min(length, self.filled)
            digest.update(self.buffer[:count])
            self._consume(count)
            length -= count
        return digest.hexdigest()


class Results:
    """What all threads have found: requests, bytes, (length, digest) of each path, errors. Owns the lock over
    them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = 0
        self.bytes = 0
        self.files = {}
        self.errors = []

    def add(self, path, length, digest):
        with self.lock:
            self.requests += 1
            self.bytes += length
            self.files[path] = (length, digest)

    def fail(self, path, error):
        with self.lock:
            self.errors.append(f"{path}: {type(error).__name__}: {error}")


class Jobs:
    """Deals out the paths to whichever thread asks."""

    def __init__(self, paths):
        self.lock = threading.Lock()
        self.paths = iter(paths)

    def next(self):
        with self.lock:
            return next(self.paths, None)


def work(net, host, port, jobs, results):
    """Run in each thread: one connection, replaced after an error, for as long as there are jobs."""
    connection = None
    while (path := jobs.next()) is not None:
        try:
            connection = connection or Connection(net, host, port)
            results.add(path, *connection.get(path))
        except (OSError, ProtocolError) as error:
            results.fail(path, error)
            if connection:
                connection.close()
            connection = None
    if connection:
        connection.close()


def fetch(net, host, port, paths, connections):
    """Fetch all paths and return the results and the seconds it took."""
    jobs, results = Jobs(paths), Results()
    threads = [threading.Thread(target=work, args=(net, host, port, jobs, results)) for _ in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("manifest", type=argparse.FileType(encoding="utf-8"))
    parser.add_argument("--sockets", choices=MODULES, default="iocpsock")
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    net = importlib.import_module(MODULES[options.sockets])
    paths = options.manifest.read().splitlines()
    results, seconds = fetch(net, options.host, options.port, paths, options.connections)
    print(json.dumps({"requests": results.requests, "bytes": results.bytes, "seconds": seconds,
                      "files": results.files, "errors": results.errors}))
    return 1 if results.errors else 0


if __name__ == "__main__":
    sys.exit(main())
