"""The rig's messages: steps with their time, and problems that the reader can act on.

Everything here goes to stderr: stdout belongs to the program that dev.py runs.
"""

import contextlib
import sys
import threading
import time

_lock = threading.Lock()


class Problem(Exception):
    """An error that the reader of the message can correct. Shown without a traceback."""


class Unavailable(Problem):
    """Something that this machine cannot get. Whatever needs it does not run, and the matrix reports that."""


def say(text):
    """Print one line. Lines of several threads do not mix."""
    with _lock:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what):
    """Announce `what`, and print how long it took. Whoever catches an exception reports the failure."""
    say(f"-- {what} ...")
    started = time.monotonic()
    yield
    say(f"-- {what}: done in {time.monotonic() - started:.1f} s")
