"""Fault sweeps over socket2: one call of Windows fails, is late, or comes short, at each place of a whole
scenario in turn.

What must hold each time stands in scenario.tcl. A sweep that injected nothing is a failure: then the scenario
has lost the call. `--every 1` strikes at every call; the matrix strikes at every fifth.
"""

import re

import pytest

from sweep_counts import COUNTS

ONCE, ALWAYS = 1, -1

# Winsock and Win32 codes, and NTSTATUS codes as packets bring them
EACCES, EWOULDBLOCK, ENOTSOCK, EOPNOTSUPP = 10013, 10035, 10038, 10045
EADDRINUSE, EADDRNOTAVAIL = 10048, 10049
ECONNABORTED, ECONNRESET, ENOBUFS, ENOTCONN, EMFILE, EHOSTUNREACH = 10053, 10054, 10055, 10057, 10024, 10065
HOST_NOT_FOUND, TRY_AGAIN, NETNAME_DELETED, NOT_ENOUGH_MEMORY, NO_SYSTEM_RESOURCES = 11001, 11002, 64, 8, 1450
NOT_FOUND, SEM_TIMEOUT, WAIT_TIMEOUT = 1168, 121, 258


def status(code):
    return code - (1 << 32)


RESET, REFUSED, CANCELLED, TIMED_OUT = (status(code) for code in (0xC000020D, 0xC0000236, 0xC0000120,
                                                                  0xC00000B5))
INSUFFICIENT, ABORTED, DELETED = (status(code) for code in (0xC000009A, 0xC0000241, 0xC00000C9))

# The kernel takes a thousand bytes at a time, so that the send queue is used.
SLOW_KERNEL = "{send_direct short 1000}"
# And the system does not say how much it wants to have outstanding, so that there is one send: behind one
# that comes short another goes out, and the peer sees the hole before the reset (test_order.py).
ONE_SEND = f"{SLOW_KERNEL} {{WSAIoctl value 0}}"

# (call, action, code, times), and where needed: settings, other plans
SWEEPS = [
    *[("WSASocketW", "fail", code, times) for code in (EMFILE, ENOBUFS) for times in (ONCE, 12)],
    *[("bind", "fail", code, ONCE) for code in (EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOBUFS)],
    *[("listen", "fail", code, ONCE) for code in (EADDRINUSE, ENOBUFS)],
    ("shutdown", "fail", ENOTCONN, ONCE),
    ("closesocket", "fail", ENOTSOCK, ONCE),
    ("ioctlsocket", "fail", ENOBUFS, ONCE),
    ("setsockopt", "fail", ENOBUFS, ONCE),
    ("setsockopt", "fail", ECONNRESET, ONCE),
    ("getsockname", "fail", ENOBUFS, ONCE),
    ("getpeername", "fail", ENOTCONN, ONCE),
    ("getnameinfo", "fail", HOST_NOT_FOUND, ONCE),
    *[("GetAddrInfoW", "fail", code, ONCE) for code in (HOST_NOT_FOUND, TRY_AGAIN, NOT_ENOUGH_MEMORY)],
    ("MultiByteToWideChar", "fail", 1113, ONCE),
    *[("AcceptEx", "fail", code, times) for code in (EMFILE, ENOBUFS) for times in (ONCE, 12)],
    *[("AcceptEx", "fail", code, ONCE) for code in (ECONNRESET, NETNAME_DELETED, SEM_TIMEOUT)],
    *[("AcceptEx", "status", code, 6) for code in (RESET, DELETED, ABORTED, INSUFFICIENT, CANCELLED)],
    ("AcceptEx", "late", 10, ALWAYS),
    ("AcceptEx", "inline", 0, ALWAYS),
    *[("ConnectEx", "fail", code, ONCE) for code in (ENOBUFS, EHOSTUNREACH)],
    *[("ConnectEx", "status", code, ONCE) for code in (REFUSED, TIMED_OUT, INSUFFICIENT)],
    ("ConnectEx", "late", 10, ALWAYS),
    ("ConnectEx", "inline", 0, ALWAYS),
    *[("WSARecv", "fail", code, ONCE) for code in (ECONNRESET, ECONNABORTED, ENOBUFS)],
    *[("WSARecv", "status", code, ONCE) for code in (RESET, DELETED, INSUFFICIENT)],
    ("WSARecv", "late", 5, ALWAYS),
    ("WSARecv", "short", 1, 200),
    ("WSARecv", "short", 100, ALWAYS),
    ("WSARecv", "fail", ENOBUFS, ONCE, "-recvmode zero"),
    ("WSARecv", "status", RESET, ONCE, "-recvmode zero"),
    ("WSARecv", "late", 5, ALWAYS, "-recvmode zero"),
    *[("receive_direct", "fail", code, ONCE, "-recvmode zero")
      for code in (ECONNRESET, EWOULDBLOCK, ENOBUFS)],
    ("receive_direct", "short", 1000, ALWAYS, "-recvmode zero"),
    *[("send_direct", "fail", code, ONCE) for code in (ECONNRESET, ENOBUFS)],
    ("send_direct", "fail", EWOULDBLOCK, ALWAYS),
    ("send_direct", "short", 100, ALWAYS),
    *[("WSASend", "fail", code, ONCE, "", SLOW_KERNEL) for code in (ECONNRESET, ENOBUFS, ECONNABORTED)],
    *[("WSASend", "status", code, ONCE, "", SLOW_KERNEL) for code in (RESET, DELETED)],
    ("WSASend", "status", INSUFFICIENT, ONCE, "", ONE_SEND),
    ("WSASend", "late", 5, ALWAYS, "", SLOW_KERNEL),
    ("WSASend", "short", 700, ALWAYS, "", ONE_SEND),
    *[("CancelIoEx", "fail", code, ONCE) for code in (NOT_FOUND, NO_SYSTEM_RESOURCES)],
    ("CancelIoEx", "late", 10, ONCE),
    ("CreateIoCompletionPort", "fail", NO_SYSTEM_RESOURCES, ONCE),
    ("SetFileCompletionNotificationModes", "fail", NO_SYSTEM_RESOURCES, ONCE),
    ("GetQueuedCompletionStatusEx", "fail", WAIT_TIMEOUT, ONCE),
    ("GetQueuedCompletionStatusEx", "fail", NO_SYSTEM_RESOURCES, 3),
    ("malloc", "fail", NOT_ENOUGH_MEMORY, ONCE),
    ("malloc", "fail", NOT_ENOUGH_MEMORY, 5),
]

STARTS = [("WSAStartup", 10091), ("GetModuleHandleExW", 126), ("CreateIoCompletionPort", NO_SYSTEM_RESOURCES),
          ("CreateThread", 8), ("WSASocketW", EMFILE), ("WSAIoctl", EOPNOTSUPP)]


def name(row):
    return "-".join(str(word).strip("{}").replace(" ", "-") for word in row if word != "")


def label(call, action, code, times, settings="", constant=""):
    """A row of the table: with the code of a packet in hexadecimal, as Windows' headers have it."""
    value = {"status": f"{code & 0xFFFFFFFF:08X}", "inline": ""}.get(action, str(code))
    count = {ONCE: "once", ALWAYS: "always"}.get(times, f"{times} times")
    return ", ".join(filter(None, [f"{call} {action} {value}".strip(), count, settings,
                                   constant.replace("} {", ", ").strip("{}")]))


@pytest.mark.parametrize("sweep", [pytest.param(row, id=name(row)) for row in SWEEPS])
def test_sweep(tclsh, request, sweep):
    call, action, code, times, settings, constant = (*sweep, "", "")[:6]
    every = request.config.getoption("--every")
    ended, lines, log = tclsh("sweep.tcl", every, settings, constant, call, action, code, times)
    last = re.fullmatch(r"@@ swept (\d+) (\d+) (\d+)", lines[-1] if lines else "")
    assert last, "\n".join([f"ended with status {ended}:", *lines, log[-2000:]])
    assert lines[:-1] == []
    runs, faults, short = map(int, last.groups())
    request.config.stash[COUNTS].append((label(*sweep), runs, faults, short))
    assert faults, "the scenario has no such call"


@pytest.mark.parametrize("call, code", STARTS)
def test_a_failed_start_is_reported_and_tried_again(tclsh, call, code):
    ended, lines, log = tclsh("start.tcl", call, code)
    messages = [line for line in lines if line.startswith("message: couldn't start iocpsock: ")]
    assert lines[len(messages):] == [f"@@ started {len(messages)}"], "\n".join([*lines, log[-2000:]])
    assert messages


def test_an_option_that_is_refused_changes_nothing(tclsh):
    ended, lines, log = tclsh("refused.tcl")
    assert (ended, lines) == (0, [line for option, before, value in (("-keepalive", 0, 1), ("-nodelay", 1, 0))
                                  for line in (f"{option} refused: 1 <couldn't set socket option: no buffer "
                                               f"space available> {before}",
                                               f"{option} granted: 0 <> {value}")]), log


@pytest.mark.parametrize("code, whose, words", [
    (EADDRINUSE, "taken", "address already in use"), (EACCES, "free", "permission denied"),
    (EACCES, "taken", "address already in use")])
def test_a_refused_bind_is_final(tclsh, code, whose, words):
    """A second bind, without SO_EXCLUSIVEADDRUSE, would succeed beside a listener on a more specific address
    on Windows."""
    ended, lines, log = tclsh("bind.tcl", code, whose)
    assert (ended, lines) == (0, [f"1 <couldn't open socket: {words}>"]), log


def test_a_coarse_clock_gets_a_timer(tclsh):
    ended, lines, log = tclsh("clock.tcl")
    assert (ended, lines) == (0, ["timer set: 1"]), log


def test_threads_are_added_when_all_are_busy(tclsh):
    ended, lines, log = tclsh("threads.tcl", 6)
    assert (ended, lines) == (0, ["2 at first", "more than 2, at most 6"]), log


def test_a_provider_that_cannot_skip_packets(tclsh):
    """With a layered provider each operation sends its packet, whatever it did at once."""
    ended, lines, log = tclsh("start.tcl", "getsockopt", ENOBUFS)
    assert lines == ["@@ started 0"], "\n".join([*lines, log[-2000:]])
