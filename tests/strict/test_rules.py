"""A rule that cannot fire is no rule: each breach (tests/instruments/strict/breach.c and breach_files.c) ends
the process and is told as what it is."""

import re
from pathlib import Path

import pytest

ENDED = 135             # exit status of a process that broke a rule
INSTRUMENTS = Path(__file__).resolve().parents[1] / "instruments" / "strict"
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(INSTRUMENTS.glob("*.c"))}
BREACHES = re.findall(r'\{"(\d+) ([^"]+)", \w+\}', SOURCES["breach"] + SOURCES["breach_files"])
CHECKED = set(re.findall(r"violation\((\d+),", "".join(SOURCES.values())))


def test_every_check_has_a_breach():
    assert CHECKED == {rule for rule, _ in BREACHES}


@pytest.mark.parametrize("rule, name", BREACHES)
def test_a_breach_ends_the_process(tclsh, rule, name):
    ended, lines, log = tclsh("breach.tcl", f"{rule} {name}")
    assert (ended, lines) == (ENDED, ["breaking"]), log
    assert re.match(rf"iocpsock: strict: rule {rule}, \w", log), log
    assert name.replace(" ", "_").lower() in log.lower(), "the report names the function that broke the rule"
