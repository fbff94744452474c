"""examples/httpd.tcl under the clients that others wrote for this machine: curl and wrk."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT = 60
FILES = {f"{size}-{number}.bin": random.Random(size + number).randbytes(size)
         for size in (0, 1, 1000, 65536, 400_000) for number in range(8)}


def native(name):
    """The program, or a skip that names it."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed (Debian: the package {name})")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp("tree")
    for name, body in FILES.items():
        (top / name).write_bytes(body)
    return top


@pytest.fixture(scope="module")
def address(start_program, tree):
    """The example server's own code, in a process that knows one socket command."""
    server = start_program()
    port = server.listen("""
        source $httpd
        set httpd::root $tree
        port_of [set listener [socket -server httpd::accept -myaddr 127.0.0.1 0]]
    """, httpd=server.path(ROOT / "examples" / "httpd.tcl"), tree=server.path(tree))
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def site(start_program):
    """site.tcl, which knows how to take a body, and to send chunked and compressed ones."""
    server = start_program()
    port = server.listen("source $file; port_of [set listener [site::start]]",
                         file=server.path(HERE / "site.tcl"))
    return f"http://127.0.0.1:{port}"


def curl(*arguments, **options):
    """Run curl, which must be content, and return what it printed."""
    argv = [native("curl"), "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time",
            str(TIMEOUT), *arguments]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT, **options).stdout


def digests(bodies):
    return {name: hashlib.sha256(body).hexdigest() for name, body in bodies.items()}


@pytest.mark.parametrize("how", [[], ["--parallel", "--parallel-max", "10"], ["--http1.0"]],
                         ids=["kept", "parallel", "http1.0"])
def test_curl_fetches_every_file(address, tmp_path, how):
    """On one connection, on ten at once, and on one for each file."""
    curl(*how, "--remote-name-all", *(f"{address}/{name}" for name in FILES), cwd=tmp_path)
    assert digests({path.name: path.read_bytes() for path in tmp_path.iterdir()}) == digests(FILES)


def test_curl_keeps_the_connection(address):
    """How many connections each of ten requests had to make."""
    url = f"{address}/1-0.bin"
    arguments = [word for _ in range(10) for word in ("--output", os.devnull, url)]
    assert curl("--write-out", "%{num_connects} ", *arguments) == b"1 " + b"0 " * 9


def test_curl_head_and_not_found(address):
    head = curl("--head", f"{address}/1000-0.bin").decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n") and "Content-Length: 1000\r\n" in head
    with pytest.raises(subprocess.CalledProcessError) as failure:
        curl(f"{address}/nothing", stderr=subprocess.PIPE)
    assert b"404" in failure.value.stderr


def test_curl_posts(site, tmp_path):
    """Three megabytes, once curl has been told to go on, and back."""
    body = random.Random(3).randbytes(3_000_000)
    (tmp_path / "body").write_bytes(body)
    got = curl("--data-binary", f"@{tmp_path / 'body'}", "--header", "Expect: 100-continue", f"{site}/echo")
    assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize("page", ["chunked", "gzip", "both", "unbounded"])
def test_curl_decodes(site, page):
    assert curl("--compressed", f"{site}/{page}?300000") == curl(f"{site}/plain?300000")


@pytest.mark.parametrize("connections", [1, 50])
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed"])
def test_wrk(address, keep, connections):
    """A second under load: every answer is 200, and no connection failed in any way."""
    headers = [] if keep else ["--header", "Connection: close"]
    argv = [native("wrk"), "--threads", "1", "--connections", str(connections), "--duration", "1s",
            "--timeout", "20s", "--script", str(HERE / "report.lua"), *headers, f"{address}/1000-0.bin"]
    said = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT).stdout.decode()
    report = json.loads(said.splitlines()[-1])
    assert report.pop("requests") > 0
    assert report == {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0, "not200": 0, "short": 0}
