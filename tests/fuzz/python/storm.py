"""Many threads at once, and every byte tells which connection it belongs to. Runs in the Windows Python.

    storm.py --seed S --seconds N [--planted]       with --planted a class of ours lies, which must be found

Threads make connections to a listener whose accepting threads come and go, plain and TLS, move a stream
over each in both directions by all calls there are, exchange handles meanwhile, and end connections before
their time, by shutting down or by closing under the calls. Other threads close sockets under calls that
wait: each such call has to raise WinError 10038. The switch interval changes from round to round, so that
threads meet anywhere. Prints `@ SEED` before each round, then faults, then totals; the exit status is 1 if
there was a fault, or something of the engine is left over.
"""

import argparse
import collections
import contextlib
import faulthandler
import itertools
import os
import queue
import random
import socket
import ssl
import struct
import sys
import threading
import time
import traceback

import iocpsock
from end import End
from helpers import WAIT, contexts, settled, started
from liar import Liar
from stream import Stream

LIVES, CLOSERS = 6, 2
ROUND = 10              # seconds
INTERVALS = 1e-5, 1e-4, 5e-3
LENGTHS = 0, 1, 1000, 50_000, 300_000
HEAD = struct.Struct("<Q")
CLOSED = 10038          # WSAENOTSOCK
MOMENT = 1              # second in which the calls of a connection that is broken off mostly end


class Storm:
    """Counts what was done, and takes the faults."""

    def __init__(self):
        self.lock = threading.Lock()
        self.done, self.faults = collections.Counter(), 0
        self.numbers = itertools.count(1)

    def count(self, what):
        with self.lock:
            self.done[what] += 1

    def report(self, what):
        with self.lock:
            self.faults += 1
            print(f"FAULT: {what}", flush=True)

    def round(self, seed, seconds):
        print(f"@ {seed}", flush=True)
        faulthandler.dump_traceback_later(seconds + 2 * WAIT, exit=True)
        chance = random.Random(seed)
        sys.setswitchinterval(INTERVALS[seed % len(INTERVALS)])
        over = threading.Event()
        with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
            arrivals = Arrivals(self, listener)
            live = [lambda chance: Life(self, arrivals, chance).live()]
            threads = [thread(self.repeat, act, random.Random(chance.random()), over)
                       for act in live * LIVES + [self.close_under_a_call] * CLOSERS]
            over.wait(seconds)
            over.set()
            for each in threads:
                each.join(2 * WAIT)
            arrivals.end()
        faulthandler.cancel_dump_traceback_later()

    def repeat(self, act, chance, over):
        while not over.is_set():
            act(chance)

    def thread_failed(self, failure):
        """Of any thread: what it did not expect."""
        self.report("".join(traceback.format_exception(failure.exc_value)))

    def close_under_a_call(self, chance):
        """A call that waits, or is about to, and another thread closes its socket."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            name, call = chance.choice(CALLS)
            if name == "accept":
                sock = listener
            else:
                sock = stack.enter_context(socket.create_connection(listener.getsockname()))
                stack.enter_context(listener.accept()[0])
            if chance.random() < 0.5:
                sock.settimeout(WAIT)
            answers = started(lambda: call(sock))
            time.sleep(chance.choice([0, 0, 0.0005, 0.005]))
            sock.close()
            try:
                answer = answers.get(timeout=WAIT)
            except queue.Empty:
                answer = "does not end"
            if getattr(answer, "winerror", None) != CLOSED:
                self.report(f"{name} whose socket was closed: {answer!r}")
            self.count("closed under a call")


def thread(work, *arguments):
    it = threading.Thread(target=work, args=arguments, daemon=True)
    it.start()
    return it


CALLS = (
    ("recv", lambda sock: sock.recv(10)),
    ("recv_into", lambda sock: sock.recv_into(bytearray(10))),
    ("recvfrom", lambda sock: sock.recvfrom(10)),
    ("recv, MSG_PEEK", lambda sock: sock.recv(10, socket.MSG_PEEK)),
    ("sendall", lambda sock: sock.sendall(bytes(30_000_000))),
    ("accept", lambda sock: sock.accept()),
)


class Arrivals:
    """Accepted connections, called for by the number they begin with. Threads that accept come and go."""

    def __init__(self, storm, listener):
        self.storm, self.listener = storm, listener
        self.there, self.condition, self.over = {}, threading.Condition(), False
        listener.settimeout(0.05)
        self.keeper = thread(self.keep)

    def keep(self):
        chance, threads = random.Random(7), []
        while not self.over:
            threads = [each for each in threads if each.is_alive()]
            while len(threads) < 2:
                threads.append(thread(self.accept_some, chance.randrange(1, 12)))
            threads[0].join(0.005)
        for each in threads:
            each.join(WAIT)

    def accept_some(self, times):
        for _ in range(times):
            try:
                sock, peer = self.listener.accept()
            except TimeoutError:
                continue
            if sock.getpeername() != peer:
                self.storm.report(f"{peer} was accepted, and is {sock.getpeername()}")
            sock.settimeout(WAIT)
            number, = HEAD.unpack(sock.recv(HEAD.size, socket.MSG_WAITALL))
            with self.condition:
                self.there[number] = sock
                self.condition.notify_all()

    def get(self, number):
        with self.condition:
            self.condition.wait_for(lambda: number in self.there, WAIT)
            return self.there.pop(number)

    def end(self):
        self.over = True
        self.keeper.join(WAIT)
        if self.there:
            self.storm.report(f"{len(self.there)} connections that nobody has made")


class Life:
    """A connection from its beginning to its end."""

    def __init__(self, storm, arrivals, chance):
        self.storm, self.arrivals, self.chance = storm, arrivals, chance
        self.number = next(storm.numbers)
        self.tls = chance.random() < 0.3
        self.timeout = chance.choice([None, None, WAIT])

    def live(self):
        near, far = self.connected()
        if self.tls:
            near, far = secured(near, far)
        elif self.chance.random() < 0.3:
            near, far = self.exchanged(near), self.exchanged(far)
        streams = [Stream(self.number, direction, self.chance.choice(LENGTHS)) for direction in (0, 1)]
        ends = [End(sock, sends, receives, self.chance.random(), self.storm.report, self.storm.count)
                for sock, sends, receives in ((near, *streams), (far, *streams[::-1]))]
        for end in ends:
            end.sock.settimeout(self.timeout)
        threads = [thread(work) for end in ends for work in (end.send_all, end.receive_all)]
        if self.chance.random() < 0.25:
            self.break_off(ends, threads)
        for each in threads:
            each.join(WAIT)
        self.judge(ends, threads)
        for end in ends:
            if self.chance.random() < 0.2:
                with contextlib.suppress(OSError):          # it is closed
                    end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH", 1, 0))
            end.sock.close()

    def connected(self):
        near = socket.socket()
        near.settimeout(self.chance.choice([None, WAIT]))
        if self.chance.random() < 0.3:
            near.bind(("127.0.0.1", 0))
        near.connect(self.arrivals.listener.getsockname())
        near.sendall(HEAD.pack(self.number))
        return near, self.arrivals.get(self.number)

    def exchanged(self, sock):
        """Another object, or another handle, for the same connection."""
        self.storm.count("exchanged")
        way = self.chance.randrange(3)
        if way == 0:
            return socket.socket(fileno=sock.detach())
        with sock:
            return sock.dup() if way == 1 else socket.fromshare(sock.share(os.getpid()))

    def break_off(self, ends, threads):
        """End it at some moment: by a close under the calls, or a shutdown. On Linux a send may wait for ever
        at a peer that has shut down and reads no more; a close ends it."""
        time.sleep(self.chance.random() * 0.05)
        for end in ends:
            end.broken.set()
        if self.chance.random() < 0.5:
            self.chance.choice(ends).sock.close()
        # A socket with an open file is closed with the file: until then its reader waits for the other's FIN.
        for end in ends:
            with contextlib.suppress(OSError):              # it is closed, or the other end was faster
                socket.socket.shutdown(end.sock, socket.SHUT_RDWR)
        for each in threads:
            each.join(MOMENT)
        for end in ends:
            end.sock.close()
        self.storm.count("broken off")

    def judge(self, ends, threads):
        stuck = [each for each in threads if each.is_alive()]
        where = f"connection {self.number}{', TLS' * self.tls}{', broken off' * ends[0].broken.is_set()}"
        if stuck:
            frames = sys._current_frames()
            stands = "".join("".join(traceback.format_stack(frames[each.ident])) for each in stuck
                             if each.ident in frames)
            self.storm.report(f"{where}: {len(stuck)} threads do not end:\n{stands}")
            return
        if not ends[0].broken.is_set():
            for end, other in (ends, ends[::-1]):
                if end.received != other.sent:
                    self.storm.report(f"{where}: {other.sent} sent, {end.received} received")
            self.storm.count("whole")


def secured(near, far):
    server, client = contexts(ssl.TLSVersion.TLSv1_3)
    answers = started(lambda: server.wrap_socket(far, server_side=True))
    near = client.wrap_socket(near, server_hostname="localhost")
    return near, answers.get(timeout=WAIT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--planted", action="store_true")
    options = parser.parse_args()
    faulthandler.enable()
    iocpsock.patch()
    if options.planted:
        socket.socket = Liar
    storm, seed, end = Storm(), options.seed, time.monotonic() + options.seconds
    threading.excepthook = storm.thread_failed
    while (left := end - time.monotonic()) > 0 and not (options.planted and storm.faults):
        storm.round(seed, min(ROUND, left))
        seed += 1
    left = settled()
    done = ", ".join(f"{count} {what}" for what, count in sorted(storm.done.items()))
    print(f"{next(storm.numbers) - 1} connections, seeds {options.seed} to {seed - 1}: {done}: "
          f"{storm.faults} faults; left over: {left or 'nothing'}", flush=True)
    os._exit(1 if storm.faults or left else 0)              # threads that do not end would hold the process


main()
