"""Threads and processes: many on one socket, one for each direction, and a close meanwhile. Nothing is left
behind."""

import gc
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from support import DEADLINE, pattern, read_all, read_exactly, spawn, still_waits


def test_one_thread_for_each_direction(pair):
    """Both ends send and receive at the same time."""
    datas = [pattern(3_000_000, seed) for seed in range(2)]
    sending = [spawn(lambda sock=sock, data=data: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
               for sock, data in zip(pair, datas)]
    reading = [spawn(read_all, sock) for sock in pair]
    assert [future.result(DEADLINE) for future in reading] == datas[::-1]
    for future in sending:
        future.result(DEADLINE)


def test_many_threads_share_a_socket(pair):
    """Each message is sent by one thread and received by another."""
    client, server = pair
    threads, size, each = 8, 32, 40
    sending = [spawn(lambda number=number: [client.sendall(bytes([number]) * size) for _ in range(each)])
               for number in range(threads)]
    reading = [spawn(lambda: [read_exactly(server, 1) for _ in range(size * each)]) for _ in range(threads)]
    received = b"".join(b"".join(future.result(DEADLINE)) for future in reading)
    for future in sending:
        future.result(DEADLINE)
    assert sorted(received) == sorted(bytes(range(threads)) * (size * each))


@pytest.mark.parametrize("timeout", [None, 2 * DEADLINE])
def test_closing_wakes_every_thread(ours, timeout):
    """Each gets an error that describes what happened."""
    with ours.pair() as (client, server):
        server.settimeout(timeout)
        waiting = [spawn(server.recv, 10) for _ in range(5)] + [spawn(server.recv_into, bytearray(10)),
                                                                 spawn(server.recvfrom,
                                                                       10), spawn(server.recv, 1,
                                                                                  socket.MSG_PEEK)]
        assert all(still_waits(future) for future in waiting)
        server.close()
        for future in waiting:
            with pytest.raises(OSError, match="the socket was closed by another thread while this call "
                                              "waited") as error:
                future.result(DEADLINE)
            assert error.value.winerror == 10038


@pytest.mark.parametrize("before", [0, 3], ids=["first", "later"])
def test_closing_wakes_accept(ours, before):
    with ours.listener() as listener:
        for _ in range(before):
            for sock in ours.connect(listener):
                sock.close()
        waiting = [spawn(listener.accept) for _ in range(3)]
        assert all(still_waits(future) for future in waiting)
        listener.close()
        for future in waiting:
            with pytest.raises(OSError,
                               match="the socket was closed by another thread while this call waited"):
                future.result(DEADLINE)


def test_an_end_by_the_peer_is_not_taken_for_a_close(ours):
    with ours.pair() as (client, server):
        waiting = spawn(server.recv, 10)
        assert still_waits(waiting)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0")
        client.close()
        with pytest.raises(ConnectionResetError) as error:
            waiting.result(DEADLINE)
        assert error.value.winerror == 10054


def test_closing_in_the_middle_of_traffic(ours):
    """The close may come at any moment: all calls end, and nothing crashes."""
    for turn in range(20):
        with ours.pair() as (client, server):
            calls = [spawn(client.sendall, bytes(4_000_000)), spawn(client.recv, 100),
                     spawn(read_all, server)]
            threading.Event().wait(turn / 500)
            client.close()
            for future in calls:
                future.exception(DEADLINE)


def test_daemon_threads_wait_while_the_others_end(pair):
    client, server = pair
    threading.Thread(target=server.recv, args=(1,), daemon=True).start()
    done = threading.Thread(target=client.sendall, args=(b"x",))
    done.start()
    done.join(DEADLINE)
    assert not done.is_alive()


CHILD = """
    import sys, iocpsock
    data = sys.stdin.buffer.read()
    with iocpsock.fromshare(data) as sock:
        while chunk := sock.recv(1000):
            sock.sendall(chunk.upper())
"""


def test_sharing_with_another_process(ours):
    """The child has its own socket on the connection. The parent may close its socket."""
    with ours.pair() as (client, server):
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(CHILD)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(server.share(child.pid))
        child.stdin.close()
        client.sendall(b"to the child")
        assert read_exactly(client, 12) == b"TO THE CHILD"
        server.close()
        client.sendall(b"again")
        assert read_exactly(client, 5) == b"AGAIN"
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
        with child.stdout, child.stderr:
            assert child.wait(DEADLINE) == 0, child.stderr.read()


HEIR = "import sys; sys.stdin.read()"


def test_no_handle_is_inherited(ours):
    """A child that inherits all inheritable handles does not keep a connection open."""
    with ours.listener() as listener:
        client, server = ours.connect(listener)
        late, later = ours.connect(listener)                # one that was accepted ahead
        for sock in (listener, client, server, late, later):
            assert not sock.get_inheritable()
        child = subprocess.Popen([sys.executable, "-c", HEIR], stdin=subprocess.PIPE, close_fds=False)
        try:
            for one, other in ((client, server), (later, late)):
                one.close()
                assert other.recv(1) == b""
                other.close()
        finally:
            child.stdin.close()
            assert child.wait(DEADLINE) == 0


def handles():
    """About how many handles this process has: a new one gets the lowest free number, and numbers are
    multiples of four. (Under Wine GetProcessHandleCount returns 0.)"""
    with socket.socket() as sock:
        return sock.fileno() // 4


@pytest.mark.long
def test_nothing_grows(capsys, ours, engine_stats):
    """Handles, objects and the engine's memory are the same after 100 000 connections as after the first
    few."""
    def live(listener, connections):
        for _ in range(connections):
            with ours.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
                client.sendall(b"ping")
                server.sendall(server.recv(10))
                assert client.recv(10) == b"ping"

    def levels():
        gc.collect()
        return {"handles": handles(), "objects": len(gc.get_objects()), "memory": engine_stats()["memory"]}

    with ours.listener() as listener:
        live(listener, 200)
        before = levels()
        for turn in range(100):
            live(listener, 1000)
            if turn % 10 == 9:
                with capsys.disabled():
                    print(f"{turn + 1} 000 connections: {levels()}", flush=True)
        after = levels()
    slack = {"handles": 100, "objects": 100, "memory": 65536}       # slots may be posted, or just used up
    assert {name: after[name] - before[name] for name in after
            if after[name] > before[name] + slack[name]} == {}
