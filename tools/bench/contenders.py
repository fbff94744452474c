"""The contenders: the program of each, and how it is started.

A contender is one way to use sockets from one interpreter. All contenders of a family run the same file in
benchmarks/; an argument selects the sockets.
"""

from typing import NamedTuple

from tools.base import cache, process
from tools.environments import cprogram, linux_python, run

PROGRAMS = run.ROOT / "benchmarks"
PYTHON = "3.13"
PEERS = ("winloop", "iocp")     # what has to be fetched to be run
PEER_REQUIREMENTS = linux_python.REQUIREMENTS / "peers.txt"


class Contender(NamedTuple):
    name: str
    family: str         # raw, tcl, python, or loop
    program: str        # its file in benchmarks/
    which: str          # the sockets it is told to use
    version: str = ""   # of its interpreter

    @property
    def ours(self):
        return self.which in ("socket2", "iocpsock")

    def command(self, windows, *arguments):
        """The command line of this contender's program in a session."""
        words = [str(argument) for argument in arguments]
        if self.family == "raw":
            return program(windows, self.program, *words)
        path = windows.path(PROGRAMS / self.program)
        if self.family == "tcl":
            return windows.tclsh(self.version, path, self.which, *words)
        command = windows.python(self.version, path, self.which, *words)
        # on Windows they are installed, or they are not
        if self.which in PEERS and isinstance(windows, run.WineSession):
            command.env["PYTHONPATH"] += "".join(";" + windows.path(folder) for folder in _peers(windows))
        return command


RAW = Contender("raw", "raw", "raw.c", "")
TCL = [Contender(f"Tcl {version} {which}", "tcl", "sockets.tcl", which, version)
       for version in run.TCL_VERSIONS for which in ("socket", "socket2")]
PYTHONS = [Contender(f"Python {which}", "python", "blocking.py", which, PYTHON)
           for which in ("socket", "iocpsock")]
LOOPS = [Contender("asyncio Proactor", "loop", "loops.py", "proactor", PYTHON),
         Contender("asyncio Selector", "loop", "loops.py", "selector", PYTHON),
         Contender("winloop", "loop", "loops.py", "winloop", PYTHON),
         Contender("asyncio iocpsock", "loop", "loops.py", "iocpsock", PYTHON),
         Contender("Twisted IOCP", "loop", "reactor.py", "iocp", PYTHON)]
ALL = [RAW, *TCL, *PYTHONS, *LOOPS]


def program(windows, source, *arguments):
    """The command line of a C program in benchmarks/, compiled when it is first used."""
    path = PROGRAMS / source
    return windows.program(cprogram.compiled(path.stem, [path], sorted(PROGRAMS.glob("*.h"))), *arguments)


def _peers(windows):
    """The folders with the peers' packages. pywin32 expects its own folders on the path."""
    def make(path):
        linux_python.install_for_windows(path, PYTHON, PEER_REQUIREMENTS)
        compiler = windows.python(PYTHON, "-m", "compileall", "-q", windows.path(path))
        process.check(compiler.argv, "compiling the peers' modules", env=compiler.env)

    path = cache.directory("bench-peers", cache.fingerprint(PEER_REQUIREMENTS, "compiled"),
                           "the peers for Windows", make)
    return path, path / "win32", path / "win32" / "lib"
