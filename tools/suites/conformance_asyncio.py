"""The part about CPython's tests of asyncio that is written by hand: its files, and why a test does not
pass."""

from tools.environments import run
from tools.suites import pysuite
from tools.suites.suite import STOCK, Suite

# First those whose tests need the engine.
FILES = tuple(f"test_asyncio.test_{name}" for name in (
    "events", "sock_lowlevel", "sendfile", "server", "streams", "buffered_proto", "sslproto", "ssl",
    "subprocess", "windows_events", "base_events", "tasks", "futures", "futures2", "locks", "queues", "runners",
    "timeouts", "taskgroups", "waitfor", "context", "eager_task_factory", "threads", "transports", "protocols",
    "staggered", "pep492", "free_threading", "graph"))

SINCE = {"test_asyncio.test_eager_task_factory": "3.12", "test_asyncio.test_staggered": "3.12",
         "test_asyncio.test_free_threading": "3.14", "test_asyncio.test_graph": "3.14"}

INTRODUCTION = """CPython's own tests of `asyncio`, on its ProactorEventLoop and on `iocpsock.EventLoop`. Wherever
a test asks for a default loop, or is one of the ProactorEventLoop's, it gets ours. Tests that are written for the
SelectorEventLoop only are in the column of the ProactorEventLoop with the loop that they ask for; the same tests
for both loops are run once. Tests of tasks and futures that bring a loop of their own are run as they are. The
files are those of 3.11.2, 3.13.5 and 3.14.10, and 3.12 runs those of 3.13.5, as above.

The files on the insides of one of the stock loops are left out (`test_proactor_events`,
`test_selector_events`, `test_windows_utils`), and those of Unix and of the command `python -m asyncio`
(`test_unix_events`, `test_tools`)."""

_PRIVATE = "It looks at a private attribute that only the stock loop has."
_NEWER = "It tests a change of the library that is newer than this interpreter."

REASONS = {
    "test_internal_fds": "It looks at the two sockets by which the stock loop wakes itself; ours has none.",
    "test_address_argument_type_error": _PRIVATE,
    "test_connect_pipe_cancel": _PRIVATE,
    "test_wait_for_handle": _PRIVATE,
    "test_wait_for_handle_cancel": _PRIVATE,
    "test_get_running_loop_already_running": _NEWER,
}

TIMED: dict = {}

_DEFAULT = "it asks whether the default loop is a ProactorEventLoop, and here it is not"
LEFT_OUT = {
    "test_asyncio.test_windows_events": {"WinPolicyTests.test_proactor_win_policy": _DEFAULT},
    "test_asyncio.test_runners": {"RunTests.test_loop_factory_default_event_loop": _DEFAULT},
}

# Tests that take more than 20 s. The matrix leaves them out.
SLOW: dict = {}


def plain(test):
    """The name of a test without its class: several classes inherit many of the tests."""
    return test.rpartition(".")[2]


SUITE = Suite("asyncio", FILES, run.PYTHON_VERSIONS, "iocpsock",
              {STOCK: "ProactorEventLoop", "iocpsock": "iocpsock"}, pysuite.run_file, INTRODUCTION, REASONS,
              TIMED, None, SLOW, LEFT_OUT, plain, SINCE)
