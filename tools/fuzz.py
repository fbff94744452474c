"""The fuzzers: random sequences of calls, made with the stock sockets and with ours, and compared. The exit
status is 1 if any differs.

    python3 dev.py fuzz tcl|python [--seconds N] [--seed S] [--version V] [--planted] [--show SEED]

The programs are in tests/fuzz and run under Wine; here they are started and watched. One that dies, or
says nothing for SILENCE seconds, is a finding too: its last seed is named, and the next program begins
behind it.
"""

import time

from tools import process, run
from tools.report import Problem, say

PROGRAMS = run.ROOT / "tests" / "fuzz"
SILENCE = 180           # of a program whose longest step has 150 seconds
VERSIONS = {"python": run.PYTHON_VERSIONS, "tcl": run.TCL_VERSIONS}


class Watch:
    """Takes the output of a program: passes it on, and knows the seed it is at."""

    def __init__(self, show):
        self.show, self.seed, self.last, self.rest, self.totals = show, None, "", b"", ""

    def take(self, stream, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text.startswith("@ "):
                self.seed, self.last = int(text.split()[1]), text
            elif text:
                self.totals = text if " sequences, " in text else self.totals
                self.show(text)


def command(windows, language, version, puppet, *arguments):
    if language == "python":
        return windows.python(version, windows.path(PROGRAMS / "python" / "fuzz.py"), *map(str, arguments))
    return windows.tcltest(version, windows.path(PROGRAMS / "tcl" / "fuzz.tcl"), str(puppet.listener), str(puppet.control),
                           *map(str, arguments), stock=True)


def arguments_of(language, seed, seconds, planted):
    if language == "python":
        return ["--seed", seed, "--seconds", seconds, *(["--planted"] if planted else [])]
    return ["fuzz", seed, seconds, *(["planted"] if planted else [])]


def fuzz(language, version=None, seed=1, seconds=60, planted=False, show=say):
    """Run the fuzzer for so long; (whether anything was found, the lines with totals)."""
    from tools.puppet import Puppet
    version = run.known(language, version, VERSIONS[language]) if version else VERSIONS[language][-1]
    found, totals, end = False, [], time.monotonic() + seconds
    puppet = Puppet() if language == "tcl" else None
    with run.session() as windows:
        while (left := int(end - time.monotonic())) > 0:
            watch = Watch(show)
            argv, env = command(windows, language, version, puppet, *arguments_of(language, seed, left, planted))
            try:
                status = process.follow(argv, env, watch.take, silence=SILENCE)
            except process.Hung as hung:
                status = str(hung)
            if watch.totals and status in (0, 1):
                return found or status == 1, [*totals, watch.totals]
            found = True
            show(f"DIED: {status}, at seed {watch.seed}: {watch.last}")
            if watch.seed is None:
                break
            seed = watch.seed + 1
    return found, totals


def main(language, options):
    if language not in VERSIONS:
        raise Problem(f"fuzz: {language!r} is not one of {', '.join(VERSIONS)}")
    version = options.get("--version")
    if "--show" in options:
        from tools.puppet import Puppet
        puppet = Puppet() if language == "tcl" else None
        shown = ["--show", options["--show"]] if language == "python" else ["show", options["--show"]]
        with run.session() as windows:
            return windows.pass_through(command(windows, language, version or VERSIONS[language][-1], puppet, *shown))
    found, _ = fuzz(language, version, int(options.get("--seed", 1)), int(options.get("--seconds", 60)), "--planted" in options)
    return 1 if found else 0
