"""Run one file of CPython's own suite in this process, and report each test's result: a line of JSON after a
\\x1e.

usage: python pysuite_run.py PLAN.json: {"file": "test_socket", "command": "stock" or "iocpsock", "only":
names or null, "leave_out": names, "done": names, "timeout": seconds for one test}

A file of the package test_asyncio, "test_asyncio.test_events", tests an event loop: the ProactorEventLoop, or
ours in its place. The other files test sockets: the stock ones, or ours by iocpsock.patch().

A line is [what, test, more]: "left out"; "start" and "stop"; "passed", "failed" (more: the traceback) and
"skipped" (more: the reason), of which a test may have several; "end" for the whole file (more: the number of
operations that our engine has run, or, of a file that needs none, the number of our event loops; null with
the stock sockets, and for a file that needs neither). A test that takes too long ends the process,
after the stack of every thread was printed. The lines use the file descriptor and a mark because tests may
replace sys.stdout and print without a newline.
"""

import faulthandler
import importlib
import json
import os
import re
import ssl
import sys
import unittest

LOOPBACK = ("test_timeout", "test_socketserver")
LOOPS = "test_asyncio."
# the files of test_asyncio whose tests need the engine, and those that need no loop but their own
CONNECTED = ("test_buffered_proto", "test_events", "test_sendfile", "test_server", "test_sock_lowlevel",
             "test_ssl", "test_sslproto", "test_streams", "test_subprocess", "test_windows_events")
LOOPLESS = ("test_futures", "test_pep492", "test_protocols", "test_runners", "test_transports")


def tell(*line):
    os.write(1, b"\x1e" + json.dumps(line).encode() + b"\n")


class Teller(unittest.TestResult):
    """A result that only reports what it receives."""

    def __init__(self, prefix, timeout):
        super().__init__()
        self.prefix, self.timeout = prefix, timeout

    def name(self, test):
        """The name to report. A subtest counts as its test, and a class that is skipped as a whole as one."""
        test = getattr(test, "test_case", test)
        whole = getattr(type(test), "__unittest_skip__", False)
        return type(test).__qualname__ if whole else test.id().removeprefix(self.prefix)

    def startTest(self, test):
        tell("start", self.name(test), "")
        faulthandler.dump_traceback_later(self.timeout, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        tell("stop", self.name(test), "")

    def addSuccess(self, test):
        tell("passed", self.name(test), "")

    def addFailure(self, test, error):
        tell("failed", self.name(test), self._exc_info_to_string(error, test))  # type: ignore[attr-defined]

    addError = addFailure

    def addSkip(self, test, reason):
        tell("skipped", self.name(test), reason)

    def addExpectedFailure(self, test, error):
        tell("passed", self.name(test), "")

    def addUnexpectedSuccess(self, test):
        tell("failed", self.name(test), "it passed, and was expected to fail")

    def addSubTest(self, test, subtest, error):
        if error:
            self.addFailure(test, error)


def tests(suite):
    """The tests of a suite, as a flat sequence."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests(each)
        else:
            yield each


def load(file, loop):
    """The tests of a file, on the event loop `loop` unless it is None.

    They use no network beyond this machine: the resource "network" is enabled because some files need it to
    run at all. These stay on the loopback interface, except for one name that test_timeout would look up
    without need. The test_ssl of 3.13 uses a constant that 3.12's ssl lacks."""
    from test import support
    from test.support import os_helper
    support.verbose = 0
    # the probe for symbolic links makes one, and Wine reports success without making it
    os_helper._can_symlink = False
    support.use_resources = {"cpu": None, "walltime": None, **({"network": None} if file in LOOPBACK else {})}
    if file == "test_ssl" and not hasattr(ssl, "HAS_PSK"):
        ssl.HAS_PSK = False     # type: ignore[attr-defined]
    module = importlib.import_module("test." + file)
    if file == "test_timeout":
        module.resolve_address = lambda host, port: ("127.0.0.1", port)     # type: ignore[attr-defined]
    if file.startswith(LOOPS):
        keep_one_loop(module, loop)
    return tests(unittest.defaultTestLoader.loadTestsFromModule(module))


def make_default(loop):
    """Let asyncio make such a loop whenever it is asked for a default one, whatever a test does to the
    policy. Return a list that grows by one for each loop."""
    import asyncio      # here, as the tests of sockets run without it
    windows = asyncio.windows_events        # type: ignore[attr-defined]
    policy = getattr(windows, "_DefaultEventLoopPolicy", None) or windows.DefaultEventLoopPolicy
    policy._loop_factory = asyncio.EventLoop = loop     # type: ignore[attr-defined]
    made, begin = [], loop.__init__

    def counted(self):
        made.append(type(self))
        begin(self)

    loop.__init__ = counted
    return made


def keep_one_loop(module, loop):
    """Let the classes of tests for the ProactorEventLoop test our loop, if there is one, and leave out those
    of the same tests for the SelectorEventLoop."""
    for name, each in list(vars(module).items()):
        if not (isinstance(each, type) and issubclass(each, unittest.TestCase)):
            continue
        other = re.sub("Select(or)?", "Proactor", name)
        if other != name and hasattr(module, other):
            delattr(module, name)
        elif loop and "Proactor" in other:
            setattr(module, name, in_place(each, loop))


def in_place(tests, loop):
    """The same class of tests, for another loop: the one that its setUp makes. A test that it does not
    inherit unchanged, as what it needs is missing in the ProactorEventLoop, is the inherited one again."""
    import asyncio
    from unittest import mock
    inherited = super(tests, tests)
    parts = {name: getattr(inherited, name) for name in vars(tests)
             if name.startswith("test") and hasattr(inherited, name)}
    parts |= dict.fromkeys(("create_event_loop", "new_loop"), lambda self: loop())

    def set_up(self):
        with mock.patch.multiple(asyncio, ProactorEventLoop=loop, SelectorEventLoop=loop):
            tests.setUp(self)

    parts |= {"setUp": set_up, "__module__": tests.__module__, "__qualname__": tests.__qualname__}
    return type(tests.__name__, (tests,), parts)


def ran(file, operations, loops):
    """What of ours a file has used: the number that "end" tells."""
    if not file.startswith(LOOPS):
        return operations
    name = file.removeprefix(LOOPS)
    return None if name in LOOPLESS else operations if name in CONNECTED else loops


def main(plan):
    ours, loops = plan["command"] == "iocpsock", []
    about_loops = plan["file"].startswith(LOOPS)
    loop = None
    if ours:
        import iocpsock
        if about_loops:
            loop = iocpsock.EventLoop
            loops = make_default(loop)
        else:
            iocpsock.patch()
    result = Teller(f"test.{plan['file']}.", plan["timeout"])
    chosen = []
    for test in load(plan["file"], loop):
        name = result.name(test)
        if name in plan["leave_out"]:
            tell("left out", name, "")
        elif name not in plan["done"] and (plan["only"] is None or name in plan["only"]):
            chosen.append(test)
    unittest.TestSuite(chosen).run(result)
    tell("end", "", ran(plan["file"], iocpsock.stats()["operations_total"], len(loops)) if ours else None)
    os._exit(0)                         # a test may have left a thread behind that never ends


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(json.load(file))
