"""What the rig says while it works: steps with their time, and problems that a person can act on.

Everything here goes to stderr: stdout belongs to the program that dev.py runs.
"""

import contextlib
import sys
import threading
import time

_lock = threading.Lock()


class Problem(Exception):
    """Something is wrong that the reader of the message can put right. Shown without a traceback."""


class Unavailable(Problem):
    """A thing that this machine cannot get; what needs it does not run, and the matrix says so."""


def say(text):
    """One line, whole, whichever thread says it."""
    with _lock:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what):
    """Announce `what`, and say how long it took. A failure is said by whoever catches the exception."""
    say(f"-- {what} ...")
    started = time.monotonic()
    yield
    say(f"-- {what}: done in {time.monotonic() - started:.1f} s")
