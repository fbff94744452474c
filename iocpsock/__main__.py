"""`python -m iocpsock`: print what is installed, or run a program with iocpsock's sockets and event loops.

`runpy` runs the program after `patch()`, with the arguments and the module search path that it would have
by itself. `asyncio.run`, `asyncio.Runner` and `asyncio.new_event_loop` make the event loop of this package,
unless the program names another one.
"""

import asyncio
import os
import runpy
import sys

import iocpsock

USAGE = """\
usage: python -m iocpsock PROGRAM.py [ARGUMENT ...]
       python -m iocpsock -m MODULE [ARGUMENT ...]
       python -m iocpsock --version | --where | --stats | --help

  PROGRAM.py   run this program, or the __main__.py of this folder or zip file, after iocpsock.patch();
               its asyncio.run uses iocpsock.EventLoop
  -m MODULE    the same for a module or package of the module search path
  --version    print the versions of iocpsock, of Python and of Windows
  --where      print the path of iocpsock.dll, and what Tcl needs to find the package
  --stats      print the counters of the engine, as iocpsock.stats() has them in a fresh process
"""


def version():
    """Print what a bug report needs."""
    windows = sys.getwindowsversion()
    print(f"iocpsock {iocpsock.__version__}")
    print(f"Python {sys.version}")
    print(f"Windows {windows.major}.{windows.minor}.{windows.build}")


def where():
    folder = os.path.dirname(os.path.abspath(iocpsock.__file__))
    print(f"DLL: {os.path.join(folder, 'iocpsock.dll')}")
    print(f"Tcl: lappend auto_path {{{os.path.dirname(folder)}}}; package require iocpsock")


def stats():
    version()
    for name, value in iocpsock.stats().items():
        print(f"{name:20} {value}")


def run(arguments):
    """Run the program or module at the beginning of the arguments."""
    iocpsock.patch()
    asyncio.new_event_loop = asyncio.events.new_event_loop = iocpsock.new_event_loop
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        # In safe-path mode Python has put no entry there for this module either.
        if not sys.flags.safe_path:
            sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


def main(arguments):
    options = {"--version": version, "--where": where, "--stats": stats,
               "--help": lambda: print(USAGE, end="")}
    if len(arguments) == 1 and arguments[0] in options:
        options[arguments[0]]()
    elif not arguments or arguments == ["-m"] or arguments[0].startswith("-") and arguments[0] != "-m":
        sys.exit(USAGE.rstrip())
    else:
        run(arguments)


main(sys.argv[1:])
