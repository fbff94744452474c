"""The goals, as ratios of medians in one run under Wine. They are shown, never asserted."""

from tools.bench import figures, report

# Scenario, contender, the contender it is compared with, how many times as good it has to be.
GOALS = [
    *((f"echo-{what}", f"Tcl {version} socket2", f"Tcl {version} socket", 8)
      for version in ("8.6", "9.0") for what in ("64B-1", "1KiB-20")),
    *(("echo-64B-1", f"Tcl {version} socket2", "raw", 0.6) for version in ("8.6", "9.0")),
    *((f"stream-{size}-event", f"Tcl {version} socket2", f"Tcl {version} socket", least)
      for version in ("8.6", "9.0") for size, least in (("4KiB", 10), ("64KiB", 2))),
    *(("connect", f"Tcl {version} socket2", f"Tcl {version} socket", 2.5) for version in ("8.6", "9.0")),
    ("echo-64B-1", "Python iocpsock", "Python socket", 1.2),
    ("burst", "Python iocpsock", "Python socket", 2),
    *(("requests", name, "raw", 1 / 1.5)
      for name in ("Tcl 8.6 socket2", "Tcl 9.0 socket2", "Python iocpsock")),
]


def table(scenarios):
    """The goals for these scenarios; empty if there is none."""
    measured = {scenario["name"]: scenario for scenario in scenarios}
    rows = []
    for name, whose, against, least in GOALS:
        scenario = measured.get(name, {"contenders": {}})
        if whose in scenario["contenders"] and against in scenario["contenders"]:
            value, other = (scenario["contenders"][who]["median"] for who in (whose, against))
            ratio = figures.ratio(value, other, scenario["better"])
            rows.append([scenario["title"], whose, against, f"{least:.2f}", report.times(ratio),
                         "reached" if ratio >= least else "not yet"])
    return "\n".join(report.columns([["goals: scenario", "whose", "against", "at least", "is", ""],
                                     *rows])) if rows else ""
