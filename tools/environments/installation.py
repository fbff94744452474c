"""Installations of Wine: the machine's own, and the one of another Debian in a folder of the cache.

$IOCPSOCK_WINE, or `--wine` on dev.py's command line, chooses by major version. The other Debian's programs
see every folder of this machine except /usr, so paths mean the same to both. They have a /usr of their own,
but for the files that Windows programs read there. Needs root, for the mounts.
"""

import functools
import os
import re
import shutil
import subprocess

from tools.base import cache
from tools.base.report import Problem
from tools.environments import debian, system

CHOICE = "IOCPSOCK_WINE"
RELEASES = {"8": "bookworm", "10": "trixie"}    # the Debian that has this Wine
_PACKAGES = ("wine", "wine64")
_READ = "/usr/share/tcltk"                      # tcllib

# $1 is the other system; the rest is the command to run. /usr is mounted last: until then the commands are
# this machine's.
_ENTER = rf"""
set -eu
system=$1; shift
mount --bind {_READ} "$system{_READ}"
for part in /etc/alternatives /etc/ld.so.cache /usr; do
    mount --rbind "$system$part" "$part"
done
exec "$@"
"""


class Installation:
    """A Wine of this major version; `system` is the folder of the Debian that has it, None for this
    machine."""

    def __init__(self, version, system=None):
        self.version, self.system = version, system
        # The beginning of its prefixes' names, and the words before each of its commands.
        self.name = f"wine{version}" if system else "wine"
        self.enter = []
        if system:
            self.enter = ["unshare", "--mount", "--propagation", "private",
                          "sh", "-c", _ENTER, "sh", str(system)]


def chosen():
    """The installation for this process and its children."""
    return _installation(os.environ.get(CHOICE) or None)


@functools.cache
def _installation(version):
    own = _own_version()
    if version in (None, own):
        return Installation(own)
    if version not in RELEASES:
        raise Problem(f"there is no Wine {version} here: the machine has {own or 'none'}, and there are "
                      f"{', '.join(RELEASES)}")
    if os.geteuid():
        raise Problem(f"Wine {version} beside the machine's Wine {own} needs root: run dev.py as root, or by "
                      "sudo")
    return Installation(version, _system(version))


def _own_version():
    """The major version of the machine's Wine, None if it has none."""
    if not shutil.which("wine"):
        return None
    said = subprocess.run(["wine", "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    found = re.search(r"wine-(\d+)", said)
    return found and found[1]


def _system(version):
    release = RELEASES[version]

    def make(path):
        system.copy(release, path)
        there = system.System(path)
        there.install(*_PACKAGES)
        there.as_root("apt-get", "clean")
        there.as_root("mkdir", "--parents", _READ)

    recipe = cache.fingerprint(release, debian.mirror(), _PACKAGES, _READ)
    return cache.directory(f"wine{version}-{release}", recipe,
                           f"Wine {version} in a Debian {release} (some minutes)", make)
