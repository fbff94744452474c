"""Patch: puts `iocpsock.socket` in the place of `socket.socket`, for programs that were not written for it.

The patch replaces only what the standard library looks up when it makes a socket: the class `socket.socket`,
which all functions of that module call, and the class of the sockets that an SSLContext makes. A class that
was derived from the stock one before the patch does not change, nor does a name from `from socket import
socket`.
Owner: this module, one record for the process. Threads: any; `_lock` guards the record.
"""

import contextlib
import functools
import socket as _stdlib
import threading

from iocpsock import socket

_STOCK = socket.__base__

_lock = threading.RLock()
_saved = []                         # (namespace, name, value before, our value), while the patch is in force
_wanted = False                     # patch() was called, and unpatch() not yet
_blocks = 0                         # `with patched()` blocks that are open


def patch():
    """Put `iocpsock.socket` in the place of `socket.socket`, until `unpatch()`.

    From then on whatever the standard library or a program makes by `socket.socket(...)`,
    `socket.create_connection`, `create_server`, `socketpair`, `fromfd`, `fromshare` or `accept` is an
    `iocpsock.socket`, and what an SSLContext wraps is an `ssl.SSLSocket` that is one too. Call it first: a
    module that has done `from socket import socket` before, or derived a class, keeps the stock one. Sockets
    that exist already stay as they are.

    Calling it again changes nothing. RuntimeError if something else has replaced `socket.socket`.
    """
    global _wanted
    with _lock:
        _put()
        _wanted = True


def unpatch():
    """Undo `patch()`: every name is again what it was. Sockets made meanwhile go on working.

    Without a `patch()` before it does nothing, and an open `with patched():` stays in force until its end.
    RuntimeError if something else has replaced `socket.socket` since the patch.
    """
    global _wanted
    with _lock:
        _take_back(unless=_blocks)
        _wanted = False


@contextlib.contextmanager
def patched():
    """A context manager, and a decorator: the patch is in force inside, for all threads of the process.

    Blocks may be nested and may overlap in several threads; the last to end undoes the patch, unless
    `patch()` asked for it too. Errors as for `patch` and `unpatch`.
    """
    global _blocks
    with _lock:
        _put()
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            _take_back(unless=_blocks or _wanted)


def _put():
    if _saved:
        return
    if _stdlib.socket is not _STOCK:
        raise RuntimeError(f"patch: socket.socket is already replaced, by {_stdlib.socket!r}; "
                           f"only {_STOCK!r} can be")
    for namespace, name, value in _replacements():
        _saved.append((namespace, name, getattr(namespace, name), value))
        setattr(namespace, name, value)


def _take_back(unless):
    if unless or not _saved:
        return
    for namespace, name, _, value in _saved:
        if getattr(namespace, name) is not value:
            raise RuntimeError(f"unpatch: {name!r} was replaced since, by {getattr(namespace, name)!r}; "
                               "undo that first")
    while _saved:
        namespace, name, before, _ = _saved.pop()
        setattr(namespace, name, before)


def _replacements():
    """Return what to set: (namespace, name, value). The imports come before anything is set, so each imported
    module gets the stock class."""
    _teach_multiprocessing()
    try:
        import ssl
        from iocpsock._tls import SSLSocket
    except ImportError:             # an interpreter without OpenSSL
        return [(_stdlib, "socket", socket)]
    return [(_stdlib, "socket", socket), (ssl.SSLContext, "sslsocket_class", SSLSocket)]


@functools.cache
def _teach_multiprocessing():
    """Register our class with multiprocessing, which does not treat a subclass like its base. `unpatch` does
    not undo this."""
    from multiprocessing import reduction
    reduction.ForkingPickler.register(socket, _reduce)


def _reduce(sock):
    from multiprocessing.resource_sharer import DupSocket
    return _rebuild, (DupSocket(sock),)


def _rebuild(duplicate):
    """Make the socket in the process that receives it, patched or not."""
    stock = duplicate.detach()
    return socket(stock.family, stock.type, stock.proto, fileno=stock.detach())
