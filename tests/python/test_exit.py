"""The end of the process at any moment, with sockets open and calls waiting: it is prompt, and has the
requested status. The peer gets all that the returned calls have sent, and the end of the stream."""

import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from peers import PEM, server_context
from support import DEADLINE, MODULES, spawn

# The beginning of each script: a listener, a connected pair, and a function that leaves a call waiting in the
# background.
OPENING = """
import sys, threading, {module} as net

def in_background(call, *arguments):
    threading.Thread(target=call, args=arguments, daemon=True).start()

listener = net.create_server(("127.0.0.1", 0))
client = net.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(b"x")
assert server.recv(1) == b"x"
"""
ENDINGS = {
    "with open sockets": "sys.exit(7)",
    "while recv waits": "in_background(server.recv, 10); sys.exit(7)",
    "while accept waits": "in_background(listener.accept); sys.exit(7)",
    "while sendall waits": "in_background(client.sendall, bytes(32_000_000)); sys.exit(7)",
    "while many wait": "[in_background(server.recv, 10) for _ in range(20)]; sys.exit(7)",
    "from a waiting recv with a time-out": "server.settimeout(0.05)\n"
                                           "try: server.recv(1)\nexcept TimeoutError: sys.exit(7)",
    "in the middle of traffic": """
def echo():
    while data := server.recv(65536):
        server.sendall(data)
in_background(echo)
in_background(client.sendall, bytes(32_000_000))
assert client.recv(1000)
sys.exit(7)""",
    "at once": "import os; in_background(server.recv, 10); os._exit(7)",
    "after an error": "in_background(server.recv, 10); raise SystemExit(7) from ValueError()",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("module", MODULES)
def test_exit(module, ending):
    script = OPENING.format(module=MODULES[module]) + ENDINGS[ending]
    # Pipes for all three streams: under Wine a program cannot use a plain file as its output.
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", script], input=b"", capture_output=True,
                           timeout=2 * DEADLINE, env=dict(os.environ))
    assert (child.returncode, child.stderr.decode(errors="replace")) == (7, "")


# A process that has sent SENT bytes when it ends; `sock` is its connection, plain or TLS.
SENDING = """
import os, socket, ssl, sys, threading, time
{patch}
SENT = {sent}

def data(size):
    return bytes(place * 31 % 251 for place in range(251)) * (size // 251 + 1)

def in_background(call, *arguments):
    threading.Thread(target=call, args=arguments, daemon=True).start()

sock = socket.create_connection(("127.0.0.1", {port}))
if {secure}:
    sock = ssl.create_default_context(cafile={pem!r}).wrap_socket(sock, server_hostname="localhost")
"""
PATCHES = {"stock": "", "iocpsock": "import iocpsock; iocpsock.patch()"}
SENT = 60_000
ALL = "sock.sendall(data(SENT)[:SENT])\n"
# How it ends; the status; whether more bytes of the same stream than SENT may arrive.
LAST_WORDS = {
    "at the end of the script": (ALL, 0, False),
    "by sys.exit": (ALL + "sys.exit(7)", 7, False),
    "by os._exit": (ALL + "os._exit(7)", 7, False),
    "by an exception": (ALL + "sys.stderr = None; raise ValueError", 1, False),
    "after send": ("rest = data(SENT)[:SENT]\nwhile rest: rest = rest[sock.send(rest):]\nos._exit(7)", 7,
                   False),
    "after sends with a time-out": ("sock.settimeout(30)\n" + ALL + "os._exit(7)", 7, False),
    "without blocking": ("sock.setblocking(False)\nrest = data(SENT)[:SENT]\n"
                         "while rest:\n    try: rest = rest[sock.send(rest):]\n"
                         "    except (BlockingIOError, ssl.SSLWantWriteError): time.sleep(0.01)\n"
                         "os._exit(7)", 7, False),
    "while recv waits": (ALL + "in_background(sock.recv, 10); time.sleep(0.05); sys.exit(7)", 7, False),
    "inside a send of a daemon thread": (ALL + "in_background(sock.sendall, data(40_000_000)[SENT:])\n"
                                         "time.sleep(0.2)\nsys.exit(7)", 7, True),
    "inside a send, at once": (ALL + "in_background(sock.sendall, data(40_000_000)[SENT:])\n"
                               "time.sleep(0.2)\nos._exit(7)", 7, True),
}


@pytest.mark.parametrize("ending", LAST_WORDS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("module", MODULES)
def test_what_was_sent_arrives(module, secure, ending):
    script, status, more = LAST_WORDS[ending]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        script = SENDING.format(patch=PATCHES[module], sent=SENT, port=listener.getsockname()[1],
                                secure=secure, pem=str(PEM)) + script
        ended = threading.Event()
        hearing = spawn(hear, listener, secure, ended)
        child = subprocess.run([sys.executable, "-W", "ignore", "-c", script], input=b"", capture_output=True,
                               timeout=2 * DEADLINE)
        ended.set()
    assert (child.returncode, child.stderr.decode(errors="replace")) == (status, "")
    heard = hearing.result(DEADLINE)
    assert len(heard) >= SENT if more else len(heard) == SENT
    assert heard == (bytes(place * 31 % 251 for place in range(251)) * (len(heard) // 251 + 1))[:len(heard)]


def hear(listener, secure, ended):
    """Receive up to the end of the stream, but read nothing before the process has ended. TLS 1.2 is used
    because 1.3 sends tickets, which the process does not read, and the system resets a connection that has
    unread bytes, with any kind of sockets."""
    heard = bytearray()
    sock, _ = listener.accept()
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(sock, server_side=True) if secure else sock as peer:
        ended.wait(2 * DEADLINE)
        while data := peer.recv(65536):
            heard += data
    return bytes(heard)
