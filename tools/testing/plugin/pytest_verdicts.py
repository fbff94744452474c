"""A pytest plugin: writes one JSON line for each result of a test, at once, to the file $PYTEST_VERDICTS.

It runs inside the Python under test. The lines written before a crash or a hang remain, and the last
"started" names the test that was running then. A test has several lines when its set-up or tear-down fails
too. The line of a failure also contains pytest's output for it.
"""

import json
import os


class Verdicts:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")

    def write(self, test, verdict, *words):
        self.file.write(json.dumps([test, verdict, *words]) + "\n")
        self.file.flush()

    def pytest_runtest_logstart(self, nodeid, location):
        self.write(nodeid, "started")

    def pytest_runtest_logreport(self, report):
        if report.failed or report.skipped or report.when == "call":
            self.write(report.nodeid, report.outcome, *self.words(report))

    def pytest_collectreport(self, report):
        if not report.passed:
            self.write(report.nodeid or "collection", report.outcome, *self.words(report))

    @staticmethod
    def words(report):
        return [report.longreprtext] if report.failed else []

    def pytest_runtest_logfinish(self, nodeid, location):
        self.write(nodeid, "ended")


def pytest_configure(config):
    config.pluginmanager.register(Verdicts(os.environ["PYTEST_VERDICTS"]))
