"""docs/conformance.md: how socket2 does in Tcl's own test suite, beside the stock command on the same machine.

The page and conformance.json beside this file are written by one command, `dev.py conformance [FILE…]`, which runs the
files both ways; what it does not run stays as it was. The matrix runs the files with socket2 alone and holds them against
the recorded data: a test that passed with socket2 and does not any more is lost. What is written by hand is why: REASONS
for each failure and CONSTRAINTS for each constraint that this machine does not meet. The command fails without them.
"""

import json
from pathlib import Path

from tools import process, run, tcltest
from tools.report import Problem, say

DATA = Path(__file__).with_name("conformance.json")
PAGE = run.ROOT / "docs" / "conformance.md"
FILES = ("socket.test", "ioCmd.test", "io.test", "chanio.test", "event.test", "iogt.test", "zlib.test")
COMMANDS = ("stock", "socket2")

# Tests that take minutes. The matrix leaves them out, and the stock command is never asked: with it they count as failed.
SLOW = {"socket.test": ("socket_inet-2.13", "socket_inet6-2.13")}

# Why a test fails, with whichever command. socket_inet-2.13 and socket_inet6-2.13 are one test, for two address families.
REASONS = {
    "socket-2.13": "It writes 720 000 bytes one at a time, and each costs the stock driver most of a millisecond under Wine. "
                   "Tcl 9's suite leaves the test out under Wine.",
    "socket-14.13": "Wine refuses the broadcast address in the connect call itself, where Windows reports it later, and the "
                    "stock driver makes an error of `socket -async` of it. Tcl 9's suite leaves the test out under Wine.",
    "socket-14.19": "Two listeners on one port need Winsock's SO_REUSEADDR. Wine hands it to the host system as that system's "
                    "own SO_REUSEADDR, which does not allow it there. Tcl 9's suite leaves the test out under Wine.",
}

# Tests that judge by the clock: what they take for granted, and a busy machine does not keep, whatever the command.
# chan-io-6.56 and io-6.56 are one test.
TIMED = {
    "io-6.56": "a child process starts and answers within 500 ms",
    "io-12.5": "a child process starts and answers within 500 ms",
    "io-13.6": "a child process starts and answers within 500 ms",
    "io-39.17": "a child process starts and answers within 300 ms",
    "socket-2.13": "a process that has just sent 720 000 single bytes comes to its next event within 5 ms; that event was the "
                   "later of the two once in eight runs with `socket2` on a machine with eight other busy processes",
    "socket-14.15": "a child process starts, connects and answers within a time that was measured without starting one",
}

# Why a constraint does not hold here, so that its tests are skipped.
CONSTRAINTS = {
    "asyncPipeChan": "a constraint that nothing defines: it seems to be a slip of the suite",
    "emptyTest": "the suite's mark for a test that has no body",
    "extensive": "the suite's mark for tests of large files",
    "knownBug": "the suite's mark for what Tcl itself gets wrong",
    "localhost_v6": "`localhost` has no IPv6 address on this machine",
    "makeFileInHome": "the folder of the user is not to be written into",
    "nonPortable": "the suite's mark for tests of one machine",
    "perf": "the suite's mark for measurements",
    "tempNotWin": "off on Windows by the suite itself",
    "testfilehandler": "a test command that exists on Unix only",
    "testfilewait": "a test command that exists on Unix only",
    "testsocket_testflags": "writes into the stock driver's own structure, which no other driver has",
    "thread": "needs the Thread package, which is not part of Tcl; `tests/tcl/threads.test` has scenarios of the same kind",
    "unix": "a test for Unix",
    "unixExecs": "needs the Unix commands",
    "notWinCI": "off in the suite's own automatic runs on Windows",
    "notWindows": "a test for Unix",
}

_HEAD = """# Conformance

Tcl's own test suite, run with the stock `socket` and with `socket2` in its place: in the test's interpreter, in its
child interpreters and threads, in `remote.tcl` and in every script it starts. Written by `python3 dev.py conformance`;
do not edit. Measured under Wine, each file in a process of its own. A test that hangs or crashes counts as failed, and its
file is run again without it.

| suite | Tcl | tests | stock passed | stock failed | `socket2` passed | `socket2` failed |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def main(arguments):
    """Run the files with both commands and write the page. 0 if each ran to its end and there is a reason for all that did
    not pass."""
    files = arguments or FILES
    if any(file.startswith("-") for file in files):
        raise Problem("dev.py conformance: it takes names of test files only")
    for file in files:
        _write(process.side_by_side(_measure, [(version, file, command) for version in run.TCL_VERSIONS for command in COMMANDS]))
    rows = recorded()
    complaints = [complaint for row in rows for complaint in _complaints(row)]
    for complaint in complaints:
        say(complaint)
    return 1 if complaints else 0


def _write(fresh):
    """Put these rows in the place of the recorded ones, and write the page."""
    rows = {_key(row): row for row in [*recorded(), *fresh]}
    rows = sorted(rows.values(), key=lambda row: (FILES.index(row["file"]) if row["file"] in FILES else len(FILES), _key(row)))
    DATA.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(rows))


def recorded():
    """The rows of the last run: for each file, version and command the totals and what did not pass."""
    return json.loads(DATA.read_text()) if DATA.exists() else []


def run_file(version, file, command, show, slow=False):
    """Run a file, with or without its SLOW tests; then, by themselves, the tests that failed and were not known to, because
    many judge by the clock.

    Returns the Result, in which those that passed then count as passed, and their names.
    """
    options = ["-skip", " ".join(SLOW[file])] if file in SLOW and not slow else []
    stock = command == "stock"
    result = tcltest.run_file(version, file, options, stock=stock, show=show)
    row = _recorded(file, version, command)
    fresh = [test for test in result.failures if not row or test not in row["failures"]]
    if not fresh or result.verdict:
        return result, []
    again = tcltest.run_file(version, file, ["-match", " ".join(fresh)], stock=stock, show=show)
    second = [test for test in fresh if test in again.passes]
    result.failures = [test for test in result.failures if test not in second]
    result.broken = {test: what for test, what in result.broken.items() if test not in second}
    result.passes += second
    result.failed -= len(second)
    result.passed += len(second)
    return result, second


def lost(result):
    """What the recorded data promise of socket2 and this result does not keep: lines, each with what became of a test."""
    row = _recorded(result.file, result.version, result.command)
    if row is None:
        return [f"{result.file}: no recorded data for Tcl {result.version}; run `dev.py conformance {result.file}`"]
    expected = set(row["failures"]).union(*row["skips"].values())
    now = {test: f"skipped, constraint {constraint}" for test, constraint in result.skips.items()}
    now |= {test: result.broken.get(test, "failed") for test in result.failures}
    lines = [f"{test}: {what}" for test, what in now.items() if test not in expected]
    if result.total < row["total"]:
        lines.append(f"{result.file}: {row['total'] - result.total} of its {row['total']} tests did not come up")
    return lines


def _recorded(file, version, command):
    return next((row for row in recorded() if _key(row) == (file, version, command)), None)


def _measure(job):
    version, file, command = job
    result, second = run_file(version, file, command, lambda line: None, slow=command == "socket2")
    for line in tcltest.report(result):
        say(line)
    for test in second:
        say(f"{file}: {test} failed among the others and passed by itself")
    return _row(result)


def _row(result):
    """What is kept of a result: what did not pass, and nothing that changes from run to run."""
    failures = {test: result.broken.get(test, "failed") for test in result.failures}
    if result.command == "stock":
        failures |= dict.fromkeys(SLOW.get(result.file, ()), "not run")
    skips = {}
    for test, constraint in result.skips.items():
        if test not in failures:
            skips.setdefault(constraint, []).append(test)
    return {"file": result.file, "version": result.version, "command": result.command, "total": result.total,
            "passed": result.passed, "failures": failures, "skips": skips, "verdict": result.verdict}


def _key(row):
    return row["file"], row["version"], row["command"]


def _complaints(row):
    """What is still to be explained, or mended."""
    name = f"{row['file']}, Tcl {row['version']}, {row['command']}"
    if row["verdict"]:
        yield f"{name}: not run to its end: {row['verdict']}"
    for test in row["failures"]:
        if _plain(test) not in REASONS and _plain(test) not in TIMED:
            yield f"{name}: {test} failed; why? Write it in REASONS"
    for constraint in row["skips"]:
        if constraint not in CONSTRAINTS:
            yield f"{name}: skipped for {constraint}; why? Write it in CONSTRAINTS"


def page(rows):
    """The text of docs/conformance.md for these rows."""
    pairs = {}
    for row in rows:
        pairs.setdefault((row["file"], row["version"]), {})[row["command"]] = row
    text = _HEAD + "".join(_line(pair["stock"], pair["socket2"]) for pair in pairs.values())
    text += "\n## Exceptions\n\nEvery test that does not pass with one of the two, and why.\n"
    for (file, version), pair in pairs.items():
        exceptions = list(_exceptions(pair["stock"], pair["socket2"]))
        if exceptions:
            text += f"\n### {file}, Tcl {version}\n\n" + "".join(f"* {line}\n" for line in exceptions)
    text += "\n## Judged by the clock\n\nA test that fails among the others is run once more by itself. These take for granted "\
        "what a busy machine does not keep, with whichever command:\n\n"
    text += "".join(f"* `{test}`: {why}.\n" for test, why in TIMED.items())
    names = ", ".join(f"`{test}`" for tests in SLOW.values() for test in tests)
    text += f"\n`dev.py test` leaves out {names}, which take minutes.\n"
    return text + "\n## Skipped\n\nThe suite itself leaves out tests whose constraints do not hold here; the same with both "\
        "commands unless said otherwise above.\n\n| constraint | why | tests |\n| --- | --- | ---: |\n" + _skipped(rows)


def _line(stock, ours):
    return (f"| {ours['file']} | {ours['version']} | {ours['total']} | {stock['passed']} | {len(stock['failures'])} "
            f"| {ours['passed']} | {len(ours['failures'])} |\n")


def _exceptions(stock, ours):
    for row in (stock, ours):
        if row["verdict"]:
            yield f"not run to its end with {_command(row)}: {row['verdict']}"
    for test in sorted(_did_not_pass(stock, ours) | _did_not_pass(ours, stock)):
        fates = ", ".join(f"{_command(row)} {_fate(row, test)}" for row in (stock, ours))
        yield f"`{test}`: {fates}. {_reason(stock, ours, test)}"


def _reason(stock, ours, test):
    constraint = _constraint(ours, test) or _constraint(stock, test)
    if constraint in CONSTRAINTS:
        return f"Constraint `{constraint}`: {CONSTRAINTS[constraint]}."
    if _plain(test) in REASONS:
        return REASONS[_plain(test)]
    return f"It takes for granted that {TIMED[_plain(test)]}." if _plain(test) in TIMED else "Why is not known yet."


def _did_not_pass(row, other):
    """The tests that failed, and those that were skipped with this command only."""
    return set(row["failures"]) | {test for tests in row["skips"].values() for test in tests if not _constraint(other, test)}


def _fate(row, test):
    if test in row["failures"]:
        return row["failures"][test]
    return "skipped" if _constraint(row, test) else "passed"


def _constraint(row, test):
    """The constraint for which the test was skipped, or None."""
    return next((constraint for constraint, tests in row["skips"].items() if test in tests), None)


def _skipped(rows):
    totals = {}
    for row in rows:
        if row["command"] == "socket2":
            for constraint, tests in row["skips"].items():
                totals[constraint] = totals.get(constraint, 0) + len(tests)
    return "".join(f"| `{name}` | {CONSTRAINTS.get(name, 'not known yet')} | {count} |\n"
                   for name, count in sorted(totals.items()))


def _plain(test):
    """The name of a test without what only says for which address family, or by which commands, it is made."""
    return test.replace("_inet6-", "-").replace("_inet-", "-").removeprefix("chan-")


def _command(row):
    return "stock `socket`" if row["command"] == "stock" else "`socket2`"
