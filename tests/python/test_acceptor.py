"""Accepting ahead: listening sockets that take in bursts, and show every connection to whoever looks at their
handle."""

import contextlib
import errno
import gc
import os
import selectors
import socket
import sys
import threading

import pytest

from support import DEADLINE, Net, eventually, readable, reset, spawn, still_waits

BURST = 50              # connections; more than are accepted ahead
WSAEMFILE = 10024


@pytest.fixture
def ours(balance):
    return Net("iocpsock")


def begin(net, listener):
    """One accept, so that the socket accepts ahead from now on where it does."""
    for sock in net.connect(listener):
        sock.close()


@contextlib.contextmanager
def clients(net, listener, count):
    socks = [net.create_connection(listener.getsockname()[:2]) for _ in range(count)]
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


def accept_all(listener, wanted):
    """Accept until each of the clients was, once; nothing else may come."""
    missing = {sock.getsockname() for sock in wanted}
    while missing:
        server, address = listener.accept()
        server.close()
        missing.remove(address)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_burst(net, family):
    with net.listener(family, backlog=BURST) as listener:
        begin(net, listener)
        for _ in range(3):
            with clients(net, listener, BURST) as socks:
                accept_all(listener, socks)


def test_connections_come_in_their_order(net):
    with net.listener(backlog=BURST) as listener:
        begin(net, listener)
        with clients(net, listener, BURST) as socks:
            for sock in socks:
                server, address = listener.accept()
                server.close()
                assert address == sock.getsockname()


def test_they_are_complete(net):
    """Names, data in both directions, the time-out, the half close."""
    with net.listener() as listener:
        begin(net, listener)
        with clients(net, listener, 3) as socks:
            for client in socks:
                server, address = listener.accept()
                with server:
                    assert address == client.getsockname() == server.getpeername()
                    assert server.getsockname() == listener.getsockname()
                    assert server.gettimeout() is None
                    client.sendall(b"ping")
                    assert server.recv(10) == b"ping"
                    server.shutdown(socket.SHUT_WR)
                    assert client.recv(10) == b""


def test_peers_that_reset_are_passed_over(ours):
    """The stock accept raises what became of the peer."""
    with ours.listener(backlog=BURST) as listener:
        listener.settimeout(DEADLINE)
        begin(ours, listener)
        gone = set()
        for _ in range(10):
            sock = ours.create_connection(listener.getsockname())
            gone.add(sock.getsockname())
            reset(sock)
        with ours.create_connection(listener.getsockname()) as client:
            while True:
                server, address = listener.accept()         # never an error
                server.close()
                if address == client.getsockname():
                    break
                assert address in gone


def test_select_sees_connections_that_came_before(net):
    """And no longer sees them once they are accepted."""
    with net.listener() as listener:
        begin(net, listener)
        with clients(net, listener, 3) as early:
            assert readable(listener)
            with clients(net, listener, 2) as late:
                listener.setblocking(False)
                seen = []
                while readable(listener, timeout=0 if len(seen) == 5 else DEADLINE):
                    server, address = listener.accept()
                    server.close()
                    seen.append(address)
                assert seen == [sock.getsockname() for sock in early + late]
                with pytest.raises(BlockingIOError):
                    listener.accept()
            with clients(net, listener, 1) as socks:
                assert readable(listener)
                accept_all(listener, socks)


def test_a_blocking_accept_after_each_select(net):
    """No select may promise a connection for which accept then waits."""
    with net.listener() as listener:
        begin(net, listener)
        with clients(net, listener, 4) as socks, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            seen = []
            while selector.select(0 if len(seen) == 4 else DEADLINE):
                server, address = listener.accept()
                server.close()
                seen.append(address)
            assert seen == [sock.getsockname() for sock in socks]


def test_nothing_is_there_for_select(net):
    with net.listener() as listener:
        begin(net, listener)
        assert not readable(listener, timeout=0)
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("timeout", [0, DEADLINE, None])
def test_connections_that_came_before_a_change_of_the_timeout(net, timeout):
    with net.listener() as listener:
        begin(net, listener)
        with clients(net, listener, 3) as socks:
            if timeout == 0:
                assert readable(listener)
            listener.settimeout(timeout)
            accept_all(listener, socks)


def test_a_copy_sees_what_comes_from_then_on(net):
    with net.listener() as listener:
        begin(net, listener)
        with listener.dup() as copy, clients(net, listener, 2) as socks:
            accept_all(copy, socks)


def test_another_process_sees_what_comes_from_then_on(net):
    with net.listener() as listener:
        begin(net, listener)
        with socket.fromshare(listener.share(os.getpid())) as copy, clients(net, listener, 2) as socks:
            accept_all(copy, socks)


def test_several_threads_accept(net):
    threads, each = 5, 10
    with net.listener(backlog=BURST) as listener:
        accepting = [spawn(lambda: [listener.accept() for _ in range(each)]) for _ in range(threads)]
        with clients(net, listener, threads * each) as socks:
            accepted = [pair for future in accepting for pair in future.result(DEADLINE)]
            assert sorted(address for _, address in accepted) == sorted(sock.getsockname() for sock in socks)
        for sock, _ in accepted:
            sock.close()


def test_after_the_thread_that_accepted_is_gone(net):
    """Windows ends what a thread has begun when the thread ends."""
    with net.listener() as listener:
        thread = threading.Thread(target=begin, args=(net, listener))
        thread.start()
        thread.join()
        listener.settimeout(DEADLINE)
        with clients(net, listener, BURST) as socks:
            accept_all(listener, socks)


def test_looking_at_the_handle_while_accept_waits(net):
    with net.listener() as listener:
        begin(net, listener)
        waiting = spawn(listener.accept)
        assert still_waits(waiting)
        assert listener.fileno() != -1
        assert still_waits(waiting)
        with clients(net, listener, 1) as socks:
            server, address = waiting.result(DEADLINE)
            server.close()
            assert address == socks[0].getsockname()


def test_closing_while_several_threads_accept(net):
    with net.listener() as listener:
        begin(net, listener)
        waiting = [spawn(listener.accept) for _ in range(3)]
        assert all(still_waits(future) for future in waiting)
        listener.close()
        for future in waiting:
            error = future.exception(DEADLINE)
            assert isinstance(error, OSError) and not isinstance(error, TimeoutError)


def test_connections_nobody_accepted_end_with_the_listener(net):
    with net.listener() as listener:
        begin(net, listener)
        socks = [net.create_connection(listener.getsockname()) for _ in range(3)]
    for sock in socks:
        with sock, contextlib.suppress(ConnectionError):
            sock.settimeout(DEADLINE)
            assert sock.recv(1) == b""


def test_listening_again_changes_the_backlog(net):
    with net.listener(backlog=1) as listener:
        begin(net, listener)
        listener.listen(BURST)
        with clients(net, listener, BURST) as socks:
            accept_all(listener, socks)


@pytest.mark.parametrize("count", [-1, 0, 1, 8, 256])
def test_acceptcount(ours, count):
    with ours.listener(backlog=BURST) as listener:
        assert listener.acceptcount == 0
        listener.acceptcount = count
        assert listener.acceptcount == count
        begin(ours, listener)
        with clients(ours, listener, BURST) as socks:
            accept_all(listener, socks)


@pytest.fixture
def ready(ours, engine_stats):
    """What a listener has ready once it is quiet, seen in the operations that wait with the system."""
    before = engine_stats()["operations_live"]

    def count(listener):
        listener.settimeout(0.05)
        for _ in range(2):                                  # the first of all is by an operation of its own
            with pytest.raises(TimeoutError):
                listener.accept()
        listener.settimeout(DEADLINE)
        return engine_stats()["operations_live"] - before

    return count


def test_acceptcount_is_what_is_kept_ready(ours, ready):
    """Nothing where nothing is to be accepted ahead."""
    with ours.listener() as listener:
        for count, live in [(0, 8), (9, 9), (256, 256), (-1, 0)]:
            listener.acceptcount = count
            assert ready(listener) == live


def test_the_first_accept_makes_nothing_ahead(ours, engine_stats):
    """A listener for one connection has no use for it."""
    before = engine_stats()
    with ours.listener() as listener, ours.socket() as client:
        client.connect(listener.getsockname())
        listener.accept()[0].close()
        assert engine_stats()["listeners_total"] == before["listeners_total"]


def test_looking_at_a_listener_changes_nothing(ours, ready):
    with ours.listener() as listener:
        assert ready(listener) == 8
        assert repr(listener) == socket.socket.__repr__(listener)
    with ours.listener() as listener:
        assert ready(listener) == 8
        repr(listener), str(listener), f"{listener}"
        assert ready(listener) == 8


def test_as_many_are_kept_ready_as_the_last_burst_needed(ours, ready):
    """And long after it fewer."""
    def after(connections):
        with clients(ours, listener, connections) as socks:
            accept_all(listener, socks)
        return ready(listener)

    with ours.listener(backlog=BURST) as listener:
        assert ready(listener) == 8
        assert after(1) == 8
        assert eventually(lambda: after(BURST) == BURST)    # a busy machine may part a burst in two
        assert after(1) == BURST
        assert eventually(lambda: after(1) == BURST // 2)


def objects(kind):
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


def test_what_was_made_ahead_goes_with_the_listener(ours, ready, recwarn):
    """Closed, not left to be collected, which would be warned of."""
    before = objects(ours.socket)
    for end in (lambda listener: listener.close(), lambda listener: None, lambda listener: listener.fileno()):
        with ours.listener() as listener:
            listener.acceptcount = 20
            assert ready(listener) == 20
            assert objects(ours.socket) == before + 21
            end(listener)
        del listener
        assert objects(ours.socket) == before
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("default", [None, 5.0])
def test_the_default_timeout_is_the_one_at_the_accept(net, default):
    with net.listener() as listener:
        begin(net, listener)
        with clients(net, listener, 2) as socks:
            try:
                socket.setdefaulttimeout(default)
                accepted = [listener.accept()[0] for _ in socks]
            finally:
                socket.setdefaulttimeout(None)
            for sock, client in zip(accepted, socks):
                assert sock.gettimeout() == default
                client.sendall(b"x")
                assert sock.recv(1) == b"x"
                sock.close()


@pytest.fixture
def no_more(monkeypatch, ours):
    """Called, it lets the system give no more sockets, until monkeypatch.undo."""
    def refuse(*arguments):
        raise OSError(errno.EMFILE, "too many open files", None, WSAEMFILE)

    return lambda: monkeypatch.setattr(sys.modules[ours.socket.__module__]._iocpsock, "socket", refuse)


def test_the_system_gives_no_more_sockets(ours, ready, no_more, monkeypatch):
    """Then a listener accepts with those that it has, says why when there are none left, and goes on when
    there are again."""
    with ours.listener(backlog=BURST) as listener:
        assert ready(listener) == 8
        with clients(ours, listener, 10) as socks:
            no_more()
            accept_all(listener, socks[:8])
            with pytest.raises(OSError) as caught:
                listener.accept()
            assert caught.value.winerror == WSAEMFILE
            monkeypatch.undo()
            accept_all(listener, socks[8:])
        assert ready(listener) >= 8


def test_a_refusal_is_no_matter_when_it_is_over(ours, no_more, monkeypatch):
    """A caller that was refused waits with the slots of another thread, and makes new ones when that ends,
    and they with it."""
    begun, leave = threading.Event(), threading.Event()

    def first():
        begin(ours, listener)
        begun.set()
        leave.wait(DEADLINE)

    with ours.listener() as listener:
        thread = threading.Thread(target=first)
        thread.start()
        assert begun.wait(DEADLINE)
        with clients(ours, listener, 1) as socks:
            accept_all(listener, socks)
        no_more()
        waiting = spawn(listener.accept)
        assert still_waits(waiting)
        monkeypatch.undo()
        leave.set()
        thread.join()
        with clients(ours, listener, 1) as socks:
            accepted, address = waiting.result(DEADLINE)
            accepted.close()
            assert address == socks[0].getsockname()


def test_a_handle_that_others_know_is_not_accepted_on_ahead(ours, engine_stats):
    before = engine_stats()["operations_live"]
    with socket.create_server(("127.0.0.1", 0)) as stock, ours.socket(fileno=stock.detach()) as listener:
        begin(ours, listener)
        assert engine_stats()["operations_live"] == before


@pytest.mark.parametrize("name, value, error, legal", [
    ("acceptcount", -2, ValueError, r"-1 \(none\), 0 \(fitted to the traffic\) or an integer up to 256"),
    ("acceptcount", 257, ValueError, r"-1 \(none\), 0 \(fitted to the traffic\) or an integer up to 256"),
    ("acceptcount", "8", TypeError, "an integer up to 256"),
    ("acceptcount", None, TypeError, "an integer up to 256"),
    ("sendlimit", 4095, ValueError, "a number of bytes from 4096 to 16777216"),
    ("sendlimit", 16777217, ValueError, "a number of bytes from 4096 to 16777216"),
    ("sendlimit", 1e6, TypeError, "a number of bytes from 4096 to 16777216"),
])
def test_attributes_are_checked(ours, name, value, error, legal):
    with ours.socket() as sock:
        before = getattr(sock, name)
        with pytest.raises(error, match=f"^{name} must be .*{legal}.*, not {value!r}$"):
            setattr(sock, name, value)
        assert getattr(sock, name) == before


def test_sendlimit(ours):
    with ours.listener() as listener:
        listener.sendlimit = 4096
        client, server = ours.connect(listener)
        with client, server:
            # Accepted sockets have the listener's.
            assert (client.sendlimit, server.sendlimit) == (262144, 4096)
            client.sendlimit = 1 << 20
            for sender, receiver in ((client, server), (server, client)):
                sending = spawn(sender.sendall, bytes(500_000))
                received = 0
                while received < 500_000:
                    received += len(receiver.recv(65536))
                sending.result(DEADLINE)


def test_sendlimit_bounds_one_send(ours):
    with ours.pair() as (client, server):
        client.sendlimit = 4096
        assert client.send(bytes(10_000)) == 4096
