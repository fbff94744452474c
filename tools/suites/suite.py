"""Suite: a language's own tests, run with its stock sockets and with ours; their recorded results, and
regressions.

`dev.py conformance` writes the data files, one for each Wine. The matrix runs the files with our sockets only
and compares the results with the record of its Wine: a test that passed with them and no longer does is lost.
The explanations are written by hand: `reasons` for each failure, `timed` for tests that depend on timing, and
`constraints` for tests that the suite itself leaves out on this machine.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.base import process
from tools.base.report import say
from tools.environments import installation
from tools.suites.outcome import report

RECORDS = Path(__file__).with_name("records")
STOCK = "stock"
# those with a record; the page describes the first, and how the others differ
WINES = tuple(installation.RELEASES)


@dataclass
class Suite:
    """The tests of one language, in `files` for each of `versions`."""
    language: str
    files: tuple
    versions: tuple
    ours: str           # the command that stands for our sockets; the other is STOCK
    names: dict         # command -> how the page calls it
    run: Callable       # run(version, file, command, show, only, skip) gives a tcltest.Result
    introduction: str
    reasons: dict       # plain name of a test -> why it fails, a sentence
    timed: dict         # plain name of a test that judges by the clock -> what it takes for granted
    # why a test is skipped -> what that means; None where the suite says it in so many words
    constraints: dict | None
    # file -> tests that take long: left out in the matrix, and with the stock command unless `patient`
    slow: dict
    left_out: dict      # file -> test that is never run -> why
    plain: Callable     # plain(test): its name without what only tells variants apart
    since: dict = field(default_factory=dict)   # file -> the first of `versions` that has it, if not all have
    patient: bool = False   # the stock command runs the slow tests too
    rare: tuple = ()        # files that the matrix leaves out

    def data(self, wine):
        return RECORDS / f"{self.language.lower()}_wine{wine}.json"

    def files_of(self, version, rare=True):
        """The files that this version has, with those that the matrix leaves out or without."""
        place = self.versions.index
        return tuple(file for file in self.files if (rare or file not in self.rare)
                     and place(version) >= place(self.since.get(file, self.versions[0])))

    def measure(self, files):
        """Run these files with both commands, and replace the recorded rows."""
        for file in files:
            jobs = [(version, file, command) for version in self.versions if file in self.files_of(version)
                    for command in (STOCK, self.ours)]
            self._write(process.side_by_side(self._measure, jobs))

    def _measure(self, job):
        version, file, command = job
        result, second = self.run_file(version, file, command, lambda line: None,
                                       slow=self.patient or command == self.ours)
        for line in report(result):
            say(line)
        for test in second:
            say(f"{file}: {test} failed among the others and passed by itself")
        return self._row(result)

    def run_file(self, version, file, command, show, slow=False):
        """Run a file, with or without its slow tests. Then run the unexpected failures again by themselves,
        because many depend on timing.

        Return the Result, in which tests that passed the second time count as passed, and their names.
        """
        skip = [*self.left_out.get(file, ()), *(() if slow else self.slow.get(file, ()))]
        result = self.run(version, file, command, show, skip=skip)
        row = self._recorded(file, version, command)
        fresh = [test for test in result.failures if not row or test not in row["failures"]]
        if not fresh or result.verdict:
            return result, []
        again = self.run(version, file, command, show, only=fresh)
        second = [test for test in fresh if test in again.passes]
        result.failures = [test for test in result.failures if test not in second]
        result.broken = {test: what for test, what in result.broken.items() if test not in second}
        result.passes += second
        result.failed -= len(second)
        result.passed += len(second)
        return result, second

    def alike(self, result, show):
        """Run the same file with the stock sockets: the result, or None if `result` has no regression.

        The record is from one system and one Wine. On another a test may fail with either kind of sockets.
        """
        if not self.lost(result):
            return None
        return self.run_file(result.version, result.file, STOCK, show)[0]

    def lost(self, result, stock=None):
        """Lines that name the regressions of this result of our sockets against the record. A regression that
        `stock`, a result of the stock sockets on the same machine, has too does not count."""
        row = self._recorded(result.file, result.version, result.command)
        if row is None:
            return [f"{result.file}: no recorded data for {self.language} {result.version}; "
                    f"run `dev.py conformance {result.file}`"]
        expected, total = set(row["failures"]).union(*row["skips"].values()), row["total"]
        if stock and not stock.verdict:
            expected |= set(stock.failures) | (stock.skips.keys() & result.skips.keys())
            total = min(total, stock.total)
        now = {test: f"skipped: {constraint}" for test, constraint in result.skips.items()}
        now |= {test: result.broken.get(test, "failed") for test in result.failures}
        lines = [f"{test}: {what}" for test, what in now.items() if test not in expected]
        if result.total < total:
            lines.append(f"{result.file}: {total - result.total} of its {total} tests did not come up")
        return lines

    def recorded(self, wine):
        """The rows of the last run under this Wine: for each file, version and command the totals and the
        tests that did not pass."""
        data = self.data(wine)
        return json.loads(data.read_text()) if data.exists() else []

    def _recorded(self, file, version, command):
        """The row of the Wine that runs the programs, or of the first Wine if that has none."""
        rows = (row for wine in (installation.chosen().version, WINES[0]) for row in self.recorded(wine))
        return next((row for row in rows if _key(row) == (file, version, command)), None)

    def _write(self, fresh):
        wine = installation.chosen().version
        rows = {_key(row): row for row in [*self.recorded(wine), *fresh]}
        order = {file: place for place, file in enumerate(self.files)}
        ordered = sorted(rows.values(), key=lambda row: (order.get(row["file"], len(order)), _key(row)))
        self.data(wine).write_text(json.dumps(ordered, indent=1) + "\n")

    def _row(self, result):
        """The part of a result to record: the tests that did not pass, and nothing that varies between
        runs."""
        failures = {test: result.broken.get(test, "failed") for test in result.failures}
        if result.command == STOCK and not self.patient:
            failures |= dict.fromkeys(self.slow.get(result.file, ()), "not run")
        skips: dict = {}
        for test, constraint in result.skips.items():
            if test not in failures:
                skips.setdefault(constraint, []).append(test)
        return {"file": result.file, "version": result.version, "command": result.command,
                "total": result.total, "passed": result.passed, "failures": failures, "skips": skips,
                "verdict": result.verdict}

    def complaints(self):
        """The problems that still need an explanation or a fix."""
        for wine, row in ((each, row) for each in WINES for row in self.recorded(each)):
            name = f"{row['file']}, {self.language} {row['version']}, {row['command']}, Wine {wine}"
            if row["verdict"]:
                yield f"{name}: not run to its end: {row['verdict']}"
            for test in row["failures"]:
                if self.plain(test) not in self.reasons and self.plain(test) not in self.timed:
                    yield f"{name}: {test} failed; why? Write it in REASONS"
            for constraint in row["skips"]:
                if self.constraints is not None and constraint not in self.constraints:
                    yield f"{name}: skipped for {constraint}; why? Write it in CONSTRAINTS"

    def page(self):
        """This suite's part of docs/conformance.md."""
        rows = self.recorded(WINES[0])
        pairs = _pairs(rows)
        stock, ours = self.names[STOCK], self.names[self.ours]
        text = f"## {self.language}'s suite\n\n{self.introduction}\n\n"
        text += (f"| file | {self.language} | tests | {stock} passed | {stock} failed "
                 f"| {ours} passed | {ours} failed |\n")
        text += "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        text += "".join(_line(pair[STOCK], pair[self.ours]) for pair in pairs.values())
        text += "\n### Exceptions\n\nEvery test that does not pass with one of the two, and why.\n"
        for (file, version), pair in pairs.items():
            exceptions = list(self._exceptions(pair[STOCK], pair[self.ours]))
            if exceptions:
                text += f"\n#### {file}, {self.language} {version}\n\n"
                text += "".join(f"* {line}\n" for line in exceptions)
        return text + "".join(map(self._changes, WINES[1:])) + self._clock() + self._skipped(rows)

    def _changes(self, wine):
        """The differences between the results under this Wine and under the first."""
        first, pairs, text = _pairs(self.recorded(WINES[0])), _pairs(self.recorded(wine)), ""
        if not pairs:
            return (f"\n### Under Wine {wine}\n\n"
                    f"Not measured yet: `dev.py conformance --wine {wine}` does it.\n")
        for (file, version), pair in pairs.items():
            before = first.get((file, version), pair)
            for test in sorted(_exceptional(before) | _exceptional(pair)):
                was, now = self._fates(before, test), self._fates(pair, test)
                if was != now:
                    text += (f"* {file}, {self.language} {version}, `{test}`: {now}. "
                             f"{self._reason(pair[STOCK], pair[self.ours], test)} Under Wine {WINES[0]}: "
                             f"{was}.\n")
        files = ", ".join(dict.fromkeys(file for file, _ in pairs))
        head = (f"\n### Under Wine {wine}\n\nMeasured by `dev.py conformance --wine {wine}`: {files}. "
                f"Each test as under Wine {WINES[0]}")
        return f"{head}, but for these:\n\n{text}" if text else f"{head}.\n"

    def _fates(self, pair, test):
        return ", ".join(f"{self.names[command]} {_fate(pair[command], test)}"
                         for command in (STOCK, self.ours))

    def _exceptions(self, stock, ours):
        for row in (stock, ours):
            if row["verdict"]:
                yield f"not run to its end with {self.names[row['command']]}: {row['verdict']}"
        for test in sorted(_did_not_pass(stock, ours) | _did_not_pass(ours, stock)):
            fates = self._fates({STOCK: stock, self.ours: ours}, test)
            yield f"`{test}`: {fates}. {self._reason(stock, ours, test)}"

    def _reason(self, stock, ours, test):
        skipped = _constraint(ours, test) or _constraint(stock, test)
        constraint = None if test in ours["failures"] else skipped
        if constraint and self.constraints is None:
            return f"The suite says: {constraint}."
        if meaning := (self.constraints or {}).get(constraint):
            return f"Constraint `{constraint}`: {meaning}."
        if self.plain(test) in self.reasons:
            return self.reasons[self.plain(test)]
        if self.plain(test) in self.timed:
            return f"It assumes that {self.timed[self.plain(test)]}."
        return "Why is not known yet."

    def _clock(self):
        """The tests that depend on timing, and those that we leave out."""
        text = ""
        if self.timed:
            text += ("\n### Judged by the clock\n\n"
                     "A test that fails among the others is run once more by itself. These assume a speed "
                     "that a busy machine does not reach, with either command:\n\n")
            text += "".join(f"* `{test}`: {why}.\n" for test, why in self.timed.items())
        if self.slow:
            names = ", ".join(f"`{test}`" for tests in self.slow.values() for test in tests)
            text += f"\n`dev.py test` leaves out {names}, which take long.\n"
        if self.rare:
            text += "\n`dev.py test` leaves out these files: " + ", ".join(self.rare) + ".\n"
        for file, tests in self.left_out.items():
            text += "".join(f"\n`{test}` of {file} is not run at all: {why}.\n"
                            for test, why in tests.items())
        return text

    def _skipped(self, rows):
        """The tests that the suite itself leaves out, for each reason."""
        totals: dict = {}
        for row in rows:
            if row["command"] == self.ours:
                for constraint, tests in row["skips"].items():
                    totals[constraint] = totals.get(constraint, 0) + len(tests)
        text = ("\n### Skipped\n\nThe suite itself leaves out tests whose constraints do not hold here; "
                "the same with both commands unless said otherwise above.\n\n")
        if self.constraints is None:
            return text + "| why | tests |\n| --- | ---: |\n" + "".join(
                f"| {name} | {totals[name]} |\n" for name in sorted(totals))
        return text + "| constraint | why | tests |\n| --- | --- | ---: |\n" + "".join(
            f"| `{name}` | {self.constraints.get(name, 'not known yet')} | {totals[name]} |\n"
            for name in sorted(totals))


def _pairs(rows):
    """The rows of each file and version that was measured both ways, by their commands."""
    pairs: dict = {}
    for row in rows:
        pairs.setdefault((row["file"], row["version"]), {})[row["command"]] = row
    return {key: pair for key, pair in pairs.items() if len(pair) == 2}


def _exceptional(pair):
    """The tests that did not pass with both."""
    return {test for row in pair.values() for tests in (row["failures"], *row["skips"].values())
            for test in tests}


def _key(row):
    return row["file"], row["version"], row["command"]


def _line(stock, ours):
    return (f"| {ours['file']} | {ours['version']} | {ours['total']} | {stock['passed']} | "
            f"{len(stock['failures'])} | {ours['passed']} | {len(ours['failures'])} |\n")


def _did_not_pass(row, other):
    """The tests that failed, and those that were skipped with this command only."""
    return set(row["failures"]) | {test for tests in row["skips"].values()
                                   for test in tests if not _constraint(other, test)}


def _fate(row, test):
    if test in row["failures"]:
        return row["failures"][test]
    return "skipped" if _constraint(row, test) else "passed"


def _constraint(row, test):
    """The constraint for which the test was skipped, or None."""
    return next((constraint for constraint, tests in row["skips"].items() if test in tests), None)
