"""Echo servers under test, each a Windows process: socket2 in Tcl, iocpsock.socket in Python; and the probe
that measures their memory and handles.

All have the same interface, so a scenario works with either. They are called on the scenario's thread.
"""

import contextlib
import json
import shutil
import sys
import threading
from typing import NamedTuple

from tools.base import process
from tools.environments import run
from tools.load.program import Program, dictionary

PROGRAMS = run.ROOT / "tests" / "programs"
TIMEOUT = 60            # seconds for one answer
SETTLE = 60             # seconds until closed connections must be gone


class Weight(NamedTuple):
    """The resources that a process holds."""
    bytes: int          # private memory
    handles: int


class Lines:
    """A process that answers lines with lines. A timer ends it when it takes too long, and a thread passes on
    its stderr."""

    def __init__(self, command):
        self.process = process.Piped(command.argv, command.env, text=True)
        threading.Thread(target=shutil.copyfileobj, args=(self.process.stderr, sys.stderr),
                         daemon=True).start()

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, timeout=TIMEOUT):
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        try:
            answer = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not answer:
            raise AssertionError("the process gave no answer, or ended")
        return answer

    def ask(self, line, timeout=TIMEOUT):
        self.say(line)
        return self.hear(timeout)

    def end(self):
        """End the process in order."""
        self.process.stdin.close()
        assert self.process.wait(TIMEOUT) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def probe(windows):
    """A function that measures the process with the given id."""
    lines = Lines(windows.python(run.DEFAULT_PYTHON, windows.path(PROGRAMS / "probe.py")))
    try:
        yield lambda process: Weight(*map(int, lines.ask(process).split()))
        lines.end()
    finally:
        lines.kill()


@contextlib.contextmanager
def ended(server):
    """The server. At the end of the block it ends in order, or is killed if the block fails."""
    try:
        yield server
        server.end()
    finally:
        server.kill()


class TclServer:
    """echo.tcl with socket2, in Tcl of the given version. `settings` are those of the listener."""

    def __init__(self, windows, version, **settings):
        self.name = f"socket2, Tcl {version}" + "".join(f", -{name} {value}"
                                                        for name, value in settings.items())
        self.program = Program(windows, version, "socket2")
        self.eval("source $file; set program::settle_limit $limit",
                  file=self.program.path(PROGRAMS / "echo.tcl"), limit=SETTLE * 1000)
        options = " ".join(f"-{name} {value}" for name, value in settings.items())
        self.address = "127.0.0.1", int(self.eval(f"echo::listen {options}"))

    def eval(self, script, **variables):
        return self.program.eval(script, TIMEOUT + SETTLE, **variables)

    def process(self):
        return int(self.eval("pid"))

    def stats(self):
        return {name: int(count) for name, count in dictionary(self.eval("iocpsock::stats")).items()}

    def expect(self, count):
        """Called before `count` connections are opened; nothing to do."""

    def await_open(self, count):
        """Wait until `count` connections are open, or TIMEOUT is over. Return their number."""
        return int(self.eval(f"echo::await $count {TIMEOUT * 1000}", count=count))

    def await_live(self, count):
        """Fail unless the engine has at most `count` live connections within SETTLE seconds: closing takes
        time."""
        live = self.eval("echo::await_live $count $milliseconds", count=count, milliseconds=SETTLE * 1000)
        assert int(live) == count, f"{live} connections live in the engine, not {count}"

    def converse(self, peers, sockets, sizes):
        return peers.converse(sockets, sizes)

    def hang_up(self):
        """The peers have closed. The server then closes too, by itself."""
        assert self.await_open(0) == 0

    def end(self):
        """Close the listener, and check that nothing is left."""
        self.eval("close $echo::listener")
        self.program.check(TIMEOUT + SETTLE)
        self.program.finish()

    def kill(self):
        self.program.kill()


class PythonServer:
    """A script, echo.py unless told otherwise, in a Windows Python of the given version."""

    def __init__(self, windows, version, script="echo.py"):
        self.name = f"iocpsock.socket, Python {version}"
        self.lines = Lines(windows.python(version, windows.path(PROGRAMS / script)))
        self.address = "127.0.0.1", int(self.lines.hear())

    def process(self):
        return int(self.lines.ask("pid"))

    def stats(self):
        return json.loads(self.lines.ask("stats"))

    def expect(self, count):
        self.lines.say(f"open {count}")

    def await_open(self, count):
        return json.loads(self.lines.hear())

    def converse(self, peers, sockets, sizes):
        """Converse on one socket after another: the server has one thread."""
        total = 0
        for sock in sockets:
            self.lines.say(" ".join(map(str, ["talk", sock.getsockname()[1], *sizes])))
            total += peers.converse([sock], sizes)
            self.lines.hear()
        return total

    def hang_up(self):
        self.lines.ask("shut")

    def end(self):
        live = {name: count for name, count in json.loads(self.lines.ask("end")).items()
                if name.endswith("_live") and count}
        assert live == {}, f"live in the engine: {live}"
        self.lines.end()

    def kill(self):
        self.lines.kill()
