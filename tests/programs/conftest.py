"""Programs that know nothing of iocpsock, in Windows Tcl processes without Python: with socket2 in the place of socket, and
with the stock socket, so that what is expected is what the stock socket does.

A scenario plays with one or more processes (program.tcl), which live as long as its module, and sends them Tcl scripts. When
the module is done with an implementation, the processes must have nothing live left in the engine and no background
error; every listener has then been closed by the script that `closing` was given.
"""

import pathlib
import re
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))               # the rig, package `tools`, stands in the project's root

from tools import run  # noqa: E402

TIMEOUT = 20            # seconds for one script, unless its scenario says otherwise


class TclError(Exception):
    """A script failed; the text is Tcl's stack trace."""


def word(value):
    """The value as one word of a Tcl script."""
    return re.sub(r"[^\w./:-]", lambda found: f"\\u{ord(found[0]):04x}", str(value), flags=re.ASCII) or "{}"


class Program:
    """One Tcl process. A thread collects what it prints on stderr, and a timer ends it when a script takes too long."""

    def __init__(self, windows, version, implementation):
        self.windows, self.version, self.implementation = windows, version, implementation
        argv, env = windows.tclsh(version, windows.path(ROOT / "tests" / "programs" / "program.tcl"), implementation)
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.complaints = []
        self.closing = []
        self.timer = None
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
        """How Tcl in this process names a path of the host."""
        return self.windows.path(path).replace("\\", "/")

    def listen(self, script, close="close $listener", **variables):
        """Start a server: the script returns its port. `close` ends it when the module is done."""
        port = int(self.eval(script, **variables))
        self.closing.append(close)
        return port

    def finish(self):
        """End the process the orderly way: no listener, nothing live, no complaint."""
        for script in reversed(self.closing):
            self.eval(script)
        self.check()
        self.process.stdin.close()
        assert self.process.wait(TIMEOUT) == 0

    def check(self):
        """Nothing is live, and there was no complaint since the last check."""
        live, complaints, self.complaints = self.eval("program::live"), self.complaints, []
        assert live == "", f"live in the engine: {live}"
        assert complaints == [], "".join(complaints)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def windows():
    with run.session() as session:
        yield session


@pytest.fixture(scope="module", params=["stock", "socket2"])
def start_program(request, windows):
    """Starts a process whose `socket` is that of the implementation, and ends it with the module."""
    programs = []

    def start():
        programs.append(Program(windows, request.config.getoption("--tcl"), request.param))
        return programs[-1]

    yield start
    try:
        for program in reversed(programs):
            program.finish()
    finally:
        for program in programs:
            program.kill()


@pytest.fixture(scope="module")
def server(start_program):
    return start_program()


@pytest.fixture(scope="module")
def client(start_program):
    return start_program()


@pytest.fixture
def quiet(client):
    """After each test the client has nothing live, and no complaint; the server listens, and is checked at the end."""
    yield
    client.check()


@pytest.fixture(scope="session")
def tcllib():
    """The folder of tcllib: pure Tcl, and so at home under Windows as it is in Debian's package."""
    folders = sorted(pathlib.Path("/usr/share/tcltk").glob("tcllib*"))
    if not folders:
        pytest.skip("tcllib is not installed in /usr/share/tcltk, where Debian's package has it")
    return folders[-1]


@pytest.fixture(scope="module")
def pair(server, client, tcllib):
    """The two processes, both of which find tcllib."""
    for program in (server, client):
        program.eval("use_tcllib $tcllib", tcllib=program.path(tcllib))
    return server, client
