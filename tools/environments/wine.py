"""Wine: our prefixes for each installation, one for each tree of programs that runs at the same time.

A prefix has its own wineserver and one CPU. One dev.py holds it under a lock, so two never use it together.
Pinned to one CPU, a wineserver request costs an eighth of what it costs when client and server run on two.
The wineserver starts when a dev.py takes the prefix. When that dev.py releases the prefix, the wineserver
ends with every Windows program that still runs there. All prefixes of an installation are copies of one
model, and share with it the files of Wine's own programs, which are most of their size.
"""

import contextlib
import functools
import itertools
import os
import shutil
import subprocess
from pathlib import Path

from tools.base import cache, process
from tools.base.report import Problem
from tools.environments import installation

# With the null driver Wine needs no display, and Tcl can create its window for socket events all the same.
_SETTINGS = [
    ["wineboot", "--init"],
    ["wine", "reg", "add", r"HKCU\Software\Wine\Drivers", "/v", "Graphics", "/d", "null", "/f"],
    ["wine", "winecfg", "-v", "win10"],
]
# Wine's own programs in a prefix, which nothing changes.
_SHARED = (".dll", ".exe", ".sys", ".drv", ".ocx", ".cpl", ".acm", ".ax", ".tlb", ".ttf", ".fon", ".nls")
# A developer's own settings for the interpreters of this machine are not meant for those under Wine; and the
# languages' suites leave out tests where they see that a service for automatic runs has started them.
_NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONPLATLIBDIR", "TCLLIBPATH", "TCL_LIBRARY",
             "TK_LIBRARY", "TCL8_6_TM_PATH", "TCL9_0_TM_PATH", "DISPLAY", "CI", "CI_USING_WINE",
             "GITHUB_ACTIONS")


class Prefix:
    """A prefix that this process, or the one that started it, holds."""

    def __init__(self, number):
        cpus = sorted(os.sched_getaffinity(0))
        self.number = number
        self.wine = installation.chosen()
        recipe = cache.fingerprint(_SETTINGS, _SHARED)
        model = cache.directory(f"{self.wine.name}-model", recipe, "a Wine prefix, the model of the others",
                                self._make)
        self.folder = cache.directory(f"{self.wine.name}-prefix-{number}", recipe, f"Wine prefix {number}",
                                      functools.partial(_copy, model))
        self.pin = [*self.wine.enter, *fixed_addresses(), "taskset", "-c", str(cpus[number % len(cpus)])]

    def command(self, program, *arguments):
        """The command line that runs a Windows program in this prefix."""
        return [*self.pin, "wine", str(program), *map(str, arguments)]

    def environment(self):
        """Our environment, with this prefix in it."""
        return environment(self.folder)

    def start(self, trace=subprocess.DEVNULL):
        """Start the wineserver, after ending one that a killed dev.py may have left in this prefix.

        `trace` is an open file for the server's stderr. Under WINEDEBUG=+server it logs each request there.
        """
        process.raise_file_limit()
        self.end_server()
        self._run([*self.pin, "wineserver", "--persistent"], stderr=trace)
        # The services start with the first program, and must not inherit the pipes of a program that matters.
        self._run(self.command("cmd", "/c", "exit"))

    def _run(self, argv, stderr=subprocess.DEVNULL):
        subprocess.run(argv, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=stderr, start_new_session=True, check=True)

    def end_server(self):
        """End the wineserver of this prefix, if it runs, with its programs, and wait until it is gone."""
        _end_server(self.wine, self.folder)

    def _make(self, path):
        try:
            for argv in _SETTINGS:
                subprocess.run([*self.wine.enter, *fixed_addresses(), *argv], env=environment(path),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True, check=True)
        except subprocess.CalledProcessError as error:
            raise Problem(f"Wine prefix: {' '.join(argv)} ended with status {error.returncode}") from error
        finally:
            _end_server(self.wine, path)


def _copy(model, path):
    """Copy a prefix, except the files that it shares with its model."""
    def copy(source, target):
        if source.lower().endswith(_SHARED):
            os.link(source, target)
        else:
            shutil.copy2(source, target)
    shutil.copytree(model, path, symlinks=True, copy_function=copy, dirs_exist_ok=True)


@functools.cache
def fixed_addresses():
    """The words before a command that make its memory have the same addresses each time, if this machine
    allows it.

    Otherwise Linux begins the heap anywhere in the GiB behind Wine's program (0x7d000000). In one start of
    some thousands the heap covers the page 0x7ffe0000, which Wine needs: then Wine ends with status 1 before
    the program begins.
    """
    argv = ["setarch", "--addr-no-randomize"]
    if not shutil.which(argv[0]):
        return []
    allowed = subprocess.run([*argv, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return argv if allowed else []


def environment(folder):
    env = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    env.update(WINEPREFIX=str(folder), WINEDLLOVERRIDES="mscoree,mshtml,wbemprox,winedbg.exe=",
               LC_ALL="C.UTF-8")
    env.setdefault("WINEDEBUG", "-all")
    return env


def _end_server(wine, folder):
    for action in ("--kill", "--wait"):
        subprocess.run([*wine.enter, "wineserver", action], env=environment(folder), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@contextlib.contextmanager
def prefix(trace=subprocess.DEVNULL):
    """Hold the first free prefix, with its wineserver running; `trace` as for Prefix.start."""
    for number in itertools.count():
        lock = cache.root() / "locks" / f"{installation.chosen().name}-prefix-{number}.lock"
        if held := cache.try_lock(lock):
            break
    with held:
        mine = Prefix(number)
        try:
            mine.start(trace)
            yield mine
        finally:
            mine.end_server()


def windows_path(path):
    """How a Windows program names a path of this machine: drive Z: is the root."""
    return "Z:" + str(Path(path).resolve()).replace("/", "\\")


def prepare(count):
    """Make the missing ones of the first `count` prefixes. Those in use exist already."""
    for number in range(count):
        Prefix(number)
