"""stats(): the engine's counters of the objects that it has made, and of those that still exist."""

from support import DEADLINE, Net, eventually, live_counters, spawn, still_waits


def test_it_is_a_dict_of_counts(engine_stats):
    stats = engine_stats()
    assert type(stats) is dict and stats
    assert all(type(name) is str and type(count) is int and count >= 0 for name, count in stats.items())
    assert live_counters(engine_stats)


def test_each_call_makes_its_own_dict(engine_stats):
    engine_stats().clear()
    assert engine_stats()


def test_a_connection_is_counted_while_it_lives(engine_stats, balance):
    before = live_counters(engine_stats)
    with Net("iocpsock").pair() as (client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        waiting = spawn(server.recv, 1)
        assert still_waits(waiting)
        during = live_counters(engine_stats)
        assert any(during[name] > before[name] for name in before)
        client.close()
        assert waiting.result(DEADLINE) == b""
    assert eventually(lambda: live_counters(engine_stats) == before)


def test_totals_never_fall(engine_stats, balance):
    before = engine_stats()
    with Net("iocpsock").pair() as (client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
    after = engine_stats()
    totals = [name for name in before if name.endswith("_total")]
    assert totals
    assert all(after[name] >= before[name] for name in totals)
    assert any(after[name] > before[name] for name in totals)
