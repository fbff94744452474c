"""One run of one program: its events, and the processor time it took.

A program prints JSON, one event a line: `begin` and `end` when its measurement begins and ends, and `result`.
From begin to end the processor time of the program and of its wineserver is measured, because the wineserver
does a kernel's work for Wine.

A server does not end by itself. It prints `listening`, and `accepted` when it has accepted so many
connections. A client of ours (load.py) receives these events, and the server is ended when the client has a
result.
"""

import contextlib
import json
import os
import re
from pathlib import Path

from tools.base import process
from tools.base.report import Problem

TIMEOUT = 40            # seconds for one run, in which nothing but an error takes that long
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0


class Failed(Problem):
    """The program gave no result. The message is its error, or its last line of output."""


class _Enough(Exception):
    """The server is no longer needed."""


class Run:
    """A run of `command`. `prefix` is the Wine prefix, if there is one; `client` is the load of a server."""

    def __init__(self, command, prefix=None, client=None, timeout=TIMEOUT):
        self.command, self.client, self.timeout = command, client, timeout
        self.meter = _Meter(prefix)
        self.result = None
        self.rest, self.complaints = b"", []

    def measure(self):
        """Run to the end, and return the result, with the seconds of processor time as `cpu` where they are
        available."""
        try:
            status = process.follow(self.command.argv, self.command.env, self._output, timeout=self.timeout,
                                    started=self.meter.watch)
        except _Enough:
            status = 0
        except process.Hung as hung:
            raise Failed(str(hung)) from hung
        if self.result is None:
            raise Failed(last_word("".join(self.complaints))
                         or f"ended with status {status} and without a result")
        if self.meter.seconds is not None:
            self.result["cpu"] = self.meter.seconds
        return self.result

    def _output(self, stream, data):
        if stream == 2:
            self.complaints.append(data.decode(errors="replace"))
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in filter(None, lines):
            self._hear(json.loads(line))

    def _hear(self, event):
        if event["event"] == "begin":
            self.meter.begin()
        elif event["event"] == "end":
            self.meter.end()
        elif self.client:
            self.result = self.client.hear(event, self.meter)
            if self.result is not None:
                raise _Enough
        elif event["event"] == "result":
            self.result = event


class _Meter:
    """The processor time between `begin` and `end`, and the process id of the wineserver."""

    def __init__(self, prefix):
        self.server = server_pid(prefix) if prefix else None
        self.program = self.before = self.seconds = None

    def watch(self, pid):
        self.program = pid

    def begin(self):
        self.before = self._now()

    def end(self):
        now = self._now()
        if None not in (now, self.before):
            self.seconds = round(now - self.before, 3)

    def _now(self):
        """The processor time so far. None where it is not available, or if the program has ended already."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return sum(processor_seconds(pid) for pid in (self.program, self.server)) if self.server else None


def last_word(text):
    """Why a program failed: the last line that names an error, or the last line."""
    lines = text.strip().splitlines() or [""]
    return next((line for line in reversed(lines) if re.match(r"\w*(Error|Exception)\b", line)), lines[-1])


def processor_seconds(pid):
    """User and system time of all threads that the process has had (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def server_pid(prefix):
    """The wineserver of this prefix."""
    wanted = f"WINEPREFIX={prefix}".encode()
    for folder in Path("/proc").iterdir():
        # A process may end while we look, and we may not read those of other users.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if folder.name.isdigit() and (folder / "comm").read_text().startswith("wineserver"):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    return int(folder.name)
    return None
