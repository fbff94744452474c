"""The core http package as a client of site.tcl, a server that answers in every way there is; each in a
process of its own."""

import hashlib
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent

# fetch URL ?option value ...?: what became of the request, in one line: status, HTTP status, body.
CLIENT = """
package require http
proc outcome {token} {
    set outcome "[http::status $token] [http::ncode $token] [http::data $token]"
    http::cleanup $token
    return $outcome
}
proc fetch {page args} {
    outcome [http::geturl $::site/$page {*}$args]
}
"""

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def site(server):
    port = server.listen("source $file; port_of [set listener [site::start]]",
                         file=server.path(HERE / "site.tcl"))
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def fetch(client, site):
    """Calls `fetch` with Tcl words, and returns [status, HTTP status, body]."""
    client.eval(CLIENT, site=site)
    return lambda words, **variables: client.eval(f"fetch {words}", **variables).split(" ", 2)


def content(size):
    """What site.tcl sends as so many bytes."""
    return "".join(f"{i * 40503 & 0xfffffff:07x}\n" for i in range(size // 8 + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, 65536, 500_000])
@pytest.mark.parametrize("page", ["plain", "chunked", "gzip", "both", "unbounded"])
def test_get(fetch, page, size):
    assert fetch(f"{page}?{size}") == ["ok", "200", content(size)]


def test_get_text(fetch):
    assert fetch("text") == ["ok", "200", "gr\xfc\xdf \u4e16\u754c\n"]


@pytest.mark.parametrize("size", [1, 65536, 500_000])
def test_post(fetch, size):
    assert fetch("echo -query $body -type application/octet-stream", body=content(size)) == ["ok", "200",
                                                                                             content(size)]


def test_post_of_a_file(client, fetch, tmp_path):
    """-querychannel: the package copies the file to the socket piece by piece, in the background."""
    body = content(1_500_000)
    (tmp_path / "body").write_text(body)
    answer = fetch("echo -querychannel [set file [open $path rb]] -type application/octet-stream"
                   " -queryblocksize 10000",
                   path=client.path(tmp_path / "body"))
    client.eval("close $file")
    assert answer == ["ok", "200", body]


def test_get_into_a_file(client, fetch, tmp_path):
    for page in ("plain", "chunked", "gzip"):
        assert fetch(f"{page}?500000 -channel [set file [open $path wb]]",
                     path=client.path(tmp_path / page))[:2] == ["ok", "200"]
        client.eval("close $file")
        assert sha256((tmp_path / page).read_bytes()) == sha256(content(500_000).encode())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_progress_and_handler(client, fetch):
    """Callbacks for every piece: the sizes add up, and a handler that reads for itself gets everything."""
    client.eval("proc progress {token total current} {set ::seen [list $total $current]}")
    assert fetch("plain?300000 -blocksize 5000 -progress progress") == ["ok", "200", content(300_000)]
    assert client.eval("set seen") == "300000 300000"
    client.eval("set taken {}; proc take {channel token}"
                " {append ::taken [set data [read $channel 4000]]; string length $data}")
    assert fetch("plain?300000 -handler take")[:2] == ["ok", "200"]
    assert client.eval("set taken") == content(300_000)


def test_head(fetch):
    """The answer to -validate has no body, whatever its head says."""
    assert fetch("plain?0 -validate 1") == ["ok", "200", ""]


def test_many_at_once(client, fetch):
    """Thirty requests under way together, each with an answer of its own size."""
    client.eval("""
        set missing 30
        proc done {number token} {
            set ::outcome($number) [outcome $token]
            incr ::missing -1
        }
        for {set number 1} {$number <= 30} {incr number} {
            http::geturl $site/plain?[expr {$number * 1111}] -command [list done $number]
        }
        while {$missing} {vwait missing}
    """)
    for number in range(1, 31):
        assert client.eval(f"set outcome({number})") == f"ok 200 {content(number * 1111)}"


def test_keep_alive(fetch):
    """Requests one after the other share a connection until the server says that it was the last."""
    answers = [fetch("which -keepalive 1") for _ in range(5)] + [fetch("last -keepalive 1")]
    connections = {body.split(".")[0] for _, _, body in answers}
    assert len(connections) == 1
    assert [body.split(".")[1] for _, _, body in answers] == ["1", "2", "3", "4", "5", "6"]
    assert {answer[0] for answer in answers} == {"ok"}


def test_pipelining(client, fetch):
    """Requests that are sent before the answers are there: all are answered, on one connection, in their
    order."""
    client.eval("""
        set outcomes {}
        proc next {token} {lappend ::outcomes [outcome $token]}
        for {set number 1} {$number <= 6} {incr number} {
            http::geturl $site/which -keepalive 1 -command next
        }
        while {[llength $outcomes] < 6} {vwait outcomes}
    """)
    outcomes = client.eval("join $outcomes \\n").split("\n")
    last = fetch("last -keepalive 1")[2]
    connection = last.split(".")[0]
    assert outcomes == [f"ok 200 {connection}.{number}" for number in range(1, 7)]
    assert last == f"{connection}.7"


def test_a_connection_that_does_not_stay(client, fetch):
    """The server ends a connection that it said it would keep: the next request gets a new one."""
    assert fetch("fickle -keepalive 1") == ["ok", "200", "good bye"]
    assert fetch("fickle -keepalive 1") == ["ok", "200", "good bye"]
    assert fetch("last -keepalive 1")[0] == "ok"


@pytest.mark.parametrize("page", ["never", "stall?1000"])
def test_timeout(fetch, page):
    assert fetch(f"{page} -timeout 300")[0] == "timeout"


def test_reset_by_the_client(client, fetch):
    """http::reset in the middle of an answer."""
    assert client.eval("""
        set token [http::geturl $site/stall?1000 -command {set ::ended}]
        after 100 {http::reset $token}
        while {![info exists ended]} {vwait ended}
        lindex [outcome $token] 0
    """) == "reset"


def test_half_an_answer(fetch):
    """The server promised more than it sent before it closed."""
    status, _, body = fetch("cut?1000")
    assert status == "eof"
    assert body == content(1000)


def test_nobody_listens(client, fetch):
    port = 1                            # tcpmux, which the system hands out to nobody
    words = "list [catch {outcome [http::geturl http://127.0.0.1:$port/ {*}$options]} message] $message"
    code, message = client.eval(words, port=port, options="").split(" ", 1)
    assert code == "1" and "connection refused" in message
    assert "error" in client.eval("""
        set ended {}
        if {[catch {http::geturl http://127.0.0.1:$port/ -command {set ::ended}} token]} {
            return -level 0 "error: $token"
        }
        while {$ended eq ""} {vwait ended}
        outcome $token
    """, port=port)
