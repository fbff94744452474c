"""What a listening socket makes ahead: as many sockets as the attribute acceptcount says, or as the traffic
needs; what becomes of them; and a system that gives no more."""

import errno
import gc
import socket
import sys
import threading

import pytest

from bursts import BURST, accept_all, begin, clients
from support import DEADLINE, eventually, spawn, still_waits

WSAEMFILE = 10024


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
