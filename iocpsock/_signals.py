"""Signals of an event loop: their handlers, and how they end the loop's wait.

`Signals` is the part of `EventLoop` that has to do with them. In the main thread a running loop is woken by
every signal, through the wakeup file of the module `signal`. If that is somebody else's, it stays so, and the
loop is woken by Ctrl-C alone.
"""

import asyncio
import inspect
import msvcrt
import os
import signal
from asyncio import windows_utils

import _socket
import _winapi

from iocpsock._iocpsock import _Wakeup

_PIPE_NOWAIT = 1            # of SetNamedPipeHandleState (winbase.h): a write to a full pipe does not wait


class Signals:
    def _open_signals(self):
        self._signal_handlers = {}      # Handles, by signal
        self._wakeup = None             # reads the pipe, from the first run in the main thread on
        self._wakeup_source = None      # the end of the pipe that it reads
        self._wakeup_file = -1          # the descriptor of the other end
        self._listening = False         # signals are written there

    def add_signal_handler(self, sig, callback, *args):
        """Call callback(*args) in the loop when the signal arrives. In the main thread only.

        Raises ValueError for a signal that Windows does not have, RuntimeError in another thread or if the
        signal cannot be caught."""
        if inspect.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        _check(sig)
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, None)
        try:
            signal.signal(sig, self._signalled)
        except (ValueError, OSError) as error:
            raise RuntimeError(f"signal {sig} cannot be caught here: {error}") from error
        self._signal_handlers[sig] = handle

    def remove_signal_handler(self, sig):
        """Give the signal its default handler again. Returns whether the loop had one."""
        _check(sig)
        if self._signal_handlers.pop(sig, None) is None:
            return False
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
        return True

    def _signalled(self, sig, frame):
        handle = self._signal_handlers.get(sig)
        if handle is None:
            return
        if handle._cancelled:
            self.remove_signal_handler(sig)
        else:
            self._add_callback_signalsafe(handle)

    def _listen_for_signals(self):
        """Let every signal end the loop's wait, on this thread, which is the main one. Returns whether it
        does."""
        if self._wakeup_source is None:
            self._make_wakeup()
        if self._wakeup is None or _is_socket(self._wakeup_file):
            return False
        others = signal.set_wakeup_fd(self._wakeup_file, warn_on_full_buffer=False)
        self._listening = others == -1
        if not self._listening:
            signal.set_wakeup_fd(others)
        return self._listening

    def _make_wakeup(self):
        self._wakeup_source, target = map(windows_utils.PipeHandle,
                                          windows_utils.pipe(overlapped=(True, False)))
        with target:
            _winapi.SetNamedPipeHandleState(target.handle, _PIPE_NOWAIT, None, None)
            self._wakeup_file = msvcrt.open_osfhandle(target.handle, 0)
            target._handle = None       # the descriptor's now
        try:
            self._wakeup = _Wakeup(self, self._wakeup_source.handle)
        except (OSError, MemoryError):
            pass                        # without it Ctrl-C alone ends the loop's wait

    def _ignore_signals(self):
        if self._listening:
            self._listening = False
            others = signal.set_wakeup_fd(-1)
            if others not in (-1, self._wakeup_file):       # set meanwhile
                signal.set_wakeup_fd(others)

    def _close_signals(self):
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        if self._wakeup_source is not None:
            self._wakeup_source.close()
            self._wakeup_source = None
        if self._wakeup_file >= 0:
            os.close(self._wakeup_file)
            self._wakeup_file = -1


def _check(sig):
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def _is_socket(number):
    """Whether Winsock takes this number for a socket. `signal.set_wakeup_fd` asks the same, and would send to
    it."""
    try:
        _socket.socket(fileno=number).detach()
    except OSError:
        return False
    return True
