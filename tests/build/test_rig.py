"""The rig's own promises: nothing half-made is used, nothing unpinned is used, and what is missing is
named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.base import cache, process
from tools.base.report import Problem, Unavailable
from tools.environments import debian, run, sources, tcl, wine
from tools.suites import tcltest
from tools.suites.outcome import Result
from tools.testing import matrix

pytestmark = pytest.mark.skipif(os.name == "nt",
                                reason="on Windows the rig makes nothing: it uses what is installed")

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # SHA-256 of b"hello"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IOCPSOCK_SOURCES", raising=False)


def brings(content):
    return lambda into: (into / "file").write_bytes(content)


def test_an_interrupted_directory_is_made_again():
    def half(path):
        (path / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.directory("thing", "recipe", "a thing", half)
    made = cache.directory("thing", "recipe", "a thing", lambda path: (path / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_a_directory_is_made_once():
    first = cache.directory("thing", "recipe", "a thing", lambda path: (path / "whole").touch())
    assert cache.directory("thing", "recipe", "a thing", lambda path: pytest.fail("made twice")) == first


def test_an_interrupted_download_is_repeated():
    def half(into):
        (into / "file").write_bytes(b"hel")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sources.downloaded("file", HELLO, half)
    path = sources.downloaded("file", HELLO, brings(b"hello"))
    assert path.read_bytes() == b"hello"
    assert list(path.parent.iterdir()) == [path]


def test_a_download_with_another_hash_is_refused(capsys):
    with pytest.raises(Unavailable, match="file: what was downloaded is not the pinned file"):
        sources.downloaded("file", HELLO, brings(b"HELLO"))
    assert "refused" in capsys.readouterr().err
    assert not (cache.root() / "downloads" / "file").exists()


def test_a_spoilt_download_is_fetched_again():
    path = sources.downloaded("file", HELLO, brings(b"hello"))
    path.write_bytes(b"spoilt")
    assert sources.downloaded("file", HELLO, brings(b"hello")).read_bytes() == b"hello"


def test_a_download_is_kept():
    sources.downloaded("file", HELLO, brings(b"hello"))
    sources.downloaded("file", HELLO, lambda into: pytest.fail("fetched twice"))


@pytest.fixture
def tarball(monkeypatch):
    """A pinned tarball of five bytes that no mirror has."""
    def fetch(package, file, into):
        raise Unavailable(f"{file}: not on the mirror")

    monkeypatch.setitem(sources.TARBALLS, "five.tar.gz", ("five", HELLO))
    monkeypatch.setattr(debian, "fetch_source", fetch)
    return "five.tar.gz"


def test_a_given_tarball_is_used(tarball, tmp_path, monkeypatch):
    (tmp_path / tarball).write_bytes(b"hello")
    monkeypatch.setenv("IOCPSOCK_SOURCES", str(tmp_path))
    assert sources.tarball(tarball) == tmp_path / tarball


def test_a_given_tarball_with_another_hash_is_not_used(tarball, tmp_path, monkeypatch, capsys):
    (tmp_path / tarball).write_bytes(b"other")
    monkeypatch.setenv("IOCPSOCK_SOURCES", str(tmp_path))
    with pytest.raises(Unavailable):
        sources.tarball(tarball)
    assert f"refused: {tmp_path / tarball}" in capsys.readouterr().err


def test_a_missing_tarball_is_named_with_what_to_do(tarball):
    with pytest.raises(Unavailable,
                       match=rf"{tarball}: not on the mirror\. What to do: put {tarball} .*IOCPSOCK_SOURCES"):
        sources.tarball(tarball)


def test_a_lock_excludes():
    path = cache.root() / "locks" / "prefix"
    held = cache.try_lock(path)
    assert held and cache.try_lock(path) is None
    held.close()
    with cache.try_lock(path):
        pass


def python(code):
    return [sys.executable, "-c", code]


def collect(argv, **limits):
    said = []
    return process.follow(argv, None, lambda stream, data: said.append((stream, data)), **limits), said


def test_output_and_status_of_a_child():
    assert collect(python("import sys; sys.stderr.write('no'); sys.exit(7)")) == (7, [(2, b"no")])


def test_a_silent_child_is_ended():
    with pytest.raises(process.Hung, match="no output for"):
        collect(python("import time; print(1, flush=True); time.sleep(60)"), silence=0.5)


def test_a_slow_child_is_ended():
    with pytest.raises(process.Hung, match="not finished after"):
        collect(python("import time\nwhile True: print(1, flush=True); time.sleep(.05)"), timeout=0.5)


def test_a_pipe_kept_open_by_a_grandchild_does_not_keep_us():
    assert collect(["sh", "-c", "sleep 60 & echo done"]) == (0, [(1, b"done\n")])


def test_an_unknown_version_is_an_error():
    with pytest.raises(Problem, match="Python 3.9: the versions here are 3.11, 3.12, 3.13, 3.14"):
        run.known("Python", "3.9", run.PYTHON_VERSIONS)


def test_the_cache_is_cleared_if_nobody_uses_it(monkeypatch, tmp_path):
    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path))
    made = cache.directory("made", "1", "a directory", lambda path: (path / "file").write_bytes(bytes(1000)))
    lock = tmp_path / "locks" / "wine-prefix-0.lock"
    with cache.locked(lock), pytest.raises(Problem, match="another dev.py holds"):
        cache.clear()
    assert made.is_dir()
    monkeypatch.setattr(cache, "_mounts", lambda: [made])
    with pytest.raises(Problem, match="is mounted"):
        cache.clear()
    monkeypatch.undo()
    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path))
    assert cache.clear() >= 1000
    assert [entry.name for entry in tmp_path.iterdir()] == ["locks"]


def test_the_cells_of_one_version():
    assert [cell.name for cell in matrix.cells(python="3.12")] == [
        "suite python 3.12", "suite asyncio 3.12", "python 3.12", "strict python", "build"]
    assert [cell.name for cell in matrix.cells(python="3.14")] == [
        "suite python 3.14", "suite asyncio 3.14", "python 3.14", "python 3.14t", "build"]
    to_come = matrix.cells(tcl="9.1")
    assert [(cell.name, cell.required) for cell in to_come] == [("tcl 9.1", False), ("build", True)]
    newest = [cell.name for cell in matrix.cells(python="3.13")]
    assert [name for name in newest if name.startswith("fuzz")] == ["fuzz python", "fuzz storm"]
    assert not any(cell.name.startswith("fuzz") for cell in matrix.cells(expression="a_test"))
    assert [cell.name for cell in matrix.cells(tcl="9.0")] == [
        *(f"suite 9.0 {file}" for file in matrix.TCL.files), "tcl 9.0",
        *(f"tcl 9.0 {text.split()[0]}" for text in matrix.TUNED["9.0"]), "fuzz tcl", "strict tcl", "build"]


def test_the_cells_of_a_name(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(matrix, "RESULTS", tmp_path)
    monkeypatch.setattr(process, "side_by_side",
                        lambda function, cells, waiting: ran.extend(cell.name for cell in cells))
    monkeypatch.setattr(matrix, "_report", lambda cells, expression: 0)
    matrix.run_all()
    assert ran[0] == "strict python", "the cell that takes longest begins first"
    ran.clear()
    matrix.run_all(tcl="8.6", names=("tcl", "build"))
    assert ran == ["tcl 8.6", *(f"tcl 8.6 {text.split()[0]}" for text in matrix.TUNED["8.6"]), "build"]
    with pytest.raises(Problem, match="no cell's name begins with nobody"):
        matrix.run_all(names=("nobody",))


def report_of(*cells, expression=None):
    return matrix._report(list(cells), expression)


def test_a_cell_that_did_not_run_is_said_and_may_be_required(capsys, monkeypatch):
    ran, absent = matrix.Cell("one", None, passed=3), matrix.Cell("two", None, unavailable="no Tcl here")
    monkeypatch.delenv("IOCPSOCK_REQUIRE_ALL", raising=False)
    assert report_of(ran, absent) == 0
    *_, reason, totals = capsys.readouterr().out.splitlines()
    assert (reason, totals) == ("two: DID NOT RUN: no Tcl here", "3 passed, 0 failed")
    monkeypatch.setenv("IOCPSOCK_REQUIRE_ALL", "1")
    assert report_of(ran, absent) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 1 failed"
    absent.required = False
    assert report_of(ran, absent) == 0
    assert "two: DID NOT RUN: no Tcl here" in capsys.readouterr().out


def test_a_hung_suite_test_is_named_and_left_out_the_next_time(monkeypatch):
    """Two runs of a file: the first stops in test b, the second ends."""
    lines = [b"---- a start\n++++ a PASSED\n---- b start\n",
             b"---- a start\n++++ a PASSED\nx.test:\tTotal\t2\tPassed\t1\tSkipped\t1\tFailed\t0\n"]
    asked = []

    def attempt(version, script, options, stock, reader):
        asked.append(options)
        reader.take(1, lines[len(asked) - 1])
        return "hung: silent" if len(asked) == 1 else ""

    suite = tcl.Suite(None, None, None, cache.root())
    cache.root().mkdir()
    (cache.root() / "x.test").touch()
    monkeypatch.setattr(tcl, "suite", lambda version: suite)
    monkeypatch.setattr(tcltest, "_attempt", attempt)
    monkeypatch.setattr(tcltest, "LOGS", cache.root())
    result = tcltest.run_file("8.6", "x.test", ["-skip", "z"], show=lambda line: None)
    assert asked == [["-skip", "z"], ["-skip", "z b"]]
    assert (result.total, result.passed, result.skipped, result.failed) == (2, 1, 0, 1)
    assert result.broken == {"b": "hung: silent"} and not result.verdict and not result.good


def test_apt_sources_in_both_formats(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://no one\ndeb [arch=amd64 signed-by=/key.gpg] http://mirror/debian stable main\n"
        "deb-src http://mirror/debian stable main\ndeb http://other/debian old main\n")
    (tmp_path / "sources.list.d" / "more.sources").write_text(
        "Types: deb\nURIs: http://third/debian\nSuites: stable updates\n"
        "Components: main\nSigned-By: /other.gpg\n")
    assert list(debian._configured(tmp_path)) == [
        ("http://mirror/debian", "stable", "/key.gpg"), ("http://other/debian", "old", None),
        ("http://third/debian", "stable", "/other.gpg"), ("http://third/debian", "updates", "/other.gpg")]


def test_the_verdicts_of_a_run_that_ended_in_the_middle(tmp_path):
    """One passed, one failed in its tear-down too, one skipped, and the one that was running when the process
    ended."""
    verdicts = tmp_path / "verdicts"
    verdicts.write_text('["a", "started"]\n["a", "passed"]\n["a", "ended"]\n["b", "started"]\n'
                        '["b", "failed"]\n["b", "failed"]\n'
                        '["b", "ended"]\n["c", "skipped"]\n["d", "started"]\n')
    cell = matrix.Cell("cell", None)
    assert matrix._count(cell, verdicts) == "d"
    assert (cell.passed, cell.failed, cell.skipped, cell.remarks) == (1, 1, 1, ["b"])


def test_pytest_writes_each_verdict_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "RESULTS", tmp_path)
    (tmp_path / "test_it.py").write_text("import os\ndef test_good(): pass\ndef test_bad(): assert 0\n"
                                         "def test_end(): os._exit(3)\n")
    cell = matrix.Cell("rig self test", None)
    matrix._pytest(cell, [sys.executable], dict(os.environ), str, [str(tmp_path)], None)
    assert cell.passed == 1
    assert [remark.split(", in ")[0].rpartition("::")[2]
            for remark in cell.remarks] == ["test_bad", "pytest ended with status 3"]
    assert cell.remarks[1].endswith("test_end")
    assert [(name.rpartition("::")[2], "assert 0" in words)
            for name, words in cell.words.items()] == [("test_bad", True)]


def test_the_end_of_a_run_says_what_a_failure_said(capsys):
    cell = matrix.Cell("one", None, failed=1, remarks=["a test"],
                       words={"a test": "\n".join(map(str, range(matrix.WORDS + 1)))})
    report_of(cell)
    assert "\n".join(["-- one: a test", *map(str, range(1, matrix.WORDS + 1))]) in capsys.readouterr().out


@pytest.fixture
def suite_file(monkeypatch):
    """Let a file of Tcl's suite come to this: what was lost, of two failures, and a test with a second
    try."""
    def come_to(*lost):
        def run_file(version, file, command, show):
            show("==== old FAILED")
            return Result("x.test", "8.6", "socket2", total=9, passed=6, skipped=1, failed=2,
                          failures=["bad", "old"]), ["late"]
        monkeypatch.setattr(matrix.TCL, "run_file", run_file)
        monkeypatch.setattr(matrix.TCL, "lost", lambda result, stock=None: list(lost))
        monkeypatch.setattr(matrix.TCL, "alike", lambda result, show: None)
        cell = matrix.Cell("suite", None)
        matrix._suite(cell, matrix.TCL, "8.6", ["x.test"])
        return cell
    return come_to


def test_a_suite_cell_fails_for_what_is_lost_and_tells_of_second_tries(suite_file, capsys):
    cell = suite_file("bad: failed")
    assert (cell.passed, cell.failed, cell.skipped) == (6, 1, 2)
    assert cell.remarks == ["bad: failed", "late: failed among the others, passed when run again by itself"]
    assert capsys.readouterr().out.splitlines() == [
        "suite | ==== old FAILED",
        "suite | x.test:\tTotal\t9\tPassed\t6\tSkipped\t1\tFailed\t2\t(Tcl 8.6, socket2, 0 s)",
        "suite | x.test: failed: bad old"]


def test_a_suite_cell_that_lost_nothing_says_nothing(suite_file, capsys):
    assert suite_file().failed == 0
    assert capsys.readouterr().out == ""


def result_of(command, failures=(), skips=(), total=4):
    return Result("x.test", "8.6", command, total=total, failures=list(failures),
                  skips=dict.fromkeys(skips, "why"))


@pytest.fixture
def recorded(monkeypatch):
    """A suite that recorded four tests, of which one fails."""
    row = {"total": 4, "failures": {"old": "failed"}, "skips": {}}
    monkeypatch.setattr(matrix.TCL, "_recorded", lambda file, version, command: row)
    return matrix.TCL


def test_what_the_stock_sockets_do_not_keep_on_this_machine_is_not_lost(recorded):
    ours = result_of("socket2", failures=["old", "both", "ours", "unlike"], skips=["here"])
    stock = result_of("stock", failures=["both"], skips=["here", "unlike"])
    assert recorded.lost(ours) == ["here: skipped: why", "both: failed", "ours: failed", "unlike: failed"]
    assert recorded.lost(ours, stock) == ["ours: failed", "unlike: failed"]


def test_tests_that_do_not_come_up_are_lost_unless_with_the_stock_sockets_too(recorded):
    assert recorded.lost(result_of("socket2", total=3)) == ["x.test: 1 of its 4 tests did not come up"]
    assert recorded.lost(result_of("socket2", total=3), result_of("stock", total=3)) == []


def test_a_stock_run_that_was_stopped_excuses_nothing(recorded):
    stopped = result_of("stock", failures=["both"])
    stopped.verdict = "hung"
    assert recorded.lost(result_of("socket2", failures=["both"]), stopped) == ["both: failed"]


def test_the_stock_sockets_are_asked_only_where_something_is_lost(recorded, monkeypatch):
    asked = []
    monkeypatch.setattr(recorded, "run_file", lambda *what: (asked.append(what[:3]), []))
    recorded.alike(result_of("socket2", failures=["old"]), None)
    assert asked == []
    recorded.alike(result_of("socket2", failures=["new"]), None)
    assert asked == [("8.6", "x.test", "stock")]


def test_what_runs_under_wine_does_not_see_that_a_service_started_it(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert "CI" not in wine.environment("folder")


def test_prefixes_share_the_files_of_wine_s_programs_alone(tmp_path):
    model, copy = tmp_path / "model", tmp_path / "copy"
    (model / "drive_c").mkdir(parents=True)
    (model / "drive_c" / "KERNEL32.DLL").write_text("a program")
    (model / "system.reg").write_text("a registry")
    (model / "c:").symlink_to("drive_c")
    copy.mkdir()                                            # as the cache makes it
    wine._copy(model, copy)
    assert (copy / "c:" / "KERNEL32.DLL").samefile(model / "drive_c" / "KERNEL32.DLL")
    assert (copy / "c:").readlink() == Path("drive_c")
    assert (copy / "system.reg").read_text() == "a registry"
    assert not (copy / "system.reg").samefile(model / "system.reg")


def test_what_runs_under_wine_has_its_heap_at_the_same_place_each_time():
    if not wine.fixed_addresses():
        pytest.skip("this machine does not let a program have fixed addresses")
    argv = [*wine.fixed_addresses(), "cat", "/proc/self/maps"]
    maps = [subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(4)]
    assert len({line for text in maps for line in text.splitlines() if line.endswith("[heap]")}) == 1
