"""Accepting ahead: listening sockets that take in bursts, and show every connection to whoever looks at their
handle."""

import contextlib
import os
import selectors
import socket
import threading

import pytest

from bursts import BURST, accept_all, begin, clients
from support import DEADLINE, readable, reset, spawn, still_waits


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
