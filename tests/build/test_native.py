"""The rig of Windows, run by a Windows Python under Wine: os.name is "nt", and it is told of the
interpreters."""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.base import process
from tools.environments import run, tcl, winpython

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows `dev.py test` is that rig itself")

OTHER = "3.12"          # the Python that runs dev.py; it is told of the newest one
NEWEST = run.PYTHON_VERSIONS[-1]
TIMEOUT = 350


@pytest.fixture
def dev(tmp_path):
    """Call the Windows Python on dev.py: its status, and all it says."""
    with run.session("") as windows:
        def call(*arguments):
            shell = tcl.shell("9.0")
            files = winpython.directory(NEWEST) / "python.exe", shell.program
            argv, env = windows.python(OTHER, windows.path(run.ROOT / "dev.py"), *arguments)
            env.pop("IOCPSOCK_REQUIRE_ALL", None)           # not all of it is there
            env["IOCPSOCK_CACHE"] = windows.path(tmp_path)
            env["IOCPSOCK_INTERPRETERS"] = ";".join(windows.path(file) for file in files)
            env["TCL_LIBRARY"] = windows.path(shell.library).replace("\\", "/")
            said = []

            def take(stream, data):
                said.append(data)

            status = process.follow(argv, env, take, cwd=run.ROOT, timeout=TIMEOUT)
            return status, b"".join(said).decode().replace("\r\n", "\n")

        yield call


def cells(said):
    """The table at the end: the name of a cell, and how many tests passed and failed in it."""
    rows = re.findall(r"^(\S.*?) +(\d+) +(\d+) +(\d+) +(\d+)$", said, re.MULTILINE)
    return {name: (int(passed), int(failed)) for name, passed, failed, skipped, seconds in rows}


def test_the_cells_of_a_python(dev):
    chosen = "test_versions_agree or test_importing_again"
    status, said = dev("test", "--no-build", "--python", NEWEST, "-k", chosen)
    assert (status, cells(said)) == (0, {f"python {NEWEST}": (1, 0), "build": (1, 0)}), said


def test_what_is_not_there_is_named(dev):
    status, said = dev("python", "--no-build", "--version", "3.11", "-c", "")
    assert status == 1
    assert "dev.py: Python 3.11: not installed. What to do: " in said and "IOCPSOCK_INTERPRETERS" in said


def test_interpreters_are_asked_for_their_versions(dev):
    status, said = dev("python", "--no-build", "--version", NEWEST, "-c", "import sys; print(sys.version)")
    assert status == 0 and NEWEST in said
    assert dev("tclsh", "--no-build", "--version", "8.6")[0] == 1
