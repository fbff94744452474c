"""Types of the public names. What they do is in docs/python.md and the docstrings."""

import socket as _stdlib
from contextlib import AbstractContextManager, ContextDecorator
from typing import Any

__version__: str

# What the standard library accepts as a TCP address: (host, port), for IPv6 also (host, port, flowinfo, scope_id).
_Address = tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int]

class socket(_stdlib.socket):
    """As `socket.socket`; the blocking calls of TCP sockets run on the engine, without the GIL."""

    acceptcount: int
    """Connections that a listening socket accepts ahead: -1 (none), 0 (fitted to the traffic), or up to 128."""

    sendcap: int
    """Bytes of a sendall that are with the system at one time, 4096 to 16777216, initially 262144."""

    def accept(self) -> tuple["socket", Any]: ...

def create_connection(
    address: tuple[str | None, int | str],
    timeout: float | None = ...,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
) -> socket:
    """Connect to (host, port), trying every address of the host in turn; `timeout` in seconds."""

def create_server(
    address: _Address,
    *,
    family: int = ...,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """Listen on (host, port), exclusively."""

def configure(**settings: int | str) -> dict[str, int | str]:
    """Change settings of the process, all or none, and return all of them."""

def socketpair(family: int = ..., type: int = ..., proto: int = 0) -> tuple[socket, socket]:
    """Two sockets connected to each other, over the loopback interface."""

def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:
    """A socket on a duplicate of the handle `fd`, which stays the caller's."""

def fromshare(info: bytes) -> socket:
    """The socket that another process has shared with this one, by the bytes of its `share`."""

def has_dualstack_ipv6() -> bool:
    """Whether this system has IPv6 sockets that take IPv4 connections too."""


def stats() -> dict[str, int]:
    """The engine's counters, for the whole process."""

class _Patched(AbstractContextManager[None], ContextDecorator): ...

def patch() -> None:
    """Put `iocpsock.socket` in the place of `socket.socket`; RuntimeError if something else did that before."""

def unpatch() -> None:
    """Undo `patch()`; RuntimeError if something else has replaced `socket.socket` since."""

def patched() -> _Patched:
    """A context manager and decorator: the patch is in force inside. Blocks may be nested and overlap."""
