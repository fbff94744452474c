"""Collects tests/tcl/*.test: each tcltest test becomes one pytest item per implementation of the socket
command.

A scenario file runs once per implementation, in one Windows Tcl process without Python: harness.tcl selects
the implementation and prints one verdict line per test. The process is started by the first of its items and
read as the items ask for their verdicts, so that each item takes the time of its own test. A process that
falls silent is killed; then, as after a crash, every test without a verdict fails and shows the output.

`--tcl` chooses the Tcl version. A line of a file may say `# only: IMPLEMENTATION`, to run against that one
alone, `# program: tcltest`, to run in Tcl's test shell instead of tclsh, or `# extension: FILE`, to be run
with the path of that source, compiled, in the environment variable IOCPSOCK_TAKER.
"""

import contextlib
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the rig, package `tools`, stands in the project's root

from tools.base.report import Unavailable  # noqa: E402
from tools.environments import run as rig  # noqa: E402

IMPLEMENTATIONS = ("stock", "socket2")
FAMILIES = ("inet", "inet6")
SILENCE_LIMIT = 90.0  # seconds; above the longest wait inside a test (`patience` in support.tcl)
# Seconds to wait for the rest of an ended process's output: a debugger it left may hold the pipe open.
LAST_WORD = 1.0
WINDOWS = pytest.StashKey()  # the rig's session, from the first run to the end of pytest's


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
    """Yield (test name, line number) for each test in the text of a scenario file; names there are
    literal."""
    for number, line in enumerate(text.splitlines()):
        if match := re.match(r"(family_)?test\s+(\S+)", line):
            names = [f"{match[2]}-{family}" for family in FAMILIES] if match[1] else [match[2]]
            yield from ((name, number) for name in names)


class ScenarioFile(pytest.File):
    """One .test file; owns the processes that run it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.runs = {}
        self.text = self.path.read_text(encoding="utf-8")
        only = re.search(r"^# only: (\S+)$", self.text, re.MULTILINE)
        self.implementations = [only[1]] if only else IMPLEMENTATIONS
        self.in_test_shell = re.search(r"^# program: tcltest$", self.text, re.MULTILINE) is not None
        extension = re.search(r"^# extension: (\S+)$", self.text, re.MULTILINE)
        self.extension = extension and HERE / extension[1]

    def collect(self):
        for implementation in self.implementations:
            for name, line in scan(self.text):
                yield Scenario.from_parent(
                    self, name=f"{name}[{implementation}]", test=name, implementation=implementation,
                    line=line
                )

    def run_of(self, implementation):
        """Return the run of this file against the implementation, started when first asked for."""
        if implementation not in self.runs:
            chosen = [
                item.test
                for item in self.session.items
                if isinstance(item,
                              Scenario) and item.parent is self and item.implementation == implementation
            ]
            self.runs[implementation] = Run(self.command(implementation, chosen))
        return self.runs[implementation]

    def command(self, implementation, chosen):
        """The command line and environment that run the chosen tests of this file against the
        implementation."""
        windows, version = windows_of(self.config), self.config.getoption("--tcl", "8.6")
        arguments = version, "harness.tcl", implementation, self.path.name, *chosen
        command = windows.tcltest(*arguments, stock=True) if self.in_test_shell else windows.tclsh(*arguments)
        if self.extension:
            with contextlib.suppress(Unavailable):  # then harness.tcl skips what needs it
                command.env["IOCPSOCK_TAKER"] = windows.path(windows.extension(self.extension))
        return command

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
    """One Tcl process that runs chosen tests of one file; a thread of its own reads its output."""

    def __init__(self, command):
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
        self.ending = ""  # how the process ended, once it has
        self.current = "(before the first test)"
        self.output = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def verdict(self, test):
        """Return (verdict, text) of the test, reading the process's output as far as needed."""
        while test not in self.verdicts and not self.ending:
            try:
                line = self._next_line()
            except TimeoutError:
                self.process.kill()
                self.ending = f"hung: silent for {SILENCE_LIMIT:.0f} s and killed"
            else:
                self._take(line)
        return self.verdicts.get(test) or self._unreported(test)

    def _next_line(self):
        """Return the next line of output, or None after the end of the process; TimeoutError when there is
        neither."""
        deadline = time.monotonic() + SILENCE_LIMIT
        while True:
            try:
                return self.lines.get(timeout=LAST_WORD)
            except queue.Empty:
                if self.process.poll() is not None:
                    return None
                if time.monotonic() > deadline:
                    raise TimeoutError from None

    def _take(self, line):
        if line is None:
            self.ending = f"ended with status {self.process.wait()}"
        elif not line.startswith("@@ "):
            self.output.append(line)
        else:
            self._take_report(*line[3:].split(" ", 2))

    def _take_report(self, kind, name="", reason=""):
        if kind == "start":
            self.current, self.output = name, []
        elif kind != "end":
            self.verdicts[name] = kind, reason if kind == "skipped" else "\n".join(self.output)
            self.current, self.output = f"(after {name})", []

    def _unreported(self, test):
        where = f"no verdict for {test}: the process {self.ending}, in {self.current}"
        return "failed", "\n".join([where, *self.output])

    def end(self):
        """End the process if it still runs. Its reader ends when nobody holds the pipe any more."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
