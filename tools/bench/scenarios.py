"""The scenarios: for each its unit, and how one sample of it is taken.

A sample is a dict: `value`, the figure; optionally all `latencies`, or their percentiles as `latency`; and
`extras`, further figures, each under the heading that shows it.
"""

import subprocess
from typing import NamedTuple

from tools.bench import contenders, instructions, load, requests, runner
from tools.bench.contenders import LOOPS, PYTHONS, RAW, TCL


class Scenario(NamedTuple):
    name: str
    title: str
    unit: str
    sample: object          # called with a Bench and a contender
    contenders: list
    better: str = "more"
    key: bool = False       # part of --quick
    rounds: int = 0         # 0: as many as there are


class Length(NamedTuple):
    """The length of a run in seconds, and the number of rounds."""
    warm: float
    seconds: float
    rounds: int
    bursts: int             # that count


IDLE_TIMEOUT = 240      # seconds in which even thousands of connections have been accepted
QUICK = Length(warm=0.1, seconds=0.4, rounds=3, bursts=3)
FULL = Length(warm=0.3, seconds=1.0, rounds=3, bursts=7)


def _run(bench, contender, scenario, client=None, timeout=runner.TIMEOUT, **values):
    words = [str(word) for pair in values.items() for word in pair]
    return runner.Run(contender.command(bench.windows, scenario, *words), bench.prefix, client,
                      timeout).measure()


def _timed(bench, contender, scenario, **values):
    return _run(bench, contender, scenario, warm=bench.length.warm, seconds=bench.length.seconds, **values)


def _size(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


def echo(size, connections):
    def sample(bench, contender):
        result = _timed(bench, contender, "echo", size=size, connections=connections)
        taken = {"value": result["trips"] / result["seconds"], "latencies": result["latencies"]}
        if "cpu" in result:
            taken["extras"] = {"cpu µs/trip": result["cpu"] / result["trips"] * 1e6}
        return taken

    return Scenario(f"echo-{_size(size).replace(' ', '')}-{connections}",
                    f"echo {_size(size)} × {connections}", "round trips/s", sample, contenders.ALL,
                    key=(size, connections) in ((64, 1), (1024, 20)))


def stream(size, mode):
    blocking = mode == "blocking"

    def sample(bench, contender):
        result = _timed(bench, contender, "stream", size=size, mode=mode)
        taken = {"value": result["bytes"] / result["seconds"] / 1e6}
        # there the sender is another process
        if "cpu" in result and not (blocking and contender.family == "tcl"):
            taken["extras"] = {"cpu s/GB": result["cpu"] / result["bytes"] * 1e9}
        return taken

    return Scenario(f"stream-{_size(size).replace(' ', '')}-{mode}",
                    f"one way, {_size(size)} writes, {'blocking' if blocking else 'event-driven'}", "MB/s",
                    sample, [*TCL, *PYTHONS] if blocking else [RAW, *TCL, *LOOPS], key=not blocking)


def connect(bench, contender):
    result = _timed(bench, contender, "connect")
    return {"value": result["trips"] / result["seconds"]}


def burst(bench, contender):
    with load.Burst(bench.length.bursts) as client:
        result = _run(bench, contender, "burst", client, wave=load.WAVE)
    return {"value": load.WAVE / result["seconds"]}


def http(name, title, headers):
    def sample(bench, contender):
        client = load.Http(bench.page.name, max(1, round(bench.length.seconds)), bench.beside, headers)
        result = _run(bench, contender, "http", client,
                      root=bench.windows.path(bench.page.parent).replace("\\", "/"))
        if result["errors"] or not result["requests"]:
            raise runner.Failed(f"wrk counts {result['errors']} errors in {result['requests']} requests")
        taken = {"value": result["requests"] / result["seconds"],
                 "latency": {key: result[key] for key in ("p50", "p95", "p99")}}
        if "cpu" in result:
            taken["extras"] = {"cpu µs/request": result["cpu"] / result["requests"] * 1e6}
        return taken

    return Scenario(name, title, "requests/s", sample, [*TCL, *PYTHONS])


def idle(count):
    def sample(bench, contender):
        def handles(pid):
            argv, env = contenders.program(bench.windows, "handles.c", str(pid))
            return int(subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      check=True).stdout)

        with load.Idle(count, handles) as client:
            grown = _run(bench, contender, "idle", client, IDLE_TIMEOUT, count=count, wave=load.WAVE)
        return {"value": grown["program"] / count / 1024,
                "extras": {"handles": grown["handles"] / count,
                           "wineserver KiB": grown["wineserver"] / count / 1024}}

    return Scenario(f"idle-{count}", f"memory of an idle connection, of {count}", "KiB", sample,
                    contenders.ALL, better="less", rounds=1)


ALL = [*(echo(size, connections) for connections in (1, 20, 200) for size in (64, 1024, 10240, 102400)),
       *(stream(size, mode) for mode in ("event", "blocking") for size in (4096, 65536)),
       Scenario("connect", "connections one after the other", "connections/s", connect, contenders.ALL,
                key=True), Scenario("burst", "accepting a burst", "accepts/s", burst, contenders.ALL,
                                    key=True), http("http-kept", "HTTP, connections kept", ()),
       http("http-closed", "HTTP, a connection for each request", ("--header", "Connection: close")),
       idle(1000), idle(10000), Scenario("requests", "wineserver requests of an echo of 64 B × 1", "requests",
                                         requests.sample, contenders.ALL, better="less", key=True, rounds=1),
       Scenario("instructions", "instructions of an echo of 64 B × 1", "thousands", instructions.sample,
                contenders.ALL, better="less", rounds=1)]
