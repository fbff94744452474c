"""The clients of scenarios that measure servers: native programs of this machine, the same for every server.

A client receives the events of its server (runner.py). The value that it returns for one of them is the
result of the run.
"""

import errno
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

from tools.base.report import Unavailable
from tools.bench import contenders

WAVE = 200          # connections begun at once: far from any backlog
WARM = 2            # bursts that do not count
QUIET = 0.3         # seconds between bursts, in which a server may get ready for the next
HTTP_CONNECTIONS = 20


class Clients:
    """Connections to a server. Each is begun without waiting, kept until the `with` ends, then reset."""

    def __init__(self):
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for client in self.sockets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    def leave(self):
        for client in self.sockets:
            client.close()
        self.sockets.clear()

    def connect(self, port, count):
        for _ in range(count):
            client = socket.socket()
            self.sockets.append(client)
            client.setblocking(False)
            error = client.connect_ex(("127.0.0.1", port))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, f"connecting to the server under test: {errno.errorcode[error]}")


class Burst(Clients):
    """Makes all connections at once, so many times, each time after a pause. The result is the median of the
    times until the server has accepted them all."""

    def __init__(self, times):
        super().__init__()
        self.times, self.seconds = times, []

    def hear(self, event, meter):
        if event["event"] == "listening":
            self.port = event["port"]
            self._burst()
        elif event["event"] == "accepted":
            self.seconds.append(time.perf_counter() - self.begun)
            if len(self.seconds) == WARM + self.times:
                return {"seconds": statistics.median(self.seconds[WARM:])}
            self.leave()
        elif event["event"] == "gone":
            time.sleep(QUIET)
            self._burst()

    def _burst(self):
        self.begun = time.perf_counter()
        self.connect(self.port, WAVE)


class Idle(Clients):
    """Makes the connections in waves. The result is the growth of the server: its handles, its memory, and
    the memory of its wineserver."""

    def __init__(self, count, handles):
        super().__init__()
        self.count, self.handles = count, handles

    def hear(self, event, meter):
        if event["event"] == "listening":
            self.port, self.pid = event["port"], event["pid"]
            self.before = self._look(meter)
            self._wave()
        elif event["event"] == "accepted":
            self._wave()
        elif event["event"] == "result":
            after = self._look(meter)
            return {name: after[name] - self.before[name] for name in after}

    def _wave(self):
        self.connect(self.port, min(WAVE, self.count - len(self.sockets)))

    def _look(self, meter):
        return {"handles": self.handles(self.pid), "program": _private(meter.program),
                "wineserver": _private(meter.server)}


class Http:
    """Runs wrk. The result is the output of its script (benchmarks/wrk.lua)."""

    def __init__(self, path, seconds, pin=(), headers=()):
        if not shutil.which("wrk"):
            raise Unavailable("wrk is not installed (Debian: the package wrk)")
        self.path, self.seconds, self.pin, self.headers = path, seconds, pin, headers

    def hear(self, event, meter):
        if event["event"] == "listening":
            self._wrk(event["port"], 1)                 # warm-up
            meter.begin()
            result = self._wrk(event["port"], self.seconds)
            meter.end()
            return result

    def _wrk(self, port, seconds):
        argv = [*self.pin, "wrk", "--threads", "1", "--connections", str(HTTP_CONNECTIONS), "--duration",
                f"{seconds}s", "--timeout", "20s", "--script", str(contenders.PROGRAMS / "wrk.lua"),
                *self.headers, f"http://127.0.0.1:{port}/{self.path}"]
        said = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True).stdout.decode()
        return json.loads(said.splitlines()[-1])


def another_cpu(pin):
    """The command prefix for a client of a server that is pinned by `pin` (taskset -c CPU): it runs on the
    other CPUs, if there are any."""
    others = os.sched_getaffinity(0) - {int(pin[-1])} if pin else ()
    return ["taskset", "-c", ",".join(map(str, sorted(others)))] if others else []


def _private(pid):
    """Bytes of anonymous memory that a process of this machine has touched (proc(5): RssAnon)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024
