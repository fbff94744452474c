"""A Windows Tcl process that plays one part in a scenario: it receives scripts and returns results.

The other end is tests/programs/program.tcl, which makes `socket` the stock command or socket2, and whose
event loop runs between two scripts. A thread collects the stderr of the process, and a timer ends the process
when a script takes too long. Everything else is called on the scenario's thread.
"""

import re
import sys
import threading

from tools.base import process
from tools.environments import run

SCRIPT = run.ROOT / "tests" / "programs" / "program.tcl"
TIMEOUT = 60            # seconds for one script, unless its scenario says otherwise


class TclError(Exception):
    """A script failed; the text is Tcl's stack trace."""


def word(value):
    """The value as one word of a Tcl script."""
    return re.sub(r"[^\w./:-]", lambda found: f"\\u{ord(found[0]):04x}", str(value), flags=re.ASCII) or "{}"


def dictionary(text):
    """The Python dict for a Tcl dict of plain words."""
    words = text.split()
    return dict(zip(words[::2], words[1::2]))


class Program:
    """One Tcl process."""

    def __init__(self, windows, version, implementation):
        self.windows, self.version, self.implementation = windows, version, implementation
        argv, env = windows.tclsh(version, windows.path(SCRIPT), implementation)
        self.process = process.Piped(argv, env)
        self.complaints: list = []
        self.closing: list = []
        self.timer: threading.Timer         # of the script that runs
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stderr:
            self.complaints.append(line.decode(errors="replace"))
            sys.stderr.write(self.complaints[-1])

    def eval(self, script, timeout=TIMEOUT, **variables):
        """Set the global variables, evaluate the script, and return its result."""
        self.start(script, timeout, **variables)
        return self.result()

    def start(self, script, timeout=TIMEOUT, **variables):
        """Send the script; `result` waits for it."""
        settings = [f"set {name} {word(value)}" for name, value in variables.items()]
        data = "\n".join([*settings, script]).encode()
        self.timer = threading.Timer(timeout, self.process.kill)
        self.timer.start()
        self.process.stdin.write(b"%d\n%s" % (len(data), data))
        self.process.stdin.flush()

    def result(self):
        try:
            head = self.process.stdout.readline().split()
            if len(head) != 2:
                raise AssertionError(f"the process gave no answer, or ended: {head}")
            data = self.process.stdout.read(int(head[1]))
        finally:
            self.timer.cancel()
        if head[0] != b"0":
            raise TclError(data.decode())
        return data.decode()

    def path(self, path):
        """How Tcl in this process names a path of this machine."""
        return self.windows.path(path).replace("\\", "/")

    def listen(self, script, close="close $listener", **variables):
        """Start a server: the script returns its port. The script `close` ends it at the end of the
        scenario."""
        port = int(self.eval(script, **variables))
        self.closing.append(close)
        return port

    def finish(self):
        """End the process in order: no listener, nothing live, no output on stderr."""
        for script in reversed(self.closing):
            self.eval(script)
        self.check()
        self.process.stdin.close()
        assert self.process.wait(TIMEOUT) == 0

    def check(self, timeout=TIMEOUT):
        """Check that nothing is live, and that nothing was printed on stderr since the last check."""
        live, complaints, self.complaints = self.eval("program::live", timeout), self.complaints, []
        assert live == "", f"live in the engine: {live}"
        assert complaints == [], "".join(complaints)

    def kill(self):
        self.process.kill()
        self.process.wait()
