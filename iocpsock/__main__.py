"""`python -m iocpsock`: say what is installed, where the DLL lies for Tcl's `load`, and what the engine counts."""

import os

import iocpsock

folder = os.path.dirname(os.path.abspath(iocpsock.__file__))
print(f"iocpsock {iocpsock.__version__}")
print(f"Tcl: lappend auto_path {{{os.path.dirname(folder)}}}; package require iocpsock")
print(f"DLL: {os.path.join(folder, 'iocpsock.dll')}")
for name, value in iocpsock.stats().items():
    print(f"{name:20} {value}")
