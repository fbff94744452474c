"""Types of the public names. docs/python.md and the docstrings say what they do; the sentences here are
the first of those."""

import asyncio as _asyncio
import socket as _stdlib
from collections.abc import Coroutine
from contextlib import AbstractContextManager, ContextDecorator
from typing import Any, TypeVar

__version__: str

# What the standard library accepts as a TCP address: (host, port), for IPv6 also (host, port, flowinfo,
# scope_id).
_Address = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int]

class socket(_stdlib.socket):
    """socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None): as `socket.socket`, on the iocpsock
    engine."""

    acceptcount: int
    """Connections that a listening socket accepts ahead: -1 (none), 0 (fitted to the traffic), or up to
    256."""

    sendlimit: int
    """Bytes of a sendall that are with the system at one time, 4096 to 16777216, initially 262144."""

    def accept(self) -> tuple[socket, Any]:
        """Wait for a connection: (socket, address of the peer)."""

def create_connection(
    address: tuple[str | None, int | str],
    timeout: float | None = ...,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
) -> socket:
    """Connect to (host, port), trying every address of the host in turn: an `iocpsock.socket`."""

def create_server(
    address: _Address,
    *,
    family: int = ...,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """Listen on (host, port): an `iocpsock.socket`."""

def socketpair(family: int = ..., type: int = ..., proto: int = 0) -> tuple[socket, socket]:
    """Two `iocpsock.socket` objects connected to each other, over the loopback interface."""

def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:
    """A socket on a duplicate of the handle `fd`, an int, which stays the caller's: an `iocpsock.socket`."""

def fromshare(info: bytes) -> socket:
    """The socket that another process has shared with this one: an `iocpsock.socket` made of the bytes of its
    `share`."""

def has_dualstack_ipv6() -> bool:
    """Whether this system has IPv6 sockets that take IPv4 connections too: a bool."""

def configure(**settings: int | str) -> dict[str, int | str]:
    """Change settings of the process, all or none, and return all of them: a dict of names and ints
    (`recvmode`, `lookup`: a str)."""

def stats() -> dict[str, int]:
    """The engine's counters, for the whole process."""

class _Patched(AbstractContextManager[None], ContextDecorator):
    def __exit__(self, *exception: object) -> bool | None: ...

def patch() -> None:
    """Put `iocpsock.socket` in the place of `socket.socket`, until `unpatch()`."""

def unpatch() -> None:
    """Undo `patch()`: every name is again what it was."""

def patched() -> _Patched:
    """A context manager, and a decorator: the patch is in force inside, for all threads of the process."""

_Result = TypeVar("_Result")
_Widget = Any   # a tkinter.Misc

class EventLoop(_asyncio.BaseEventLoop):
    """An asyncio event loop on an I/O completion port of its own."""

def new_event_loop() -> EventLoop:
    """Return a new `EventLoop`, for `asyncio.run(main(), loop_factory=iocpsock.new_event_loop)`."""

def run(
    main: Coroutine[Any, Any, _Result], *, debug: bool | None = None, tk: _Widget | None = None
) -> _Result:
    """Run a coroutine as `asyncio.run` does, on a new `EventLoop`, and return its result."""
