"""tcllib's comm between two processes, and its name service, which is made of comm: each side listens and
connects."""

import pytest


@pytest.fixture(scope="module")
def peer(pair):
    """The number by which the client names the server, whose comm listens as soon as it is loaded."""
    server, client = pair
    client.eval("package require comm")
    client.closing.append("comm::comm destroy")
    return server.listen("package require comm; comm::comm self", close="comm::comm destroy")


@pytest.fixture(scope="module")
def nameserver(peer, pair):
    server, client = pair
    port = server.listen("""
        package require nameserv::server
        nameserv::server::configure -port 0 -localonly 1
        nameserv::server::start
        $nameserv::server::comm self
    """, close="nameserv::server::stop")
    client.eval("package require nameserv; nameserv::configure -host 127.0.0.1 -port $port", port=port)
    client.closing.append("if {$nameserv::comm ne {}} {$nameserv::comm destroy}")
    return port


@pytest.fixture
def bgerror(server):
    """What the server's bgerror was told last, instead of its complaint."""
    server.eval("""
        rename bgerror complain
        proc bgerror message {set ::background $message}
    """)
    yield lambda: server.eval("set background")
    server.eval("rename bgerror {}; rename complain bgerror")


def test_send(client, peer):
    assert client.eval("comm::comm send $peer {expr 6 * 7}", peer=peer) == "42"


def test_long_messages(client, peer):
    data = "".join(f"{number:08d}" for number in range(60_000))
    assert client.eval("comm::comm send $peer [list string reverse $data]", peer=peer,
                       data=data) == data[::-1]


def test_errors_come_back(client, peer, bgerror):
    """To the sender; comm tells the receiver's bgerror of them as well."""
    result = client.eval("list [catch {comm::comm send $peer {error oops info {MY CODE}}} message]"
                         " $message $errorCode", peer=peer)
    assert result == "1 oops {MY CODE}"
    assert bgerror() == "oops"


def test_many_without_waiting(client, peer):
    """Each arrives, once and in its order, before the one that is waited for."""
    assert client.eval("""
        comm::comm send $peer {set order {}}
        for {set i 0} {$i < 200} {incr i} {comm::comm send -async $peer [list lappend order $i]}
        comm::comm send $peer {set order}
    """, peer=peer) == " ".join(map(str, range(200)))


def test_both_ways(client, peer):
    """The server asks the client back while the client waits for it."""
    assert client.eval("set mine 7;"
                       " comm::comm send $peer [list comm::comm send [comm::comm self] {incr mine}]",
                       peer=peer) == "8"


def test_nobody_there(client, peer):
    # A port that no system hands out, so that nobody is given it when it is free again.
    result = client.eval("""
        while {[catch {
            comm::comm new other -listen 1 -local 1 -port [expr {20000 + int(10000 * rand())}]
        }]} {}
        set gone [other self]
        other destroy
        catch {comm::comm send $gone {}} message
        set message
    """)
    assert "connection refused" in result


def test_names(client, nameserver, bgerror):
    assert client.eval("nameserv::bind first one; nameserv::bind second two;"
                       " lsort [nameserv::search *]") == "first one second two"
    assert client.eval("nameserv::search f*") == "first one"
    assert client.eval("catch {nameserv::bind first again}") == "1"
    assert bgerror() == 'Name "first" is already bound'
    assert client.eval("nameserv::release; nameserv::search *") == ""


def test_continuous_search(client, nameserver):
    """The server tells of each name that comes, by itself. The search ends with the connection: to be stopped
    before makes the server of tcllib 1.21 stumble, on every kind of socket."""
    assert client.eval("""
        set found [nameserv::search -continuous x*]
        $found configure -command {apply {args {set ::told $args}}}
        nameserv::bind x1 data
        while {![info exists told] || "x1" ni [$found getall]} {vwait told}
        set names [$found getall]
        nameserv::release
        set names
    """) == "x1 data"
