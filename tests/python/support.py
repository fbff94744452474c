"""The common part of the Python scenarios: the two socket modules behind one interface, threads with a
result, recognisable data.

A scenario uses the `net` fixture and nothing else, so it runs on the stock sockets and on iocpsock's. A call
that has to wait while another is made runs in a thread of `spawn`, and the test waits for its result with a
deadline: so a hang fails only that one test.
"""

import contextlib
import gc
import hashlib
import importlib
import random
import select
import signal
import socket
import struct
import threading
import time
from concurrent.futures import Future

import pytest

DEADLINE = 20           # seconds after which something that should happen counts as never happening
PATIENCE = 0.2          # seconds for which something that should wait is watched waiting
# Seconds: much less than DEADLINE, after which an interrupted call would end by its own timeout.
SOON = 5
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
MODULES = {"stock": "socket", "iocpsock": "iocpsock"}


class Net:
    """One implementation of sockets: its class, its functions, and a few sockets ready for use."""

    def __init__(self, name):
        module = importlib.import_module(MODULES[name])
        self.name = name
        self.socket = module.socket
        self.create_connection = module.create_connection
        self.create_server = module.create_server

    def listener(self, family=socket.AF_INET, **options):
        return self.create_server((LOOPBACK[family], 0), family=family, **options)

    def connect(self, listener):
        """A client connected to the listener, and the socket that the listener accepted."""
        client = self.socket(listener.family)
        client.connect(listener.getsockname())
        return client, listener.accept()[0]

    @contextlib.contextmanager
    def pair(self, family=socket.AF_INET):
        with self.listener(family) as listener:
            client, server = self.connect(listener)
        with client, server:
            yield client, server


def spawn(function, *arguments):
    """Run the call in a thread. The Future gets its result."""
    future = Future()

    def run():
        try:
            future.set_result(function(*arguments))
        except BaseException as error:      # it is raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def still_waits(future):
    """True if the call has not ended, and does not end for a while."""
    with contextlib.suppress(TimeoutError):
        future.exception(PATIENCE)
    return not future.done()


def interrupt(delay=PATIENCE, then=None):
    """Raise Ctrl-C a little later, as the console's thread does it, and then call `then`."""
    def strike():
        time.sleep(delay)
        signal.raise_signal(signal.SIGINT)
        if then:
            time.sleep(delay)
            then()
    return spawn(strike)


def outlasts(strikes, call, then):
    """Return the result of a call that goes on after Ctrl-C, until `then` lets it end. `strikes` is the
    fixture that records the Ctrl-C."""
    striking = interrupt(then=then)
    outcome = call()
    striking.result(DEADLINE)
    assert strikes == [signal.SIGINT]
    return outcome


def assert_interrupted(call, *arguments):
    """Check that the call ends soon after Ctrl-C, with the exception of the default handler."""
    start = time.monotonic()
    striking = interrupt()
    with pytest.raises(KeyboardInterrupt):
        call(*arguments)
    assert time.monotonic() - start < SOON
    striking.result(DEADLINE)


def pattern(size, seed=0):
    """Bytes that show any loss, repetition or change of order."""
    return hashlib.shake_128(b"%d" % seed).digest(size)


def read_exactly(sock, size):
    """Read until there are so many bytes; fewer if the stream ends first."""
    data = bytearray()
    while len(data) < size and (chunk := sock.recv(min(65536, size - len(data)))):
        data += chunk
    return bytes(data)


def read_all(sock):
    data = bytearray()
    while chunk := sock.recv(65536):
        data += chunk
    return bytes(data)


def readable(*socks, timeout=DEADLINE):
    """Those of the sockets that select reports as readable within the time."""
    return select.select(socks, [], [], timeout)[0]


def reset(sock):
    """Close by a reset: the peer gets the reset instead of the end of the stream."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH", 1, 0))
    sock.close()


def closed_port(family=socket.AF_INET):
    """A port on which nobody listens. It stays bound until the context ends, so that nobody else can listen
    on it."""
    return contextlib.closing(_bound(family))


def free_port():
    """A port that can be bound: one that no system assigns by itself, so that no other program gets it
    meanwhile."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind((LOOPBACK[socket.AF_INET], random.randrange(20000, 30000)))
            return sock.getsockname()[1]


def _bound(family):
    sock = socket.socket(family)
    sock.bind((LOOPBACK[family], 0))
    return sock


def eventually(condition):
    """Wait until the condition holds, and test it no more often than needed. True if it held in time."""
    end = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True


def live_counters(stats):
    return {name: count for name, count in stats().items() if name.endswith("_live")}


class Balance:
    """Checks that every object that the engine has made since is gone again."""

    def __init__(self, stats):
        self.stats = stats
        self.before = live_counters(stats)

    def excess(self):
        return {name: count - self.before.get(name, 0) for name, count in live_counters(self.stats).items()
                if count > self.before.get(name, 0)}

    def check(self):
        """Completion threads finish closes, so wait some time for the counters."""
        gc.collect()
        assert eventually(lambda: not self.excess()), f"still alive after the test: {self.excess()}"
