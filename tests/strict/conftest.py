"""The strict build's own tests: each rule is broken on purpose, and each play looked at, in a Tcl process
without Python."""

import contextlib
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the rig, package `tools`, stands in the project's root

from tools.base import process  # noqa: E402
from tools.environments import build, run as rig  # noqa: E402


@pytest.fixture(scope="session")
def tclsh(request):
    """A function that runs a script with its arguments, under such plays, and returns (exit status, lines of
    stdout, text of stderr)."""
    build.ensure(variant="strict")
    with contextlib.ExitStack() as owner:
        windows = owner.enter_context(rig.session("strict"))

        def run_script(name, *arguments, plays="", timeout=100):
            argv, env = windows.tclsh(request.config.getoption("--tcl"), HERE / name, *arguments)
            ended = process.recorded(argv, {**env, "IOCPSOCK_STRICT": plays}, timeout)
            return ended.returncode, ended.stdout.splitlines(), ended.stderr

        yield run_script
