"""A fresh machine: a bare Debian in a folder, in which a clone of this checkout runs the README's commands.

Each run has a copy of the bare system, with python3 and nothing else, and a cache of its own. Needs root.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tools.base import cache, process
from tools.base.report import Problem, say, step
from tools.environments import system
from tools.environments.run import ROOT

RELEASES = ("bookworm", "trixie")
COMMANDS = ("demo", "test")             # the two of the README, in its order
CHECKOUT = "a checkout/iocpsock"        # below the home folder: a path with a space
USER = "somebody"


def main(release, only=None, user=False, keep=False, arguments=()):
    """Follow the README in a bare Debian of this release. The status of the first command that failed, else
    0."""
    if os.geteuid():
        raise Problem("fresh: a Debian of its own needs root: run it as root, or by sudo")
    if release not in RELEASES:
        raise Problem(f"fresh: no Debian {release!r} here; there are {', '.join(RELEASES)}")
    if only and only not in COMMANDS:
        raise Problem(f"fresh: --only is {' or '.join(COMMANDS)}")
    with folder(release, keep) as place:
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
def folder(release, keep):
    """A folder with a bare Debian, removed at the end unless it is to be kept."""
    place = Path(tempfile.mkdtemp(dir=cache.root(), prefix=f"fresh-{release}-"))
    try:
        system.copy(release, place)
        yield place
    finally:
        if keep:
            say(f"-- kept: {place}")
        else:
            # The mounts were in a namespace that ended with its last process: only the copy is left here.
            shutil.rmtree(place, ignore_errors=True)


class Machine(system.System):
    """The system in the folder `place`, and the user who works there."""

    def __init__(self, place, user=False):
        super().__init__(place)
        self.user = user
        self.home = Path("/home", USER) if user else Path("/root")

    def furnish(self):
        """Install python3, and clone the checkout."""
        packages = ["python3", *(["sudo"] if self.user else [])]
        with step(f"apt: {' '.join(packages)}"):
            self.install(*packages)
        if self.user:
            self.as_root("useradd", "--create-home", USER)
            self.write(f"etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        self.clone()

    def clone(self):
        """Clone the commit that is checked out here. Uncommitted changes are not copied."""
        target = self.place / self.home.relative_to("/") / CHECKOUT
        target.parent.mkdir(parents=True)
        head = process.check(["git", "-C", ROOT, "rev-parse", "HEAD"], "git rev-parse").strip()
        process.check(["git", "clone", "--quiet", "--no-checkout", "--no-hardlinks", ROOT, target],
                      "git clone")
        process.check(["git", "-C", target, "checkout", "--quiet", "--detach", head], "git checkout")
        if process.check(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"], "git status"):
            say(f"-- the checkout has changes that are not committed: what is tried is {head[:12]} without "
                "them")
        if self.user:
            self.as_root("chown", "--recursive", f"{USER}:{USER}", str(self.home))

    def run(self, *argv):
        """Run a command in the checkout as if it were this process, and return its status."""
        who = [f"--userspec={USER}:{USER}"] if self.user else []
        inside = ["sh", "-c", 'cd "$HOME/$0" && exec "$@"', CHECKOUT, *argv]
        return process.pass_through(self.enter([*who, self.place, *inside]), self.inside(self.home))
