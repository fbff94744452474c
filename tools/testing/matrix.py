"""The test matrix: runs every cell, one more at a time than there are CPUs, at most three. Then it prints the
output of each failure, one table and one line of totals.

A cell is one suite of tests in one interpreter. It has a Wine prefix of its own. It fails when a test fails,
when it hangs, crashes or has no tests. A cell that cannot run here is named with the reason. The cells run on
threads of a pool; their lines are printed as they arrive, each after the name of its cell.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tools.base import process
from tools.base.report import Problem, Unavailable, say
from tools.environments import build, linux_python, run
from tools.environments.setup import machine_python
from tools.load import fuzz
from tools.suites.conformance_asyncio import SUITE as ASYNCIO
from tools.suites.conformance_python import SUITE as PYTHON
from tools.suites.conformance_tcl import SUITE as TCL
from tools.suites.outcome import report

RESULTS = run.BUILD / f"results-{os.name}"      # a test of this runs the matrix in a Windows Python meanwhile
PLUGIN = Path(__file__).with_name("plugin")
SILENCE = 900           # seconds without output from a cell; a compiler on a busy machine is silent for long
TIMEOUT = 2400          # seconds for a whole cell
TEST_TIMEOUT = 150      # seconds in one test: then pytest prints where every thread stands
WORDS = 40              # lines of a failure's output, at the end of a run
NO_TESTS = 5            # pytest's exit status when nothing was collected

# The scenarios in tests/tcl run again with other than the initial settings of the engine, which must not
# change their results. Left out are those about the settings themselves, and about how much arrives at an
# end: a small queue holds less.
TUNED = {
    "8.6": ("recvmode=zero", "recvbufsize=512 threads=4 sendlimit=4096"),
    "9.0": ("recvmode=auto manyconnections=2 recvlimit=4096",),
}
UNTUNED = "socket2 and not settings and not process and not states"

# Builds for tests (setup.py), and the versions of Tcl and Python that run with them, or None: only the
# scenarios on our sockets. The strict build finds what the debug build finds, as it has the same heap.
VARIANTS = {"ubsan": ("8.6", None)}
FAULTY = ("8.6", "3.13")
STRICT = ("9.0", "3.12")
# Where no version is named, only the oldest and the newest Python run CPython's own suites, and the scenarios
# on the stock sockets too. The other versions run the scenarios on our sockets only.
ENDS = run.PYTHON_VERSIONS[0], run.PYTHON_VERSIONS[-1]
LONG = run.DEFAULT_PYTHON    # the Python that runs the tests with the mark `long`, where none is named
FUZZ = {"tcl": 120, "python": 120, "storm": 60}     # seconds of each fuzzer
# Not with the strict build: the count of allocations, as it keeps no free lists; and what arrives in a
# bounded time.
UNSTRICT = "socket2 and not process-3.4 and not states"
# The cells that take longest begin first, so that none of them runs alone at the end.
LONGEST = ("strict python", "python", "tcl", "suite python", "suite asyncio", "fuzz", "build", "faults",
           "strict")
WAITING = 1             # cells at a time beyond the number of CPUs: each waits for half of its time
SWEEP = 12              # faults are injected at every so many calls; tests/faults itself knows finer sweeps


@dataclass
class Cell:
    """One suite in one interpreter, and its results."""
    name: str
    work: Callable                                  # called with the cell; fills in the fields below
    required: bool = True                           # by IOCPSOCK_REQUIRE_ALL
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    remarks: list = field(default_factory=list)     # names of failures, and why a cell failed as a whole
    words: dict = field(default_factory=dict)       # what was said of a failure
    unavailable: str = ""                           # why it did not run

    def fail(self, remark):
        self.failed += 1
        self.remarks.append(remark)


def cells(expression=None, python=None, tcl=None, soak=False):
    """The selected cells. Naming a version leaves out the cells of the other versions."""
    pythons: tuple = () if tcl else run.PYTHON_VERSIONS
    if python:
        pythons = run.known("Python", python, run.PYTHON_VERSIONS),
    tcls: tuple = () if python else run.TCLS
    if tcl:
        tcls = run.known("Tcl", tcl, run.TCLS),
    wanted = []
    # the languages' own suites have no test names that -k could choose from
    if os.name != "nt" and not expression:
        wanted += [Cell(f"suite {version} {file}", partial(_suite, suite=TCL, version=version, files=[file]))
                   for file in TCL.files for version in tcls if version in TCL.versions]
        wanted += [Cell(f"suite {name} {version}",
                        partial(_suite, suite=suite, version=version,
                                files=suite.files_of(version, rare=False)))
                   for name, suite in (("python", PYTHON), ("asyncio", ASYNCIO))
                   for version in pythons if python or version in ENDS]
    wanted += [Cell(f"tcl {version}", partial(_tcl, version=version, expression=expression, soak=soak),
                    required=version != run.TCL_TO_COME) for version in tcls]
    wanted += [Cell(f"tcl {version} {text.split()[0]}",
                    partial(_tuned, version=version, expression=expression, settings=text))
               for version in tcls for text in TUNED.get(version, ())]
    wanted += [Cell(f"python {version}",
                    partial(_python, version=version,
                            expression=expression if python or version in ENDS else _ours(expression),
                            brief=not (python or soak or version == LONG))) for version in pythons]
    if run.FREE_THREADED.rstrip("t") in pythons:
        wanted.append(Cell(f"python {run.FREE_THREADED}",
                           partial(_python, version=run.FREE_THREADED, expression=expression,
                                   folders=("tests/free_threaded",))))
    if os.name != "nt" and LONG in pythons:
        wanted.append(Cell("libraries", partial(_libraries, version=LONG, expression=expression)))
    if os.name != "nt" and not expression:
        wanted += [Cell(f"fuzz {language}", partial(_fuzz, language=language))
                   for language in FUZZ if fuzz.DEFAULTS[language] in (*pythons, *tcls)]
    if os.name != "nt":
        wanted += _variants(expression, pythons, tcls)
    return [*wanted, Cell("build", partial(_build, expression=expression))]


def _ours(expression):
    """The scenarios on our sockets alone."""
    return f"({expression}) and not stock" if expression else "not stock"


def _variants(expression, pythons, tcls):
    """The cells of the builds for tests."""
    if FAULTY[0] in tcls:
        yield Cell("faults tcl", partial(_faults, version=FAULTY[0], expression=expression))
    if STRICT[0] in tcls:
        yield Cell("strict tcl", partial(_strict, version=STRICT[0], expression=expression))
    if STRICT[1] in pythons:
        yield Cell("strict python", partial(_python, version=STRICT[1], expression=_ours(expression),
                                            variant="strict", folders=("tests/python", "tests/calls"),
                                            brief=True))
    if FAULTY[1] in pythons:
        yield Cell("faults python", partial(_python, version=FAULTY[1], expression=expression,
                                            variant="faults", folders=("tests/calls",)))
    for variant, (tcl, python) in VARIANTS.items():
        if tcl in tcls:
            yield Cell(f"{variant} tcl", partial(_tuned, version=tcl, expression=expression, settings="",
                                                 variant=variant))
        if python in pythons:
            yield Cell(f"{variant} python", partial(_python, version=python, expression=_ours(expression),
                                                    variant=variant, brief=True))


def run_all(expression=None, python=None, tcl=None, soak=False, names=("",)):
    """Run the matrix, or the cells whose names begin with one of `names`; print the table, and return the
    exit status."""
    wanted = [cell for cell in cells(expression, python, tcl, soak) if cell.name.startswith(names)]
    if not wanted:
        raise Problem(f"test: no cell's name begins with {' or '.join(names)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    process.side_by_side(_run, sorted(wanted, key=_turn), WAITING)
    return _report(wanted, expression)


def _turn(cell):
    """The position of a cell in the order of starting, by the beginning of its name."""
    return next((turn for turn, name in enumerate(LONGEST) if cell.name.startswith(name)), len(LONGEST))


def _run(cell):
    started = time.monotonic()
    try:
        cell.work(cell)
    except Unavailable as reason:
        cell.unavailable = str(reason)
    except Problem as problem:
        cell.fail(str(problem))
    cell.seconds = time.monotonic() - started
    say(f"-- {cell.name}: {cell.passed} passed, {cell.failed} failed, {cell.skipped} skipped in "
        f"{cell.seconds:.0f} s")


class Lines(process.Lines):
    """Prints the output of a cell, each whole line after the cell's name."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def line(self, line):
        if text := line.rstrip():
            print(f"{self.name} | {text}", flush=True)


def _build(cell, expression):
    _pytest(cell, [machine_python()], dict(os.environ), str, ["tests/build"], expression)


def _tcl(cell, version, expression, soak):
    with run.session() as windows:
        windows.tclsh(version)  # raises Unavailable here if there is none
        folders = ["tests/tcl", "tests/examples", "tests/programs"]
        _pytest(cell, [machine_python()], windows.environment(), str,
                [*folders, "--tcl", version, *(["--soak"] if soak else [])], expression)


def _tuned(cell, version, expression, settings, variant=None):
    if variant:
        build.ensure(variant=variant)
    with run.session(variant) as windows:
        windows.tclsh(version)
        chosen = f"({expression}) and {UNTUNED}" if expression else UNTUNED
        env = {**windows.environment(), "IOCPSOCK_SETTINGS": settings}
        _pytest(cell, [machine_python()], env, str, ["tests/tcl", "--tcl", version], chosen)


def _faults(cell, version, expression):
    build.ensure(variant="faults")
    with run.session("faults") as windows:
        windows.tclsh(version)
        arguments = ["tests/faults", "--tcl", version, "--every", str(SWEEP)]
        _pytest(cell, [machine_python()], windows.environment(), str, arguments, expression)


def _strict(cell, version, expression):
    """The strict build's own tests, then the scenarios of socket2."""
    build.ensure(variant="strict")
    with run.session("strict") as windows:
        for folder, chosen in (("tests/strict", expression),
                               ("tests/tcl", f"({expression}) and {UNSTRICT}" if expression else UNSTRICT)):
            _pytest(cell, [machine_python()], windows.environment(), str, [folder, "--tcl", version], chosen)


def _python(cell, version, expression, variant=None, folders=("tests/python", "tests/engine"), brief=False):
    """The scenarios in a Windows Python; `brief`: without those that take minutes."""
    if variant:
        build.ensure(variant=variant)
    with run.session(variant) as windows:
        argv, env = windows.python(version)
        folders = [folder for folder in folders if (run.ROOT / folder).is_dir()]
        if brief:
            folders += ["-m", "not long"]
        if variant == "strict":
            folders.append("--capture=sys")     # what ends the process is written by the DLL
        _pytest(cell, argv, {**env, "PYTHONUNBUFFERED": "1"}, windows.path, folders, expression)


def _libraries(cell, version, expression):
    """Others' servers, clients and libraries on the event loop."""
    with run.session() as windows:
        argv, env = windows.python(version)
        folder = windows.path(linux_python.windows_libraries(version))
        env = {**env, "PYTHONPATH": f"{env['PYTHONPATH']};{folder}", "PYTHONUNBUFFERED": "1"}
        _pytest(cell, argv, env, windows.path,
                ["-p", "no:asyncio", "-p", "no:anyio", "tests/python/libraries"], expression)


def _pytest(cell, python, env, path, arguments, expression):
    """Run pytest with the interpreter `python`. `path` converts a path of this machine to its form."""
    verdicts = RESULTS / f"{cell.name.replace(' ', '-')}.jsonl"
    verdicts.write_text("")
    separator = ";" if path is not str or os.name == "nt" else ":"
    folders = [path(PLUGIN), *filter(None, [env.get("PYTHONPATH")])]
    env = {**env, "PYTHONPATH": separator.join(folders), "PYTEST_VERDICTS": path(verdicts)}
    argv = [*python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_verdicts", "-o",
            f"faulthandler_timeout={TEST_TIMEOUT}", *arguments, *(["-k", expression] if expression else [])]
    stopped = ""
    try:
        timeout = None if "--soak" in arguments else TIMEOUT
        status = process.follow(argv, env, Lines(cell.name).take, cwd=run.ROOT, timeout=timeout,
                                silence=SILENCE)
        if status not in (0, 1, NO_TESTS):
            stopped = f"pytest ended with status {status}"
    except process.Hung as hung:
        stopped = f"hung: {hung}"
    running = _count(cell, verdicts)
    if stopped:
        cell.fail(stopped + (f", in {running}" if running else ""))
    elif status == 1 and not cell.failed:
        cell.fail("pytest ended with status 1, and no test says why")
    elif not cell.passed + cell.failed and not expression:
        cell.fail("no test ran")


def _count(cell, verdicts):
    """Count the tests' results, each test once, and return the test that started and did not end."""
    worst: dict = {}
    running = None
    for line in verdicts.read_text(encoding="utf-8").splitlines():
        test, verdict, *words = json.loads(line)
        if words:
            cell.words[test] = words[0]
        if verdict == "started":
            running = test
        elif verdict == "ended":
            running = None
        else:
            worst[test] = max(worst.get(test, "passed"), verdict, key=("passed", "skipped", "failed").index)
    for test, verdict in worst.items():
        if verdict == "failed":
            cell.fail(test)
        elif verdict == "skipped":
            cell.skipped += 1
        else:
            cell.passed += 1
    return running


def _suite(cell, suite, version, files):
    """Run files of a language's own suite with our sockets only. A failure is a test that passed when
    docs/conformance.md was written and does not pass now.

    A file's output about known failures is not shown, only that of a file with a regression.
    """
    lines = Lines(cell.name)
    for file in files:
        words: list = []
        result, second = suite.run_file(version, file, suite.ours, words.append)
        apart = suite.lost(result)
        stock = suite.alike(result, words.append)
        lost = suite.lost(result, stock)
        cell.remarks += [f"{line}; on this machine with the stock sockets too"
                         for line in apart if line not in lost]
        if lost or result.verdict:
            words += report(result)
            for line in "\n".join(words).splitlines():
                lines.line(line)
        for line in lost:
            cell.fail(line)
        cell.remarks += [f"{test}: left out because it takes long; `dev.py conformance` runs it"
                         for test in suite.slow.get(file, ())]
        cell.remarks += [f"{test}: failed among the others, passed when run again by itself"
                         for test in second]
        cell.passed += result.passed
        cell.skipped += max(0, result.total - result.passed - len(lost))
        if result.verdict:
            cell.fail(f"{file}: not run to its end: {result.verdict}")
        elif not result.total:
            cell.fail(f"{file}: no test ran")


def _fuzz(cell, language):
    """Run sequences with fixed seeds, and prove that the fuzzer finds a planted fault. A difference that
    occurred only once, and a death of the stock sockets' own, are remarks."""
    lines, chance, said = Lines(cell.name), [], []

    def show(line):
        lines.line(line)
        said.append(line)
        if line.startswith(("by chance: ", fuzz.STOCK_DIED)):
            chance.append(line)

    if fuzz.planted(language):
        cell.passed += 1
    else:
        cell.fail("a planted fault was not found")
    found, totals = fuzz.fuzz(language, seconds=FUZZ[language], show=show)
    cell.remarks += chance + totals
    if found:
        cell.fail("something differs, is wrong or died")
        cell.words[language] = "\n".join(said)
    else:
        cell.passed += sum(int(line.split()[0]) for line in totals)


def _report(wanted, expression):
    for cell in wanted:
        for test, words in cell.words.items():
            print("\n".join(["", f"-- {cell.name}: {test}", *words.splitlines()[-WORDS:]]))
    width = max(len(cell.name) for cell in wanted)
    print(f"\n{'cell':{width}}  passed  failed  skipped  seconds")
    for cell in wanted:
        if not cell.unavailable:
            print(f"{cell.name:{width}}  {cell.passed:6}  {cell.failed:6}  {cell.skipped:7}  "
                  f"{cell.seconds:7.0f}")
    for cell in wanted:
        for remark in cell.remarks:
            print(f"{cell.name}: {remark}")
    absent = [cell for cell in wanted if cell.unavailable]
    for cell in absent:
        print(f"{cell.name}: DID NOT RUN: {cell.unavailable}")
    passed, failed, skipped = (sum(getattr(cell, what) for cell in wanted)
                               for what in ("passed", "failed", "skipped"))
    strict = os.environ.get("IOCPSOCK_REQUIRE_ALL") == "1"
    missed = [cell for cell in absent if cell.required]
    if missed and strict:
        print("IOCPSOCK_REQUIRE_ALL=1: a cell that did not run is a failure")
        failed += len(missed)
    if expression and not passed + failed:
        print(f"-k {expression}: no test has such a name")
        failed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0
