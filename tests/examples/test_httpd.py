"""examples/httpd.tcl in a Windows tclsh, asked by clients of this machine: on socket2 and on the stock
socket.

The server runs once for each kind of socket, on a tree made here; whatever a test does to it, the next test
must find it serving. The Tcl version is that of pytest's `--tcl`.
"""

import concurrent.futures
import contextlib
import email.utils
import http.client
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))               # the rig, package `tools`, stands in the project's root

from tools.environments import run  # noqa: E402

TIMEOUT = 30            # seconds for one call, and for the server's start
FILES = {
    "index.html": b"<html>\r\n</html>\n",
    "empty.txt": b"",
    "note.txt": b"one\ntwo\n",
    "deep/er/file.json": b"{}",
    "with space.txt": b"space",
    "sm\xf8rrebr\xf8d.txt": b"danish",
    "all bytes": bytes(range(256)) * 16,
    "large.bin": random.Random(1).randbytes(5_000_000),
    "UPPER.HTML": b"upper",
}
SECRET = b"not for the public"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What is served, with a file beside it that must not be."""
    top = tmp_path_factory.mktemp("httpd")
    (top / "secret.txt").write_bytes(SECRET)
    for name, body in FILES.items():
        path = top / "public" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return top / "public"


@pytest.fixture(scope="module")
def windows():
    with run.session() as session:
        yield session


@pytest.fixture(scope="module")
def httpd(request, windows):
    """Starts the program with the given arguments."""
    def start(*arguments):
        command = windows.tclsh(request.config.getoption("--tcl", "8.6"),
                                windows.path(ROOT / "examples" / "httpd.tcl"), *arguments)
        return subprocess.Popen(command.argv, env=command.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return start


@pytest.fixture(scope="module", params=["socket2", "socket"])
def address(request, windows, httpd, tree):
    """Where the server listens."""
    server = httpd("-socket", request.param, "-port", "0", windows.path(tree))
    threading.Thread(target=shutil.copyfileobj, args=(server.stderr, sys.stderr), daemon=True).start()
    hung = threading.Timer(TIMEOUT, server.kill)
    hung.start()
    try:
        said = server.stdout.readline().split()
        hung.cancel()
        assert said[:1] == ["listening"], "the server did not start"
        yield said[1], int(said[2])
        assert server.poll() is None, "the server ended by itself"
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def connected(address):
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=TIMEOUT)) as connection:
        yield connection


def ask(address, method, target, headers=None):
    """One request on a connection of its own: (the answer, its body)."""
    with connected(address) as connection:
        connection.request(method, target, headers=headers or {})
        answer = connection.getresponse()
        return answer, answer.read()


def exchange(address, data):
    """Everything the server says to these bytes, up to the end of the connection."""
    with socket.create_connection(address, TIMEOUT) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):     # it may not have read all that was sent to it
            while chunk := sock.recv(65536):
                said += chunk
        return said


def status_of(said):
    return int(said.split(b" ", 2)[1])


@pytest.mark.parametrize("name", FILES, ids=ascii)
def test_files(address, name):
    answer, body = ask(address, "GET", "/" + urllib.parse.quote(name))
    assert answer.status == 200
    assert answer.getheader("Content-Length") == str(len(FILES[name]))
    assert body == FILES[name]


@pytest.mark.parametrize("name, kind", [("index.html", "text/html"), ("UPPER.HTML", "text/html"),
                                        ("note.txt", "text/plain"),
                                        ("deep/er/file.json", "application/json"),
                                        ("large.bin", "application/octet-stream"),
                                        ("all%20bytes", "application/octet-stream")])
def test_content_types(address, name, kind):
    assert ask(address, "HEAD", "/" + name)[0].getheader("Content-Type") == kind


def test_head_has_the_length_and_no_body(address):
    answer, body = ask(address, "HEAD", "/large.bin")
    assert (answer.status, answer.getheader("Content-Length"), body) == (200, "5000000", b"")
    said = exchange(address, b"HEAD /note.txt HTTP/1.1\r\nHost: h\r\n\r\n")
    assert said.endswith(b"\r\n\r\n")


def test_every_answer_is_dated(address):
    assert email.utils.parsedate_to_datetime(ask(address, "GET", "/note.txt")[0].getheader("Date"))


def test_queries_are_ignored(address):
    assert ask(address, "GET", "/note.txt?a=b?c")[1] == FILES["note.txt"]


def test_an_absolute_target(address):
    said = exchange(address, b"GET http://example.invalid/note.txt HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status_of(said) == 200


@pytest.mark.parametrize("target", ["/nothing", "/deep", "/deep/er/", "/", "//note.txt", "/note.txt/",
                                    "/note.txt/more"])
def test_not_found(address, target):
    answer, body = ask(address, "GET", target)
    assert answer.status == 404
    assert len(body) == int(answer.getheader("Content-Length"))


@pytest.mark.parametrize("target", [
    "/../secret.txt", "/deep/../../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt",
    "/..%2fsecret.txt", "/..\\secret.txt", "/..%5csecret.txt", "/deep\\..\\..\\secret.txt",
    "/%252e%252e/secret.txt", "/.../secret.txt", "/.. /secret.txt", "/..%20/secret.txt", "/C:/secret.txt",
    "/c%3a%5csecret.txt", "/Z:note.txt", "/~/secret.txt", "/~root", "/note.txt%00.html", "/%00",
    "/note.txt::$DATA", "/note.txt.", "/note.txt%20", "/con", "/NUL.txt", "/com1", "/deep/aux.c",
    "/./note.txt", "/%c0%ae%c0%ae/secret.txt", "/%ff%fe", "/*", "/note.*"])
def test_no_way_out_and_no_other_name(address, target):
    """Nothing but a path of plain names names a file: not upwards, no drive, no stream, no device, no second
    spelling."""
    said = exchange(address, f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert status_of(said) in (400, 404)
    assert SECRET not in said and FILES["note.txt"] not in said


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods(address, method):
    answer, _ = ask(address, method, "/note.txt")
    assert answer.status == 405
    assert answer.getheader("Allow") == "GET, HEAD"


@pytest.mark.parametrize("request_text", [
    "garbage\r\n\r\n", "GET\r\n\r\n", "GET /note.txt\r\n\r\n", "GET /note.txt HTTP/2.0\r\nHost: h\r\n\r\n",
    "get /note.txt HTTP/1.1\r\nHost: h\r\n\r\n", "GET /note.txt HTTP/1.1\r\n\r\n",
    "GET note.txt HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /note.txt HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", "GET /note.txt HTTP/1.1\r\nHost : h\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "GET /% HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET  /note.txt HTTP/1.1\r\nHost: h\r\n\r\n", "\0\1\2\3\r\n\r\n"], ids=ascii)
def test_bad_requests(address, request_text):
    said = exchange(address, request_text.encode("latin-1"))
    assert status_of(said) == 400
    assert b"Connection: close\r\n" in said


@pytest.mark.parametrize("flood", [b"GET /" + b"a" * 100_000,
                                   b"GET / HTTP/1.1\r\n" + b"X: 0123456789\r\n" * 10_000,
                                   b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000], ids=["target", "fields",
                                                                                    "value"])
def test_endless_heads(address, flood):
    """The answer, or a reset if the rest of the flood is still on its way when the server closes."""
    said = exchange(address, flood)
    assert not said or status_of(said) == 431


@pytest.mark.parametrize("part", [b"", b"\r\n", b"GET /note.txt HTTP/1.1",
                                  b"GET /note.txt HTTP/1.1\r\nHost: h\r\n"])
def test_requests_that_are_never_finished(address, part):
    said = exchange(address, part)
    assert not said or status_of(said) == 400


def test_keep_alive(address):
    with connected(address) as connection:
        for name in ["note.txt", "nothing at first", "empty.txt", "large.bin", "note.txt"] * 3:
            if name in FILES:
                connection.request("GET", "/" + name)
                assert connection.getresponse().read() == FILES[name]


def test_pipelining(address):
    names = ["note.txt", "large.bin", "empty.txt", "index.html"]
    said = exchange(address, b"".join(b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % name.encode()
                                      for name in names))
    assert said.count(b"HTTP/1.1 200 OK\r\n") == len(names)
    for name in names:
        head, _, said = said.partition(b"\r\n\r\n")
        assert said.startswith(FILES[name])
        said = said[len(FILES[name]):]
    assert said == b""


@pytest.mark.parametrize("version, field, kept", [("1.1", "", True), ("1.1", "Connection: close\r\n", False),
                                                  ("1.0", "", False), ("1.0", "Connection: keep-alive\r\n",
                                                                       True)])
def test_who_keeps_the_connection(address, version, field, kept):
    request = f"GET /note.txt HTTP/{version}\r\nHost: h\r\n{field}\r\n".encode()
    assert exchange(address, request * 2).count(b"HTTP/1.1 200 OK\r\n") == (2 if kept else 1)


def test_a_request_with_a_body_ends_the_connection(address):
    said = exchange(address, b"GET /note.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /")
    assert said.count(b"HTTP/1.1") == 1 and b"Connection: close\r\n" in said


def test_a_request_in_single_bytes(address):
    with socket.create_connection(address, TIMEOUT) as sock:
        for byte in b"GET /note.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        with sock.makefile("rb") as file:
            assert file.read().endswith(FILES["note.txt"])


def test_others_are_served_while_one_reads_slowly(address):
    with socket.create_connection(address, TIMEOUT) as slow, socket.create_connection(address, TIMEOUT):
        slow.sendall(b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n")
        said = slow.recv(1000)
        for _ in range(5):
            assert ask(address, "GET", "/note.txt")[1] == FILES["note.txt"]
        while len(said) < len(FILES["large.bin"]):
            said += slow.recv(65536)
        assert said.partition(b"\r\n\r\n")[2] == FILES["large.bin"]


def received(sock):
    """What has come, without waiting for more."""
    sock.setblocking(False)
    said = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := sock.recv(65536):
            said += chunk
    sock.settimeout(TIMEOUT)
    return said


def test_others_are_served_while_one_has_many_requests_there(address):
    """Who sends a thousand requests at once gets one answer in his turn. All answers fit into his system's
    buffer, so that what has come when the other has her answer tells how many were made before it."""
    count = 1000
    with socket.socket() as greedy, socket.create_connection(address, TIMEOUT) as other:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        greedy.settimeout(TIMEOUT)
        greedy.connect(address)
        greedy.sendall(b"HEAD /note.txt HTTP/1.1\r\nHost: h\r\n\r\n" * count)
        said = greedy.recv(1)
        other.sendall(b"HEAD /note.txt HTTP/1.1\r\nHost: h\r\n\r\n")
        assert status_of(other.recv(65536)) == 200
        said += received(greedy)
        assert said.count(b"HTTP/1.1 200 OK\r\n") < count / 2
        greedy.shutdown(socket.SHUT_WR)
        while chunk := greedy.recv(65536):
            said += chunk
        assert said.count(b"HTTP/1.1 200 OK\r\n") == count


def test_empty_lines_do_not_keep_a_connection_busy(address):
    """One before a request is forgiven, as RFC 9112 asks; a peer that sends nothing else is refused."""
    request = b"GET /note.txt HTTP/1.1\r\nHost: h\r\n\r\n"
    assert status_of(exchange(address, b"\r\n" + request)) == 200
    assert status_of(exchange(address, b"\r\n\r\n" + request)) == 400


def test_a_client_that_goes_away_in_the_middle(address):
    for farewell in (struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)):
        with socket.create_connection(address, TIMEOUT) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, farewell)
            sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n")
            assert sock.recv(1000)
        assert ask(address, "GET", "/note.txt")[1] == FILES["note.txt"]


def test_many_clients_at_once(address):
    def fetch_all(number):
        with connected(address) as connection:
            for name in ("note.txt", "large.bin", "index.html", "empty.txt"):
                connection.request("GET", "/" + name)
                if connection.getresponse().read() != FILES[name]:
                    return False
        return True

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert all(pool.map(fetch_all, range(20)))


@pytest.mark.parametrize("arguments, message", [
    ((), 'httpd: "" is not a directory'),
    (("no-such-place",), 'httpd: "no-such-place" is not a directory'),
    (("-frob", "1", "."), 'httpd: unknown option "-frob": should be -socket, -host, -port'),
    (("-port", "70000", "."), "httpd: couldn't open socket: "),
    (("-host", "192.0.2.1", "-port", "0", "."), "httpd: couldn't open socket"),
    (("-socket", "nonsense", "."), 'httpd: invalid command name "nonsense"')])
def test_arguments(httpd, arguments, message):
    """What is wrong with the command line is said, and is the exit status."""
    server = httpd(*arguments)
    said, complaint = server.communicate(timeout=TIMEOUT)
    assert (server.returncode, said) == (1, "")
    assert complaint.startswith(message)
