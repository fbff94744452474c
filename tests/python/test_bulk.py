"""A sendall of many pieces keeps two sends outstanding. Whatever ends it early, the peer's data has no
gap."""

import socket

import pytest

from support import DEADLINE, Net, interrupt, pattern, read_exactly, spawn, still_waits

SIZE = 3_000_000
SMALL = 65536           # bytes: the buffers of these connections, so that most of it waits


@pytest.fixture
def ends(balance):
    with Net("iocpsock").pair() as (client, server):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        yield client, server


def outstanding(engine_stats, before):
    return engine_stats()["operations_live"] - before


@pytest.mark.parametrize("sendlimit, size", [(4096, 100_001), (4097, 100_000), (262144, 262145),
                                             (262144, SIZE), (1 << 20, SIZE)])
def test_all_of_it_arrives(ends, sendlimit, size):
    client, server = ends
    client.sendlimit = sendlimit
    data = pattern(size)
    sending = spawn(client.sendall, data)
    assert read_exactly(server, size) == data
    sending.result(DEADLINE)


def test_two_are_outstanding(ends, engine_stats):
    client, server = ends
    before = engine_stats()["operations_live"]
    data = pattern(SIZE)
    sending = spawn(client.sendall, data)
    assert still_waits(sending)
    assert outstanding(engine_stats, before) == 2
    assert read_exactly(server, SIZE) == data
    sending.result(DEADLINE)
    assert outstanding(engine_stats, before) == 0


def test_no_more_than_sendlimit_goes_alone(ends, engine_stats):
    client, server = ends
    client.sendlimit = SIZE
    before = engine_stats()["operations_live"]
    sending = spawn(client.sendall, pattern(SIZE))
    assert still_waits(sending)
    assert outstanding(engine_stats, before) == 1
    assert read_exactly(server, SIZE) == pattern(SIZE)
    sending.result(DEADLINE)


def beginning(server, data):
    """Receive until the end, and check that it is a beginning of `data`. Return its length."""
    got = bytearray()
    try:
        while chunk := server.recv(65536):
            got += chunk
    except OSError as error:
        assert error.winerror in (10053, 10054)
    assert data.startswith(got)
    assert got
    return len(got)


def test_closing_leaves_a_beginning(ends):
    client, server = ends
    data = pattern(SIZE)
    sending = spawn(client.sendall, data)
    assert still_waits(sending)
    client.close()
    assert sending.exception(DEADLINE).winerror == 10038
    assert beginning(server, data) < SIZE


def test_an_interrupt_leaves_a_beginning_and_nothing_follows(ends):
    client, server = ends
    data = pattern(SIZE)
    striking = interrupt()
    with pytest.raises(KeyboardInterrupt):
        client.sendall(data)
    striking.result(DEADLINE)
    with pytest.raises(OSError) as failed:
        client.sendall(b"behind a hole")
    assert failed.value.winerror == 10053
    client.close()
    assert beginning(server, data) < SIZE


def test_its_own_time_out_leaves_a_beginning_and_nothing_follows(ends):
    client, server = ends
    data = pattern(SIZE)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 200)
    with pytest.raises(OSError) as failed:
        client.sendall(data)
    assert failed.value.winerror == 10060
    with pytest.raises(OSError) as failed:
        client.send(b"behind a hole")
    assert failed.value.winerror == 10053
    client.close()
    assert beginning(server, data) < SIZE


def test_a_reset_ends_it(ends):
    client, server = ends
    sending = spawn(client.sendall, pattern(SIZE))
    assert still_waits(sending)
    server.close()                      # with bytes unread
    assert sending.exception(DEADLINE).winerror in (10053, 10054)


def test_two_threads_take_turns_with_nothing_lost(ends):
    """As with the stock calls, pieces of two sendalls may mix; each arrives whole."""
    client, server = ends
    client.sendlimit = 4096
    first, second = spawn(client.sendall, b"1" * 400_000), spawn(client.sendall, b"2" * 400_000)
    got = read_exactly(server, 800_000)
    first.result(DEADLINE)
    second.result(DEADLINE)
    assert (got.count(b"1"), got.count(b"2")) == (400_000, 400_000)
