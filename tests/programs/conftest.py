"""Programs that know nothing of iocpsock, in Windows Tcl processes without Python: with socket2 in the place
of socket, and with the stock socket, so that what is expected is what the stock socket does.

A scenario plays with one or more processes (tools/load/program.py), which live as long as its module, and
sends them Tcl scripts. When the module is done with an implementation, the processes must have nothing live
left in the engine and no background error; every listener has then been closed by the script that `closing`
was given.
"""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))               # the rig, package `tools`, stands in the project's root

from tools.environments import run  # noqa: E402
from tools.load.program import Program  # noqa: E402


@pytest.fixture(scope="session")
def windows():
    with run.session() as session:
        yield session


@pytest.fixture(scope="module", params=["stock", "socket2"])
def start_program(request, windows):
    """Starts a process whose `socket` is that of the implementation, and ends it with the module."""
    programs = []

    def start():
        programs.append(Program(windows, request.config.getoption("--tcl"), request.param))
        return programs[-1]

    yield start
    try:
        for program in reversed(programs):
            program.finish()
    finally:
        for program in programs:
            program.kill()


@pytest.fixture(scope="module")
def server(start_program):
    return start_program()


@pytest.fixture(scope="module")
def client(start_program):
    return start_program()


@pytest.fixture
def quiet(client):
    """After each test the client has nothing live, and no complaint; the server listens, and is checked at
    the end."""
    yield
    client.check()


@pytest.fixture(scope="session")
def tcllib():
    """The folder of tcllib: pure Tcl, and so at home under Windows as it is in Debian's package."""
    folders = sorted(pathlib.Path("/usr/share/tcltk").glob("tcllib*"))
    if not folders:
        pytest.skip("tcllib is not installed in /usr/share/tcltk, where Debian's package has it")
    return folders[-1]


@pytest.fixture(scope="module")
def pair(server, client, tcllib):
    """The two processes, both of which find tcllib."""
    for program in (server, client):
        program.eval("use_tcllib $tcllib", tcllib=program.path(tcllib))
    return server, client
