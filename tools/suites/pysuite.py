"""CPython's own test suite, file by file, with iocpsock.socket in the place of socket.socket or with the
stock one. The files of its package test_asyncio ("test_asyncio.test_events") are about an event loop: ours,
or the ProactorEventLoop.

Each file runs in a process, a Wine prefix and a temporary directory of its own. A test that hangs, or that
ends the process, counts as failed, and the file goes on after it in a new process. The full output is kept in
build/pysuite/.
"""

import json
import re
import tempfile
import time
from pathlib import Path

from tools.base import process
from tools.base.report import Problem
from tools.environments import python_tests, run
from tools.suites import outcome

HERE = Path(__file__).parent
LOGS = run.BUILD / "pysuite"
TEST_TIMEOUT = 40   # seconds for one test
TIMEOUT = 1200      # seconds for a whole file
ATTEMPTS = 20       # processes for one file

_MARK = "\x1e"
# paths and process ids in the reason of a skip
_OF_ONE_RUN = re.compile(r" from '[^']*'|(?<=@test)_\d+")


class Reader(outcome.Reader):
    """Reads the output of pysuite_run.py about its tests, from one process after another."""

    def __init__(self, log, show):
        super().__init__(log, show)
        self.verdicts: dict = {}        # test -> "passed", "skipped" or "failed", the worst of what was said
        self.skips: dict = {}           # test -> why
        self.left_out: set = set()      # tests that were not to run
        # what of ours was used, in the process that reached the end of the file: operations of the engine, or
        # event loops; None if nothing is asked for
        self.operations = None
        self.begin()

    def begin(self):
        """Another process begins."""
        self.current = None
        self.finished = self.timed_out = False
        self.rest = {1: b"", 2: b""}

    def line(self, line):
        _, mark, message = line.partition(_MARK)
        if not mark:
            # faulthandler's output begins like this
            self.timed_out = self.timed_out or line.startswith("Timeout (")
            return
        what, test, more = json.loads(message)
        if what == "end":
            self.finished, self.operations = True, more
        elif what == "left out":
            self.left_out.add(test)
        elif what in ("start", "stop"):
            self.current = test if what == "start" else None
        else:
            self.verdicts[test] = max(self.verdicts.get(test, what), what,
                                      key=("passed", "skipped", "failed").index)
            if what == "skipped":
                self.skips[test] = _OF_ONE_RUN.sub("", more)
            elif what == "failed":
                self.show(f"==== {test} FAILED\n{more}")


def run_file(version, file, command, show=print, only=None, skip=()):
    """Run one file of the suite, or `only` these tests of it, and return its Result."""
    if not (python_tests.directory(version) / "test" / f"{file.replace('.', '/')}.py").is_file():
        raise Problem(f"{file}: the suite for Python {version} has no such file")
    result = outcome.Result(file, version, command, language="Python")
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # a second try comes after the first
    with open(LOGS / f"{version}-{command}-{file}.log", "ab" if only else "wb") as log:
        reader = Reader(log, show)

        def attempt():
            reader.verdicts |= dict.fromkeys(result.broken, "failed")
            plan = {"file": file, "command": command, "only": only, "leave_out": list(skip),
                    "done": list(reader.verdicts), "timeout": TEST_TIMEOUT}
            return reader, _attempt(version, plan, reader)

        outcome.attempts(result, ATTEMPTS, attempt, show, f"the rest of {file} is run in another process")
    verdicts = reader.verdicts | dict.fromkeys(result.broken, "failed")
    if reader.operations == 0 and only is None and not result.broken:
        result.verdict = "no operation ran on the engine"
    result.passes = [test for test, verdict in verdicts.items() if verdict == "passed"]
    result.failures = [test for test, verdict in verdicts.items() if verdict == "failed"]
    result.skips = {test: why for test, why in reader.skips.items() if verdicts[test] == "skipped"}
    result.passed, result.failed, result.skipped = map(len, (result.passes, result.failures, result.skips))
    result.total = len(verdicts) + len(reader.left_out)
    result.seconds = round(time.monotonic() - started, 1)
    return result


def _attempt(version, plan, reader):
    """Run the plan once. Return what stopped it, nothing if it ran to its end."""
    reader.begin()
    with run.session() as windows, tempfile.TemporaryDirectory(prefix="pysuite-") as scratch:
        paper = Path(scratch, "plan.json")
        paper.write_text(json.dumps(plan))
        argv, env = windows.python(version, "-P", windows.path(HERE / "pysuite_run.py"), windows.path(paper))
        env["PYTHONPATH"] = f"{windows.path(python_tests.directory(version))};{env['PYTHONPATH']}"
        try:
            status = process.follow(argv, env, reader.take, cwd=scratch, timeout=TIMEOUT,
                                    silence=TEST_TIMEOUT + 20)
        except process.Hung as hung:
            return f"hung: {hung}"
    if reader.finished:
        return ""
    if reader.timed_out:
        return f"hung: not finished after {TEST_TIMEOUT} s"
    return f"crashed: ended with status {status}"


def main(arguments):
    """`dev.py pysuite`: exit status 0 only if every file ran to its end and nothing failed."""
    command = "stock" if "--stock" in arguments else "iocpsock"
    words = [word for word in arguments if word != "--stock"]
    if len(words) < 2 or any(word.startswith("-") for word in words):
        raise Problem(f"dev.py pysuite: which Python ({' or '.join(run.PYTHON_VERSIONS)}), and which files? "
                      "The one option is --stock")
    return outcome.tell(run_file(words[0], file, command) for file in words[1:])
