"""What is measured: each scenario, its unit, and how one sample of it is taken."""

from typing import NamedTuple

from tools.bench import contenders, load, requests, runner


class Scenario(NamedTuple):
    name: str
    title: str
    unit: str
    sample: object          # called with a Bench and a contender; returns a dict with `value`, and what else there is
    contenders: list
    better: str = "more"
    key: bool = False       # part of --quick
    rounds: int = 0         # 0: as many as there are


class Length(NamedTuple):
    """How long a run takes, in seconds, and how many rounds there are."""
    warm: float
    seconds: float
    rounds: int
    burst: int


QUICK = Length(warm=0.1, seconds=0.4, rounds=3, burst=200)
FULL = Length(warm=0.3, seconds=1.5, rounds=5, burst=500)


def _values(bench, **more):
    pairs = {"warm": bench.length.warm, "seconds": bench.length.seconds, **more}
    return [word for pair in pairs.items() for word in pair]


def _measure(bench, contender, *arguments, **options):
    return runner.measure(contender.command(bench.windows, *arguments), prefix=bench.prefix, **options)


def echo(size, connections):
    def sample(bench, contender):
        result = _measure(bench, contender, "echo", *_values(bench, size=size, connections=connections))
        taken = {"value": result["trips"] / result["seconds"], "latencies": result["latencies"]}
        if "cpu" in result and result["trips"]:
            taken["cpu"] = result["cpu"] / result["trips"] * 1e6
        return taken

    label = f"{size // 1024} KiB" if size >= 1024 else f"{size} B"
    return Scenario(f"echo-{label.replace(' ', '')}-{connections}", f"echo {label} on {connections} connection{'s' * (connections > 1)}",
                    "round trips/s", sample, contenders.ALL, key=(size, connections) in ((64, 1), (1024, 20)))


def stream(size, mode):
    def sample(bench, contender):
        result = _measure(bench, contender, "stream", *_values(bench, size=size, mode=mode))
        taken = {"value": result["bytes"] / result["seconds"] / 1e6}
        if "cpu" in result and not (contender.family == "tcl" and mode == "blocking"):  # there the sender is a child
            taken["cpu"] = result["cpu"] / result["bytes"] * 1e9
        return taken

    blocking = mode == "blocking"
    who = [one for one in contenders.ALL if one.family == "tcl" or (one.family == "python") == blocking]
    return Scenario(f"stream-{size // 1024}KiB-{mode}", f"one way, {size // 1024} KiB writes, {'blocking' if blocking else 'event-driven'}",
                    "MB/s", sample, who, key=True)


def connect():
    def sample(bench, contender):
        result = _measure(bench, contender, "connect", *_values(bench))
        return {"value": result["trips"] / result["seconds"]}

    return Scenario("connect", "connections one after the other", "connections/s", sample, contenders.ALL, key=True)


def burst():
    def sample(bench, contender):
        count = bench.length.burst
        with load.Clients() as clients:
            _measure(bench, contender, "burst", "count", count, then=lambda event: clients.done(),
                     listening=lambda event: clients.connect(event["port"], count))
            return {"value": count / clients.seconds}

    return Scenario("burst", "accepting a burst of connections", "accepts/s", sample, contenders.ALL, key=True)


ALL = [*(echo(size, connections) for connections in (1, 20, 200) for size in (64, 1024, 10240, 102400)),
       *(stream(size, mode) for mode in ("event", "blocking") for size in (4096, 65536)),
       connect(), burst(),
       Scenario("requests", "wineserver requests of an echo round trip of 64 B", "requests", requests.sample, contenders.ALL,
                better="less", key=True, rounds=1)]
