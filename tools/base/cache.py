"""The cache: directories that are either complete or absent, and locks between dev.py processes.

Everything here is made under a temporary name and renamed when it is complete. So an interrupted step is
repeated, and nobody uses half a result. Each name has a lock, so several dev.py can run at once: the second
waits for the first.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from pathlib import Path

from tools.base.report import Problem, step

if sys.platform == "win32":
    import msvcrt

    def _lock(file, wait):
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file, wait):
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def root():
    """$IOCPSOCK_CACHE, or `iocpsock` in the XDG cache directory."""
    chosen = os.environ.get("IOCPSOCK_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "iocpsock"


@contextlib.contextmanager
def locked(path):
    """Hold the lock of the file at `path`, waiting for it. The kernel drops it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        _lock(file, wait=True)
        yield


def try_lock(path):
    """The open file that holds the lock of `path` until it is closed, or None when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "w")
    try:
        _lock(file, wait=False)
    except OSError:
        file.close()
        return None
    return file


def fingerprint(*parts):
    """Return a short hash of the recipe that consists of `parts`: texts, bytes, and files (their content)."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part
        data = content if isinstance(content, bytes) else str(content).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def directory(name, recipe, what, make):
    """Return the cached directory `name` for this `recipe`. If it does not exist, `make(path)` fills it."""
    final = root() / f"{name}-{recipe}"
    if final.is_dir():
        return final
    with locked(root() / "locks" / f"{final.name}.lock"):
        if not final.is_dir():
            partial = final.with_name(final.name + ".partial")
            if partial.exists():
                shutil.rmtree(partial)
            partial.mkdir(parents=True)
            with step(what):
                make(partial)
            partial.rename(final)
    return final


def clear():
    """Remove the whole cache and return its size in bytes. While another dev.py uses it, remove nothing and
    raise Problem."""
    with contextlib.ExitStack() as held:
        for path in sorted((root() / "locks").glob("*")):
            lock = try_lock(path)
            if lock is None:
                raise Problem(f"clean --cache: another dev.py holds {path}. What to do: wait until it has "
                              "ended")
            held.enter_context(lock)
        if mounted := [place for place in _mounts() if place.is_relative_to(root())]:
            raise Problem(f"clean --cache: {mounted[0]} is mounted. What to do: unmount it")
        entries = [entry for entry in root().glob("*") if entry.name != "locks"]
        size = sum(path.lstat().st_size for entry in entries for path in (entry, *entry.rglob("*")))
        for entry in entries:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return size


def _mounts():
    """Return the mount points of this machine, if it lists them."""
    table = Path("/proc/self/mountinfo")
    return [Path(line.split()[4]) for line in table.read_text().splitlines()] if table.exists() else []
