"""A handle number that is used again: ten thousand times a call begins, its socket is closed, and a new one
gets the number.

Windows gives the number of a closed socket to the next one at once. All bytes of a connection identify it, so
the test detects anything that an old call receives, sends or accepts on the new connection. The closing
thread begins its work at a random moment near the start of the call. A short switch interval lets the threads
meet at any point of it. (The stock sockets give no such guarantee.)
"""

import contextlib
import random
import ssl
import struct
import sys
import threading

import iocpsock
import pytest

from secured import contexts
from support import DEADLINE, Net, read_all, read_exactly, spawn

SWITCH = 1e-5           # seconds of a thread's turn with the GIL
CLOSED = 10038          # WSAENOTSOCK
NAME = struct.Struct("!Q")


class Caller:
    """A thread that makes one call after the other, each when it is released."""

    def __init__(self):
        self.gate, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        self.call, self.result = None, None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            self.gate.acquire()
            if self.call is None:
                return
            try:
                self.result = self.call()
            except (OSError, ValueError) as error:      # ValueError: of a TLS socket that is none any more
                self.result = error
            self.ended.release()

    def overtake(self, call, pause, close):
        """Release the call, and close its socket after so many iterations of a loop."""
        self.call = call
        self.gate.release()
        for _ in range(pause):
            pass
        close()

    def outcome(self):
        assert self.ended.acquire(timeout=DEADLINE), "the call on the closed socket does not end"
        return self.result

    def end(self):
        self.call = None
        self.gate.release()


@pytest.fixture
def net(balance):
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    yield Net("iocpsock")
    sys.setswitchinterval(before)


@pytest.fixture
def caller():
    caller = Caller()
    yield caller
    caller.end()


def refused(result):
    """Whether the call on the closed socket failed because of the close, and got nothing else."""
    return isinstance(result, ValueError) or isinstance(result, OSError) and result.winerror == CLOSED


READERS = {
    "recv": lambda sock: sock.recv(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "recvfrom": lambda sock: sock.recvfrom(100),
    "recv with a time-out": lambda sock: (sock.settimeout(DEADLINE), sock.recv(100)),
}
WRITERS = {
    "send": lambda sock, data: sock.send(data),
    "sendall": lambda sock, data: sock.sendall(data),
    "sendall with a time-out": lambda sock, data: (sock.settimeout(DEADLINE), sock.sendall(data)),
}


@pytest.mark.long
@pytest.mark.parametrize("how", READERS)
def test_readers(net, caller, how):
    chance = random.Random(how)
    with net.listener(backlog=100) as listener:
        old, far = net.connect(listener)
        for number in range(1000):
            caller.overtake(lambda sock=old: READERS[how](sock), chance.randrange(500), old.close)
            new, other = net.connect(listener)
            other.sendall(NAME.pack(number))
            new.settimeout(DEADLINE)
            assert NAME.unpack(read_exactly(new, NAME.size)) == (number,)
            assert refused(caller.outcome()), caller.result
            new.settimeout(None)
            far.close()
            old, far = new, other
        old.close()
        far.close()


@pytest.mark.long
@pytest.mark.parametrize("how", WRITERS)
def test_writers(net, caller, how):
    chance = random.Random(how)
    with net.listener(backlog=100) as listener:
        for number in range(1000):
            old, far = net.connect(listener)
            caller.overtake(lambda: WRITERS[how](old, NAME.pack(2 * number)), chance.randrange(500),
                            old.close)
            new, other = net.connect(listener)
            result = caller.outcome()
            assert refused(result) or not isinstance(result, Exception), result
            new.sendall(NAME.pack(2 * number + 1))
            new.close()
            assert read_all(other) == NAME.pack(2 * number + 1)
            assert read_all(far) in (b"", NAME.pack(2 * number))
            far.close()
            other.close()


@pytest.mark.long
def test_acceptors(net, caller):
    chance = random.Random(1)
    for number in range(1500):
        old = net.listener()
        if number % 2:
            old.fileno()                    # from now on each accept is an operation of its own
        caller.overtake(old.accept, chance.randrange(500), old.close)
        with net.listener() as new, net.socket() as client:
            client.connect(new.getsockname())
            new.settimeout(DEADLINE)
            with new.accept()[0] as accepted:
                assert accepted.getpeername() == client.getsockname()
        assert refused(caller.outcome()), caller.result


@pytest.mark.long
def test_connectors(net, caller):
    chance = random.Random(2)
    with net.listener(backlog=200) as listener:
        for _ in range(1500):
            old = net.socket()
            caller.overtake(lambda: old.connect(listener.getsockname()), chance.randrange(500), old.close)
            with net.socket() as new:
                result = caller.outcome()
                assert result is None or refused(result), result
                with pytest.raises(OSError):        # nobody has connected it
                    new.getpeername()
            listener.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()
            listener.settimeout(None)


@pytest.mark.long
def test_tls(net, caller):
    """The reader of the TLS connection that had the number before takes no bytes of the plain connection."""
    chance = random.Random(3)
    serving, calling = contexts("1.2")      # nothing comes unasked: 1.3 sends tickets
    with iocpsock.patched(), net.listener(backlog=100) as listener:
        for number in range(300):
            near, far = net.connect(listener)
            answer = spawn(lambda sock=far: serving.wrap_socket(sock, server_side=True))
            old = calling.wrap_socket(near, server_hostname="localhost")
            far = answer.result(DEADLINE)
            caller.overtake(lambda: old.recv(100), chance.randrange(500), old.close)
            new, other = net.connect(listener)
            other.sendall(NAME.pack(number))
            new.settimeout(DEADLINE)
            assert NAME.unpack(read_exactly(new, NAME.size)) == (number,)
            result = caller.outcome()
            assert refused(result) or isinstance(result, ssl.SSLError), result
            for sock in (new, other, far):
                sock.close()
