"""The package: one wheel in dist/, unpacked in build/package for the interpreters to import.

Nothing is done when the inputs are those of the last build. The unpacked package replaces the old one in one
step; a program that has the old DLL loaded keeps it. A variant is another build (see setup.py), and has all
of this in build/variants/NAME.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from tools.base import cache, process
from tools.base.report import Problem, say, step
from tools.environments import linux_python, zig
from tools.environments.run import BUILD, ROOT, VARIANT, place

DIST = ROOT / "dist"
ARM64 = "arm64"         # the one variant that is a wheel to give away
_LISTED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "tools/requirements/linux.txt")


def ensure(required=True, variant=None):
    """Build the wheel and unpack it, unless that is done already. Without a setup.py there is nothing to
    build yet."""
    if not (ROOT / "setup.py").exists():
        if required:
            raise Problem(f"no setup.py in {ROOT}: there is nothing to build")
        say("-- no setup.py yet: running without the package")
        return
    variant = os.environ.get(VARIANT, "") if variant is None else variant
    folder = place(variant)
    dist = folder / "dist" if variant else DIST
    stamp, package = folder / "package.stamp", folder / "package"
    with cache.locked(folder / "lock"):
        recipe = cache.fingerprint(sys.version, *_inputs(variant))
        if stamp.exists() and stamp.read_text() == recipe and package.is_dir() and list(dist.glob("*.whl")):
            return
        with step(f"building iocpsock.dll and its wheel{variant and f', variant {variant}'}"):
            _unpack(wheel(folder, dist, variant), package)
            stamp.write_text(recipe)


def _inputs(variant):
    """The files that the build reads, each preceded by its name."""
    files = [ROOT / name for name in _LISTED]
    for folder in ("include", "iocpsock", *(["tests/instruments"] if variant not in ("", ARM64) else [])):
        files += sorted(path for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    for path in files:
        if path.is_file():
            yield str(path.relative_to(ROOT))
            yield path


def wheel(folder, dist, variant="", root=ROOT, env=None):
    """Make the wheel of the tree at `root`, move it into `dist` in the place of an older one, and return its
    path."""
    fresh = folder / "wheel"
    shutil.rmtree(fresh, ignore_errors=True)
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if os.name == "nt":
        command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-w", str(fresh)]
    else:
        command = [linux_python.python(), "setup.py", "-q", "egg_info", "--egg-base", work, "build",
                   "--build-base", work, "bdist_wheel", "--skip-build", "--bdist-dir", work / "wheel",
                   "--dist-dir", fresh]
    # setuptools warns against running setup.py as a script, because of isolation, which the rig provides.
    env = {**os.environ, **(env or {}), VARIANT: variant,
           "PYTHONWARNINGS": "ignore:setup.py install is deprecated"}
    if variant == ARM64:
        env |= zig.environment()
    said = process.check(command, "building the wheel", cwd=root, env=env)
    for line in said.splitlines():
        say(f"   {line}")
    dist.mkdir(exist_ok=True)
    for old in dist.glob("*.whl"):
        old.unlink()
    return Path(shutil.move(next(fresh.glob("*.whl")), dist))


def _unpack(archive, package):
    new, old = package.with_name("package.new"), package.with_name("package.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(new)
    if package.exists():
        package.rename(old)
    new.rename(package)
    shutil.rmtree(old, ignore_errors=True)


def clean():
    """Remove what was built here. The cache stays."""
    for folder in (BUILD, DIST):
        shutil.rmtree(folder, ignore_errors=True)
