"""The package: one wheel in dist/, unpacked in build/package for the interpreters to import.

Nothing is done when the inputs are those of the last build. The unpacked package is put in place whole; a program
that has the old DLL loaded keeps it.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from tools import cache, process
from tools.report import Problem, say, step
from tools.run import PACKAGE, ROOT

BUILD = ROOT / "build"
DIST = ROOT / "dist"
STAMP = BUILD / "package.stamp"
_LISTED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "tools/requirements-host.txt")


def ensure(required=True):
    """Build the wheel and unpack it, unless that is done. Without a setup.py there is nothing to build yet."""
    if not (ROOT / "setup.py").exists():
        if required:
            raise Problem(f"no setup.py in {ROOT}: there is nothing to build")
        say("-- no setup.py yet: running without the package")
        return
    with cache.locked(BUILD / "lock"):
        recipe = cache.fingerprint(sys.version, *_inputs())
        if STAMP.exists() and STAMP.read_text() == recipe and PACKAGE.is_dir() and list(DIST.glob("*.whl")):
            return
        with step("building iocpsock.dll and its wheel"):
            wheel = _wheel()
            _unpack(wheel)
            STAMP.write_text(recipe)


def _inputs():
    """The files that the build reads, each after its name."""
    files = [ROOT / name for name in _LISTED]
    for folder in ("include", "iocpsock"):
        files += sorted(path for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    for path in files:
        if path.is_file():
            yield str(path.relative_to(ROOT))
            yield path


def _wheel():
    """Make the wheel and move it into dist/, in the place of an older one."""
    fresh = BUILD / "wheel"
    shutil.rmtree(fresh, ignore_errors=True)
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if os.name == "nt":
        command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-w", str(fresh)]
    else:
        from tools import hostpython
        command = [hostpython.python(), "setup.py", "-q", "egg_info", "--egg-base", work, "build", "--build-base", work,
                   "bdist_wheel", "--bdist-dir", work / "wheel", "--dist-dir", fresh]
    # setuptools counsels against running setup.py as a script, for reasons of an isolation that the rig provides.
    env = {**os.environ, "PYTHONWARNINGS": "ignore:setup.py install is deprecated"}
    said = process.check(command, "building the wheel", cwd=ROOT, env=env)
    for line in said.splitlines():
        say(f"   {line}")
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("*.whl"):
        old.unlink()
    return Path(shutil.move(next(fresh.glob("*.whl")), DIST))


def _unpack(wheel):
    new, old = PACKAGE.with_name("package.new"), PACKAGE.with_name("package.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(new)
    if PACKAGE.exists():
        PACKAGE.rename(old)
    new.rename(PACKAGE)
    shutil.rmtree(old, ignore_errors=True)


def clean():
    """Remove what was built here. The cache stays."""
    for folder in (BUILD, DIST):
        shutil.rmtree(folder, ignore_errors=True)
