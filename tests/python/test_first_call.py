"""Every call as the first call of a fresh process on the engine, and sockets from every source."""

import os
import subprocess
import sys

import pytest

from peers import PEM
from support import MODULES

PRELUDE = """
import contextlib, io, os, socket as stock, ssl, sys, threading
import iocpsock
MODULE = {module!r}
net = stock if MODULE == "stock" else iocpsock
client, server = stock.socketpair()
first = net.socket(fileno=client.detach())
"""
CALLS = {
    "recv": "server.sendall(b'x'); print(first.recv(1))",
    "recv all": "server.sendall(b'xy'); print(first.recv(2, stock.MSG_WAITALL))",
    "recv_into": "server.sendall(b'x'); print(first.recv_into(bytearray(1)))",
    "recvfrom": "server.sendall(b'x'); print(first.recvfrom(1)[0])",
    "peek": "server.sendall(b'x'); print(first.recv(1, stock.MSG_PEEK))",
    "recv timed": "first.settimeout(0.1)\ntry: first.recv(1)\nexcept TimeoutError: print('timed out')",
    "recv non-blocking": "first.setblocking(False)\n"
                         "try: first.recv(1)\nexcept BlockingIOError: print('would block')",
    "send": "print(first.send(b'x'), server.recv(1))",
    "send timed": "first.settimeout(5); print(first.send(b'x'), server.recv(1))",
    "sendall": "first.sendall(b'x'); print(server.recv(1))",
    "sendall timed": "first.settimeout(5); first.sendall(b'x'); print(server.recv(1))",
    "sendfile": "print(first.sendfile(open(__file__, 'rb'), 0, 5), server.recv(5))",
    "sendfile timed": "first.settimeout(5);"
                      "print(first.sendfile(open(__file__, 'rb'), 0, 5), server.recv(5))",
    "sendfile from memory": "print(first.sendfile(io.BytesIO(b'hello')), server.recv(5))",
    "makefile": "server.sendall(b'line\\n'); print(first.makefile('rb').readline())",
    "connect": "l = stock.create_server(('127.0.0.1', 0)); s = net.socket(); s.connect(l.getsockname());"
               "print('connected')",
    "connect by name": "l = stock.create_server(('127.0.0.1', 0)); s = net.socket();"
                       "s.connect(('localhost', l.getsockname()[1])); print('connected')",
    "connect_ex": "l = stock.create_server(('127.0.0.1', 0)); s = net.socket();"
                  "print(s.connect_ex(l.getsockname()))",
    "accept": "l = stock.create_server(('127.0.0.1', 0)); c = stock.create_connection(l.getsockname());"
              "print(net.socket(fileno=l.detach()).accept()[1] == c.getsockname())",
    "accept ahead": "l = net.create_server(('127.0.0.1', 0)); c = stock.create_connection(l.getsockname());"
                    "print(l.accept()[1] == c.getsockname())",
    "close": "first.close(); print(server.recv(1))",
    "detach": "print(first.detach() > 0)",
    "dup": "server.sendall(b'x'); print(first.dup().recv(1))",
    "shutdown": "first.shutdown(stock.SHUT_WR); print(server.recv(1))",
    "collected": "del first; print(server.recv(1))",
    "socketpair": "a, b = net.socketpair(); print(a.sendfile(open(__file__, 'rb'), 0, 5), b.recv(5))",
    "fromfd": "s = net.fromfd(first.fileno(), stock.AF_INET, stock.SOCK_STREAM);"
              "print(s.sendfile(open(__file__, 'rb'), 0, 5))",
    "fromshare": "s = net.fromshare(server.share(os.getpid()));"
                 "print(s.sendfile(open(__file__, 'rb'), 0, 5))",
    "patched": "MODULE == 'stock' or iocpsock.patch(); a, b = stock.socketpair();"
               "print(a.sendfile(open(__file__, 'rb'), 0, 5))",
    "connected without blocking": "l = stock.create_server(('127.0.0.1', 0));"
                                  "s = net.socket(); s.setblocking(False);"
                                  "s.connect_ex(l.getsockname()); s.setblocking(True); c = l.accept()[0];"
                                  "print(s.sendfile(open(__file__, 'rb'), 0, 5), c.recv(5))",
    "TLS": "MODULE == 'stock' or iocpsock.patch()\n"
           "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain({certificate!r})\n"
           "near = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
           "near.check_hostname = False; near.verify_mode = ssl.CERT_NONE\n"
           "def serve():\n"
           "    with context.wrap_socket(server, server_side=True) as far: far.sendall(far.recv(5))\n"
           "thread = threading.Thread(target=serve); thread.start()\n"
           "with near.wrap_socket(first) as client: client.sendall(b'hello'); print(client.recv(5))\n"
           "thread.join()",
}


@pytest.mark.parametrize("name", CALLS)
def test_it_is_the_first_call_of_a_process(name, tmp_path):
    script = tmp_path / "first.py"
    said = []
    for module in MODULES:
        script.write_text((PRELUDE + CALLS[name]).replace("{module!r}", repr(module))
                          .replace("{certificate!r}", repr(str(PEM))))
        child = subprocess.run([sys.executable, "-W", "ignore", str(script)], env=os.environ,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert child.returncode == 0, f"{module}: {child.returncode}\n{child.stdout}{child.stderr}"
        said.append(child.stdout)
    assert said[0] == said[1] != ""
