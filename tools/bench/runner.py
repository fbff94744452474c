"""One run of one program: its events, and the processor time it took.

A program prints JSON, one event a line: `listening` when it waits for a client of ours, `begin` and `end` when what it
measures begins and ends, and `result`. From begin to end the processor time of the program and of its wineserver is taken,
for there the work of a kernel is done that is Wine's.
"""

import contextlib
import json
import os
from pathlib import Path

from tools import process
from tools.report import Problem

TIMEOUT = 120           # seconds for one run, in which nothing but an error may take that long
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0


class Failed(Problem):
    """The program did not bring a result; the message is its last word."""


def measure(command, prefix=None, listening=None, then=None):
    """Run the program and return its result, with the seconds of processor time as `cpu` where they can be had.

    With `listening(event)`, called when the program listens, the program is a server, which has no end of its own: it is ended
    as soon as it has given its result and `then(event)` has seen it.
    """
    meter = _Meter(prefix)
    result, rest, complaints = {}, b"", []

    def heard(stream, data):
        nonlocal rest
        if stream == 2:
            complaints.append(data.decode(errors="replace"))
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in filter(None, lines):
            event = json.loads(line)
            meter.hear(event["event"])
            if event["event"] == "listening":
                listening(event)
            elif event["event"] == "result":
                result.update(event)
                if listening:
                    then(event)
                    raise _Enough

    try:
        status = process.follow(command.argv, command.env, heard, timeout=TIMEOUT, started=meter.watch)
    except _Enough:
        status = None
    except process.Hung as hung:
        raise Failed(str(hung)) from hung
    if "event" not in result:
        words = "".join(complaints).strip().splitlines()
        raise Failed(words[-1] if words else f"ended with status {status} and without a result")
    if meter.seconds is not None:
        result["cpu"] = meter.seconds
    return result


class _Enough(Exception):
    """The server has done what it was wanted for."""


class _Meter:
    """The processor time between `begin` and `end`."""

    def __init__(self, prefix):
        self.server = server_pid(prefix) if prefix else None
        self.program = self.before = self.seconds = None

    def watch(self, pid):
        self.program = pid

    def hear(self, event):
        if not self.server:
            return
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):   # ended before we came to look: no figure then
            if event == "begin":
                self.before = self._now()
            elif event == "end" and self.before is not None:
                self.seconds = round(self._now() - self.before, 3)

    def _now(self):
        return sum(processor_seconds(pid) for pid in (self.program, self.server))


def processor_seconds(pid):
    """User and system time of all threads that the process has had (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def server_pid(prefix):
    """The wineserver of this prefix."""
    wanted = f"WINEPREFIX={prefix}".encode()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "comm").read_text().startswith("wineserver"):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    return int(folder.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue    # it has ended meanwhile, or is somebody else's
    return None
