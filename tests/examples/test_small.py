"""The small examples, each started as its first line says, by a Windows interpreter, with clients of this
machine."""

import contextlib
import http.client
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))               # the rig, package `tools`, stands in the project's root

from tools.base import process  # noqa: E402
from tools.environments import run  # noqa: E402

TIMEOUT = 60            # seconds for one call, and for a program's start
LINES = 30              # that a small example may have
DATA = bytes(range(256)) * 4000
SMALL = ("echo_server.tcl", "echo_client.tcl", "proxy.tcl", "echo_server.py", "echo_asyncio.py",
         "patched_http.py", "one_process.py", "tk_http.py")


@pytest.fixture(scope="module")
def windows():
    with run.session() as session:
        yield session


@pytest.fixture
def command(windows, request):
    """(command line, environment) of an example."""
    def of(name, *arguments):
        path = windows.path(ROOT / "examples" / name)
        if name.endswith(".tcl"):
            return windows.tclsh(request.config.getoption("--tcl"), path, *arguments)
        return windows.python("3.11", path, *arguments)     # the Python that is always set up with tkinter
    return of


@pytest.fixture
def serve(command):
    """Start a server: its port, and what else its first line says."""
    with contextlib.ExitStack() as stack:
        def start(name, *arguments):
            argv, env = command(name, *map(str, arguments))
            server = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
            stack.callback(server.stdout.close)
            stack.callback(server.wait, TIMEOUT)
            stack.callback(server.kill)
            line = server.stdout.readline().decode()
            assert line.startswith("listening on port "), line + server.stdout.read().decode()
            number, _, more = line.removeprefix("listening on port ").partition(",")
            return int(number), more.strip()
        yield start


def echoed(port):
    """What comes back of the data, by a client that ends its stream behind them."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client, client.makefile("rb") as stream:
        client.sendall(DATA[:60_000])
        first = stream.read(60_000)
        client.sendall(DATA[60_000:100_000])
        client.shutdown(socket.SHUT_WR)
        return first + stream.read()


@pytest.mark.parametrize("name", SMALL)
def test_they_are_small(name):
    assert len((ROOT / "examples" / name).read_text().splitlines()) <= LINES


@pytest.mark.parametrize("name", ["echo_server.tcl", "echo_server.py", "echo_asyncio.py"])
def test_echo_server(serve, name):
    port, _ = serve(name, 0)
    assert [echoed(port) for _ in range(3)] == [DATA[:100_000]] * 3


@pytest.mark.parametrize("name", ["echo_server.tcl", "echo_server.py", "echo_asyncio.py"])
def test_echo_client(serve, command, name):
    port, _ = serve(name, 0)
    done = process.recorded(*command("echo_client.tcl", str(port), "one", "two words"), TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\ntwo words\n", "")


def test_proxy(serve):
    server, _ = serve("echo_server.tcl", 0)
    port, _ = serve("proxy.tcl", "localhost", server)
    assert [echoed(port) for _ in range(3)] == [DATA[:100_000]] * 3


def test_patched_http(serve):
    port, kind = serve("patched_http.py", 0)
    assert kind == "iocpsock"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("GET", "/dev.py")
    assert connection.getresponse().read() == (ROOT / "dev.py").read_bytes()
    connection.close()


def test_a_window_that_serves(serve):
    port, _ = serve("tk_http.py", 0)
    for number in (1, 2):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"You are visitor %d.\n" % number
        connection.close()


def test_one_process(command):
    argv, env = command("one_process.py")
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (
        0, b"Tcl has echoed: hello from Python", b"")
