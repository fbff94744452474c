"""An event loop in the main loop of Tk: both in one thread, and neither polls the other.

Tk's main loop waits for Tcl's events, and a thread of this module waits at the loop's port meanwhile. When
something has come, or a timer is due, the thread has Tcl make one pass of the loop, and waits again.
Callbacks of the loop and of Tk run in the thread of Tk, which is the loop's.
"""

import asyncio
import threading
import tkinter

_DONT_WAIT = 2          # TCL_DONT_WAIT (tcl.h): dooneevent returns when there is no event


class Hosted:
    """Takes the place of `loop._run_once`, until the window is gone."""

    def __init__(self, loop, widget):
        self._loop, self._widget, self._tk = loop, widget, widget.tk
        self._passing = self._over = False
        self._timeout = 0               # seconds until the next pass is due; None: no timer
        self._call_soon, self._call_at = loop._call_soon, loop.call_at
        loop._run_once, loop._call_soon, loop.call_at = self.run, self.call_soon, self.call_at

    # What a callback of Tk asks of the loop has to end the wait of the thread.

    def call_soon(self, callback, args, context):
        handle = self._call_soon(callback, args, context)
        if not self._passing:
            self._loop._wake()
        return handle

    def call_at(self, when, callback, *args, context=None):
        handle = self._call_at(when, callback, *args, context=context)
        if not self._passing:
            self._loop._wake()
        return handle

    def run(self):
        """Run Tk's main loop until the event loop stops. When the window is gone, the loop goes on without
        it."""
        self._over, self._timeout = False, 0
        command = self._widget.register(self._pass)
        waiting = threading.Thread(target=self._wait, args=(command,), name="iocpsock loop", daemon=True)
        self._loop._set_hosted(True)
        waiting.start()
        try:
            self._widget.mainloop()
        finally:
            self._over = True
            self._loop._wake()
            while waiting.is_alive():   # its last call to Tcl is an event of this thread
                self._tk.dooneevent(_DONT_WAIT)
                waiting.join(0.01)
            self._loop._set_hosted(False)
        if not self._loop._stopping:
            del self._loop._run_once, self._loop._call_soon, self._loop.call_at
        else:
            self._widget.deletecommand(command)

    def _wait(self, command):
        while not self._over:
            self._loop._wait(self._timeout)
            try:
                if not self._over:
                    self._tk.call(command)
            except tkinter.TclError:    # the window is gone, or the pass has raised: the main loop ends
                return
            except RuntimeError:        # the main loop does not run, says tkinter after a second: ask again
                pass

    def _pass(self):
        if self._over:
            return
        self._passing = True
        try:
            self._timeout = self._loop._pass()
        finally:
            self._passing = False
        if self._loop._stopping:
            self._widget.quit()


def run(main, widget, new_loop, debug):
    """Run a coroutine on a new loop in the main loop of `widget`, a Tk, and return its result."""
    if not isinstance(widget, tkinter.Misc):
        raise TypeError(f"tk must be a tkinter.Tk or another widget, not {type(widget).__name__}")

    def factory():
        loop = new_loop()
        Hosted(loop, widget)
        return loop

    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(main)
