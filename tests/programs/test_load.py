"""A thousand connections open on one listener (ten thousand with `python3 dev.py soak --load`):
tools/load/connections.py on each server."""

import pytest

from tools.environments import run
from tools.load import connections, servers

COUNT = 1000


@pytest.fixture(scope="module")
def weigh(windows):
    with servers.probe(windows) as weigh:
        yield weigh


@pytest.mark.parametrize("mode", ["zero", "auto", "buffered"])
def test_tcl(windows, weigh, request, mode):
    with servers.ended(servers.TclServer(windows, request.config.getoption("--tcl"),
                                         recvmode=mode)) as server:
        figures = connections.hold(server, weigh, COUNT)
    print(figures)
    if mode == "zero":
        assert figures.ours <= connections.OURS


def test_python(windows, weigh):
    """The sockets hold no memory of the engine's while no call is made on them."""
    with servers.ended(servers.PythonServer(windows, run.PYTHON_VERSIONS[-1])) as server:
        figures = connections.hold(server, weigh, COUNT)
    print(figures)
    assert figures.ours <= connections.OURS
