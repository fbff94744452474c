"""The results as text: a table for each scenario, and one of the goals."""

from tools.bench import figures, goals


def text(results):
    parts = [table(scenario) for scenario in results["scenarios"]]
    met = goals.table(results["scenarios"])
    return "\n\n".join([*parts, *([met] if met else [])])


def table(scenario):
    """One row for each contender: its figures, and for ours how many times as good they are."""
    measured = scenario["contenders"]
    ours = [name for name in scenario["ours"] if name in measured]
    latency = any("latency" in row for row in measured.values())
    extras = list(dict.fromkeys(key for row in measured.values() for key in row.get("extras", ())))
    heads = ["", "median", "spread"] + ["p50", "p95", "p99"] * latency + extras
    heads += [f"{name} is" for name in ours]
    rows = []
    for name, row in measured.items():
        cells = [name, number(row["median"]), f"{row['spread']:.0%}" if len(row["rounds"]) > 1 else ""]
        cells += [number(row["latency"][key]) if "latency" in row else ""
                  for key in ("p50", "p95", "p99")] * latency
        cells += [number(row.get("extras", {}).get(key)) for key in extras]
        cells += [times(figures.ratio(measured[one]["median"], row["median"], scenario["better"]))
                  if one != name else "" for one in ours]
        rows.append(cells)
    lines = [f"{scenario['title']} ({scenario['unit']}{'; latency in µs' * latency})",
             *(columns([heads, *rows]) if rows else ())]
    return "\n".join([*lines, *failed(scenario)])


def failed(scenario):
    """A line for each reason why a contender lacks some of its rounds."""
    reasons: dict = {}
    for name, those in scenario["failures"].items():
        what = f"{len(those)} rounds failed" if name in scenario["contenders"] else "not measured"
        reasons.setdefault(f"{what}: {those[-1]}", []).append(name)
    return [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]


def columns(rows):
    """The rows with their cells in columns: names aligned to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [cell.ljust(width) if at == 0 else cell.rjust(width)
                 for at, (cell, width) in enumerate(zip(row, widths))]
        yield "  ".join(cells).rstrip()


def number(value):
    """The number with three significant digits, or as an integer."""
    if value is None:
        return ""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def times(value):
    return "" if value is None else f"{value:.2f}x"
