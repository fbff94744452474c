"""The keeper of the conformance page: what counts as lost, and what is run again. No suite is run here."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools import conformance, tcltest


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Put rows in the place of the recorded data."""
    def put(*rows):
        (tmp_path / "data.json").write_text(json.dumps(rows))
    monkeypatch.setattr(conformance, "DATA", tmp_path / "data.json")
    return put


def row(command, total, failures=(), skips=None):
    return {"file": "x.test", "version": "8.6", "command": command, "total": total,
            "passed": total - len(failures) - sum(map(len, (skips or {}).values())),
            "failures": dict.fromkeys(failures, "failed"), "skips": skips or {}, "verdict": ""}


def result(**fields):
    return tcltest.Result("x.test", "8.6", "socket2", **fields)


def test_what_was_known_to_fail_is_not_lost(record):
    record(row("stock", 3), row("socket2", 3, ["a"], {"unix": ["b"]}))
    assert conformance.lost(result(total=3, failures=["a"], skips={"b": "unix"}, passes=["c"])) == []


def test_a_test_that_fails_hangs_or_is_skipped_is_lost(record):
    record(row("socket2", 3))
    assert conformance.lost(result(total=3, failures=["a", "b"], broken={"b": "hung: silent"}, skips={"c": "unix"})) == [
        "c: skipped, constraint unix", "a: failed", "b: hung: silent"]


def test_tests_that_do_not_come_up_are_lost(record):
    record(row("socket2", 3))
    assert conformance.lost(result(total=1, passes=["a"])) == ["x.test: 2 of its 3 tests did not come up"]


def test_a_file_without_recorded_data_is_refused(record):
    record(row("stock", 3))
    assert "no recorded data for Tcl 8.6" in conformance.lost(result(total=3))[0]


def test_a_test_has_a_second_try_unless_it_is_known_to_fail(monkeypatch, record):
    def run_file(version, file, options, stock, show):
        if "-match" in options:
            assert options == ["-match", "late bad"]
            return result(total=2, passes=["late"], failures=["bad"])
        return result(total=4, passed=1, failed=3, failures=["late", "bad", "old"], passes=["good"])

    record(row("socket2", 4, ["old"]))
    monkeypatch.setattr(tcltest, "run_file", run_file)
    final, second = conformance.run_file("8.6", "x.test", "socket2", lambda line: None)
    assert second == ["late"]
    assert (final.passed, final.failed, final.failures, final.passes) == (2, 2, ["bad", "old"], ["good", "late"])


def test_the_page_names_each_exception_with_its_reason():
    text = conformance.page([row("stock", 3, ["socket_inet-2.13"]), row("socket2", 3, ["b"], {"thread": ["c"]})])
    assert "| x.test | 8.6 | 3 | 2 | 1 | 1 | 1 |" in text
    assert "* `socket_inet-2.13`: stock `socket` failed, `socket2` passed. " + conformance.REASONS["socket-2.13"] in text
    assert "* `c`: stock `socket` passed, `socket2` skipped. Constraint `thread`: needs the Thread package" in text


def test_what_has_no_reason_is_complained_of():
    assert list(conformance._complaints(row("socket2", 3, ["b"], {"odd": ["c"]}))) == [
        "x.test, Tcl 8.6, socket2: b failed; why? Write it in REASONS",
        "x.test, Tcl 8.6, socket2: skipped for odd; why? Write it in CONSTRAINTS"]
