"""all.tcl, which runs the scenarios for people without Python."""

import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))     # the rig, package `tools`, stands in the project's root

from tools.base import process  # noqa: E402
from tools.environments import run as rig  # noqa: E402

FAILING = """\
test failing-1.1 {passes} -body {expr 1} -result 1
test failing-1.2 {fails} -body {expr 1} -result 2
"""
BROKEN = """\
test broken-1.1 {passes} -body {expr 1} -result 1
exit 3
"""


@pytest.fixture(scope="module")
def windows():
    with rig.session() as session:
        yield session


def run(windows, version, *arguments):
    argv, env = windows.tclsh(version, windows.path(HERE / "all.tcl"), *arguments)
    done = process.recorded(argv, env)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_it_runs_files(windows, request):
    status, lines, complaint = run(windows, request.config.getoption("--tcl"), "arguments.test",
                                   "threads.test", "--socket", "socket2")
    assert (status, complaint) == (0, ""), lines
    assert lines[0] == "threads.test needs tcltest: left out"
    passed, = re.fullmatch(r"Tcl [\d.]+: (\d+) passed, 0 failed, \d+ skipped", lines[-1]).groups()
    assert int(passed) > 30


@pytest.mark.parametrize("text, said", [(FAILING, "failing-1.2 failed"), (BROKEN, "ended early")])
def test_what_fails_is_named(windows, request, tmp_path, text, said):
    (tmp_path / "some.test").write_text(text)
    status, lines, complaint = run(windows, request.config.getoption("--tcl"),
                                   windows.path(tmp_path / "some.test"), "--socket", "stock")
    assert (status, complaint) == (1, "")
    assert lines[0].startswith("some.test with stock: ") and said in lines[0]
    assert lines[-1].endswith("1 passed, 1 failed, 0 skipped")


def test_a_wrong_call(windows, request):
    status, lines, complaint = run(windows, request.config.getoption("--tcl"), "--sokcet", "stock")
    assert (status, lines) == (2, []) and complaint.startswith("usage: ")
