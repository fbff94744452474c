"""Counting what a round trip takes: requests to the wineserver, a number without noise.

With WINEDEBUG=+server the wineserver names every request on its stderr, each with the thread that made it.
Two runs of different length are compared, so what starting, warming up and ending take cancels out.
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
    """How many of the traced requests came from the threads of the process that this machine knows by
    `pid`."""
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
    """A session whose wineserver writes its requests down, and the file where it does."""
    with tempfile.TemporaryFile() as trace, wine.prefix(trace) as prefix:
        # The first process to ask for the trace turns it on, and is not seen to begin: let it be one that
        # does not matter.
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
    # The wineserver shares our file, and with it the place where it writes: read elsewhere.
    with open(f"/proc/self/fd/{trace.fileno()}", "rb") as lines:
        lines.seek(0, os.SEEK_END)
        status = process.follow(argv, {**env, **TRACED}, lambda stream, data: None, timeout=runner.TIMEOUT,
                                started=pids.append)
        if status:
            raise runner.Failed(f"ended with status {status}")
        return count(lines, pids[0])
