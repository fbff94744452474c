"""Order and memory under a dispatcher that deals packets out as it likes, and the heap that watches over
it."""

import re

import pytest


@pytest.mark.parametrize("milliseconds, receives, connections, size",
                         [(3, 8, 60, 20000), (20, 16, 20, 10000)])
def test_bytes_keep_their_order(tclsh, milliseconds, receives, connections, size):
    threads, seed = 4, 20260 + milliseconds
    ended, lines, log = tclsh("shuffle.tcl", milliseconds, threads, receives, connections, size, seed)
    last = re.fullmatch(r"@@ shuffled (\d+) (\d+) (\d+)", lines[-1] if lines else "")
    assert last, "\n".join([f"ended with status {ended}:", *lines, log[-2000:]])
    assert lines[:-1] == []
    assert (int(last[1]), int(last[2])) == (connections, connections * size)
    assert int(last[3]), "no packet overtook another"


def test_two_sends_outstanding(tclsh):
    """Their ends are taken in the order of the stream. Bytes that went out behind some that did not end the
    connection."""
    ended, lines, log = tclsh("sends.tcl")
    broken = ('error flushing channel: software caused connection abort; '
              'error reading channel: software caused connection abort; the peer is reset: 1')
    assert (ended, lines) == (0, [
        "as they are: whole", "outstanding: 2", "the first is late: whole", "the second is short: whole",
        f"the first is short: {broken}", f"the first finds no memory: {broken}", "both find no memory: whole",
        "the first meets a reset: error flushing channel: connection reset by peer; ; "
        "the peer is reset: 1"]), log


def test_writes_before_the_connection(tclsh):
    """They are the engine's, and go out when the connection is there, whatever became of the channel; what
    fails is told."""
    ended, lines, log = tclsh("early.tcl")
    lines = [re.sub("(socket|transport endpoint) is not", "it is not", line) for line in lines]
    lost = "1 <it is not connected> 0 bytes"
    assert (ended, lines) == (0, [
        "closed: 0 <1> 100000 bytes", "half-closed: 0 <> 100000 bytes", "not lingering: 0 <> 0 bytes",
        "not writable before it is connected: 0 <0 {}> 5 bytes",
        "more than the queue holds: 0 <1> 300000 bytes",
        "a write that blocks goes behind it: 0 <first,then> 10 bytes",
        "refused, closed before: 0 <> 0 bytes", f"refused, closed behind: {lost}",
        f"refused, a close that blocks: {lost}",
        'refused, told by a read: 0 <{error reading "channel": it is not connected} 0> 0 bytes',
        "lingering too briefly: 0 <> 0 bytes", "looked up in the end: 0 <> 5 bytes"]), log
def test_no_receive_is_cancelled_beside_a_send(tclsh):
    ended, lines, log = tclsh("beside.tcl", timeout=120)
    last = re.fullmatch(r"@@ beside (\d+) (\d+) (\d+)", lines[-1] if lines else "")
    assert last, "\n".join([f"ended with status {ended}:", *lines, log[-2000:]])
    assert int(last[1]) > 50, "the thread did not receive itself"
    assert int(last[2]) == 3, "no send was outstanding"
    assert int(last[3]) == 0


def test_the_heap_names_the_functions(tclsh):
    ended, lines, log = tclsh("damage.tcl", "latest")
    assert (ended, lines) == (134, ["damaging"])
    assert re.fullmatch(r"iocpsock: memory taken by listener_new \(\d+ bytes\) and given back by "
                        r"listener_release: written to after it was freed, at offset 8: 0x00",
                        log.strip()), log


@pytest.mark.parametrize("place, words", [
    ("before", "(100 bytes): written to before its start, at offset -1: 0x00"),
    ("behind", "(100 bytes): written to behind its end, at offset 100: 0x00"),
    ("freed",
     "(100 bytes) and given back by memory_damage: written to after it was freed, at offset 7: 0x00"),
    ("twice", "(100 bytes) and given back by memory_damage: freed again, at offset 0: 0xDD"),
])
def test_the_heap_finds_what_is_wrong(tclsh, place, words):
    ended, lines, log = tclsh("damage.tcl", place)
    assert (ended, lines) == (134, ["damaging"])
    assert log.strip() == f"iocpsock: memory taken by memory_damage {words}"
