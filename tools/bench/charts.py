"""The charts of a run, drawn by matplotlib in a process of its own: this machine's Python with the pinned
wheels on its path.

    python -m tools.bench.charts RESULTS.json FOLDER        (what `draw` runs)

A chart is a row or a square of panels, and a panel has the bars of one scenario. Our bars are in colour,
those of the sockets that ours replace are dark, and all others light. A thin line over the end of a bar
reaches from the lowest round to the highest.
"""

import json
import os
import sys
from pathlib import Path

from tools.base import cache, process
from tools.bench import report
from tools.environments import linux_python, run

REQUIREMENTS = linux_python.REQUIREMENTS / "charts.txt"

# File name, title, and the scenarios of its panels.
CHARTS = [
    ("echo", "Echo: round trips per second",
     ["echo-64B-1", "echo-1KiB-20", "echo-10KiB-20", "echo-1KiB-200"]),
    ("stream", "One way: MB per second",
     ["stream-4KiB-event", "stream-64KiB-event", "stream-4KiB-blocking", "stream-64KiB-blocking"]),
    ("servers", "Servers and connections, per second", ["connect", "burst", "http-kept", "http-closed"]),
    ("cost", "What it costs: less is better", ["requests", "idle-10000"]),
]
LATENCY = ("latency", "Latency of an echo (dot: median, tick: 95th percentile, end: 99th)",
           ["echo-64B-1", "echo-1KiB-20"])

OURS = {"Tcl": "#1f6fb4", "Python": "#d9730d"}      # by language
STOCK, OTHER, INK = "#5b6470", "#c3cad2", "#20262e"


def draw(results):
    """Draw the charts of the results at this path. The files are put beside it."""
    def make(path):
        linux_python.pip(linux_python.python(), "install", "--quiet", "--target", path, *linux_python.PINNED,
                         REQUIREMENTS)

    packages = cache.directory("bench-charts", cache.fingerprint(REQUIREMENTS, sys.version), "matplotlib",
                               make)
    process.check([linux_python.python(), "-m", "tools.bench.charts", results, results.parent],
                  "drawing the charts", cwd=run.ROOT,
                  env={**os.environ, "PYTHONPATH": str(packages), "MPLBACKEND": "agg"})


def colour(name):
    """The colour of a contender's bar."""
    language = name.split()[0]
    if name.endswith(("socket2", "iocpsock")):
        return OURS[language]
    return STOCK if language in OURS else OTHER


def main(results, folder):
    from matplotlib import rcParams
    rcParams.update({"font.size": 9, "font.family": "DejaVu Sans", "svg.fonttype": "path",
                     "svg.hashsalt": "iocpsock", "text.color": INK, "axes.labelcolor": INK,
                     "xtick.color": INK, "ytick.color": INK})
    results = json.loads(Path(results).read_text())
    scenarios = {scenario["name"]: scenario for scenario in results["scenarios"] if scenario["contenders"]}
    for name, title, wanted in [*CHARTS, LATENCY]:
        panel = latency_panel if name == LATENCY[0] else bars_panel
        chart(Path(folder, name), title, panel, [scenarios[one] for one in wanted if one in scenarios],
              results["machine"])


def chart(path, title, panel, scenarios, machine):
    """Write path.svg and path.png, if there is anything to draw."""
    if not scenarios:
        return
    from matplotlib import pyplot
    rows = (len(scenarios) + 1) // 2
    figure, grid = pyplot.subplots(rows, min(2, len(scenarios)), figsize=(10, 0.9 + 3.1 * rows),
                                   squeeze=False)
    places = list(grid.flat)
    for axes, scenario in zip(places, scenarios):
        panel(axes, scenario)
    for axes in places[len(scenarios):]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    figure.text(0.01, 0.005, f"{machine['windows']}, loopback, one CPU; {machine['processor']}, "
                             f"{machine['date']}. Blue and orange: iocpsock. Dark: the"
                " stock sockets.", size=7.5)
    figure.tight_layout(rect=(0, 0.02, 1, 0.99))
    for ending, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 110})):
        figure.savefig(path.with_suffix(f".{ending}"), **options)
    pyplot.close(figure)


def frame(axes, scenario, names):
    """Draw the parts that both kinds of panel have: a row for each contender, and a title."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_title(f"{scenario['title']} ({scenario['unit']})", loc="left", size=10)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for label in axes.get_yticklabels():
        if label.get_text().endswith(("socket2", "iocpsock")):
            label.set_weight("bold")


def bars_panel(axes, scenario):
    measured = scenario["contenders"]
    names = list(measured)
    medians = [measured[name]["median"] for name in names]
    reach = [[measured[name]["median"] - measured[name]["lowest"] for name in names],
             [measured[name]["highest"] - measured[name]["median"] for name in names]]
    axes.barh(range(len(names)), medians, color=[colour(name) for name in names], height=0.72, xerr=reach,
              error_kw={"elinewidth": 1, "ecolor": INK, "alpha": 0.6})
    widest = max(measured[name]["highest"] for name in names) or 1
    for at, name in enumerate(names):
        axes.text(measured[name]["highest"] + widest * 0.015, at, label(scenario, name), va="center", size=8)
    axes.set_xlim(0, widest * 1.36)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    frame(axes, scenario, names)


def label(scenario, name):
    """The median, and for our sockets its ratio to the median of the stock sockets."""
    measured = scenario["contenders"]
    text = report.number(measured[name]["median"])
    stock = name.replace("socket2", "socket").replace("iocpsock", "socket")
    if stock != name and stock in measured and measured[stock]["median"]:
        text += f"   {report.number(measured[name]['median'] / measured[stock]['median'])}× stock"
    return text


def latency_panel(axes, scenario):
    measured = {name: row["latency"] for name, row in scenario["contenders"].items() if "latency" in row}
    names = list(measured)
    for at, name in enumerate(names):
        low, middle, high = (measured[name][key] for key in ("p50", "p95", "p99"))
        axes.plot([low, high], [at, at], color=colour(name), linewidth=3, solid_capstyle="round", alpha=0.6)
        axes.plot([low], [at], "o", color=colour(name), markersize=7)
        axes.plot([middle], [at], "|", color=colour(name), markersize=9, markeredgewidth=2)
    axes.set_xscale("log")
    axes.grid(axis="x", which="both", color="#e3e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(lambda value, position: report.number(value))
    frame(axes, {**scenario, "unit": "µs"}, names)


if __name__ == "__main__":
    main(*sys.argv[1:])
