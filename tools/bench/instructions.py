"""Counts the instructions of a round trip: those in user mode, as perf reads them from the processor's
counters.

The count covers the whole program: the engine, the interpreter, and the part of Wine that runs in the
process. As with the requests, two runs of different length are compared.
"""

import os
import shutil
import tempfile

from tools.base import process
from tools.base.report import Unavailable
from tools.bench import runner
from tools.environments import run

TRIPS = (1000, 3000)
EVENT = "instructions:u"


def sample(bench, contender):
    """The instructions of one echo round trip of 64 bytes on one connection, in thousands."""
    countable()
    few, many = (count(contender.command(bench.windows, "echo", "limit", trips, "warm", 0))
                 for trips in TRIPS)
    return {"value": (many - few) / (TRIPS[1] - TRIPS[0]) / 1000}


def countable():
    """Raise Unavailable if this machine cannot count, which a program that does nothing shows."""
    if not shutil.which("perf"):
        raise Unavailable("perf is not installed (Debian: the package linux-perf)")
    count(run.Command(["true"], {}))


def count(command, event=EVENT):
    """The number of `event`s that perf counts while `command` runs."""
    with tempfile.NamedTemporaryFile() as said:
        argv = ["perf", "stat", "--field-separator", ",", "--event", event, "--output", said.name,
                *command.argv]
        status = process.follow(argv, {**os.environ, **command.env}, lambda stream, data: None,
                                timeout=runner.TIMEOUT)
        text = said.read().decode()
    return read(text, event, status)


def read(text, event, status=0):
    """The count in perf's output: lines of comma-separated fields, the count first, the event third."""
    fields = next((line.split(",") for line in text.splitlines() if line.split(",")[2:3] == [event]), None)
    if status or fields is None:
        raise runner.Failed(f"perf ended with status {status}: {runner.last_word(text)}")
    if fields[0].startswith("<"):
        raise Unavailable(f"the processor's counters cannot be read here: perf says {fields[0]} of {event}")
    return float(fields[0])
