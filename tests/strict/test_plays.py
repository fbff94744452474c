"""What Windows does and Wine does not, as the strict build plays it (tests/instruments/strict/scene.c), and
without the play."""

import re
import time
from pathlib import Path

import pytest

# Microsoft's page "Sharing Transport Addresses", a CHECK granted.
BIND_TABLE = "u+u+u+ +u+ddu d+++d+ +d++dd uuuuuu +u+udu"

# name: what is seen
SCENES = {
    "2 status": "103 , 0 hello 5",
    "3 packet": "some",
    "4 context": "10057 10057, 0 0, 10057, 0",
    "5 inherit": "-10035",
    "6 wildcard": "10049",
    "9 close": "c000020d, 1 reset",
    "10 cancel": "c0000120 0, receive c0000241, send 10053, peer 10054",
    "11 thread": "c0000120",
    "12 ack": "60000 at once soon, 1000 pending late",
    "13 transmit": "0, 0 10",
    "14 bind": BIND_TABLE,
    "15 both options": "10022",
    "16 clock": "coarse, coarse",
    "17 refusal": "slow, soon",
    "18 backlog": "0 1225",
    "20 pages": "0 2, 10055",
    "22 linger": "10035 0",
    "24 event": "258",
    "26 batch": "early, any size",
    "27 reset": "-10054",
    "2 pipe": "103 , 1 0 0 5 hello",
    "2 message": "message, 0 234 80000005 3 hel",
    "26 single": "early, 0 995 c0000120 0",
}

# What is seen without the play: Wine's own ways.
WITHOUT = {
    "packet=0": ("3 packet", "none"), "context=0": ("4 context",
                                                    "0 0, 0 0, 0, 0"), "wildcard=0": ("6 wildcard", "0"),
    "ack=0": ("12 ack", "60000 at once soon, 1000 at once soon"), "transmit=0": ("13 transmit", "10, 0 10"),
    "clock=0": ("16 clock", "fine, fine"), "refusal=0": ("17 refusal", "fast, at the wrong time"),
    "backlog=0": ("18 backlog", "0 0"), "batch=0": ("26 batch",
                                                    "never early, as many as there are"),
                                                    "reset=0": ("27 reset", "5"),
}


def test_every_scene_has_its_words():
    strict = Path(__file__).resolve().parents[1] / "instruments" / "strict"
    source = "".join((strict / name).read_text(encoding="utf-8") for name in ("scene.c", "scene_files.c"))
    assert re.findall(r'\{"(\d+ [^"]+)", \w+\}', source) == list(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_a_play(tclsh, name):
    ended, lines, log = tclsh("scene.tcl", name, plays="reset=1")       # which is not on at first
    assert (ended, lines) == (0, [SCENES[name]]), log


@pytest.mark.parametrize("play", WITHOUT)
def test_without_the_play(tclsh, play):
    name, seen = WITHOUT[play]
    ended, lines, log = tclsh("scene.tcl", name, plays=play)
    assert (ended, lines) == (0, [seen]), log


def test_an_exit_needs_no_other_thread(tclsh):
    """Rule 29: at the end of a process on Windows the other threads are gone, with whatever locks they
    hold."""
    started = time.monotonic()
    ended, lines, log = tclsh("freeze.tcl")
    assert (ended, lines) == (0, ["freezing"]), log
    assert time.monotonic() - started < 60


def test_an_idle_connection_locks_one_page(tclsh):
    ended, lines, log = tclsh("pages.tcl")
    assert (ended, lines) == (0, ["1.0", "1.0"]), log
