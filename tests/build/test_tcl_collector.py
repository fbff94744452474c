"""How tests/tcl/conftest.py reads a scenario process: verdicts, skips, a crash and a hang. The processes here
are Python's."""

import importlib.util
import os
import sys
import textwrap
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "tcl" / "conftest.py"


@pytest.fixture
def collector(monkeypatch):
    """The collector's module, with a short patience."""
    spec = importlib.util.spec_from_file_location("tcl_collector", CONFTEST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SILENCE_LIMIT", 1.0)
    monkeypatch.setattr(module, "LAST_WORD", 0.2)
    return module


@pytest.fixture
def run(collector):
    """Start a Python program as a scenario process; it is ended after the test."""
    runs = []

    def start(program):
        argv = [sys.executable, "-u", "-c", textwrap.dedent(program)]
        runs.append(collector.Run(collector.rig.Command(argv, dict(os.environ))))
        return runs[-1]

    yield start
    for each in runs:
        each.end()


def test_names_of_a_file(collector):
    text = "test a-1 {plain} -body {}\nproc p {} {}\nfamily_test b-1.2 {twice} -body {}\n  test in a body\n"
    assert list(collector.scan(text)) == [("a-1", 0), ("b-1.2-inet", 2), ("b-1.2-inet6", 2)]


def test_verdicts_in_any_order(run):
    scenario = run("""
        print("@@ start a"); print("@@ passed a")
        print("@@ start b"); print("what b says"); print("@@ failed b")
        print("@@ start c"); print("@@ skipped c no such thing here"); print("@@ end")
    """)
    assert scenario.verdict("c") == ("skipped", "no such thing here")
    assert scenario.verdict("b") == ("failed", "what b says")
    assert scenario.verdict("a")[0] == "passed"


def test_a_crash_fails_what_has_no_verdict(run):
    scenario = run("""
        print("@@ start a"); print("@@ passed a")
        print("@@ start b"); print("last words"); raise SystemExit(7)
    """)
    assert scenario.verdict("a")[0] == "passed"
    for name in ("b", "c"):
        verdict, text = scenario.verdict(name)
        assert verdict == "failed"
        assert f"no verdict for {name}: the process ended with status 7, in b\nlast words" == text


def test_a_silent_process_is_killed(run):
    scenario = run("""
        print("@@ start a")
        import time; time.sleep(600)
    """)
    verdict, text = scenario.verdict("a")
    assert verdict == "failed"
    assert "hung: silent for 1 s and killed, in a" in text
    assert scenario.process.wait(timeout=10) != 0


def test_a_test_that_the_file_does_not_run(run):
    verdict, text = run('print("@@ end")').verdict("a")
    assert verdict == "failed"
    assert "ended with status 0" in text
