"""The tests of fault injection run Tcl scripts in the build with faults, or the strict one: each in a process
of its own, without Python."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the rig, package `tools`, stands in the project's root

from tools.base import process  # noqa: E402
from tools.environments import build, run as rig  # noqa: E402

from sweep_counts import COUNTS  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=5, help="sweeps strike every so many calls (1: every one)")


def pytest_configure(config):
    config.stash[COUNTS] = []


def pytest_terminal_summary(terminalreporter, config):
    if counts := config.stash[COUNTS]:
        terminalreporter.section("faults injected")
        terminalreporter.write_line(f"{'call, fault, code, times':62}  runs  faults  short")
        for name, *row in [*counts, ("in all", *(sum(column) for column in list(zip(*counts))[1:]))]:
            terminalreporter.write_line(f"{name:62}  {row[0]:4}  {row[1]:6}  {row[2]:5}")


@pytest.fixture(scope="session")
def tclsh(request):
    """A function that runs a script with its arguments and returns (exit status, lines of stdout, text of
    stderr)."""
    variant = os.environ.get(rig.VARIANT) or "faults"       # or the strict build, which can inject faults too
    build.ensure(variant=variant)
    with contextlib.ExitStack() as owner:
        windows = owner.enter_context(rig.session(variant))

        def run_script(name, *arguments, timeout=900):
            argv, env = windows.tclsh(request.config.getoption("--tcl"), HERE / name, *arguments)
            ended = process.recorded(argv, env, timeout)
            return ended.returncode, ended.stdout.splitlines(), ended.stderr

        yield run_script
