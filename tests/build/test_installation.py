"""Which Wine runs the programs: the machine's own, or the one of another Debian in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import dev
from tools.base.report import Problem
from tools.environments import installation, wine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows there is no Wine to choose")


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with Wine 8, worked on by root, with the folder of another system at hand."""
    monkeypatch.setenv("IOCPSOCK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(installation.CHOICE, raising=False)
    monkeypatch.setattr(installation, "_own_version", lambda: "8")
    monkeypatch.setattr(installation, "_system", lambda version: tmp_path / version)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    installation._installation.cache_clear()
    yield
    installation._installation.cache_clear()


@pytest.mark.parametrize("choice", [None, "", "8"])
def test_the_machines_own_needs_nothing(monkeypatch, choice):
    if choice is not None:
        monkeypatch.setenv(installation.CHOICE, choice)
    own = installation.chosen()
    assert (own.version, own.name, own.enter) == ("8", "wine", [])


def test_another_is_entered_and_has_prefixes_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv(installation.CHOICE, "10")
    other = installation.chosen()
    assert (other.version, other.name, other.enter[-1]) == ("10", "wine10", str(tmp_path / "10"))
    monkeypatch.setattr(wine.Prefix, "_make", lambda prefix, path: None)
    prefix = wine.Prefix(1)
    assert prefix.folder.name.startswith("wine10-prefix-1-")
    command = prefix.command("x.exe", "argument")
    assert command[:len(other.enter)] == other.enter and command[-3:] == ["wine", "x.exe", "argument"]


@pytest.mark.parametrize("own, message", [("8", "there is no Wine 9 here: the machine has 8"),
                                          (None, "the machine has none")])
def test_one_that_is_not_known(monkeypatch, own, message):
    monkeypatch.setattr(installation, "_own_version", lambda: own)
    monkeypatch.setenv(installation.CHOICE, "9")
    with pytest.raises(Problem, match=message):
        installation.chosen()


def test_another_needs_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv(installation.CHOICE, "10")
    with pytest.raises(Problem, match="needs root"):
        installation.chosen()


def test_the_option_is_for_whatever_is_started(monkeypatch):
    monkeypatch.setenv(installation.CHOICE, "")
    assert dev.leading_options(["--version", "9.0", "--wine", "10", "file", "--wine"],
                               values=("--version",)) == ({"--version": "9.0"}, ["file", "--wine"])
    assert os.environ[installation.CHOICE] == "10"


def test_a_program_of_another_has_its_own_usr_and_our_files(tmp_path):
    other, note = tmp_path / "other system", tmp_path / "note"
    (other / "etc" / "alternatives").mkdir(parents=True)
    (other / "etc" / "ld.so.cache").touch()
    (other / installation._READ.lstrip("/")).mkdir(parents=True)
    libraries = [word for word in subprocess.run(["ldd", "/usr/bin/cat"], stdout=subprocess.PIPE, text=True,
                                                 check=True).stdout.split() if word.startswith("/")]
    for file in ("/usr/bin/cat", *libraries):
        copy = other / "usr" / Path(file).relative_to("/usr" if file.startswith("/usr") else "/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    (other / "usr" / "note").write_text("theirs")
    note.write_text("ours")
    enter = installation.Installation("10", other).enter
    allowed = subprocess.run(["unshare", "--mount", "--propagation", "private", "true"],
                             stderr=subprocess.DEVNULL)
    if allowed.returncode:
        pytest.skip("this machine does not let a program have mounts of its own")
    read = next(Path(installation._READ).glob("tcllib*")) / "pkgIndex.tcl"
    said = subprocess.run([*enter, "cat", "/usr/note", note, read], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    assert said == "theirsours" + read.read_text()
    assert not Path("/usr/note").exists()
