"""The puppet: a native peer of the Tcl fuzzer's connections, which does what the program tells it over a
control connection.

It sends, shuts down, closes and resets, and when it has heard nothing for PATIENCE seconds it resets all
its connections, so that a call of the program that blocks on one of them ends. Each connection has a
thread; the table of them has a lock.
"""

import contextlib
import socket
import struct
import threading
import time
import zlib

PATIENCE = 0.5
RESET = struct.pack("ii", 1, 0)


class Puppet:
    """Connections known by the port of the program's end (if it serves: of ours)."""

    def __init__(self):
        self.lock = threading.RLock()
        self.sockets = {}
        self.heard = time.monotonic()
        self.listener = self.listening(self.take)
        self.control = self.listening(self.obey)
        threading.Thread(target=self.watch, daemon=True).start()

    def listening(self, serve):
        s = socket.create_server(("127.0.0.1", 0), backlog=50)
        def loop():
            while True:
                c, address = s.accept()
                threading.Thread(target=serve, args=(c, address), daemon=True).start()
        threading.Thread(target=loop, daemon=True).start()
        return s.getsockname()[1]

    def take(self, c, address):
        with self.lock:
            self.sockets[address[1]] = c

    def watch(self):
        while True:
            time.sleep(0.05)
            if time.monotonic() - self.heard > PATIENCE:
                self.drop(RESET)

    def drop(self, how=RESET):
        with self.lock:
            for s in self.sockets.values():
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
                    s.close()
                except OSError:
                    pass
            self.sockets.clear()

    def obey(self, c, address):
        stream = c.makefile("rw", newline="\n")
        for line in stream:
            self.heard = time.monotonic()
            try:
                answer = self.do(line.split())
            except Exception as e:
                answer = f"error {type(e).__name__}"
            stream.write(f"{answer}\n")
            stream.flush()

    def do(self, words):
        verb, *rest = words
        if verb == "dropall":
            self.drop()
            return "ok"
        if verb == "connect":
            s = socket.create_connection(("127.0.0.1", int(rest[0])))
            port = s.getsockname()[1]
            self.sockets[port] = s
            return port
        if verb == "later":
            threading.Timer(int(rest[0]) / 1000, self.quietly, [rest[1:]]).start()
            return "ok"
        port = int(rest[0])
        if verb == "accept":
            for _ in range(200):
                if port in self.sockets:
                    return "ok"
                time.sleep(0.01)
            return "nobody"
        with self.lock:
            s = self.sockets.get(port)
            if s is None:
                return "gone"
            if verb == "send":
                s.settimeout(1)
                s.sendall(bytes.fromhex(rest[1]) if len(rest) > 1 else b"")
            elif verb == "shut":
                s.shutdown(socket.SHUT_WR)
            elif verb == "recv":
                return self.receive(s)
            elif verb in ("close", "reset"):
                if verb == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                else:
                    self.receive(s)
                s.close()
                del self.sockets[port]
        return "ok"

    def quietly(self, words):
        try:
            self.do(words)
        except Exception:
            pass

    def receive(self, s):
        s.setblocking(False)
        data, state = b"", "open"
        while True:
            try:
                piece = s.recv(65536)
            except BlockingIOError:
                break
            except OSError as e:
                state = type(e).__name__
                break
            if not piece:
                state = "end"
                break
            data += piece
        s.settimeout(1)
        return f"{len(data)} {data[:40].hex()} {zlib.crc32(data)} {state}"
