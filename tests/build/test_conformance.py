"""The keeper of the conformance page: what counts as lost, and what is run again. No suite is run here."""

import io
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.environments import installation, python_tests
from tools.suites import pysuite, tcltest
from tools.suites.conformance_asyncio import SUITE as ASYNCIO
from tools.suites.conformance_python import SUITE as PYTHON
from tools.suites.conformance_tcl import REASONS, SUITE
from tools.suites.outcome import Result
from tools.suites.suite import WINES, Suite


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Put rows in the place of the recorded data of the first Wine, which is the one that runs the programs,
    or of another."""
    def put(*rows, wine=WINES[0]):
        (tmp_path / wine).write_text(json.dumps(rows))
    monkeypatch.setattr(Suite, "data", lambda suite, wine: tmp_path / wine)
    running(monkeypatch, WINES[0])
    return put


def running(monkeypatch, wine):
    monkeypatch.setattr(installation, "chosen", lambda: installation.Installation(wine))


def row(command, total, failures=(), skips=None):
    return {"file": "x.test", "version": "8.6", "command": command, "total": total,
            "passed": total - len(failures) - sum(map(len, (skips or {}).values())),
            "failures": dict.fromkeys(failures, "failed"), "skips": skips or {}, "verdict": ""}


def result(**fields):
    return Result("x.test", "8.6", "socket2", **fields)


def test_what_was_known_to_fail_is_not_lost(record):
    record(row("stock", 3), row("socket2", 3, ["a"], {"unix": ["b"]}))
    assert SUITE.lost(result(total=3, failures=["a"], skips={"b": "unix"}, passes=["c"])) == []


def test_a_test_that_fails_hangs_or_is_skipped_is_lost(record):
    record(row("socket2", 3))
    assert SUITE.lost(result(total=3, failures=["a", "b"], broken={"b": "hung: silent"},
                             skips={"c": "unix"})) == ["c: skipped: unix", "a: failed", "b: hung: silent"]


def test_tests_that_do_not_come_up_are_lost(record):
    record(row("socket2", 3))
    assert SUITE.lost(result(total=1, passes=["a"])) == ["x.test: 2 of its 3 tests did not come up"]


def test_a_file_without_recorded_data_is_refused(record):
    record(row("stock", 3))
    assert SUITE.lost(result(total=3)) == ["x.test: no recorded data for Tcl 8.6; run `dev.py conformance "
                                           "x.test`"]


def test_each_wine_has_a_record_of_its_own_or_that_of_the_first(record, monkeypatch):
    record(row("stock", 3), row("socket2", 3, ["a"]))
    running(monkeypatch, WINES[1])
    assert SUITE.lost(result(total=3, failures=["a"])) == []
    running(monkeypatch, WINES[0])
    record(row("stock", 3), row("socket2", 3, ["b"]), wine=WINES[1])
    assert SUITE.lost(result(total=3, failures=["a"])) == []
    running(monkeypatch, WINES[1])
    assert SUITE.lost(result(total=3, failures=["a"])) == ["a: failed"]
    assert SUITE.lost(result(total=3, failures=["b"])) == []


def test_the_page_tells_what_another_wine_changes(record):
    record(row("stock", 3, ["same"]), row("socket2", 3, ["same"], {"thread": ["c"]}))
    assert "### Under Wine 10\n\nNot measured yet" in SUITE.page()
    record(row("stock", 3, ["same"]), row("socket2", 3, ["same", "socket_inet-2.13"], {"thread": ["c"]}),
           wine=WINES[1])
    _, _, text = SUITE.page().partition("### Under Wine 10")
    changes = [line for line in text.partition("###")[0].splitlines() if line.startswith("* ")]
    assert changes == ["* x.test, Tcl 8.6, `socket_inet-2.13`: stock `socket` passed, `socket2` failed. "
                       f"{REASONS['socket-2.13']} Under Wine 8: stock `socket` passed, `socket2` passed."]
    record(row("stock", 3, ["same"]), row("socket2", 3, ["same"], {"thread": ["c"]}), wine=WINES[1])
    assert "x.test. Each test as under Wine 8.\n" in SUITE.page()


def test_a_test_has_a_second_try_unless_it_is_known_to_fail(monkeypatch, record):
    def run_file(version, file, options, stock, show):
        if "-match" in options:
            assert options == ["-match", "late bad"]
            return result(total=2, passes=["late"], failures=["bad"])
        return result(total=4, passed=1, failed=3, failures=["late", "bad", "old"], passes=["good"])

    record(row("socket2", 4, ["old"]))
    monkeypatch.setattr(tcltest, "run_file", run_file)
    final, second = SUITE.run_file("8.6", "x.test", "socket2", lambda line: None)
    assert second == ["late"]
    assert (final.passed, final.failed) == (2, 2)
    assert (final.failures, final.passes) == (["bad", "old"], ["good", "late"])


def test_the_page_names_each_exception_with_its_reason(record):
    record(row("stock", 3, ["socket_inet-2.13"]), row("socket2", 3, ["b"], {"thread": ["c"]}))
    text = SUITE.page()
    assert "| x.test | 8.6 | 3 | 2 | 1 | 1 | 1 |" in text
    assert "* `socket_inet-2.13`: stock `socket` failed, `socket2` passed. " + REASONS["socket-2.13"] in text
    skipped = "* `c`: stock `socket` passed, `socket2` skipped. Constraint `thread`: needs the Thread package"
    assert skipped in text


def test_a_test_that_fails_with_ours_and_is_skipped_with_the_stock_loop_has_our_reason(record):
    record(row("stock", 1, skips={"not for this loop": ["A.test_internal_fds"]}),
           row("iocpsock", 1, ["A.test_internal_fds"]))
    assert (f"* `A.test_internal_fds`: ProactorEventLoop skipped, iocpsock failed. "
            f"{ASYNCIO.reasons['test_internal_fds']}\n") in ASYNCIO.page()


def test_a_file_that_was_measured_one_way_only_is_not_on_the_page(record):
    record(row("socket2", 3))
    assert "x.test" not in SUITE.page()
    assert SUITE.lost(result(total=3, failures=["a"])) == ["a: failed"]


def test_what_has_no_reason_is_complained_of(record):
    record(row("socket2", 3, ["b"], {"odd": ["c"]}))
    assert list(SUITE.complaints()) == [
        "x.test, Tcl 8.6, socket2, Wine 8: b failed; why? Write it in REASONS",
        "x.test, Tcl 8.6, socket2, Wine 8: skipped for odd; why? Write it in CONSTRAINTS"]


def test_a_suite_that_says_why_it_skips_needs_no_reason_of_ours(record):
    record(row("stock", 2), row("iocpsock", 2, skips={"needs Unix": ["A.c"]}))
    assert list(PYTHON.complaints()) == []
    assert "| needs Unix | 1 |" in PYTHON.page()
    assert "* `A.c`: stock passed, iocpsock skipped. The suite says: needs Unix." in PYTHON.page()


def test_a_file_is_measured_with_the_versions_that_have_it(record, monkeypatch):
    """And both ways with each of them."""
    done = []

    def measure(suite, job):
        done.append(job)
        version, file, command = job
        return {**row(command, 1), "file": file, "version": version}

    monkeypatch.setattr(Suite, "_measure", measure)
    ASYNCIO.measure(["test_asyncio.test_graph", "test_asyncio.test_staggered"])
    assert sorted(done) == [(version, f"test_asyncio.test_{name}", command) for version, name in (
        ("3.12", "staggered"), ("3.13", "staggered"), ("3.14", "graph"), ("3.14", "staggered"))
        for command in ("iocpsock", "stock")]
    assert "| test_asyncio.test_graph | 3.14 | 1 | 1 | 0 | 1 | 0 |" in ASYNCIO.page()


def test_the_reader_of_pythons_suite_keeps_the_worst_verdict():
    reader = pysuite.Reader(io.BytesIO(), lambda line: None)
    for line in ('["left out", "A.d", ""]', '["start", "A.a", ""]', '["failed", "A.a", "why"]',
                 '["skipped", "A.a", "a part"]', '["stop", "A.a", ""]', '["start", "A.b", ""]',
                 '["passed", "A.b", ""]'):
        reader.take(1, b"words of the test without a newline\x1e" + line.encode() + b"\r\n")
    assert (reader.verdicts, reader.left_out, reader.current) == ({"A.a": "failed", "A.b": "passed"}, {"A.d"},
                                                                  "A.b")
    assert not reader.finished and not reader.timed_out
    reader.take(2, b"Timeout (0:00:40)!\n")
    assert reader.timed_out


def test_reasons_to_skip_are_the_same_in_every_run():
    reader = pysuite.Reader(io.BytesIO(), lambda line: None)
    for name, reason in (("A.a", "no directory '@test_264_tmp'"),
                         ("A.b", "<module 'signal' from 'C:\\x.zip\\signal.pyc'> has none")):
        reader.take(1, b"\x1e" + json.dumps(["skipped", name, reason]).encode() + b"\n")
    assert reader.skips == {"A.a": "no directory '@test_tmp'", "A.b": "<module 'signal'> has none"}


def test_a_file_goes_on_after_a_test_that_hangs(monkeypatch, tmp_path):
    """Each process is told what was done before it; the one that ends silently is charged to the test it was
    in."""
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_x.py").touch()
    done = []

    def attempt(version, plan, reader):
        reader.begin()
        done.append(plan["done"])
        lines = [["start", "A.a", ""], ["passed", "A.a", ""], ["stop", "A.a", ""], ["start", "A.b", ""]]
        if len(done) == 2:
            lines = [["start", "A.c", ""], ["skipped", "A.c", "needs Unix"], ["stop", "A.c", ""],
                     ["end", "", 5]]
        for line in lines:
            reader.take(1, b"\x1e" + json.dumps(line).encode() + b"\n")
        return "" if reader.finished else "hung: for a test"

    monkeypatch.setattr(python_tests, "directory", lambda version: tmp_path)
    monkeypatch.setattr(pysuite, "LOGS", tmp_path)
    monkeypatch.setattr(pysuite, "_attempt", attempt)
    final = pysuite.run_file("3.13", "test_x", "iocpsock", show=lambda line: None)
    assert done == [[], ["A.a", "A.b"]]
    assert (final.passes, final.failures, final.skips) == (["A.a"], ["A.b"], {"A.c": "needs Unix"})
    assert (final.total, final.broken, final.verdict) == (3, {"A.b": "hung: for a test"}, "")


@pytest.mark.parametrize("ran, verdict", [(0, "no operation ran on the engine"), (None, ""), (1, "")])
def test_a_file_that_never_comes_to_the_engine_is_refused(monkeypatch, tmp_path, ran, verdict):
    """Unless it is not to come there. The file is one of a package."""
    (tmp_path / "test" / "test_package").mkdir(parents=True)
    (tmp_path / "test" / "test_package" / "test_x.py").touch()

    def attempt(version, plan, reader):
        reader.take(1, b"\x1e" + json.dumps(["end", "", ran]).encode() + b"\n")
        return ""

    monkeypatch.setattr(python_tests, "directory", lambda version: tmp_path)
    monkeypatch.setattr(pysuite, "LOGS", tmp_path)
    monkeypatch.setattr(pysuite, "_attempt", attempt)
    assert pysuite.run_file("3.13", "test_package.test_x", "iocpsock").verdict == verdict
