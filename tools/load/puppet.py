"""The puppet: a native peer of the Tcl fuzzer's connections. It takes commands over a control connection.

It sends, receives, shuts down, closes and resets. Before the program makes a call that may wait for one of
these connections, it sends `wait`. Then the puppet runs the commands that it was given for `later`. If these
do not end the call, the puppet resets its connections (it *strikes*), which does. So no result depends on the
speed of the program. Each connection has a thread. One lock guards their table and everything else here.
"""

import socket
import struct
import threading
import time
import zlib

LATER = 0.03            # seconds from `wait` to the commands for later
STRIKE = 0.7            # seconds from `wait` to the reset of all connections
SILENCE = 60            # seconds without a command, after which the program hangs on a connection
RESET = struct.pack("ii", 1, 0)


class Puppet:
    """Connections, by the port of the program's end (if the program is the server: of our end)."""

    def __init__(self):
        self.lock = threading.RLock()
        self.known = threading.Condition(self.lock)
        self.sockets = {}
        self.deferred = []          # what is to be done later
        self.waits = 0              # counts the waits' beginnings and ends
        self.struck = False
        self.taking = {}            # port: the thread that takes everything, and what it got
        self.listener = self.listening(self.take_in)
        self.control = self.listening(self.obey)
        self.heard = time.monotonic()
        threading.Thread(target=self.watch, daemon=True).start()

    def listening(self, serve):
        s = socket.create_server(("127.0.0.1", 0), backlog=50)

        def loop():
            while True:
                c, address = s.accept()
                threading.Thread(target=serve, args=(c, address), daemon=True).start()

        threading.Thread(target=loop, daemon=True).start()
        return s.getsockname()[1]

    def take_in(self, c, address):
        with self.lock:
            self.sockets[address[1]] = c
            self.known.notify_all()

    def drop(self):
        """Reset every connection."""
        with self.lock:
            for s in self.sockets.values():
                reset(s)
            self.sockets.clear()

    def unless_over(self, wait, act):
        with self.lock:
            if self.waits == wait:
                act()

    def strike(self):
        with self.lock:
            self.struck = True
            self.drop()

    def obey(self, c, address):
        stream = c.makefile("rw", newline="\n")
        try:
            for line in stream:
                self.heard = time.monotonic()
                stream.write(f"{self.answer(line.split())}\n")
                stream.flush()
        finally:                    # it is gone
            self.drop()

    def watch(self):
        while True:
            time.sleep(1)
            if time.monotonic() - self.heard > SILENCE:
                self.strike()

    def answer(self, words):
        try:
            return self.do(*words)
        except OSError as error:
            return f"error {type(error).__name__}"

    def do(self, verb, *rest):
        with self.lock:
            return getattr(self, "do_" + verb)(*rest)

    def do_dropall(self):
        self.deferred.clear()
        self.drop()
        return "ok"

    def do_connect(self, port):
        s = socket.create_connection(("127.0.0.1", int(port)))
        self.sockets[s.getsockname()[1]] = s
        return s.getsockname()[1]

    def do_accept(self, port):
        return "ok" if self.known.wait_for(lambda: int(port) in self.sockets, SILENCE) else "nobody"

    def do_later(self, *words):
        self.deferred.append(words)
        return "ok"

    def do_now(self, received=""):
        """Run the commands for later now, up to a reset that the program does not know of yet."""
        while self.deferred:
            if self.deferred[0][0] == "reset" and not received:
                return "reset"
            self.answer(self.deferred.pop(0))
            received = ""
        return "ok"

    def run_later(self):
        """Run them during a wait, a reset some time after what it might overtake."""
        while self.deferred:
            if self.deferred[0][0] == "reset":
                time.sleep(LATER)
            self.answer(self.deferred.pop(0))

    def do_wait(self):
        """The program will wait next."""
        self.struck = False
        self.waits += 1
        for seconds, act in (LATER, self.run_later), (STRIKE, self.strike):
            timer = threading.Timer(seconds, self.unless_over, [self.waits, act])
            timer.daemon = True
            timer.start()
        return "ok"

    def do_waited(self):
        """The program no longer waits. Return whether a strike was needed."""
        self.waits += 1
        return "struck" if self.struck else "quiet"

    def do_take(self, port):
        """Begin to receive everything up to the end of the stream."""
        s, got = self.sockets.get(int(port)), []
        if s is None:
            return "gone"

        def run():
            s.settimeout(SILENCE)
            got.append(receive(s))

        thread = threading.Thread(target=run, daemon=True)
        self.taking[int(port)] = thread, got
        thread.start()
        return "ok"

    def do_taken(self, port):
        """Return whether everything has arrived, and what it was."""
        thread, got = self.taking[int(port)]
        return got[0] if not thread.is_alive() and got else "not yet"

    def do_send(self, port, data=""):
        return self.with_socket(port, lambda s: s.sendall(bytes.fromhex(data)))

    def do_shut(self, port):
        return self.with_socket(port, lambda s: s.shutdown(socket.SHUT_WR))

    def do_recv(self, port):
        def look(s):
            s.setblocking(False)
            try:
                return receive(s)
            finally:
                s.settimeout(STRIKE)
        return self.with_socket(port, look)

    def do_close(self, port):
        """Close after everything was read, so that the close sends no reset."""
        self.do_recv(port)
        return self.with_socket(port, lambda s: (s.close(), self.sockets.pop(int(port))) and None)

    def do_reset(self, port):
        return self.with_socket(port, lambda s: (reset(s), self.sockets.pop(int(port))) and None)

    def with_socket(self, port, act):
        s = self.sockets.get(int(port))
        return "gone" if s is None else act(s) or "ok"


def reset(s):
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    finally:
        s.close()


def receive(s):
    """Receive until the end or the socket's timeout: the size, the beginning, the checksum and the end."""
    data, state = bytearray(), "end"
    try:
        while piece := s.recv(65536):
            data += piece
    except BlockingIOError:
        state = "open"
    except OSError as error:
        state = type(error).__name__
    return f"{len(data)} {data[:40].hex()} {zlib.crc32(data)} {state}"
