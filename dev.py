#!/usr/bin/env python3
"""One entry for every chore of iocpsock's development. Standard library only; the work is done in tools/.

usage: python3 dev.py COMMAND

  demo                                 set up, build, and run the main job: a file server and its clients,
                                       measured
  test [-k EXPR] [--only NAME,...] [--python V] [--tcl V] [--soak]
                                       set up, build, and run the test matrix, or the cells of one version, or
                                       those whose names begin with a NAME; --soak: also the tests that take
                                       many minutes
  build                                make the wheel in dist/ and unpack it in build/package
  release                              make in dist/ what is given away, from what is committed: the wheels,
                                       the source distribution, the folder for Tcl in a zip file; and check
                                       the metadata
  setup                                fetch and make whatever this machine lacks
  clean [--cache]                      remove build/ and dist/; --cache: also all that was downloaded and made
                                       for all checkouts
  python [--version 3.11|3.12|3.13|3.14] ARGS...   a Windows Python in which `import iocpsock` works
  tclsh [--version 8.6|9.0|9.1] ARGS...   a Windows tclsh in which `package require iocpsock` works
  pytest [--version V] ARGS...         pytest inside the Windows Python
  tcltest 8.6|9.0|9.1 [--stock] [--json FILE] [FILE...] [tcltest options]
                                       Tcl's own test files with socket2 in the place of socket
  pysuite 3.11|3.12|3.13|3.14 [--stock] FILE...
                                       CPython's own test files, with iocpsock.socket in the place of
                                       socket.socket; test_asyncio.FILE with iocpsock.EventLoop in that of
                                       the ProactorEventLoop
  conformance [FILE...]                run all of these, with our sockets and the stock ones, and write
                                       docs/conformance.md
  soak [--minutes N] [--tcl V]         everything at once for N minutes (30), memory and handles weighed:
                                       flat, or not
  soak --load [--count N]              N connections (10000) open on one listener, of each kind of server
  faults [--tcl V] ARGS...             fail the engine's calls of Windows one by one, and count; `--every 1`:
                                       at each place of the scenario instead of every fifth; other ARGS are
                                       pytest's
  probe [--json] [--record | --take FILE] [SUBJECT...]
                                       ask the system's sockets what only they can answer, by a program in C;
                                       --record: keep the answers and make the table in docs/windows.md;
                                       --take FILE: those of another machine
  strict [--long] [--tcl V] [--python V]
                                       with the build that plays Windows and enforces its rules
                                       (docs/windows.md): its own tests, the fault sweep, tests/calls,
                                       test_reopen, the soak; --long: all of them at length
  fresh [bookworm|trixie] [--only demo|test] [--user] [--keep] [ARGS of test...]
                                       follow the README in a bare Debian in a folder, trixie unless told: a
                                       clone of what is committed, python3 and nothing else; --user: by a user
                                       with sudo; --keep: leave it there
  fuzz tcl|python [--seconds N] [--seed S] [--version V]
                                       random sequences of calls on the stock sockets and on ours, compared;
                                       --show SEED: one sequence; --planted: a fault of the test's own, to be
                                       found
  fuzz storm [--seconds N] [--seed S] [--version V]
                                       many threads on Python's sockets; every byte tells whose it is
  bench [--quick] [--only NAME,...] [--who NAME,...]
                                       measure us and what else there is; a NAME is how the names of scenarios
                                       or contenders begin

Where a command builds first, `--no-build` before its other options takes the package as it is. Where it runs
Windows programs, `--wine 8|10` among them chooses Wine: if the machine's is another one, that of another
Debian is put in a folder (root only).
Variables: IOCPSOCK_CACHE (downloads and runtimes), IOCPSOCK_SOURCES (a folder with source tarballs),
IOCPSOCK_REQUIRE_ALL=1 (a test cell that cannot run is a failure), IOCPSOCK_VARIANT=debug|ubsan|faults|strict
(build and use a build for tests: docs/reliability.md) or arm64 (the wheel for Windows on ARM64, which cannot
be used here), IOCPSOCK_INTERPRETERS (on Windows: files of Pythons and of Tcl's shells, with semicolons
between), IOCPSOCK_WINE=8|10 (as --wine).
"""

import os
import signal
import sys

from tools.base import cache
from tools.base.report import Problem, say
from tools.environments import build, run, setup
from tools.environments.installation import CHOICE


def leading_options(arguments, values=(), flags=()):
    """Parse the options at the front of `arguments`: (their values, the rest, which belongs to another
    program).

    Every command accepts --wine. It is put into the environment, so that child processes use it too.
    """
    found: dict = {}
    rest = list(arguments)
    values = (*values, "--wine")
    while rest and (rest[0] in values or rest[0] in flags):
        name = rest.pop(0)
        if name in flags:
            found[name] = True
        elif not rest:
            raise Problem(f"{name}: a value is missing")
        else:
            found[name] = rest.pop(0)
    if wine := found.pop("--wine", None):
        os.environ[CHOICE] = wine
    return found, rest


def ready(options):
    """Install the machine's tools, and build the package unless told not to. A runtime is fetched when it is
    first used."""
    setup.tools()
    if "--no-build" not in options:
        build.ensure(required=False)


def interpreter(command):
    """Make the function of a command that runs one program in the foreground, with the user's terminal."""
    def chore(arguments):
        options, rest = leading_options(arguments, values=("--version",), flags=("--no-build",))
        ready(options)
        with run.session() as windows:
            return windows.pass_through(command(windows, options, rest))
    return chore


def python(windows, options, rest):
    return windows.python(options.get("--version", run.DEFAULT_PYTHON), *rest)


def tclsh(windows, options, rest):
    return windows.tclsh(options.get("--version", run.TCL_VERSIONS[0]), *rest)


def pytest(windows, options, rest):
    return python(windows, options, ["-m", "pytest", "-p", "no:cacheprovider", *rest])


def test(arguments):
    from tools.testing import matrix
    options, rest = leading_options(arguments, values=("-k", "--only", "--python", "--tcl"),
                                    flags=("--no-build", "--soak"))
    nothing_more("test", rest)
    setup.machine()
    if "--no-build" not in options:
        build.ensure()
    return matrix.run_all(options.get("-k"), options.get("--python"), options.get("--tcl"),
                          "--soak" in options, tuple(options.get("--only", "").split(",")))


def tcltest(arguments):
    from tools.suites import tcltest as suite
    options, rest = leading_options(arguments, flags=("--no-build",))
    ready(options)
    return suite.main(rest)


def pysuite(arguments):
    from tools.suites import pysuite as suite
    options, rest = leading_options(arguments, flags=("--no-build",))
    ready(options)
    return suite.main(rest)


def conformance(arguments):
    from tools.suites import conformance as table
    options, rest = leading_options(arguments, flags=("--no-build",))
    ready(options)
    return table.main(rest)


def bench(arguments):
    from tools.bench import benchmark
    options, rest = leading_options(arguments, values=("--only", "--who"), flags=("--quick", "--no-build"))
    nothing_more("bench", rest)
    ready(options)
    return benchmark.main(options)


def faults(arguments):
    options, rest = leading_options(arguments, values=("--tcl",))
    setup.tools()
    build.ensure(variant="faults")
    with run.session("faults") as windows:
        command = [setup.machine_python(), "-m", "pytest", "-p", "no:cacheprovider", "tests/faults", "-q",
                   "--tcl", options.get("--tcl", run.TCL_VERSIONS[0]), *rest]
        return windows.pass_through(run.Command([str(word) for word in command], windows.environment()))


def strict(arguments):
    from tools.testing import strict as windows
    options, rest = leading_options(arguments, values=("--tcl", "--python"), flags=("--long",))
    nothing_more("strict", rest)
    setup.tools()
    build.ensure(variant="strict")
    return windows.main(options.get("--tcl", run.TCL_VERSIONS[-1]),
                        options.get("--python", run.PYTHON_VERSIONS[-1]), "--long" in options)


def soak(arguments):
    from tools.load import connections, soak as run_soak
    options, rest = leading_options(arguments, values=("--minutes", "--tcl", "--count"),
                                    flags=("--no-build", "--load"))
    nothing_more("soak", rest)
    ready(options)
    if "--load" in options:
        return connections.main(number(options, "--count", connections.COUNT))
    return run_soak.main(number(options, "--minutes", 30), options.get("--tcl", run.TCL_VERSIONS[0]))


def fresh(arguments):
    from tools.testing import fresh as debian
    named = arguments and not arguments[0].startswith("-")
    release, *rest = arguments if named else [debian.RELEASES[-1], *arguments]
    options, rest = leading_options(rest, values=("--only",), flags=("--user", "--keep"))
    return debian.main(release, options.get("--only"), "--user" in options, "--keep" in options, rest)


def fuzz(arguments):
    from tools.load import fuzz as fuzzer
    language, *rest = arguments or [""]
    options, rest = leading_options(rest, values=("--seconds", "--seed", "--version", "--show"),
                                    flags=("--no-build", "--planted"))
    nothing_more("fuzz", rest)
    ready(options)
    return fuzzer.main(language, options)


def probe(arguments):
    from tools.testing import probe as questions
    options, rest = leading_options(arguments, values=("--take",), flags=("--json", "--record"))
    setup.tools()
    return questions.main(rest, "--json" in options, "--record" in options, options.get("--take"))


def number(options, name, default):
    text = options.get(name, str(default))
    if not text.isdecimal():
        raise Problem(f"{name}: {text!r} is not a number")
    return int(text)


def demo(arguments):
    options, rest = leading_options(arguments, flags=("--no-build",))
    nothing_more("demo", rest)
    ready(options)
    with run.session() as windows:
        return windows.pass_through(run.Command([sys.executable, str(run.ROOT / "examples" / "demo.py")],
                                                windows.environment()))


def build_only(arguments):
    nothing_more("build", arguments)
    setup.tools()
    build.ensure()
    return 0


def release(arguments):
    from tools.release import artifacts
    nothing_more("release", arguments)
    setup.tools()
    artifacts.main()
    return 0


def setup_only(arguments):
    nothing_more("setup", arguments)
    setup.machine()
    say("-- everything that can be had is in place")
    return 0


def clean(arguments):
    everything = arguments[:1] == ["--cache"]
    nothing_more("clean", arguments[everything:])
    if everything:
        say(f"-- removed {cache.clear() / 1e9:.1f} GB from {cache.root()}")
    build.clean()
    return 0


def nothing_more(command, arguments):
    if arguments:
        raise Problem(f"{command}: unknown argument {arguments[0]!r}. `python3 dev.py` shows what there is")


COMMANDS = {"demo": demo, "test": test, "build": build_only, "release": release, "setup": setup_only,
            "clean": clean, "tcltest": tcltest, "python": interpreter(python), "tclsh": interpreter(tclsh),
            "pytest": interpreter(pytest), "pysuite": pysuite, "conformance": conformance, "soak": soak,
            "bench": bench, "faults": faults, "strict": strict, "fresh": fresh, "fuzz": fuzz, "probe": probe}


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        raise Problem(f"no command {arguments[0]!r}; there are {', '.join(COMMANDS)}")
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    # SIGTERM takes the same way out as Ctrl-C, which ends the child processes too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        sys.exit(f"dev.py: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:     # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
