"""The fuzzers' own parts: what they generate, what they take for a finding, and the puppet."""

import contextlib
import re
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz" / "python")]

import compare  # noqa: E402
from known import KNOWN  # noqa: E402
from stream import Stream  # noqa: E402
from tools.base import process  # noqa: E402
from tools.load import fuzz, puppet  # noqa: E402
from writer import Writer  # noqa: E402

SEEDS = range(1000)


def test_a_seed_gives_the_same_sequence():
    assert [Writer(seed).write() for seed in range(50)] == [Writer(seed).write() for seed in range(50)]
    assert Writer(1).write() != Writer(2).write()


def test_every_step_is_python():
    for seed in SEEDS:
        for step in Writer(seed).write():
            compile(step.rpartition(" := ")[2], step, "eval")


def test_every_operation_is_chosen():
    made = set()

    class Watched(Writer):
        def __getattribute__(self, name):
            if name.startswith(("op_", "start_")):
                made.add(name)
            return super().__getattribute__(name)

    for seed in SEEDS:
        Watched(seed).write()
    assert made == {name for name in dir(Writer) if name.startswith(("op_", "start_"))}


def recurring(*runs):
    """How often a difference comes in runs of one step, each the letters of stock's outcome and ours."""
    traces = (tuple(outcomes) for outcomes in runs)
    found = compare.difference(["step()"], lambda steps: next(traces))
    return compare.recurring(["step()"], found, lambda steps: next(traces))[1]


def test_a_difference_that_comes_twice_is_a_finding():
    assert recurring("ab", *["aa"] * 4, "ab") == 2
    assert recurring("ab", *["ab"] * 5) == 6


def test_a_difference_that_comes_once_is_told_as_such():
    assert recurring("ab", *["aa"] * 5) == 1


def test_a_step_with_which_stock_has_either_outcome_tells_nothing():
    assert recurring("ab", "ab", "ba", "ab", "bb", "aa") == 1


def test_what_exceptions_say_does_not_count_but_their_codes():
    def raised(code, text):
        return "raised", "OSError", (code,), text

    assert compare.difference(["f()"], lambda steps: ([raised(1, "x")], [raised(1, "y")])) is None
    assert compare.difference(["f()"], lambda steps: ([raised(1, "x")], [raised(2, "x")])).number == 0


def test_a_sequence_is_shrunk_to_what_differs():
    def pair(steps):
        stock = ["same"] * len(steps)
        return stock, [*stock[:-1], "other" if "cause" in steps and steps[-1] == "last" else "same"]

    steps = [*map(str, range(10)), "cause", *map(str, range(7)), "last"]
    assert compare.shrink(steps, compare.difference(steps, pair), pair) == ["cause", "last"]


def test_every_known_difference_has_a_reason_and_patterns():
    for entry in KNOWN:
        assert entry.reason and any((entry.step, entry.stock, entry.ours, entry.before)), entry.name
        for pattern in (entry.step, entry.stock, entry.ours, entry.before):
            re.compile(pattern)


def test_a_stream_knows_its_bytes():
    one, other = Stream(1, 0, 1000), Stream(2, 0, 1000)
    assert one.fault(500, one.bytes[500:700]) is None
    assert "differ from 0 on" in one.fault(0, other.bytes[:10])
    assert "at 3 differ from 0 on" in one.fault(3, one.bytes[:20])


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(fuzz.run, "session", contextlib.nullcontext)
    monkeypatch.setattr(fuzz, "command", lambda windows, language, version, puppet, *rest: (rest, {}))


@pytest.mark.parametrize("alone", [True, False])
def test_a_sequence_that_the_stock_sockets_alone_die_of_is_no_finding(session, monkeypatch, alone):
    """Alone: in a fresh program, too. Otherwise what ran before it, ours among it, may be the cause."""
    programs = iter([b"@ 7 stock copy\n", b"@ 7 stock copy\n" if alone else b"@ 7 ours copy\n",
                     b"1 sequences, 1 steps, seeds 8 to 8: 0 differ\n"])
    shown = []

    def follow(argv, env, take, silence):
        said = next(programs)
        take(1, said)
        return 0 if b"seeds" in said else 29

    monkeypatch.setattr(process, "follow", follow)
    found, totals = fuzz.fuzz("tcl", seed=7, show=shown.append)
    assert (found, totals) == (not alone, ["1 sequences, 1 steps, seeds 8 to 8: 0 differ"])
    assert shown[0].startswith("the stock sockets died: 29, at seed 7" if alone else "DIED: 29, at seed 7")


def test_a_program_that_dies_is_a_finding_and_the_next_goes_on_behind_it(session, monkeypatch):
    begun, shown = [], []

    def follow(argv, env, take, silence):
        begun.append(argv[1])
        if len(begun) == 1:
            take(1, b"@ 1\n@ 2 and what it did\n")
            return 5
        take(1, b"@ 3\n7 sequences, 9 steps, seeds 3 to 9: 0 differ\n")
        return 0

    monkeypatch.setattr(process, "follow", follow)
    assert fuzz.fuzz("python", show=shown.append) == (True, ["7 sequences, 9 steps, seeds 3 to 9: 0 differ"])
    assert begun == [1, 3] and shown[0] == "DIED: 5, at seed 2: @ 2 and what it did"


def test_a_planted_fault_must_be_found_as_a_difference(session, monkeypatch):
    for differs in (b"DIFFERENCE: seed 1, 6 times\n", b""):
        said = differs + b"1 sequences, 1 steps, seeds 1 to 1\n"
        monkeypatch.setattr(process, "follow", lambda argv, env, take, silence, said=said: take(1, said) or 1)
        assert fuzz.planted("python") == bool(differs)


@pytest.fixture
def played():
    """A puppet, a connection to it, and how it is told what to do."""
    it = puppet.Puppet()
    with socket.create_connection(("127.0.0.1", it.control)) as control, \
            socket.create_connection(("127.0.0.1", it.listener)) as sock, control.makefile("rw") as words:
        sock.settimeout(10)

        def tell(*what):
            words.write(" ".join(map(str, what)) + "\n")
            words.flush()
            return words.readline().strip()

        port = sock.getsockname()[1]
        assert tell("accept", port) == "ok"
        yield sock, port, tell


def test_the_puppet_sends_and_receives(played):
    sock, port, tell = played
    assert tell("send", port, b"hello".hex()) == "ok" and sock.recv(5) == b"hello"
    sock.sendall(b"x" * 100_000)
    sock.shutdown(socket.SHUT_WR)
    assert tell("take", port) == "ok"
    while (taken := tell("taken", port)) == "not yet":
        pass
    assert taken.startswith("100000 ") and taken.endswith(" end")
    assert tell("close", port) == "ok" and sock.recv(1) == b"" and tell("shut", port) == "gone"


def test_the_puppet_does_later_what_ends_a_wait(played):
    sock, port, tell = played
    tell("later", "send", port, b"late".hex())
    tell("wait")
    assert sock.recv(4) == b"late" and tell("waited") == "quiet"


def test_the_puppet_lets_what_it_sends_later_be_received_before_it_resets(played):
    sock, port, tell = played
    tell("later", "send", port, b"last".hex())
    tell("later", "reset", port)
    assert tell("now") == "reset" and sock.recv(5) == b"last"
    assert tell("now", "received") == "ok"
    with pytest.raises(ConnectionResetError):
        sock.recv(1)


def test_the_puppet_strikes_when_nothing_else_ends_a_wait(played):
    sock, port, tell = played
    tell("wait")
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    assert tell("waited") == "struck"
