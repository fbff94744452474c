"""docs/conformance.md: how socket2 does in Tcl's own test suite, beside the stock command on the same machine.

The page and conformance.json beside this file are written by one command, `dev.py conformance`; the matrix takes
from the latter which tests are known to fail. What is written by hand is REASONS alone.
"""

import json
from dataclasses import asdict
from pathlib import Path

from tools import process, run, tcltest
from tools.report import Problem, say

DATA = Path(__file__).with_name("conformance.json")
PAGE = run.ROOT / "docs" / "conformance.md"
FILES = ("socket.test",)

# Test -> why it fails. A pattern of the suite's own: socket_inet-2.13 and socket_inet6-2.13 are one test for two families.
REASONS = {
    "socket-14.15": "It gives a new process 200 ms to load, connect and answer; under Wine one takes longer to start when "
                    "the machine is busy.",
    "socket-2.13": "It writes 720 000 times one byte, which takes minutes under Wine, and then judges by 5 ms.",
    "socket-14.19": "Wine refuses two sockets with SO_REUSEADDR on one port.",
}
# Of those, what the matrix leaves out, because it takes minutes, and what it forgives, because the clock decides it.
SLOW = ("socket_inet-2.13", "socket_inet6-2.13")
BY_THE_CLOCK = ("socket-14.15",)

_HEAD = """# Conformance

Tcl's own test suite, run with the stock `socket` and with `socket2` in its place: in the test's interpreter, in its
child interpreters and threads, in `remote.tcl` and in every script it starts. Written by
`python3 dev.py conformance`; do not edit. Measured under Wine, each file in a process of its own.

A test that hangs or crashes counts as failed, and its file is run again without it. Tests that reach into the stock
driver's own structures (`testsocket`, 14.11.1 of Tcl 9) are not run with `socket2`, which has no such structures.

| suite | command | total | passed | skipped | failed |
| --- | --- | ---: | ---: | ---: | ---: |
"""


def known_failures(version, file):
    """The tests of this file that failed with socket2 when the page was last written, and those that the clock decides."""
    if not DATA.exists():
        return set(BY_THE_CLOCK)
    return set(BY_THE_CLOCK) | {test for row in json.loads(DATA.read_text())
            if (row["version"], row["file"], row["command"]) == (version, file, "socket2") for test in row["failures"]}


def main(arguments):
    """Run the suites, all four ways, and write the page. The exit status tells whether each file ran to its end."""
    files = arguments or FILES
    if any(file.startswith("-") for file in files):
        raise Problem("conformance: it takes names of test files only")
    rows = process.side_by_side(_measure, [(version, file, stock) for file in files for version in run.TCL_VERSIONS
                                            for stock in (True, False)])
    DATA.write_text(json.dumps([_row(result) for result in rows], indent=1) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(rows))
    return 1 if any(result.verdict for result in rows) else 0


def _measure(job):
    version, file, stock = job
    result = tcltest.run_file(version, file, stock=stock, show=lambda line: None)
    for line in tcltest.report(result):
        say(line)
    return result


def _row(result):
    """What is kept of a result: nothing that changes from run to run."""
    row = asdict(result)
    for name in ("passes", "skips", "seconds"):
        del row[name]
    return row


def page(rows):
    """The text of docs/conformance.md for these results."""
    text = _HEAD
    for row in rows:
        text += (f"| {row.file}, Tcl {row.version} | {_command(row)} | {row.total} | {row.passed} | {row.skipped} "
                 f"| {row.failed} |\n")
    for row in rows:
        text += f"\n## {row.file}, Tcl {row.version}, {_command(row)}\n\n"
        if row.verdict:
            text += f"Not run to its end: {row.verdict}.\n\n"
        other = next((each for each in rows if (each.file, each.version) == (row.file, row.version) and each is not row), None)
        for test in row.failures:
            text += f"* `{test}`: {_account(row, other, test)}\n"
        text += "" if row.failures else "Nothing failed.\n"
        text += "".join(f"\nSkipped, {reason}: {len(tests)}.\n" for reason, tests in sorted(_by_reason(row.skips).items()))
    return text


def _account(row, other, test):
    """What one failure was, and how the other command did."""
    what = row.broken.get(test, "failed")
    if other:
        what += f"; {_command(other)} " + ("fails too" if test in other.failures else "passes" if test in other.passes
                                            else "does not run it")
    plain = test.replace("_inet6-", "-").replace("_inet-", "-")
    return f"{what}. {REASONS[plain]}" if plain in REASONS else what + "."


def _by_reason(skips):
    reasons = {}
    for test, reason in skips.items():
        reasons.setdefault(f"constraint `{reason}`", []).append(test)
    return reasons


def _command(row):
    return "stock `socket`" if row.command == "stock" else "`socket2`"
