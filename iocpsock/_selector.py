"""The selector of an event loop: it polls sockets by the loop's own completion port.

Any socket may be watched, of any kind, in whatever completion port it is, and any number of them. Events are
level-triggered, as with `select`.
"""

import collections.abc
import selectors

from iocpsock._iocpsock import _Watch


class PollSelector(selectors.BaseSelector):
    def __init__(self, loop):
        self._loop = loop
        self._keys, self._watches = {}, {}      # both by handle
        self._handles = {}                      # the handle of each watch
        self._found, self._spent = [], set()

    def register(self, fileobj, events, data=None):
        handle = _handle(fileobj)
        if not events or events & ~(selectors.EVENT_READ | selectors.EVENT_WRITE):
            raise ValueError(f"Invalid events: {events!r}")
        if handle in self._keys:
            raise KeyError(f"{fileobj!r} (FD {handle}) is already registered")
        watch = _Watch(self._loop, handle, self._found)
        self._keys[handle] = key = selectors.SelectorKey(fileobj, handle, events, data)
        self._watches[handle], self._handles[watch] = watch, handle
        watch.watch(events)
        return key

    def unregister(self, fileobj):
        handle = _handle(fileobj, self._keys)
        if handle not in self._keys:
            raise KeyError(f"{fileobj!r} is not registered")
        watch = self._watches.pop(handle)
        del self._handles[watch]
        self._spent.discard(watch)
        watch.close()
        return self._keys.pop(handle)

    def modify(self, fileobj, events, data=None):
        handle = _handle(fileobj, self._keys)
        if handle not in self._keys:
            raise KeyError(f"{fileobj!r} is not registered")
        old = self._keys[handle]
        self._keys[handle] = key = old._replace(events=events, data=data)
        if events != old.events:
            self._watches[handle].watch(events)
        return key

    def select(self, timeout=None):
        """Serve the loop's transports as well."""
        for watch in self._spent:
            watch.watch(self._keys[self._handles[watch]].events)
        self._spent.clear()
        self._loop._drain(timeout)
        if not self._found:
            return ()
        ready = []
        for watch, events in self._found:
            handle = self._handles.get(watch)
            if handle is not None:
                self._spent.add(watch)
                key = self._keys[handle]
                if events & key.events:
                    ready.append((key, events & key.events))
        self._found.clear()
        return ready

    def get_map(self):
        return _Map(self._keys)

    def close(self):
        for watch in self._handles:
            watch.close()
        self._keys.clear()
        self._watches.clear()
        self._handles.clear()
        self._spent.clear()


class _Map(collections.abc.Mapping):
    """The keys, by handle or by socket."""

    def __init__(self, keys):
        self._keys = keys

    def __len__(self):
        return len(self._keys)

    def __getitem__(self, fileobj):
        return self._keys[_handle(fileobj, self._keys)]

    def __iter__(self):
        return iter(self._keys)


def _handle(fileobj, keys=()):
    if isinstance(fileobj, int):
        return fileobj
    handle = int(fileobj.fileno())
    if handle < 0:                              # closed: find it by the object
        for known in keys:
            if keys[known].fileobj is fileobj:
                return known
        raise ValueError(f"Invalid file object: {fileobj!r}")
    return handle
