"""The part about CPython's tests of asyncio that is written by hand: its files, and why a test does not
pass."""

from tools.environments import run
from tools.suites import pysuite
from tools.suites.suite import STOCK, Suite

# First those whose tests need the engine.
FILES = tuple(f"test_asyncio.test_{name}" for name in (
    "events", "sock_lowlevel", "sendfile", "server", "streams", "buffered_proto", "sslproto", "ssl",
    "subprocess", "windows_events", "base_events", "tasks", "futures", "futures2", "locks", "queues",
    "runners", "timeouts", "taskgroups", "waitfor", "context", "eager_task_factory", "threads", "transports",
    "protocols", "staggered", "pep492", "free_threading", "graph"))

# Those that the matrix leaves out: they test what is above the loop, mostly with a loop of their own.
RARE = tuple(f"test_asyncio.test_{name}" for name in (
    "tasks", "futures", "futures2", "locks", "queues", "runners", "taskgroups", "context",
    "eager_task_factory", "transports", "protocols", "staggered", "pep492", "free_threading", "graph"))

SINCE = {"test_asyncio.test_eager_task_factory": "3.12", "test_asyncio.test_staggered": "3.12",
         "test_asyncio.test_free_threading": "3.14", "test_asyncio.test_graph": "3.14"}

INTRODUCTION = """CPython's own tests of `asyncio`, on its ProactorEventLoop and on `iocpsock.EventLoop`.
Wherever a test asks for a default loop, or is one of the ProactorEventLoop's, it gets ours. Tests that are
written for the SelectorEventLoop only get ours too, and that loop in the column of the stock one; the same
tests for both loops are run once. Tests that bring a loop of their own, as many of tasks and futures do, are
run as they are. The files are those of 3.11.2, 3.13.5 and 3.14.10, as above. 3.12 and 3.13 were not measured
yet.

The files about the insides of one of the stock loops are left out (`test_proactor_events`,
`test_selector_events`, `test_windows_utils`), and those about Unix and the command `python -m asyncio`
(`test_unix_events`, `test_tools`)."""

_OLDER = "It tests what the library of 3.11.2 did, and the interpreter is 3.11.9."
_MENDED = "It tests what 3.14.10 added or fixed, and the interpreter is 3.14.2."
_PRIVATE = "It looks at a private attribute that only the ProactorEventLoop has."
_NEWER = "It tests a change of the library that is newer than this interpreter."
_SILENT = "the answer that nobody listens at a UDP port, which Wine does not give to an unconnected socket"

_LOST = ("With the ProactorEventLoop, under Wine, the connection ends without the exception, or the data, "
         "that the test waits for. The cause was not looked for.")
# Why a test fails, with our loop or the stock one.
REASONS = {
    "test_address_argument_type_error": _PRIVATE,
    "test_connect_pipe_cancel": _PRIVATE,
    "test_wait_for_handle": _PRIVATE,
    "test_wait_for_handle_cancel": _PRIVATE,
    "test_remote_shutdown_receives_trailing_data": _LOST,
    "test_remote_shutdown_receives_trailing_data_on_slow_socket":
        "It looks at private attributes that only the SelectorEventLoop's transports have.",
    "test_shutdown_timeout_after_eof_from_not_reading_peer": _LOST,
    "test_start_tls_client_corrupted_ssl": _LOST,
    "test_internal_fds":
        "It looks at the two sockets by which the stock loop wakes itself; ours has none.",
    "test_get_running_loop_already_running": _NEWER,
    "test_eager_start_true_no_loop": _MENDED,
    "test_futureiter_send_after_close_no_crash": _MENDED,
    "test_futureiter_send_after_throw_no_crash": _MENDED,
    "test_get_context_uninitialized_segfault": _MENDED,
    "test_task_created_during_thread_state_clear": _MENDED,
    "test_close_during_handshake": _OLDER,
    "test_create_datagram_endpoint_wrong_sock": _OLDER,
    "test_recvfrom_into_wrong_size": _MENDED,
    "test_close":
        "It gives `sock_recv` a blocking socket, which asyncio's documentation forbids. Like the "
        "SelectorEventLoop, ours tries the call at once, and blocks.",
    "test_create_server_soreuseport_only_defined":
        "It puts a mock object in the place of a socket, and our loop gives its handle to the system.",
    "test_datagram_recvfrom_connection_reset_recovers": f"It waits for {_SILENT}.",
    "test_datagram_write_error_close_from_callback":
        "A datagram that is too long must fail after the call, as it does on Windows. Wine refuses it in the "
        "call itself, and then the stock transport is closed before the second one is written.",
    "test_double_bind": "Wine does not have FILE_FLAG_FIRST_PIPE_INSTANCE.",
    "test_open_connection_happy_eyeball_refcycles":
        "After a connect that failed, a future of the ProactorEventLoop's own still refers to the exception.",
    "test_sendfile_close_peer_in_the_middle_of_receiving":
        "It asks how far the file was read. The ProactorEventLoop's TransmitFile does not say so; the test "
        "of 3.13 knows that.",
    "test_kill_issue43884": "It sends Ctrl-Break, and the tests have no console.",
}

# Tests that depend on timing: the speed that they assume, and that a busy machine does not reach.
TIMED: dict = {}

# Tests that are not run, and why.
_HANGS = f"it waits for {_SILENT}, and hangs with either loop"
_DEFAULT = "it asks whether the default loop is a ProactorEventLoop, and here it is not"
LEFT_OUT = {
    "test_asyncio.test_sock_lowlevel": {
        "ProactorEventLoopTests.test_datagram_send_to_non_listening_address_recvfrom": _HANGS,
        "ProactorEventLoopTests.test_datagram_send_to_non_listening_address_recvfrom_into": _HANGS},
    "test_asyncio.test_windows_events": {"WinPolicyTests.test_proactor_win_policy": _DEFAULT},
    "test_asyncio.test_runners": {"RunTests.test_loop_factory_default_event_loop": _DEFAULT},
}

# Tests that take more than 20 s, or hang with our loop. The matrix leaves them out.
SLOW = {"test_asyncio.test_ssl": ("TestSSL.test_remote_shutdown_receives_trailing_data_on_slow_socket",),
        "test_asyncio.test_windows_events": ("ProactorTests.test_close",)}


def plain(test):
    """The name of a test without its class: several classes inherit many of the tests."""
    return test.rpartition(".")[2]


SUITE = Suite("asyncio", FILES, run.PYTHON_VERSIONS, "iocpsock",
              {STOCK: "ProactorEventLoop", "iocpsock": "iocpsock"}, pysuite.run_file, INTRODUCTION, REASONS,
              TIMED, None, SLOW, LEFT_OUT, plain, SINCE, True, RARE)
