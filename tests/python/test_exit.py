"""Ending the process: at any moment, with sockets open and calls waiting, promptly and with the status it asked for."""

import os
import subprocess
import sys

import pytest

from support import DEADLINE, MODULES

# What each script starts with: a listener, a connected pair, and a way to leave a call waiting in the background.
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
    "from a waiting recv with a time-out": "server.settimeout(0.05)\ntry: server.recv(1)\nexcept TimeoutError: sys.exit(7)",
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
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", script], input=b"", capture_output=True, timeout=2 * DEADLINE,
                           env=dict(os.environ))
    assert (child.returncode, child.stderr.decode(errors="replace")) == (7, "")
