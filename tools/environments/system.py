"""A Debian in a folder: made by debootstrap once, in the cache. Each use has a copy of it, with mounts of its
own.

The copy gets everything that this machine needs to reach its registries: the mirror, apt's settings for it,
pip's configuration, certificates, proxies. The network is this machine's. Needs root.
"""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

from tools.base import cache, process
from tools.environments import debian

AUTHORITIES = Path("/usr/local/share/ca-certificates")      # whom this machine trusts besides Debian's choice

# Variables for the access to registries, and those for the matrix. A value of the first kind may name files.
_CARRIED = re.compile(r"PIP_\w+|\w+_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
                      r"|IOCPSOCK_(SOURCES|REQUIRE_ALL)", re.I)
_APT = re.compile(r"Acquire::(https?|Check-Valid-Until|Check-Date|Retries)\b")
_PATH = re.compile(r"(?:^|(?<=[\s=])|(?<=file://))/[^\s\"';]+")

# $1 is the system; the rest is the command to run there after the mounts: a line "SOURCE" each in $1/mounts.
_ENTER = r"""
set -eu
system=$1; shift
mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
while IFS= read -r place; do
    mkdir -p "$system$place"
    mount --bind "$place" "$system$place"
    mount -o remount,bind,ro "$system$place"
done < "$system/mounts"
exec chroot "$@"
"""


def bare(release):
    """The folder with debootstrap's system of a release, from the mirror of this machine's own release."""
    debian.install([("debootstrap", lambda: shutil.which("debootstrap"))])
    mirror = debian.mirror()

    def make(path):
        process.check(["debootstrap", "--variant=minbase", release, path, mirror], "debootstrap")

    recipe = cache.fingerprint(release, mirror)
    return cache.directory(f"debian-{release}", recipe, f"a bare Debian {release}", make)


def copy(release, place):
    """Fill the folder `place` with a bare Debian of this release."""
    process.check(["cp", "--archive", "--reflink=auto", f"{bare(release)}/.", place],
                  "copying the bare system")


class System:
    """The system in the folder `place`."""

    def __init__(self, place):
        self.place = place
        self.environment = {name: value for name, value in os.environ.items() if _CARRIED.fullmatch(name)}

    def install(self, *packages):
        """Copy what is needed to reach the registries, then install packages by apt."""
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            self.bring(file)
        if AUTHORITIES.is_dir():
            # Debian's certificate package, on which others depend, adds them to its own.
            shutil.copytree(AUTHORITIES, self.place / AUTHORITIES.relative_to("/"), dirs_exist_ok=True)
        self.write("etc/apt/apt.conf.d/99carried", apt_settings())
        settings = pip_settings()
        self.write("etc/pip.conf", settings)
        self.write("mounts", "".join(f"{folder}\n"
                                     for folder in self.bring_all(settings, *self.environment.values())))
        self.as_root("apt-get", "--quiet", "update")
        self.as_root("apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *packages)

    def bring_all(self, *texts):
        """Copy the files that the texts name. The folders that they name may be large, and are mounted."""
        folders = set()
        for path in sorted({Path(word) for text in texts for word in _PATH.findall(text)}):
            if path.is_file():
                self.bring(path)
            elif path.is_dir():
                # The pages of an index may name files beside its folder.
                folders.add(path.parent if len(path.parts) > 3 else path)
        return sorted(folders)

    def bring(self, path):
        copy = self.place / Path(path).relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copyfile(path, copy)

    def write(self, name, text):
        (self.place / name).parent.mkdir(parents=True, exist_ok=True)
        (self.place / name).write_text(text)

    def as_root(self, *argv):
        process.check(self.enter([self.place, *argv]), argv[0], env=self.inside(Path("/root")))

    def enter(self, argv):
        """The command line for chroot's arguments `argv`."""
        # In a process namespace of its own, a command's remaining children end with it.
        return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                "sh", "-c", _ENTER, "sh", str(self.place), *map(str, argv)]

    def inside(self, home):
        """The environment of a command whose user has this home folder."""
        return {**self.environment, "HOME": str(home),
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive"}


def apt_settings():
    """The settings of this machine's apt for the access to its mirror."""
    said = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in said.splitlines() if _APT.match(line))


def pip_settings(files=None):
    """pip's configuration of this machine and this user, as one file. pip's later files take precedence."""
    if files is None:
        home = Path.home()
        shared = reversed(os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"))
        files = [*(Path(folder, "pip/pip.conf") for folder in shared), Path("/etc/pip.conf"),
                 home / ".pip/pip.conf",
                 Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip/pip.conf")]
    merged = configparser.RawConfigParser()
    merged.read(files)
    text = ""
    for section in merged.sections():
        text += f"[{section}]\n"
        for name, value in merged.items(section):
            text += f"{name} = " + value.replace("\n", "\n    ") + "\n"
    return text
