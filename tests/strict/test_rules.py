"""A rule that cannot fire is no rule: each breach (tests/instruments/strict/breach.c) ends the process and is
told as what it is."""

import re
from pathlib import Path

import pytest

ENDED = 135             # exit status of a process that broke a rule
INSTRUMENTS = Path(__file__).resolve().parents[1] / "instruments" / "strict"
BREACHES = re.findall(r'\{"(\d+) ([^"]+)", \w+\}', (INSTRUMENTS / "breach.c").read_text(encoding="utf-8"))
CHECKED = set(re.findall(r"violation\((\d+),", "".join(path.read_text(encoding="utf-8")
                                                       for path in INSTRUMENTS.glob("*.c"))))


def test_every_check_has_a_breach():
    assert CHECKED == {rule for rule, _ in BREACHES}


@pytest.mark.parametrize("rule, name", BREACHES)
def test_a_breach_ends_the_process(tclsh, rule, name):
    ended, lines, log = tclsh("breach.tcl", f"{rule} {name}")
    assert (ended, lines) == (ENDED, ["breaking"]), log
    assert re.match(rf"iocpsock: strict: rule {rule}, \w", log), log
    assert name.replace(" ", "_").lower() in log.lower(), "the report names the function that broke the rule"
