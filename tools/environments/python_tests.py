"""CPython's own tests: the package `test` of each version.

The files come from the upstream tarballs of Debian's source packages. These have no 3.12, which uses the
files of 3.13. Those of 3.14 come with its library.
"""

import tarfile

from tools.base import cache
from tools.environments import assembled, run, sources

_TARBALL = {"3.11": "python3.11_3.11.2.orig.tar.gz", "3.12": "python3.13_3.13.5.orig.tar.xz",
            "3.13": "python3.13_3.13.5.orig.tar.xz"}


def directory(version):
    """The directory that holds the package `test` for this version."""
    if run.known("Python", version, run.PYTHON_VERSIONS) in assembled.VERSIONS:
        return assembled.tests(version)
    file = _TARBALL[version]
    name = file.partition("_")[0] + "-tests"
    return cache.directory(name, cache.fingerprint(sources.TARBALLS[file][1]),
                           f"the package `test` of {file}", lambda path: _unpack(sources.tarball(file), path))


def _unpack(tarball, path):
    with tarfile.open(tarball) as archive:
        for member in archive:
            member.name = member.name.partition("/Lib/")[2]
            if member.name.startswith("test/") and member.isfile():
                archive.extract(member, path, set_attrs=False)
