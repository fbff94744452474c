"""TLS after the peer has reset the connection: the same results and classes of exceptions on the stock
sockets and on ours.

Each case is a call that is made three times, because the later calls may report the reset in another way than
the first. A call that waits is compared with the stock one without a timeout: with a timeout the stock call
waits in select, and some systems report a reset only once, to the first call that asks.
"""

import iocpsock
import pytest

from secured import contexts, secured_pair
from support import DEADLINE, Net, reset, spawn, still_waits

CALLS = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "read": lambda sock: sock.read(10),
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x" * 100_000),
    "unwrap": lambda sock: type(sock.unwrap()).__mro__[-2],
    "makefile": lambda sock: sock.makefile("rb").read(5),
}
WAITING = ("recv", "recv_into", "read", "makefile")
TIMEOUTS = (None, DEADLINE, 0.0)


def outcome(call, sock):
    try:
        return call(sock)
    except OSError as error:
        return type(error), error.errno, getattr(error, "winerror", None)


def both(story, stock_timeout, our_timeout):
    """The outcome of the story on the stock sockets, and on ours."""
    with iocpsock.patched():
        ours = story(Net("iocpsock"), our_timeout)
    return story(Net("stock"), stock_timeout), ours


@pytest.mark.parametrize("ragged", [True, False], ids=["ragged", "strict"])
@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("name", CALLS)
def test_a_call_after_a_reset(name, timeout, ragged, version):
    def story(net, timeout):
        with secured_pair(net, version) as (near, far):
            far.suppress_ragged_eofs = ragged
            near.sendall(b"a")
            assert far.recv(1) == b"a"
            reset(near)
            far.settimeout(timeout)
            return [outcome(CALLS[name], far) for _ in range(3)]

    stock, ours = both(story, timeout, timeout)
    assert ours == stock


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("name", WAITING)
def test_a_reset_ends_a_call_that_waits(name, timeout, version):
    def story(net, timeout):
        with secured_pair(net, version) as (near, far):
            far.settimeout(timeout)
            waiting = spawn(outcome, CALLS[name], far)
            assert still_waits(waiting)
            reset(near)
            return [waiting.result(DEADLINE), outcome(CALLS[name], far)]

    stock, ours = both(story, None, timeout)
    assert ours == stock


@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_reset_ends_a_handshake(timeout, server_side):
    def story(net, timeout):
        context = contexts("1.3")[0 if server_side else 1]
        with net.pair() as (near, far):
            far.settimeout(timeout)
            waiting = spawn(outcome, lambda sock: context.wrap_socket(
                sock, server_side=server_side, server_hostname=None if server_side else "localhost"), far)
            assert still_waits(waiting)
            reset(near)
            return waiting.result(DEADLINE)

    stock, ours = both(story, None, timeout)
    assert ours == stock
