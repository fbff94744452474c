"""TCP sockets on Windows I/O completion ports.

`iocpsock.socket` is a `socket.socket` whose blocking calls run on the engine; `create_connection`,
`create_server`, `socketpair`, `fromfd` and `fromshare` make such sockets; `patch` puts them in the place of
the standard library's; `stats` tells what the engine has. Every other name of the module `socket` is passed
on, so `import iocpsock as socket` works. `EventLoop` is an event loop for asyncio on the same engine; `run`
and `new_event_loop` make one. The same folder is a Tcl package with the command `socket2`.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _load():
    """Load iocpsock.dll from this folder. Python's import finds only .pyd files, and Tcl loads the .dll: with
    one file under one name, a process with both languages has one module and one engine."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "iocpsock.dll")
    name = __name__ + "._iocpsock"
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


if sys.platform != "win32":
    raise ImportError("iocpsock runs on Windows only: it is a driver for Windows I/O completion ports")

_iocpsock = _load()
__version__ = _iocpsock.__version__
socket = _iocpsock.socket
create_connection = _iocpsock.create_connection
create_server = _iocpsock.create_server
configure = _iocpsock.configure
fromfd = _iocpsock.fromfd
fromshare = _iocpsock.fromshare
has_dualstack_ipv6 = _iocpsock.has_dualstack_ipv6
socketpair = _iocpsock.socketpair
stats = _iocpsock.stats

from iocpsock._patch import patch, patched, unpatch      # noqa: E402  (it derives from the class above)

_LOOP = ("EventLoop", "new_event_loop", "run")       # asyncio is loaded when one of them is needed
__all__ = ["__version__", "configure", "create_connection", "create_server", "fromfd", "fromshare",
           "has_dualstack_ipv6", "patch", "patched", "socket", "socketpair", "stats", "unpatch", *_LOOP]


def __getattr__(name):
    """Pass on the names of the standard library's `socket` that we do not replace: constants, exceptions,
    `getaddrinfo` and others."""
    import socket as stock
    if name in _LOOP:
        from iocpsock import _loop
        return getattr(_loop, name)
    if not name.startswith("__") and hasattr(stock, name):
        return getattr(stock, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
