"""Fixtures of the Python scenarios. They run inside the Windows Python; each is run on the stock sockets and
on iocpsock's.

After every test the engine's live counters must be what they were before it, and a test that hangs ends the
run with the stack of every thread.
"""

import contextlib
import faulthandler
import importlib.util
import inspect
import os
import signal
import sys
import threading

import pytest

from loops import LOOPS, Aio
from secured import VERSIONS, secured_pair, served_by_hand
from support import DEADLINE, MODULES, Balance, Net

HANG = 60               # seconds after which a test counts as hung ...
LONG_HANG = 600         # ... and one that has the mark `long`
FAILED = pytest.StashKey()

# The matrix has a cell for this folder, with the packages that it needs.
collect_ignore = [] if importlib.util.find_spec("uvicorn") else ["libraries"]


def pytest_configure(config):
    config.addinivalue_line("markers", "long: may take minutes")
    config.addinivalue_line("markers", "fails_on_stock(reason, before=None): the stock loop does "
                            "not do this, or did not before this version of Python")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("fails_on_stock")
        if mark and item.callspec.params["aio"] == "stock" \
                and sys.version_info < mark.kwargs.get("before", (4,)):
            item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=True))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A scenario that is a coroutine runs on the loop of its fixture `aio`."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    deadline = LONG_HANG if pyfuncitem.get_closest_marker("long") else DEADLINE
    pyfuncitem.funcargs["aio"].run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}),
                                   deadline)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def watchdog(request):
    """A test in a call that cannot be interrupted would block the whole run: print where it hangs, and end
    the process."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    patience = LONG_HANG if request.node.get_closest_marker("long") else HANG

    def give_up():
        capture.suspend(in_=True)
        print(f"\n{request.node.nodeid}: hung for {patience} s", flush=True)
        faulthandler.dump_traceback(all_threads=True)
        os._exit(3)

    timer = threading.Timer(patience, give_up)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


@pytest.fixture(scope="session")
def engine_stats():
    """iocpsock's stats(), after a first connection has made the objects that the engine keeps for good."""
    import iocpsock
    with Net("iocpsock").pair() as (client, server):
        client.sendall(b"x")
        server.recv(1)
    return iocpsock.stats


@pytest.fixture
def balance(request, engine_stats):
    """The counters' balance, asserted at the end of a test unless it has failed: a failed test keeps its
    frames alive."""
    balance = Balance(engine_stats)
    yield balance
    if not request.node.stash.get(FAILED, False):
        balance.check()


@pytest.fixture(params=MODULES)
def net(request):
    """Each implementation in turn."""
    if request.param == "iocpsock":
        request.getfixturevalue("balance")
    return Net(request.param)


@pytest.fixture(params=LOOPS)
def aio(request):
    """Each implementation of the event loop in turn."""
    if request.param == "iocpsock":
        request.getfixturevalue("balance")
    return Aio(request.param)


@pytest.fixture
def ours(balance):
    """Ours alone."""
    return Net("iocpsock")


@pytest.fixture(scope="session")
def audit_hook():
    """One hook for the process, because hooks cannot be removed. It appends to the current list."""
    heard = []
    sys.addaudithook(lambda event, arguments: heard and heard[-1].append(event))
    return heard


@pytest.fixture
def audited(audit_hook):
    @contextlib.contextmanager
    def listen():
        audit_hook.append(["begin"])
        try:
            yield audit_hook[-1]
        finally:
            audit_hook.pop()
    return listen


@pytest.fixture
def pair(net):
    """A connected pair, (client, server)."""
    with net.pair() as ends:
        yield ends


@pytest.fixture
def handler():
    """Set a handler for SIGINT. After the test the former one is set again."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda function: signal.signal(signal.SIGINT, function)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def strikes(handler):
    """The SIGINTs that arrived: the handler records each one and returns."""
    noted = []
    handler(lambda number, frame: noted.append(number))
    return noted


@pytest.fixture(params=VERSIONS)
def version(request):
    """Each version of TLS in turn."""
    return request.param


@pytest.fixture
def secured(net, version):
    """A client and a server after the TLS handshake."""
    with secured_pair(net, version) as ends:
        yield ends


@pytest.fixture
def by_hand(net, version):
    """A server after the TLS handshake with its client, a ByHand."""
    with served_by_hand(net, version, suppress_ragged_eofs=False) as ends:
        yield ends
