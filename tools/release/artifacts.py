"""The release artifacts in dist/: the wheels, the source distribution, and the folder for Tcl in a zip file.

All are built from scratch from the committed files. Two builds of one commit are equal byte for byte: every
file in them has the time of that commit. `twine check --strict` checks the metadata at the end.
"""

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import time
import tomllib
import zipfile

from tools.base import process
from tools.base.report import Problem, say, step
from tools.environments import build, linux_python
from tools.environments.run import BUILD, ROOT

FOLDER = BUILD / "release"
REQUIREMENTS = linux_python.REQUIREMENTS / "release.txt"
EPOCH = "SOURCE_DATE_EPOCH"         # seconds: tools that write times use it instead of the present time
TCL_FILES = ("iocpsock.dll", "pkgIndex.tcl")
PAGE = "docs/socket2.md"


def main(dist=build.DIST):
    """Make all artifacts. Problem if something is not committed, or the versions differ."""
    if changed := _git("status", "--porcelain"):
        raise Problem(f"a release is made from a commit, and these files differ from it:\n{changed}")
    number = version()
    epoch = _git("log", "-1", "--format=%ct")
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    with step("building the wheel"):
        wheel = build.wheel(FOLDER, dist, env={EPOCH: epoch})
    with step("building the wheel for ARM64"):
        arm = build.wheel(FOLDER, FOLDER / "arm64", build.ARM64, env={EPOCH: epoch})
        arm = arm.rename(dist / arm.name)
    with step("building the source distribution"):
        source = sdist(ROOT, dist, epoch)
    with step("packing the folder for Tcl"):
        tcl = tcl_zip(wheel, dist, number, epoch)
    check(wheel, arm, source)
    for path in (wheel, arm, source, tcl):
        say(f"{path.relative_to(ROOT)}  {path.stat().st_size} bytes")


def check(*distributions):
    """Problem unless a package index would accept them and show the README."""
    _tool("checking the metadata", "twine", "check", "--strict", *distributions)


def _tool(what, *arguments):
    """Run a module of the packages for releases, and return its output."""
    packages = linux_python.packages("release-tools", REQUIREMENTS, "twine and markdown-it")
    return process.check([linux_python.python(), "-m", *arguments], what, cwd=ROOT,
                         env={**os.environ, "PYTHONPATH": str(packages)})


def manual(version):
    """The manual page in Tcl's format, as text."""
    return _tool("making the manual page", "tools.release.manpage", PAGE, version)


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def version():
    """The version, which pyproject.toml has, and pkgIndex.tcl and CHANGES.md must have too."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name, pattern in (("iocpsock/pkgIndex.tcl", r"package ifneeded \w+ (\S+)"),
                          ("CHANGES.md", r"\n## (\S+)")):
        found = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"))
        if not found or found[0] != stated:
            raise Problem(f"{name} has version {found[0] if found else 'none'}, pyproject.toml has {stated}")
    return stated


def sdist(root, dist, epoch):
    """Make the source distribution of the tree at `root`: its path."""
    work = FOLDER / "sdist"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    process.check([linux_python.python(), "setup.py", "-q", "egg_info", "--egg-base", work, "sdist",
                   "--dist-dir", work / "dist"], "making the source distribution", cwd=root)
    made = next((work / "dist").glob("*.tar.gz"))
    dist.mkdir(parents=True, exist_ok=True)
    return _retimed(made, dist / made.name, int(epoch))


def _retimed(source, target, epoch):
    """Write the archive again, sorted by name, with one time and no owner."""
    with tarfile.open(source) as old, open(target, "wb") as file, \
            gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
            entry.mtime, entry.pax_headers = epoch, {}
            entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            new.addfile(entry, old.extractfile(entry) if entry.isfile() else None)
    return target


def tcl_zip(wheel, dist, version, epoch):
    """Pack the folder that Tcl users put beside their other packages."""
    target = dist / f"iocpsock-{version}-tcl.zip"
    when = time.gmtime(int(epoch))[:6]
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        contents = [(name, source.read(f"iocpsock/{name}")) for name in TCL_FILES]
        contents += [("LICENSE", (ROOT / "LICENSE").read_bytes()), ("socket2.md", (ROOT / PAGE).read_bytes()),
                     ("socket2.n", manual(version).encode())]
        for name, data in sorted(contents):
            entry = zipfile.ZipInfo(f"iocpsock{version}/{name}", when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return target
