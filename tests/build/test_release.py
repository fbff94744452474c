"""What is given away: a source distribution that builds, builds that are equal, metadata that an index
takes."""

import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))               # the rig, package `tools`, stands in the project's root

from tools.environments import build  # noqa: E402
from tools.release import artifacts  # noqa: E402

EPOCH = "1700000000"
COMPILER = "x86_64-w64-mingw32-gcc"
GENERATED = {"PKG-INFO", "setup.cfg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("release")


@pytest.fixture(scope="module")
def quick(folder):
    """The environment of a build that need not be fast."""
    compiler = folder / "compiler"
    compiler.write_text(f'#!/bin/sh\nexec {COMPILER} "$@" -O0\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    return {"IOCPSOCK_CC": str(compiler), artifacts.EPOCH: EPOCH}


@pytest.fixture(scope="module")
def sdist(folder):
    return artifacts.sdist(ROOT, folder / "dist", EPOCH)


@pytest.fixture(scope="module")
def unpacked(folder, sdist):
    with tarfile.open(sdist) as archive:
        # Debian 12's Python, 3.11.2, does not have the filter yet.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(folder, quick):
    """The wheel of this checkout."""
    return build.wheel(folder / "here", folder / "wheel", env=quick)


def wanted():
    """The files of the checkout that git keeps, or would."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None,
                    reason="this is no checkout, or git is not installed: there is nothing to compare with")
def test_the_source_distribution_has_every_file(unpacked):
    """But results of the benchmark, and what serves the repository only."""
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    expected = {name for name in wanted() if not name.startswith(("benchmarks/results/", "."))}
    assert expected - found == set()
    assert {name for name in found - wanted() if "egg-info" not in name} - GENERATED == set()


def test_the_source_distribution_builds_the_same_wheel(folder, unpacked, wheel, quick):
    built = build.wheel(folder / "there", folder / "again", root=unpacked, env=quick)
    assert built.name == wheel.name
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(built) as other:
        assert one.namelist() == other.namelist()
        assert [name for name in one.namelist() if one.read(name) != other.read(name)] == []
    assert built.read_bytes() == wheel.read_bytes()


def test_the_source_distribution_is_reproducible(folder, sdist):
    assert artifacts.sdist(ROOT, folder / "twice", EPOCH).read_bytes() == sdist.read_bytes()


def test_an_index_would_take_them(wheel, sdist):
    artifacts.check(wheel, sdist)


def test_the_folder_for_tcl(folder, wheel):
    path = artifacts.tcl_zip(wheel, folder, "1.2", EPOCH)
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {f"iocpsock1.2/{name}"
                                           for name in ("LICENSE", "iocpsock.dll", "pkgIndex.tcl",
                                                        "socket2.md", "socket2.n")}
    first = path.read_bytes()
    assert artifacts.tcl_zip(wheel, folder, "1.2", EPOCH).read_bytes() == first


@pytest.fixture(scope="module")
def manual(folder):
    path = folder / "socket2.n"
    path.write_text(artifacts.manual("1.2"), encoding="utf-8")
    return path


def test_the_manual_page_has_the_sections_of_tcl(manual):
    sections = [line.removeprefix(".SH ")
                for line in manual.read_text(encoding="utf-8").splitlines() if line.startswith(".SH ")]
    expected = ["NAME", "SYNOPSIS", "DESCRIPTION", "CLIENT SOCKETS", "SERVER SOCKETS",
                "CONFIGURATION OPTIONS", "EXAMPLES", "SEE ALSO", "KEYWORDS"]
    assert [name for name in sections if name in expected] == expected


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed, which shows manual pages")
def test_the_manual_page_is_well_formed(manual):
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", manual], capture_output=True,
                           text=True)
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_version_that_differs_is_found(monkeypatch, tmp_path):
    for name in ("pyproject.toml", "CHANGES.md", "iocpsock/pkgIndex.tcl"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(artifacts, "ROOT", tmp_path)
    version = artifacts.version()
    changes = tmp_path / "CHANGES.md"
    changes.write_text(changes.read_text(encoding="utf-8").replace(version, "0.1", 1), encoding="utf-8")
    with pytest.raises(artifacts.Problem, match=f"CHANGES.md has version 0.1, pyproject.toml has {version}"):
        artifacts.version()
