"""The same calls on the stock sockets and on ours, and the outcome of each: the result, or the type and codes
of the exception.

Each case gets a fresh connection, (client, server), or a fresh socket, and must return or raise the same on
both. Excluded are calls that cannot succeed, and for which the stock socket waits until its timeout, or for
ever. Our sockets report the error at once: accept on a socket that does not listen; with a timeout, recv and
sendall on one that is not connected.
"""

import array
import io
import os
import select
import socket
import time

import pytest

from support import DEADLINE, LOOPBACK, Net, closed_port

OOB = socket.MSG_OOB
PEEK = socket.MSG_PEEK


def wait_for(sock, data):
    """Wait until these bytes have arrived, without taking them."""
    sock.settimeout(DEADLINE)
    while sock.recv(len(data), PEEK) != data:
        pass
    sock.settimeout(None)


def arrived(pair, data=b"abcdef"):
    pair[0].sendall(data)
    wait_for(pair[1], data)
    return pair[1]


def at_end(pair):
    pair[0].shutdown(socket.SHUT_WR)
    return pair[1]


def short(sock):
    sock.settimeout(0.05)
    return sock


def non_blocking(sock):
    sock.setblocking(False)
    return sock


def closed(sock):
    sock.close()
    return sock


def detached(sock):
    socket.close(sock.detach())
    return sock


def mode_after(sock, name, value):
    try:
        getattr(sock, name)(value)
    except (OSError, TypeError, ValueError) as error:
        return type(error), getattr(error, "winerror", None), sock.gettimeout(), sock.timeout
    return sock.gettimeout(), sock.timeout


def described(sock):
    return repr(sock).replace("iocpsock.socket", "socket.socket")


def into(call, size, *arguments):
    buffer = bytearray(size)
    return call(buffer, *arguments), bytes(buffer)


CONNECTED = {
    "peek": lambda pair: (arrived(pair).recv(3, PEEK), pair[1].recv(10)),
    "peek into": lambda pair: (into(arrived(pair).recv_into, 4, 0, PEEK), pair[1].recv(10)),
    "peek more than there is": lambda pair: arrived(pair).recv(1000, PEEK),
    "peek at the end": lambda pair: at_end(pair).recv(3, PEEK),
    "peek until a time-out": lambda pair: short(pair[1]).recv(3, PEEK),
    "peek into until a time-out": lambda pair: short(pair[1]).recv_into(bytearray(3), 3, PEEK),
    "peek without waiting": lambda pair: non_blocking(pair[1]).recv(3, PEEK),
    "peek at nothing": lambda pair: arrived(pair).recv(0, PEEK),
    "wait for all": lambda pair: arrived(pair).recv(6, socket.MSG_WAITALL),
    "wait for all into": lambda pair: into(arrived(pair).recv_into, 6, 6, socket.MSG_WAITALL),
    "out of band": lambda pair: (pair[0].send(b"!", OOB), select.select([], [], [pair[1]],
                                                                        DEADLINE)[2] == [pair[1]],
                                 pair[1].recv(1, OOB)),
    "out of band by sendall": lambda pair: (pair[0].sendall(b"!", OOB),
                                            select.select([], [], [pair[1]], DEADLINE)[2] == [pair[1]],
                                            pair[1].recv(1, OOB)),
    "flags nobody knows": lambda pair: arrived(pair).recv(1, 0x40000000),
    "flags that are no number": lambda pair: pair[1].recv(1, "peek"),
    "send with flags nobody knows": lambda pair: pair[0].send(b"x", 0x40000000),
    "send with flags that are no number": lambda pair: pair[0].sendall(b"x", "now"),
    **{f"{name} with flags {flags!r}": lambda pair, call=call, flags=flags: call(pair, flags)
       for flags in (None, 0.0, "", [], 1.5, 1 << 31, 1 << 40, -(1 << 31) - 1)
       for name, call in {
           "recv": lambda pair, flags: pair[1].recv(1, flags),
           "recv_into": lambda pair, flags: pair[1].recv_into(bytearray(1), 1, flags),
           "recvfrom": lambda pair, flags: pair[1].recvfrom(1, flags),
           "recvfrom_into": lambda pair, flags: pair[1].recvfrom_into(bytearray(1), 1, flags),
           "send": lambda pair, flags: pair[0].send(b"x", flags),
           "sendall": lambda pair, flags: pair[0].sendall(b"x", flags)}.items()},
    **{f"{name} with a size of {size!r}": lambda pair, call=call, size=size: call(pair, size)
       for size in (-1, 1.0, "", None, 1 << 62, 1 << 63, -(1 << 63) - 1)
       for name, call in {
           "recv": lambda pair, size: pair[1].recv(size),
           "recv, peek": lambda pair, size: pair[1].recv(size, PEEK),
           "recv_into": lambda pair, size: pair[1].recv_into(bytearray(1), size),
           "recvfrom": lambda pair, size: pair[1].recvfrom(size),
           "recvfrom_into": lambda pair, size: pair[1].recvfrom_into(bytearray(1), size)}.items()},
    **{f"{name} by name": lambda pair, name=name, arguments=arguments: getattr(pair[0], name)(**arguments)
       for name, arguments in {"recv": {"bufsize": 1}, "recvfrom": {"bufsize": 1}, "send": {"data": b"x"},
                               "sendall": {"data": b"x"},
                               "connect": {"address": ("127.0.0.1",
                                                       9)}, "settimeout": {"value": 1},
                                                       "setblocking": {"flag": True},
                               "share": {"process_id": 1}}.items()},
    **{f"sendfile from {offset!r}": lambda pair, offset=offset: pair[0].sendfile(io.BytesIO(b"x"), offset)
       for offset in (1.0, 0.5, -1, "1", 1 << 70)},
    "after detach": lambda pair: (socket.close(pair[0].detach()), pair[0]._closed, pair[0].fileno(),
                                  described(pair[0])),
    "closed under a file: its looks": lambda pair: (file := pair[0].makefile("rb"),
                                                    "laddr" in described(closed(pair[0])), file.close())[1:],
    "closed: its looks": lambda pair: described(closed(pair[0])),
    "sendfile of nothing": lambda pair: (file := io.BytesIO(b"abc"), pair[0].sendfile(file, 10),
                                         file.tell())[1:],
    "recv of nothing": lambda pair: pair[1].recv(0),
    "recv of nothing at the end": lambda pair: at_end(pair).recv(0),
    "recv into nothing at the end": lambda pair: at_end(pair).recv_into(bytearray()),
    "recv of less than nothing": lambda pair: pair[1].recv(-1),
    "recv of a float": lambda pair: pair[1].recv(1.0),
    "recvfrom": lambda pair: arrived(pair).recvfrom(3),
    "recvfrom at the end": lambda pair: at_end(pair).recvfrom(3),
    "recvfrom until a time-out": lambda pair: short(pair[1]).recvfrom(3),
    "recvfrom_into": lambda pair: into(arrived(pair).recvfrom_into, 4),
    "recv_into more than fits": lambda pair: arrived(pair).recv_into(bytearray(3), 4),
    "recv_into less than nothing": lambda pair: arrived(pair).recv_into(bytearray(3), -1),
    "recv_into by name": lambda pair: into(lambda buffer: arrived(pair).recv_into(buffer, nbytes=2), 3),
    "recv_into an array": lambda pair: arrived(pair).recv_into(array.array("H", [0])),
    "recv_into bytes": lambda pair: arrived(pair).recv_into(bytes(3)),
    "send nothing": lambda pair: pair[0].send(b""),
    "sendall of nothing": lambda pair: pair[0].sendall(b""),
    "send text": lambda pair: pair[0].send("text"),
    "send a number": lambda pair: pair[0].sendall(7),
    "send an array": lambda pair: pair[0].send(array.array("H", [1, 2])),
    "sendall after shutdown": lambda pair: (pair[0].shutdown(socket.SHUT_WR), pair[0].sendall(b"x")),
    "send after shutdown": lambda pair: (pair[0].shutdown(socket.SHUT_WR), pair[0].send(b"x")),
    "sendfile after shutdown": lambda pair: (pair[0].shutdown(socket.SHUT_WR),
                                             pair[0].sendfile(io.BytesIO(b"x"))),
    "recv after shutdown": lambda pair: (pair[1].shutdown(socket.SHUT_RD), pair[1].recv(1)),
    "recv until a time-out": lambda pair: short(pair[1]).recv(3),
    "recv into until a time-out": lambda pair: short(pair[1]).recv_into(bytearray(3)),
    "recv without waiting": lambda pair: non_blocking(pair[1]).recv(3),
    "recv_into without waiting": lambda pair: non_blocking(pair[1]).recv_into(bytearray(3)),
    "recvfrom without waiting": lambda pair: non_blocking(pair[1]).recvfrom(3),
    "accept": lambda pair: pair[1].accept(),
    "listen": lambda pair: pair[1].listen(),
    "connect again": lambda pair: pair[0].connect(pair[0].getpeername()),
    "connect_ex again": lambda pair: pair[0].connect_ex(pair[0].getpeername()),
    "bind again": lambda pair: pair[0].bind(("127.0.0.1", 0)),
    "closed: recv": lambda pair: closed(pair[1]).recv(1),
    "closed: recv of nothing": lambda pair: closed(pair[1]).recv(0),
    "closed: peek": lambda pair: closed(pair[1]).recv(1, PEEK),
    "closed: recv_into": lambda pair: closed(pair[1]).recv_into(bytearray(1)),
    "closed: recvfrom": lambda pair: closed(pair[1]).recvfrom(1),
    "closed: send": lambda pair: closed(pair[1]).send(b"x"),
    "closed: sendall": lambda pair: closed(pair[1]).sendall(b"x"),
    "closed: sendfile": lambda pair: closed(pair[1]).sendfile(io.BytesIO(b"x")),
    "closed: shutdown": lambda pair: closed(pair[1]).shutdown(socket.SHUT_WR),
    "closed: accept": lambda pair: closed(pair[1]).accept(),
    "closed: connect": lambda pair: closed(pair[1]).connect(("127.0.0.1", 1)),
    "closed: connect_ex": lambda pair: closed(pair[1]).connect_ex(("127.0.0.1", 1)),
    "closed: dup": lambda pair: closed(pair[1]).dup(),
    "closed: share": lambda pair: closed(pair[1]).share(os.getpid()),
    "closed: detach": lambda pair: closed(pair[1]).detach(),
    "closed: fileno": lambda pair: closed(pair[1]).fileno(),
    "closed: settimeout": lambda pair: closed(pair[1]).settimeout(1),
    "closed: gettimeout": lambda pair: closed(short(pair[1])).gettimeout(),
    "closed: setblocking": lambda pair: closed(pair[1]).setblocking(False),
    **{f"{how}: the mode after {name} of {value!r}": lambda pair, end=end, name=name, value=value:
       mode_after(end(pair[1]), name, value)
       for how, end in {"closed": closed, "detached": detached}.items()
       for name, value in (("settimeout", 1), ("settimeout", 0), ("settimeout", None), ("settimeout", -1),
                           ("settimeout", "1"), ("setblocking", True), ("setblocking", False),
                           ("setblocking", "on"))},
    **{f"closed: {name} of {value!r}": lambda pair, name=name, value=value:
       getattr(closed(non_blocking(pair[1])), name)(value)
       for name in ("recv", "recv_into", "send", "sendall") for value in (-1, 1 << 63, "", None)},
    "closed: makefile": lambda pair: closed(pair[1]).makefile("rb").read(1),
    "closed: repr": lambda pair: "[closed]" in repr(closed(pair[1])),
    "file in lines": lambda pair: (arrived(pair, b"a\nb\n"), at_end(pair))[1].makefile("rb").readlines(),
    "file with a bad mode": lambda pair: pair[1].makefile("x"),
    "blocking": lambda pair: (pair[0].getblocking(), non_blocking(pair[0]).getblocking(),
                              pair[0].gettimeout()),
    "time-out of 0.0": lambda pair: (pair[0].settimeout(0.0), pair[0].getblocking()),
    "time-out of a wrong type": lambda pair: pair[0].settimeout("1"),
    "setblocking of a string": lambda pair: (pair[0].setblocking("yes"), pair[0].gettimeout()),
}


SINGLE = {
    "recv": lambda sock: sock.recv(1),
    "recv_into": lambda sock: sock.recv_into(bytearray(1)),
    "peek": lambda sock: sock.recv(1, PEEK),
    "recvfrom": lambda sock: sock.recvfrom(1),
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "shutdown": lambda sock: sock.shutdown(socket.SHUT_RDWR),
    "accept": lambda sock: sock.accept(),
    "accept when bound": lambda sock: (sock.bind(("127.0.0.1", 0)), sock.accept()),
    "listen unbound": lambda sock: sock.listen(),
    "getpeername": lambda sock: sock.getpeername(),
    "listener: accept until a time-out": lambda sock: (sock.bind(("127.0.0.1", 0)), sock.listen(),
                                                       short(sock).accept()),
    "listener: accept without waiting": lambda sock: (sock.bind(("127.0.0.1", 0)), sock.listen(),
                                                      non_blocking(sock).accept()),
    "connect to text": lambda sock: sock.connect("127.0.0.1:80"),
    "connect to one thing": lambda sock: sock.connect(("127.0.0.1",)),
    "connect to three things": lambda sock: sock.connect(("127.0.0.1", 1, 2)),
    "connect to a list": lambda sock: sock.connect(["127.0.0.1", 1]),
    "connect to a port that is text": lambda sock: sock.connect(("127.0.0.1", "http")),
    "connect to a port that is a float": lambda sock: sock.connect(("127.0.0.1", 80.0)),
    "connect to a host that is a number": lambda sock: sock.connect((1, 80)),
    "connect to a host with a zero": lambda sock: sock.connect(("127.0.0.1\0", 80)),
    "connect_ex to text": lambda sock: sock.connect_ex("127.0.0.1:80"),
    "connect_ex to a wrong port": lambda sock: sock.connect_ex(("127.0.0.1", 65536)),
    "connect to a wrong port": lambda sock: sock.connect(("127.0.0.1", -1)),
    "bind to a wrong port": lambda sock: sock.bind(("127.0.0.1", 70000)),
    "bind to text": lambda sock: sock.bind("127.0.0.1"),
    "option that is none": lambda sock: sock.getsockopt(socket.SOL_SOCKET, 0x7777),
    "reuse": lambda sock: (sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
                           sock.bind(("127.0.0.1", 0)),
                           sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0,
                           sock.getsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE)),
    "bind exclusively": lambda sock: (sock.bind(("127.0.0.1", 0)),
                                      sock.getsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE)),
    "inheritable": lambda sock: sock.get_inheritable(),
    "not connected: sendfile": lambda sock: sock.sendfile(io.BytesIO(b"x")),
    "kinds": lambda sock: (sock.family, sock.type, sock.proto, sock.timeout),
}


def outcome(call, argument):
    """The outcome to compare: the result, or the type and codes of the exception."""
    try:
        return "returned", plain(call(argument))
    except Exception as error:              # of any kind: it is what is compared
        return "raised", type(error), getattr(error, "errno", None), getattr(error, "winerror", None)


def plain(value):
    return type(value).__name__ if isinstance(value, socket.socket) else value


@pytest.mark.parametrize("case", CONNECTED)
def test_connected(balance, case):
    results = []
    for name in ("stock", "iocpsock"):
        with Net(name).pair() as pair:
            results.append(outcome(CONNECTED[case], pair))
    assert results[0] == results[1]


@pytest.mark.parametrize("family", LOOPBACK, ids=lambda family: family.name)
@pytest.mark.parametrize("case", SINGLE)
def test_single(balance, case, family):
    results = []
    for name in ("stock", "iocpsock"):
        with Net(name).socket(family) as sock:
            results.append(outcome(SINGLE[case], sock))
    assert results[0] == results[1]


@pytest.mark.parametrize("kind, protocol", [(socket.SOCK_DGRAM, 0), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)])
def test_other_kinds_of_sockets_are_inherited(balance, kind, protocol):
    results = []
    for name in ("stock", "iocpsock"):
        with Net(name).socket(socket.AF_INET, kind, protocol) as one, Net(name).socket(socket.AF_INET,
                                                                                       kind) as two:
            one.bind(("127.0.0.1", 0))
            two.connect(one.getsockname())
            two.send(b"datagram")
            one.settimeout(DEADLINE)
            results.append((one.recv(100), outcome(lambda sock: short(sock).recv(1), one),
                            outcome(lambda sock: sock.accept(), one)))
    assert results[0] == results[1]


HOPELESS = {
    "accept": (lambda sock: (sock.bind(("127.0.0.1", 0)), sock.settimeout(DEADLINE), sock.accept()), 10022),
    "recv": (lambda sock: (sock.settimeout(DEADLINE), sock.recv(1)), 10057),
    "sendall": (lambda sock: (sock.settimeout(DEADLINE), sock.sendall(b"x")), 10057),
}


@pytest.mark.parametrize("call", HOPELESS)
def test_what_can_never_end_well_does_not_wait(balance, call):
    with Net("iocpsock").socket() as sock:
        start = time.monotonic()
        kind, exception, _, winerror = outcome(HOPELESS[call][0], sock)
        assert time.monotonic() - start < DEADLINE / 2
        assert (kind, issubclass(exception, OSError)) == ("raised", True)
        assert winerror in (HOPELESS[call][1], 10054)       # 10054: what Wine says of a send


def test_refusals_are_the_same(balance):
    results = []
    for name in ("stock", "iocpsock"):
        with closed_port() as closed, Net(name).socket() as one, Net(name).socket() as two:
            results.append((outcome(lambda sock: sock.connect(closed.getsockname()), one),
                            outcome(lambda sock: sock.connect_ex(closed.getsockname()), two)))
    assert results[0] == results[1]
