"""The part about Tcl's own suite that is written by hand: its files, and why a test does not pass."""

from tools.environments import run
from tools.suites import tcltest
from tools.suites.suite import STOCK, Suite

FILES = ("socket.test", "ioCmd.test", "io.test", "chanio.test", "event.test", "iogt.test", "zlib.test",
         "http.test", "http11.test")

# Tests that take minutes. The matrix leaves them out. They never run with the stock command, where they count
# as failed.
SLOW = {"socket.test": ("socket_inet-2.13", "socket_inet6-2.13")}

# Why a test fails, with whichever command. socket_inet-2.13 and socket_inet6-2.13 are one test, for two
# address families.
REASONS = {
    "socket-2.13": "It writes 720 000 bytes one at a time, and each costs the stock driver most of a "
                   "millisecond under Wine. Tcl 9's suite leaves the test out under Wine.",
    "socket-14.13": "Wine refuses the broadcast address in the connect call itself, where Windows reports it "
                    "later, and the stock driver makes an error of `socket -async` of it. Tcl 9's suite "
                    "leaves the test out under Wine.",
    "socket-14.19": "Two listeners on one port need Winsock's SO_REUSEADDR. Wine passes it to Linux as "
                    "Linux's SO_REUSEADDR, which does not allow that. Tcl 9's suite leaves the test "
                    "out under Wine.",
}

# Tests that depend on timing: the speed that they assume, and that a busy machine does not reach with either
# command. chan-io-6.56 and io-6.56 are one test.
TIMED = {
    "io-6.56": "a child process starts and answers within 500 ms",
    "io-12.5": "a child process starts and answers within 500 ms",
    "io-13.6": "a child process starts and answers within 500 ms",
    "io-39.17": "a child process starts and answers within 300 ms",
    "socket-2.13": "a process that has just sent 720 000 single bytes comes to its next event within 5 ms; "
                   "that event was the later of the two once in eight runs with `socket2` on a machine with "
                   "eight other busy processes",
    "socket-14.15": "a child process starts, connects and answers within a time that was measured without "
                    "starting one",
}

# Why a constraint does not hold here, so that its tests are skipped.
CONSTRAINTS = {
    "asyncPipeChan": "a constraint that nothing defines: it seems to be a slip of the suite",
    "badCompress": "a constraint that nothing defines: it keeps the tests of HTTP's encoding `compress` off",
    "emptyTest": "the suite's mark for a test that has no body",
    "extensive": "the suite's mark for tests of large files",
    "knownBug": "the suite's mark for known bugs of Tcl",
    "knownProfileBug": "a constraint that nothing defines: it keeps a test of encoding profiles off",
    "localhost_v6": "`localhost` has no IPv6 address on this machine",
    "makeFileInHome": "the tests do not write into the user's folder",
    "nonPortable": "the suite's mark for tests of one machine",
    "perf": "the suite's mark for measurements",
    "tempNotWin": "off on Windows by the suite itself",
    "testfilehandler": "a test command that exists on Unix only",
    "testfilewait": "a test command that exists on Unix only",
    "testsocket_testflags": "writes into the stock driver's own structure, which no other driver has",
    "thread": "needs the Thread package, which is not part of Tcl; `threads.test` and `moves.test` in `tests/tcl` "
              "have scenarios of the same kind",
    "unix": "a test for Unix",
    "unixExecs": "needs the Unix commands",
    "notWinCI": "off in the suite's own automatic runs on Windows",
    "notWindows": "a test for Unix",
}

INTRODUCTION = """Tcl's own test suite, run with the stock `socket` and with `socket2` in its place: in the test's
interpreter, in its child interpreters and threads, in `remote.tcl` and in every script it starts."""


def run_file(version, file, command, show, only=None, skip=()):
    options = ["-skip", " ".join(skip)] if skip else []
    options += ["-match", " ".join(only)] if only else []
    return tcltest.run_file(version, file, options, stock=command == STOCK, show=show)


def plain(test):
    """The name of a test without the part that only names its address family, or the commands that it
    uses."""
    return test.replace("_inet6-", "-").replace("_inet-", "-").removeprefix("chan-")


SUITE = Suite("Tcl", FILES, run.TCL_VERSIONS, "socket2", {STOCK: "stock `socket`", "socket2": "`socket2`"},
              run_file, INTRODUCTION, REASONS, TIMED, CONSTRAINTS, SLOW, {}, plain)
