"""Tcl's own test suite, file by file, with socket2 in the place of socket or with the stock command.

Each file runs in a process, a Wine prefix and a temporary directory of its own. tcltest prints the name of
each test that it starts, so a test that never ends, or that ends the process, can be named: it counts as
failed, and the file runs again without it. The full output is kept in build/tcltest/. The failures and the
line of totals are printed.
"""

import json
import re
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tools.base import process
from tools.base.report import Problem
from tools.environments import run, tcl
from tools.suites import outcome

HERE = Path(__file__).parent
LOGS = run.BUILD / "tcltest"
# seconds between two lines of output: 2.13 of socket.test sends 720 000 single bytes in one go
SILENCE = 180
TIMEOUT = 2400  # seconds for a whole file
ATTEMPTS = 8    # runs of one file, each without the tests that ended the runs before it

_TOTAL = re.compile(r"^(\S+):\s+Total\s+(\d+)\s+Passed\s+(\d+)\s+Skipped\s+(\d+)\s+Failed\s+(\d+)")
_STARTED = re.compile(r"^---- (\S+) start$")
_PASSED = re.compile(r"^\+\+\+\+ (\S+) PASSED$")
_SKIPPED = re.compile(r"^\+\+\+\+ (\S+) SKIPPED: (.*)$")
_FAILED = re.compile(r"^==== (\S+) FAILED$")


class Reader(outcome.Reader):
    """Reads tcltest's output about its tests."""

    def __init__(self, log, show):
        super().__init__(log, show)
        self.failures: list = []
        self.skips: dict = {}
        self.passes: list = []
        self.counts: tuple[int, ...] = 0, 0, 0, 0

    def line(self, line):
        if match := _STARTED.match(line):
            self.current = match[1]
        elif match := _PASSED.match(line):
            self.passes.append(match[1])
            self.current = None
        elif match := _SKIPPED.match(line):
            self.skips[match[1]] = match[2]
        elif match := _TOTAL.match(line):
            self.counts = tuple(map(int, match.groups()[1:]))
            self.finished = True
        else:
            if match := _FAILED.match(line):
                self.failures.append(match[1])
                self.current = None
            self.show(line)


def run_file(version, file, options=(), stock=False, show=print):
    """Run one file of the suite and return its Result."""
    suite = tcl.suite(run.known("Tcl", version, run.TCLS))
    script = suite.tests / file
    if not script.is_file():
        raise Problem(f"{file}: Tcl {version}'s suite has no such file. Its files: "
                      + " ".join(sorted(path.name for path in suite.tests.glob("*.test"))))
    result = outcome.Result(script.name, version, "stock" if stock else "socket2")
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(LOGS / f"{version}-{result.command}-{script.stem}.log", "wb") as log:
        def attempt():
            reader = Reader(log, show)
            return reader, _attempt(version, script, _without(options, result.broken), stock, reader)

        reader = outcome.attempts(result, ATTEMPTS, attempt, show, f"{result.file} is run again without it")
    result.failures = reader.failures + list(result.broken)
    result.skips, result.passes = reader.skips, reader.passes
    result.total, result.passed, result.skipped, result.failed = reader.counts
    if reader.finished:     # the broken tests were skipped in this run, and are not to count as that
        result.skipped -= len(result.broken)
    result.failed += len(result.broken)
    result.seconds = round(time.monotonic() - started, 1)
    return result


def _attempt(version, script, options, stock, reader):
    """Run the file once. Return what stopped it, nothing if it ran to its end."""
    with run.session() as windows, tempfile.TemporaryDirectory(prefix="tcltest-") as scratch:
        argv, env = windows.tcltest(version, windows.path(HERE / "suite_run.tcl"),
                                    windows.path(script).replace("\\", "/"), "-tmpdir",
                                    windows.path(scratch).replace("\\", "/"), "-verbose",
                                    "start pass skip body error", *options, stock=stock)
        try:
            status = process.follow(argv, env, reader.take, cwd=scratch, timeout=TIMEOUT, silence=SILENCE)
        except process.Hung as hung:
            return f"hung: {hung}"
    if not reader.finished:
        return f"crashed: ended with status {status} before the totals"
    return "" if status in (0, 1) else f"crashed: ended with status {status} after the totals"


def _without(options, tests):
    """tcltest's options, with these tests skipped in addition to those that they skip already."""
    options = list(options)
    if tests and "-skip" not in options[:-1]:
        options += ["-skip", ""]
    if tests:
        place = options.index("-skip") + 1
        options[place] = " ".join([*options[place].split(), *tests])
    return options


def main(arguments):
    """`dev.py tcltest`: exit status 0 only if every file ran to its end and nothing failed."""
    version, files, options, stock, output = _parse(arguments)
    results = []

    def run_files():
        for file in files:
            results.append(run_file(version, file, options, stock))
            yield results[-1]

    status = outcome.tell(run_files())
    if output:
        write_json(output, results)
    return status


def _parse(arguments):
    """Parse the arguments. Our own options begin with two dashes, tcltest's with one. The value after one of
    tcltest's options is tcltest's too."""
    stock, output, words, rest = False, None, [], list(arguments)
    while rest and not (rest[0].startswith("-") and not rest[0].startswith("--")):
        word = rest.pop(0)
        if word == "--stock":
            stock = True
        elif word == "--json" and rest:
            output = Path(rest.pop(0))
        elif word.startswith("--"):
            raise Problem(f"tcltest: unknown option {word!r}: there are --stock and --json FILE")
        else:
            words.append(word)
    if not words:
        raise Problem(f"tcltest: which Tcl? {' or '.join(run.TCLS)}")
    return run.known("Tcl", words[0], run.TCLS), words[1:] or ["socket.test"], rest, stock, output


def write_json(path, results):
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps([asdict(each) for each in results], indent=1))
    shutil.move(fresh, path)
