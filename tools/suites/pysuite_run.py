"""Run one file of CPython's own suite in this process, and report each test's result: a line of JSON after a
\\x1e.

usage: python pysuite_run.py PLAN.json: {"file": "test_socket", "command": "stock" or "iocpsock", "only":
names or null, "leave_out": names, "done": names, "timeout": seconds for one test}

A line is [what, test, more]: "left out"; "start" and "stop"; "passed", "failed" (more: the traceback) and
"skipped" (more: the reason), of which a test may have several; "end" for the whole file (more: the number of
operations that our engine has run, null with the stock sockets). A test that takes too long ends the process,
after the stack of every thread was printed. The lines use the file descriptor and a mark because tests may
replace sys.stdout and print without a newline.
"""

import faulthandler
import importlib
import json
import os
import ssl
import sys
import unittest

LOOPBACK = ("test_timeout", "test_socketserver")


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


def load(file):
    """The tests of a file. They use no network beyond this machine: the resource "network" is enabled because
    some files need it to run at all. These stay on the loopback interface, except for one name that
    test_timeout would look up without need. The test_ssl of 3.13 uses a constant that 3.12's ssl lacks."""
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
    return tests(unittest.defaultTestLoader.loadTestsFromModule(module))


def main(plan):
    ours = plan["command"] == "iocpsock"
    if ours:
        import iocpsock
        iocpsock.patch()
    result = Teller(f"test.{plan['file']}.", plan["timeout"])
    chosen = []
    for test in load(plan["file"]):
        name = result.name(test)
        if name in plan["leave_out"]:
            tell("left out", name, "")
        elif name not in plan["done"] and (plan["only"] is None or name in plan["only"]):
            chosen.append(test)
    unittest.TestSuite(chosen).run(result)
    tell("end", "", iocpsock.stats()["operations_total"] if ours else None)
    os._exit(0)                         # a test may have left a thread behind that never ends


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(json.load(file))
