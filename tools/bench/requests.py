"""Counts the requests of a round trip to the wineserver, a number without noise.

With WINEDEBUG=+server the wineserver logs every request on its stderr, with the thread that made it. Two runs
of different length are compared, so the requests of start, warm-up and end cancel out.
"""

import contextlib
import os
import re
import tempfile

from tools.base import process
from tools.base.report import Unavailable
from tools.bench import runner
from tools.environments import run, wine

TRIPS = (100, 300)
TRACED = {"WINEDEBUG": "+server"}

_FIRST_THREAD = re.compile(rb"([0-9a-f]{4}): init_first_thread\( unix_pid=(\d+),")
_NEW_THREAD = re.compile(rb"([0-9a-f]{4}): new_thread\(\) = 0 \{ tid=([0-9a-f]{4}),")
_REQUEST = re.compile(rb"([0-9a-f]{4}): \w+\((?!\) = )")


def count(lines, pid):
    """The number of traced requests from the threads of the process that has `pid` on this machine."""
    threads, requests = set(), 0
    for line in lines:
        if found := _FIRST_THREAD.match(line):
            if int(found[2]) == pid:
                threads.add(found[1])
            else:
                threads.discard(found[1])       # the number was given again
        elif (found := _NEW_THREAD.match(line)) and found[1] in threads:
            threads.add(found[2])
        if (found := _REQUEST.match(line)) and found[1] in threads:
            requests += 1
    return requests


@contextlib.contextmanager
def traced():
    """A session whose wineserver logs its requests, and the file of that log."""
    with tempfile.TemporaryFile() as trace, wine.prefix(trace) as prefix:
        # The first process that asks for the trace turns it on, and the trace lacks its beginning: so let it
        # be a process that does not matter.
        process.check(prefix.command("cmd", "/c", "exit"), "turning on the trace",
                      env={**prefix.environment(), **TRACED})
        yield run.WineSession("", prefix), trace


def sample(bench, contender):
    """The requests of one echo round trip of 64 bytes on one connection."""
    if bench.prefix is None:
        raise Unavailable("requests to the wineserver are counted under Wine only")
    windows, trace = bench.traced
    few, many = (_requests(windows, trace, contender, trips) for trips in TRIPS)
    return {"value": (many - few) / (TRIPS[1] - TRIPS[0])}


def _requests(windows, trace, contender, trips):
    argv, env = contender.command(windows, "echo", "limit", trips, "warm", 0)
    pids: list = []
    # The wineserver shares our file, and so the position at which it writes: read through another file.
    with open(f"/proc/self/fd/{trace.fileno()}", "rb") as lines:
        lines.seek(0, os.SEEK_END)
        status = process.follow(argv, {**env, **TRACED}, lambda stream, data: None, timeout=runner.TIMEOUT,
                                started=pids.append)
        if status:
            raise runner.Failed(f"ended with status {status}")
        return count(lines, pids[0])
