"""What the strict build (docs/windows.md) sees of Python's own calls of Winsock: they go round the engine,
and the rules hold after them all the same."""

import _socket

from support import DEADLINE, Net, spawn


def test_closing_one_of_two_handles_ends_nothing(strict):
    """Rule 23: an operation ends with the last handle of its socket. Wine would end it with the one that it
    was posted on."""
    before = strict.strict_count(b"zombies")
    with Net("iocpsock").pair() as (client, server):
        # Without a time-out the call asks for the socket's own afterwards.
        client.settimeout(DEADLINE)
        duplicate = client.dup()
        receiving = spawn(client.recv, 10)
        while not strict.strict_pending(client.fileno()):
            pass
        _socket.close(client.fileno())
        assert strict.strict_count(b"zombies") == before + 1
        server.sendall(b"hello")
        assert receiving.result(DEADLINE) == b"hello"
        client.detach()
        duplicate.close()


def test_the_mode_that_python_sets_is_known(strict):
    """Rule 8 looks at it: a call that must not block is made on a socket that Python has made
    non-blocking."""
    with Net("iocpsock").pair() as (client, server):
        client.settimeout(DEADLINE)
        client.sendall(b"hello")
        assert server.recv(10) == b"hello"
