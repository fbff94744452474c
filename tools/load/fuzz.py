"""The fuzzers: random sequences of calls on the stock sockets and on ours, compared; and a storm of threads,
in which every byte identifies its owner. The exit status is 1 if anything differs, or is wrong.

    python3 dev.py fuzz tcl|python|storm [--seconds N] [--seed S] [--version V] [--planted] [--show SEED]

The programs are in tests/fuzz and run under Wine; this module starts and watches them. A program that dies,
or prints nothing for SILENCE seconds, is a finding too: its last seed is named, and the next program begins
with the seed after it. The stock sockets die as well: if the sequence ends a fresh program in the same way
while it runs on them, before ours are used, it is no finding.
"""

import time

from tools.base import process
from tools.base.report import Problem, say
from tools.environments import run
from tools.load.puppet import Puppet

PROGRAMS = run.ROOT / "tests" / "fuzz"
SILENCE = 180           # of a program whose longest step has 150 seconds
VERSIONS = {"python": run.PYTHON_VERSIONS, "storm": run.PYTHON_VERSIONS, "tcl": run.TCL_VERSIONS}
DEFAULTS = {"python": run.DEFAULT_PYTHON, "storm": run.DEFAULT_PYTHON, "tcl": run.TCL_VERSIONS[-1]}
STOCK_DIED = "the stock sockets died: "
SELF_TEST = 300         # seconds in which a planted fault must be found, on a busy machine too


class Watch(process.Lines):
    """Reads the output of a program: passes it on, and remembers the current seed."""

    def __init__(self, show):
        super().__init__()
        self.show, self.last, self.totals = show, "", ""
        self.seed: int | None = None
        self.stock = False          # the stock sockets run the sequence

    def line(self, line):
        text = line.rstrip()
        if text.startswith("@ "):
            self.seed, self.last = int(text.split()[1]), text
            self.stock = text.split()[2:3] == ["stock"]
        elif text:
            self.totals = text if ", seeds " in text else self.totals
            self.show(text)


def command(windows, language, version, puppet, *arguments):
    words = map(str, arguments)
    if language == "tcl":
        ports = str(puppet.listener), str(puppet.control)
        program = windows.path(PROGRAMS / "tcl" / "fuzz.tcl")
        return windows.tcltest(version, program, *ports, *words, stock=True)
    program = {"python": "fuzz.py", "storm": "storm.py"}[language]
    return windows.python(version, windows.path(PROGRAMS / "python" / program), *words)


def arguments_of(language, seed, seconds, planted):
    if language == "tcl":
        return ["fuzz", seed, seconds, *(["planted"] if planted else [])]
    return ["--seed", seed, "--seconds", seconds, *(["--planted"] if planted else [])]


def attempt(windows, language, version, puppet, arguments, show):
    """Run the program once: (its exit status, or how it hung; the Watch of its output)."""
    watch = Watch(show)
    argv, env = command(windows, language, version, puppet, *arguments)
    try:
        return process.follow(argv, env, watch.take, silence=SILENCE), watch
    except process.Hung as hung:
        return str(hung), watch


def dies_on_stock(windows, language, version, puppet, seed):
    """Whether the sequence ends a fresh program while the stock sockets run it."""
    arguments = arguments_of(language, seed, 1, False)
    _, watch = attempt(windows, language, version, puppet, arguments, lambda line: None)
    return watch.stock and watch.seed == seed and not watch.totals


def fuzz(language, version=None, seed=1, seconds=60, planted=False, show=say):
    """Run the fuzzer for so long; (whether anything was found, the lines with totals)."""
    version = run.known(language, version, VERSIONS[language]) if version else DEFAULTS[language]
    found, end = False, time.monotonic() + seconds
    puppet = Puppet() if language == "tcl" else None
    with run.session() as windows:
        while (left := int(end - time.monotonic())) > 0:
            arguments = arguments_of(language, seed, left, planted)
            status, watch = attempt(windows, language, version, puppet, arguments, show)
            if watch.totals and status in (0, 1):
                return found or status == 1, [watch.totals]
            stock = watch.stock and dies_on_stock(windows, language, version, puppet, watch.seed)
            found = found or not stock
            show(f"{STOCK_DIED if stock else 'DIED: '}{status}, at seed {watch.seed}: {watch.last}")
            if watch.seed is None:
                break
            seed = watch.seed + 1
    return found, []


def planted(language):
    """Check that the fuzzer finds a planted fault."""
    lines: list = []
    fuzz(language, seconds=SELF_TEST, planted=True, show=lines.append)
    return any(line.startswith(("DIFFERENCE: ", "FAULT: ")) for line in lines)


def show_sequence(language, version, seed):
    puppet = Puppet() if language == "tcl" else None
    arguments = ["show", seed] if language == "tcl" else ["--show", seed]
    with run.session() as windows:
        return windows.pass_through(command(windows, language, version, puppet, *arguments))


def main(language, options):
    if language not in VERSIONS:
        raise Problem(f"fuzz: {language!r} is not one of {', '.join(VERSIONS)}")
    if language == "storm" and "--show" in options:
        raise Problem("fuzz storm: --show is for sequences of calls")
    version = options.get("--version", DEFAULTS[language])
    if "--show" in options:
        return show_sequence(language, version, options["--show"])
    seed, seconds = int(options.get("--seed", 1)), int(options.get("--seconds", 60))
    return 1 if fuzz(language, version, seed, seconds, "--planted" in options)[0] else 0
