"""Collects tests/tcl/*.test: each tcltest test becomes one pytest item per implementation of the socket command.

A scenario file runs once per implementation, in one Windows tclsh process without Python: harness.tcl selects the
implementation and prints one verdict line per test. The process is started by the first of its items and read as the
items ask for their verdicts, so that each item takes the time of its own test. A process that falls silent is killed;
then, as after a crash, every test without a verdict fails and shows the output.

`--tcl` chooses the Tcl version. A file whose first line is `# only: NAME` runs against that implementation alone.
"""

import contextlib
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the rig, package `tools`, stands in the project's root

from tools import run as rig  # noqa: E402

IMPLEMENTATIONS = ("stock", "socket2")
FAMILIES = ("inet", "inet6")
SILENCE_LIMIT = 90.0  # seconds; above the longest wait inside a test (`patience` in support.tcl)
WINDOWS = pytest.StashKey()  # the rig's session, from the first run to the end of pytest's


def pytest_addoption(parser):
    parser.addoption("--tcl", choices=("8.6", "9.0"), default="8.6", help="version of the Windows tclsh for tests/tcl")


def windows_of(config):
    """The rig's session: taken when the first process is started, given back when pytest ends."""
    if WINDOWS not in config.stash:
        owner = contextlib.ExitStack()
        config.stash[WINDOWS] = owner.enter_context(rig.session())
        config.add_cleanup(owner.close)
    return config.stash[WINDOWS]


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".test":
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def scan(text):
    """Yield (test name, line number) for each test in the text of a scenario file; names there are literal."""
    for number, line in enumerate(text.splitlines()):
        if match := re.match(r"(family_)?test\s+(\S+)", line):
            names = [f"{match[2]}-{family}" for family in FAMILIES] if match[1] else [match[2]]
            yield from ((name, number) for name in names)


class ScenarioFile(pytest.File):
    """One .test file; owns the processes that run it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.runs = {}

    def collect(self):
        text = self.path.read_text(encoding="utf-8")
        only = re.match(r"# only: (\S+)", text)
        for implementation in [only[1]] if only else IMPLEMENTATIONS:
            for name, line in scan(text):
                yield Scenario.from_parent(
                    self, name=f"{name}[{implementation}]", test=name, implementation=implementation, line=line
                )

    def run_of(self, implementation):
        """Return the run of this file against the implementation, started when first asked for."""
        if implementation not in self.runs:
            chosen = [
                item.test
                for item in self.session.items
                if isinstance(item, Scenario) and item.parent is self and item.implementation == implementation
            ]
            self.runs[implementation] = Run(self.config, self.path, implementation, chosen)
        return self.runs[implementation]

    def teardown(self):
        for run in self.runs.values():
            run.end()


class Scenario(pytest.Item):
    """One tcltest test against one implementation."""

    def __init__(self, *, test, implementation, line, **kwargs):
        super().__init__(**kwargs)
        self.test, self.implementation, self.line = test, implementation, line

    def runtest(self):
        verdict, output = self.parent.run_of(self.implementation).verdict(self.test)
        if verdict == "skipped":
            pytest.skip(output)
        if verdict != "passed":
            raise ScenarioFailure(output)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, ScenarioFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, self.line, f"{self.test} with {self.implementation}"


class ScenarioFailure(Exception):
    """A test failed; the text is what it printed."""


class Run:
    """One tclsh process that runs chosen tests of one file; a thread of its own reads its output."""

    def __init__(self, config, path, implementation, chosen):
        version = config.getoption("--tcl", "8.6")
        command = windows_of(config).tclsh(version, "harness.tcl", implementation, path.name, *chosen)
        self.process = subprocess.Popen(
            command.argv,
            cwd=HERE,
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self.lines = queue.Queue()
        self.verdicts = {}
        self.current = "(before the first test)"
        self.output = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def verdict(self, test):
        """Return (verdict, text) of the test, reading the process's output as far as needed."""
        while test not in self.verdicts:
            try:
                line = self.lines.get(timeout=SILENCE_LIMIT)
            except queue.Empty:
                self.process.kill()
                return self._unreported(test, f"hung: silent for {SILENCE_LIMIT:.0f} s and killed")
            if line is None:
                self.lines.put(None)
                return self._unreported(test, f"ended with status {self.process.wait()}")
            self._take(line)
        return self.verdicts[test]

    def _take(self, line):
        if not line.startswith("@@ "):
            self.output.append(line)
            return
        kind, name, *reason = line[3:].split(" ", 2) + [""]
        if kind == "start":
            self.current, self.output = name, []
        elif kind != "end":
            self.verdicts[name] = kind, reason[0] if kind == "skipped" else "\n".join(self.output)
            self.current, self.output = f"(after {name})", []

    def _unreported(self, test, what):
        self.verdicts[test] = "failed", "\n".join(
            [f"no verdict for {test}: the process {what}, in {self.current}", *self.output]
        )
        return self.verdicts[test]

    def end(self):
        """End the process if it still runs, and its reader."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
