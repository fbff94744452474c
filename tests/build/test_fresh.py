"""What `dev.py fresh` carries into a bare Debian: the way to the registries, and nothing else of this
machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.base.report import Problem
from tools.environments import debian, system
from tools.testing import fresh

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows there is no Debian to make")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    for name in list(os.environ):
        if system._CARRIED.fullmatch(name):
            monkeypatch.delenv(name)
    return lambda **options: fresh.Machine(tmp_path / "system", **options)


def test_variables_of_the_way_to_the_registries_are_carried_and_no_others(machine, monkeypatch):
    carried = {"PIP_INDEX_URL": "u", "https_proxy": "p", "NO_PROXY": "n", "SSL_CERT_FILE": "/c",
               "IOCPSOCK_SOURCES": "/s"}
    for name, value in {**carried, "IOCPSOCK_CACHE": "/k", "IOCPSOCK_CC": "cc", "PYTHONPATH": "/p",
                        "SHELL": "sh"}.items():
        monkeypatch.setenv(name, value)
    assert machine().environment == carried


def test_files_that_are_named_are_copied_and_folders_are_to_be_mounted(machine, tmp_path):
    certificates, index, wheels = tmp_path / "all.crt", tmp_path / "index" / "simple", tmp_path / "wheels"
    certificates.write_text("trust")
    for folder in (index, wheels):
        folder.mkdir(parents=True)
    there = machine()
    text = (f"cert = {certificates}\nextra-index-url = https://host/simple file://{index}\n"
            f"find-links = {wheels}\nlog = /not/there\n")
    assert there.bring_all(text) == sorted({index.parent, wheels.parent})
    assert (there.place / certificates.relative_to("/")).read_text() == "trust"


def test_pips_files_become_one_and_the_later_wins(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("[global]\nconstraint = /c\ntimeout = 1\n")
    second.write_text("[global]\ntimeout = 2\nextra-index-url =\n    one\n    two\n[install]\nuser = no\n")
    merged = tmp_path / "merged"
    merged.write_text(system.pip_settings([first, tmp_path / "absent", second]))
    assert merged.read_text() == ("[global]\nconstraint = /c\ntimeout = 2\nextra-index-url = \n"
                                  "    one\n    two\n"
                                  "[install]\nuser = no\n")
    assert system.pip_settings([merged]) == merged.read_text()


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed on this machine")
def test_a_clone_has_what_is_committed_here(machine, tmp_path, monkeypatch, capsys):
    checkout = tmp_path / "its checkout"
    git = ["git", "-C", checkout, "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    (checkout / "file").write_text("committed")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "m"], check=True)
    (checkout / "file").write_text("changed")
    monkeypatch.setattr(fresh, "ROOT", checkout)
    there = machine()
    there.clone()
    assert " " in fresh.CHECKOUT
    assert (there.place / "root" / fresh.CHECKOUT / "file").read_text() == "committed"
    assert "not committed" in capsys.readouterr().err


@pytest.mark.parametrize("release, only, message", [("woody", None, "no Debian 'woody' here"),
                                                    ("trixie", "bench", "--only is demo or test")])
def test_what_it_does_not_know(monkeypatch, release, only, message):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Problem, match=message):
        fresh.main(release, only)


def test_it_needs_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Problem, match="needs root"):
        fresh.main("trixie")


@pytest.mark.parametrize("statuses, expected", [([0, 0], 0), ([3], 3), ([0, 5], 5)])
def test_the_status_is_that_of_the_first_command_that_failed(monkeypatch, tmp_path, statuses, expected):
    ran, left = [], list(statuses)

    def run(machine, *argv):
        ran.append(argv)
        return left.pop(0)

    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path))
    (tmp_path / "bare").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "bare", lambda release: tmp_path / "bare")
    monkeypatch.setattr(fresh.Machine, "furnish", lambda machine: None)
    monkeypatch.setattr(fresh.Machine, "run", run)
    assert fresh.main("bookworm", arguments=["-k", "x"]) == expected
    assert ran == [("python3", "dev.py", "demo"), ("python3", "dev.py", "test", "-k", "x")][:len(statuses)]
    assert list(tmp_path.glob("fresh-*")) == []


def test_the_mirror_is_the_one_of_this_release(monkeypatch):
    monkeypatch.setattr(debian, "_codename", lambda: "trixie")
    monkeypatch.setattr(debian, "_configured",
                        lambda: [("http://other", "more", None), ("http://mirror", "trixie", None)])
    assert debian.mirror() == "http://mirror"
    monkeypatch.setattr(debian, "_codename", lambda: "sid")
    with pytest.raises(Problem, match="no entry for Debian 'sid'"):
        debian.mirror()


def test_of_two_that_want_a_package_the_second_finds_it(monkeypatch, tmp_path):
    """The first asks apt while it holds the lock; the second looks again when it has it."""
    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path))
    answers = iter([False, True, True])
    monkeypatch.setattr(debian, "_apt", lambda *arguments: pytest.fail("apt was asked"))
    debian.install([("thing", lambda: next(answers))])
