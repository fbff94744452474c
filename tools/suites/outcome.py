"""The result of a file of a language's own suite, and how the file runs: the common part of the two suites.

A test that hangs, or that ends the process, counts as failed, and the file goes on without it.
"""

from dataclasses import dataclass, field

from tools.base import process


@dataclass
class Result:
    """The result of one file of the suite."""
    file: str
    version: str
    command: str
    total: int = 0
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    failures: list = field(default_factory=list)
    skips: dict = field(default_factory=dict)
    passes: list = field(default_factory=list)
    broken: dict = field(default_factory=dict)  # of the failures, those that hung or crashed: what they did
    verdict: str = ""                           # empty when the file ran to its end, else what stopped it
    seconds: float = 0.0
    language: str = "Tcl"

    @property
    def good(self):
        return not self.verdict and not self.failed and self.total > 0

    def summary(self):
        return (f"{self.file}:\tTotal\t{self.total}\tPassed\t{self.passed}\tSkipped\t{self.skipped}"
                f"\tFailed\t{self.failed}"
                f"\t({self.language} {self.version}, {self.command}, {self.seconds:.0f} s)")


class Reader(process.Lines):
    """Parses the output of a test file, keeps all of it in a log, and shows the lines that matter to the
    user."""

    def __init__(self, log, show):
        super().__init__()
        self.log, self.show = log, show
        self.current = None     # the test that has started and not ended
        self.finished = False   # the file ran to its end

    def take(self, stream, data):
        self.log.write(data)
        self.log.flush()
        super().take(stream, data)


def attempts(result, most, attempt, show, then):
    """Run the file at most `most` times, until a run is not stopped in a test. Return the last run's reader.

    `attempt()` returns a reader and what stopped the run, nothing at the end of the file. `then` says how the
    file goes on after a test that stopped the run.
    """
    for _ in range(most):
        reader, result.verdict = attempt()
        if not result.verdict or not reader.current:
            break
        result.broken[reader.current] = result.verdict
        show(f"==== {reader.current} {result.verdict.upper()}; {then}")
    return reader


def report(result):
    """The lines at the end of one file's report."""
    yield result.summary()
    if result.failures:
        yield f"{result.file}: failed: " + " ".join(result.failures)
    for test, what in result.broken.items():
        yield f"{result.file}: {test} {what}"
    if result.verdict:
        yield f"{result.file}: NOT RUN TO ITS END: {result.verdict}"


def tell(results):
    """Print each result as it arrives. Return 0 only if every file ran to its end and nothing failed."""
    status = 0
    for result in results:
        for line in report(result):
            print(line, flush=True)
        if not result.good:
            status = 1
    return status
