"""Order and memory under a dispatcher that deals packets out as it likes, and the heap that watches over it."""

import re

import pytest


@pytest.mark.parametrize("milliseconds, receives, connections, size", [(3, 8, 60, 20000), (20, 16, 20, 10000)])
def test_bytes_keep_their_order(tclsh, milliseconds, receives, connections, size):
    threads, seed = 4, 20260 + milliseconds
    ended, lines, log = tclsh("shuffle.tcl", milliseconds, threads, receives, connections, size, seed)
    last = re.fullmatch(r"@@ shuffled (\d+) (\d+) (\d+)", lines[-1] if lines else "")
    assert last, "\n".join([f"ended with status {ended}:", *lines, log[-2000:]])
    assert lines[:-1] == []
    assert (int(last[1]), int(last[2])) == (connections, connections * size)
    assert int(last[3]), "no packet overtook another"


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
    assert re.fullmatch(r"iocpsock: memory taken by listener_new \(\d+ bytes\) and given back by listener_release: "
                        r"written to after it was freed, at offset 8: 0x00", log.strip()), log


@pytest.mark.parametrize("place, words", [
    ("before", "(100 bytes): written to before its start, at offset -1: 0x00"),
    ("behind", "(100 bytes): written to behind its end, at offset 100: 0x00"),
    ("freed", "(100 bytes) and given back by memory_damage: written to after it was freed, at offset 7: 0x00"),
    ("twice", "(100 bytes) and given back by memory_damage: freed again, at offset 0: 0xDD"),
])
def test_the_heap_finds_what_is_wrong(tclsh, place, words):
    ended, lines, log = tclsh("damage.tcl", place)
    assert (ended, lines) == (134, ["damaging"])
    assert log.strip() == f"iocpsock: memory taken by memory_damage {words}"
