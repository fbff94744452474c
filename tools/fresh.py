"""A machine that is not this one: a bare Debian in a folder, in which a clone of this checkout does what the README says.

debootstrap makes the system once, in the cache; each run has a copy of it, with python3 and nothing else, mounts of its own
and a cache of its own. What this machine needs to reach its registries goes along: the mirror, apt's way to it, pip's
configuration, certificates, proxies. The network is this machine's. Needs root.
"""

import configparser
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import cache, debian, process
from tools.report import Problem, say, step
from tools.run import ROOT

RELEASES = ("bookworm", "trixie")
COMMANDS = ("demo", "test")             # the two of the README, in its order
CHECKOUT = "a checkout/iocpsock"        # below the home folder: a path with a space
USER = "somebody"
AUTHORITIES = Path("/usr/local/share/ca-certificates")      # whom this machine trusts besides Debian's choice

# Variables that say how registries are reached, and those for the matrix. Of the first kind a value may name files.
_CARRIED = re.compile(r"PIP_\w+|\w+_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|IOCPSOCK_(SOURCES|REQUIRE_ALL)", re.I)
_APT = re.compile(r"Acquire::(https?|Check-Valid-Until|Check-Date|Retries)\b")
_PATH = re.compile(r"(?:^|(?<=[\s=])|(?<=file://))/[^\s\"';]+")

# $1 is the system; the rest is what to run there, after the mounts: a line "SOURCE" each in $1/mounts.
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


def main(release, only=None, user=False, keep=False, arguments=()):
    """Follow the README in a bare Debian of this release. The status of the first command that failed, else 0."""
    if os.geteuid():
        raise Problem("fresh: a Debian of its own needs root: run it as root, or by sudo")
    if release not in RELEASES:
        raise Problem(f"fresh: no Debian {release!r} here; there are {', '.join(RELEASES)}")
    if only and only not in COMMANDS:
        raise Problem(f"fresh: --only is {' or '.join(COMMANDS)}")
    with system(release, keep) as place:
        machine = Machine(place, user)
        machine.furnish()
        for command in [only] if only else COMMANDS:
            say(f"-- Debian {release}: python3 dev.py {command}")
            status = machine.run("python3", "dev.py", command, *(arguments if command == "test" else ()))
            say(f"-- Debian {release}: `python3 dev.py {command}` ended with status {status}")
            if status:
                return status
    return 0


@contextlib.contextmanager
def system(release, keep):
    """A copy of the bare system, removed at the end unless it is to be kept."""
    bare = bare_system(release)
    place = Path(tempfile.mkdtemp(dir=cache.root(), prefix=f"fresh-{release}-"))
    try:
        process.check(["cp", "--archive", "--reflink=auto", f"{bare}/.", place], "copying the bare system")
        yield place
    finally:
        if keep:
            say(f"-- kept: {place}")
        else:
            # The mounts were in a namespace that ended with its last process: what is here is the copy alone.
            shutil.rmtree(place, ignore_errors=True)


def bare_system(release):
    """The folder with what debootstrap makes of a release, from the mirror that this machine uses for its own."""
    debian.install([("debootstrap", lambda: shutil.which("debootstrap"))])
    mirror = debian.mirror()
    return cache.directory(f"debian-{release}", cache.fingerprint(release, mirror), f"a bare Debian {release}",
                           lambda path: process.check(["debootstrap", "--variant=minbase", release, path, mirror], "debootstrap"))


class Machine:
    """The system in the folder `place`, and who works there."""

    def __init__(self, place, user=False):
        self.place, self.user = place, user
        self.home = Path("/home", USER) if user else Path("/root")
        self.environment = {name: value for name, value in os.environ.items() if _CARRIED.fullmatch(name)}

    def furnish(self):
        """What reaches the registries, python3, and the checkout."""
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            self.bring(file)
        if AUTHORITIES.is_dir():
            # Debian's package of certificates, which others bring, puts them among its own.
            shutil.copytree(AUTHORITIES, self.place / AUTHORITIES.relative_to("/"), dirs_exist_ok=True)
        self.write("etc/apt/apt.conf.d/99carried", apt_settings())
        settings = pip_settings()
        self.write("etc/pip.conf", settings)
        self.write("mounts", "".join(f"{folder}\n" for folder in self.bring_all(settings, *self.environment.values())))
        with step("apt: python3" + (" sudo" if self.user else "")):
            apt = ["apt-get", "--quiet"]
            self.as_root(*apt, "update")
            self.as_root(*apt, "install", "--yes", "--no-install-recommends", "python3", *(["sudo"] if self.user else []))
        if self.user:
            self.as_root("useradd", "--create-home", USER)
            self.write(f"etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        self.clone()

    def clone(self):
        """The commit that is checked out here. What is not committed stays behind."""
        target = self.place / self.home.relative_to("/") / CHECKOUT
        target.parent.mkdir(parents=True)
        head = process.check(["git", "-C", ROOT, "rev-parse", "HEAD"], "git rev-parse").strip()
        process.check(["git", "clone", "--quiet", "--no-checkout", "--no-hardlinks", ROOT, target], "git clone")
        process.check(["git", "-C", target, "checkout", "--quiet", "--detach", head], "git checkout")
        if process.check(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"], "git status"):
            say(f"-- the checkout has changes that are not committed: what is tried is {head[:12]} without them")
        if self.user:
            self.as_root("chown", "--recursive", f"{USER}:{USER}", str(self.home))

    def bring_all(self, *texts):
        """Copy the files that the texts name; the folders that they name, which may be large, are to be mounted."""
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
        process.check(self._enter([self.place, *argv]), argv[0], env=self._environment(Path("/root")))

    def run(self, *argv):
        """Run a command in the checkout as if it were this process, and return its status."""
        who = [f"--userspec={USER}:{USER}"] if self.user else []
        inside = ["sh", "-c", 'cd "$HOME/$0" && exec "$@"', CHECKOUT, *argv]
        return process.pass_through(self._enter([*who, self.place, *inside]), self._environment(self.home))

    def _enter(self, argv):
        # With a process namespace of its own, what a command leaves running ends with it.
        return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                "sh", "-c", _ENTER, "sh", str(self.place), *map(str, argv)]

    def _environment(self, home):
        return {**self.environment, "HOME": str(home), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def apt_settings():
    """What this machine's apt has been told of the way to its mirror."""
    said = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in said.splitlines() if _APT.match(line))


def pip_settings(files=None):
    """pip's configuration of this machine and this user, as one file: the later of pip's places wins."""
    if files is None:
        home = Path.home()
        shared = reversed(os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"))
        files = [*(Path(folder, "pip/pip.conf") for folder in shared), Path("/etc/pip.conf"), home / ".pip/pip.conf",
                 Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip/pip.conf")]
    merged = configparser.RawConfigParser()
    merged.read(files)
    text = ""
    for section in merged.sections():
        text += f"[{section}]\n"
        for name, value in merged.items(section):
            text += f"{name} = " + value.replace("\n", "\n    ") + "\n"
    return text
