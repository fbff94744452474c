"""dev.py bench: runs every contender in every scenario, in rounds, and sums up the results.

In a round each contender has one run, so anything that slows the machine for a while slows all of them. All
run in one Wine prefix, pinned to its CPU.
"""

import contextlib
import functools
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from tools.base import process
from tools.base.report import Problem, Unavailable, say
from tools.bench import charts, contenders, figures, load, report, requests, runner, scenarios
from tools.environments import installation, run

RESULTS = run.ROOT / "benchmarks" / "results"
PAGE = 1000             # bytes
OPEN_FILES = 65536      # the idle connections have both their ends on this machine


class Bench:
    """The parameters of a sample: the session, the length of a run, the page that web servers serve."""

    def __init__(self, windows, length, folder, until):
        self.windows, self.length, self.until = windows, length, until
        held = windows.prefix if isinstance(windows, run.WineSession) else None
        self.prefix = held and held.folder
        # how to run a program that must not disturb the measured one
        self.beside = load.another_cpu(held.pin) if held else []
        self.page = Path(folder, "page.bin")
        self.page.write_bytes(b"x" * PAGE)

    @functools.cached_property
    def traced(self):
        """A session whose wineserver logs its requests, made at the first use and kept until the end."""
        return self.until.enter_context(requests.traced())


def main(options):
    """Measure the selected scenarios. Return 0 unless nothing could be measured."""
    quick = "--quick" in options
    length = scenarios.QUICK if quick else scenarios.FULL
    chosen = choose(quick, options.get("--only"), options.get("--who"))
    _raise_file_limit()
    with tempfile.TemporaryDirectory() as folder, run.session() as windows, contextlib.ExitStack() as until:
        results = measure(Bench(windows, length, folder, until), chosen)
    results["machine"] = machine()
    results["options"] = {"quick": quick, **length._asdict()}
    whole = not options.keys() & {"--only", "--who"}
    path = write(results, ("quick" if quick else "full") if whole else "part")
    print(path.with_suffix(".txt").read_text(), flush=True)
    say(f"-- written: {path.relative_to(run.ROOT)}")
    if path.stem == "full":
        draw(path)
    return 0 if any(scenario["contenders"] for scenario in results["scenarios"]) else 1


def draw(path):
    try:
        charts.draw(path)
    except Problem as reason:       # the figures exist in any case
        say(f"-- no charts: {reason}")


def choose(quick, only=None, who=None):
    """Return the named scenarios, or all, or the key ones if `quick`; each with the named contenders."""
    if only or not quick:
        found = named("--only", only, scenarios.ALL)
    else:
        found = [one for one in scenarios.ALL if one.key]
    there = {contender.name for contender in named("--who", who, contenders.ALL)}
    return [scenario._replace(contenders=[one for one in scenario.contenders if one.name in there])
            for scenario in found]


def named(option, names, things):
    """Return the things with one of the comma-separated `names`, or else those whose names begin with it; all
    things if there are no names."""
    if not names:
        return things
    found = []
    for name in names.split(","):
        these = [thing for thing in things if thing.name == name]
        these = these or [thing for thing in things if thing.name.startswith(name)]
        if not these:
            raise Problem(f"bench {option} {name}: there are {', '.join(thing.name for thing in things)}")
        found += these
    return [thing for thing in things if thing in found]


def measure(bench, chosen):
    """Take the samples of every scenario, and sum them up."""
    summed = []
    for scenario in chosen:
        started = time.monotonic()
        taken, failures = rounds(bench, scenario)
        summed.append(sum_up(scenario, taken, failures))
        say(f"-- {scenario.name}: {time.monotonic() - started:.0f} s")
    return {"scenarios": summed}


def rounds(bench, scenario):
    """Return the samples of each contender, and the reasons of those that failed in a round. A contender that
    fails in its first round does not run again."""
    taken: dict = {}
    failures: dict = {}
    for _ in range(scenario.rounds or bench.length.rounds):
        for contender in scenario.contenders:
            if contender.name in failures and contender.name not in taken:
                continue
            try:
                sample = scenario.sample(bench, contender)
            except (Unavailable, runner.Failed) as reason:
                failures.setdefault(contender.name, []).append(str(reason))
                if isinstance(reason, runner.Failed):       # what is not to be had is in the report
                    say(f"-- {scenario.name}: {contender.name}: {reason}")
            else:
                taken.setdefault(contender.name, []).append(sample)
    return taken, failures


def sum_up(scenario, taken, failures):
    """One scenario of the results."""
    rows = {}
    for name, samples in taken.items():
        rows[name] = figures.summary([sample["value"] for sample in samples])
        if latencies := [latency for sample in samples for latency in sample.get("latencies", ())]:
            rows[name]["latency"] = figures.latency(latencies)
        for part in ("latency", "extras"):
            if medians := figures.medians([sample[part] for sample in samples if part in sample]):
                rows[name][part] = medians
    return {"name": scenario.name, "title": scenario.title, "unit": scenario.unit, "better": scenario.better,
            "ours": [one.name for one in scenario.contenders if one.ours], "contenders": rows,
            "failures": failures}


def machine():
    """Return a description of the machine that the figures come from."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as info:
            model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")),
                         "")
    windows = platform.platform()
    if os.name != "nt":
        said = process.check([*installation.chosen().enter, "wine", "--version"], "asking for Wine's version")
        windows = next(word for word in said.split() if word.startswith("wine-")).replace("wine-", "Wine ")
    return {"system": platform.platform(), "windows": windows, "processor": model or platform.processor(),
            "cpus": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}


def write(results, name):
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".txt").write_text(report.text(results) + "\n")
    return path


def _raise_file_limit():
    """Raise the limit of open files, which the wineserver inherits: a scenario has thousands of
    connections."""
    if os.name == "nt":
        return              # Windows knows no such limit
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES), max(hard, OPEN_FILES)))
    except ValueError:      # only root may raise the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
