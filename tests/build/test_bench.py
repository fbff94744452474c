"""The arithmetic and the tables of `dev.py bench`, the counting of a trace, and one run of a few tenths of a
second."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

if os.name == "nt":
    pytest.skip("the measuring is done under Wine, on Linux", allow_module_level=True)

from tools.base.report import Problem, Unavailable
from tools.bench import benchmark, figures, goals, instructions, report, requests, runner, scenarios
from tools.environments import run


def test_percentiles_are_values_that_were_measured():
    ordered = list(range(1, 101))
    assert [figures.percentile(ordered, share) for share in (0, 0.5, 0.95, 0.99, 1)] == [1, 50, 95, 99, 100]
    assert figures.percentile([7], 0.99) == 7
    assert figures.percentile([], 0.5) is None


def test_a_summary():
    assert figures.summary([30, 10, 20]) == {"median": 20, "lowest": 10, "highest": 30, "spread": 1.0,
                                             "rounds": [30, 10, 20]}


def test_a_ratio_says_how_many_times_better():
    assert figures.ratio(30, 10, "more") == 3
    assert figures.ratio(30, 10, "less") == 1 / 3
    assert figures.ratio(1, 0, "more") is None


def scenario(medians, better="more", name="echo-64B-1"):
    rows = {who: figures.summary([value]) for who, value in medians.items()}
    return {"name": name, "title": "an echo", "unit": "round trips/s", "better": better,
            "ours": ["Tcl 8.6 socket2"], "contenders": rows,
            "failures": {"winloop": ["no wheel"], "raw": ["one", "hung"], "Twisted IOCP": ["no wheel"]}}


def test_a_table_has_ratios_and_what_was_not_measured():
    lines = report.table(scenario({"raw": 4000, "Tcl 8.6 socket": 250, "Tcl 8.6 socket2": 2000})).splitlines()
    assert lines[0] == "an echo (round trips/s)"
    assert [line.split()[-1] for line in lines[2:4]] == ["0.50x", "8.00x"]
    assert lines[-2:] == ["winloop, Twisted IOCP: not measured: no wheel", "raw: 2 rounds failed: hung"]


def test_goals_of_what_was_measured():
    measured = scenario({"raw": 4000, "Tcl 8.6 socket": 250, "Tcl 8.6 socket2": 2000})
    table = goals.table([measured]).splitlines()
    assert len(table) == 3
    assert table[1].endswith("8.00x  reached") and table[2].endswith("0.50x  not yet")
    assert goals.table([]) == ""


def test_every_goal_names_a_scenario_and_contenders_of_it():
    there = {scenario.name: {contender.name for contender in scenario.contenders}
             for scenario in scenarios.ALL}
    for name, whose, against, _ in goals.GOALS:
        assert {whose, against} <= there[name]


def test_quick_takes_the_key_scenarios_and_names_choose():
    assert {scenario.name for scenario in benchmark.choose(True)} >= {"echo-64B-1", "connect", "requests"}
    assert len(benchmark.choose(True)) < len(benchmark.choose(False))
    one, = benchmark.choose(True, "echo-10KiB-200", "raw,Tcl 9")
    assert [contender.name for contender in one.contenders] == ["raw", "Tcl 9.0 socket", "Tcl 9.0 socket2"]
    assert [scenario.name for scenario in benchmark.choose(False, "idle-1000,stream-4")] == [
        "stream-4KiB-event", "stream-4KiB-blocking", "idle-1000"]
    with pytest.raises(Problem, match="--only nothing: there are echo-64B-1, "):
        benchmark.choose(False, "nothing")


def test_requests_are_counted_for_one_process():
    """Two processes, one of which has a second thread; replies are not requests."""
    trace = b"""\
0024: init_first_thread( unix_pid=70, unix_tid=70, debug_level=1 )
0024: init_first_thread() = 0 { pid=0020, tid=0024 }
0024: new_thread( process=ffffffff, access=001fffff )
0024: new_thread() = 0 { tid=0028, handle=0044 }
0028: select( flags=2, cookie=0 )
0028: select() = PENDING { call={APC_NONE} }
0034: init_first_thread( unix_pid=71, unix_tid=71, debug_level=1 )
0034: select( flags=2, cookie=0 )
0028: *wakeup* signaled=0
""".splitlines()
    assert requests.count(trace, 70) == 3
    assert requests.count(trace, 71) == 2
    assert requests.count(trace, 72) == 0


def test_what_perf_says():
    assert instructions.read("# started on\n\n123456,,instructions:u,900,100.00,,\n",
                             "instructions:u") == 123456
    with pytest.raises(Unavailable, match="perf says <not supported> of instructions:u"):
        instructions.read("<not supported>,,instructions:u,0,100.00,,\n", "instructions:u")
    with pytest.raises(runner.Failed, match="status 1: nothing"):
        instructions.read("nothing", "instructions:u", 1)


def program(code):
    return run.Command([sys.executable, "-uc", code], dict(os.environ))


def test_a_program_that_fails_is_known_by_its_last_word():
    with pytest.raises(runner.Failed, match="no port is free"):
        runner.Run(program("import sys; sys.exit('no port is free')")).measure()


def test_an_error_is_the_last_word_though_others_follow():
    assert runner.last_word("Traceback\nValueError: too many file descriptors in select()\n"
                            "Task was destroyed\n") == \
        "ValueError: too many file descriptors in select()"
    assert runner.last_word("one\ntwo\n") == "two"
    assert runner.last_word("") == ""


def test_a_server_is_ended_when_its_client_has_a_result():
    class Client:
        heard = []

        def hear(self, event, meter):
            self.heard.append(event)
            return {"guests": 3} if event["event"] == "result" else None

    code = """print('{"event": "listening", "port": 7}\\n{"event": "result"}'); import time; time.sleep(60)"""
    assert runner.Run(program(code), client=Client()).measure() == {"guests": 3}
    assert Client.heard == [{"event": "listening", "port": 7}, {"event": "result"}]


def test_medians_of_what_some_samples_have():
    assert figures.medians([{"cpu": 1}, {"cpu": 3, "handles": 2}, {"cpu": 2}]) == {"cpu": 2, "handles": 2}


@pytest.fixture(scope="module")
def bench_of_tenths(tmp_path_factory):
    """Runs of a tenth of a second, for what matters is that they come to an end."""
    with run.session() as windows, contextlib.ExitStack() as until:
        yield benchmark.Bench(windows, scenarios.Length(warm=0.05, seconds=0.1, rounds=1, bursts=1),
                              tmp_path_factory.mktemp("page"), until)


@pytest.mark.parametrize("who", ["raw", "Tcl 8.6 socket2", "Python iocpsock", "asyncio Proactor"])
def test_each_program_has_a_result_in_each_scenario(bench_of_tenths, who):
    wanted = "echo-64B-1,echo-100KiB-20,stream,connect,burst,http-closed,idle-1000,requests"
    results = benchmark.measure(bench_of_tenths, benchmark.choose(False, wanted, who))
    for scenario in results["scenarios"]:
        assert scenario["failures"] == {}
        for row in scenario["contenders"].values():
            assert row["median"] > 0
    assert report.text(results)


def test_the_command():
    """The whole way: compile, run, sum up, print, write."""
    done = subprocess.run([sys.executable, ROOT / "dev.py", "bench", "--no-build", "--quick", "--only",
                           "echo-64B-1", "--who", "raw"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].split()[0] == "raw"
    written = json.loads((benchmark.RESULTS / "part.json").read_text())
    assert written["scenarios"][0]["contenders"]["raw"]["latency"]["p50"] > 0
