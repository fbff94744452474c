"""Fetch every path of a manifest from an HTTP/1.1 server, over several keep-alive connections at once.

    python fetch.py --sockets iocpsock|stock HOST PORT MANIFEST [--connections N]

MANIFEST is a text file with one URL path per line, "-" for standard input. One line of JSON is printed: how
many requests and bytes, in how many seconds (from before the first connect to after the last byte), and for
each path its length and SHA-256. A status other than 200 or a body that is not as long as announced is an
error; errors are listed, and make the exit status 1.

The HTTP is http.client's, and each connection gives it a socket of the module that was named. A connection
belongs to one thread; the threads share nothing but the iterator that deals out the paths and the table of
results.
"""

import argparse
import hashlib
import http.client
import importlib
import json
import sys
import threading
import time

MODULES = {"stock": "socket", "iocpsock": "iocpsock"}
TIMEOUT = 60            # seconds for one call; a server that is silent for longer is broken
BUFFER = 65536


class Refused(http.client.HTTPException):
    """The server's answer is not the whole file."""


class Connection(http.client.HTTPConnection):
    """One keep-alive connection, on a socket of the module `net`."""

    def __init__(self, net, host, port):
        super().__init__(host, port, TIMEOUT)
        self.net = net
        self.buffer = memoryview(bytearray(BUFFER))

    def connect(self):
        self.sock = self.net.create_connection((self.host, self.port), self.timeout)

    def get(self, path):
        """Return the body's length and SHA-256."""
        self.request("GET", path)
        answer = self.getresponse()
        length, received, digest = answer.length, 0, hashlib.sha256()
        if answer.status != 200 or length is None:
            raise Refused(f"status {answer.status} {answer.reason}, Content-Length {length}")
        while count := answer.readinto(self.buffer):
            digest.update(self.buffer[:count])
            received += count
        if received != length:
            raise Refused(f"the connection ended after {received} bytes of {length}")
        return length, digest.hexdigest()


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
    """Run in each thread: one connection, for as long as there are jobs."""
    connection = Connection(net, host, port)
    while (path := jobs.next()) is not None:
        try:
            results.add(path, *connection.get(path))
        except (OSError, http.client.HTTPException) as error:
            results.fail(path, error)
            connection.close()          # the next request opens another
    connection.close()


def fetch(net, host, port, paths, connections):
    """Fetch all paths and return the results and the seconds it took."""
    jobs, results = Jobs(paths), Results()
    threads = [threading.Thread(target=work, args=(net, host, port, jobs, results))
               for _ in range(connections)]
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
