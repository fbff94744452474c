"""One run of one sequence with one implementation: `trace` has what each step came to.

Each step is a line of Python, `expression` or `names := expression`, executed in a namespace with the
`socket` module and the helpers. For iocpsock that is the real `socket` module under `iocpsock.patched()`,
so what the library does with the class is tried too. What a step gave or raised is made comparable: ports
by the order in which they appear, no handles, no addresses in memory, our classes under the names of the
stock ones. A sequence runs on a thread, and one that stands still for so long as `patience` says gets the
outcome BLOCKED and ends there; its sockets are closed to set the thread free.
"""

import array
import copy
import ctypes
import gc
import io
import mmap
import os
import pickle
import re
import select
import socket
import ssl
import struct
import threading
import time
import weakref

import helpers
import iocpsock
from helpers import try_

PATIENCE = 5
FILE_PATIENCE = 40      # in a step that reads a file, byte by byte if it has no buffer
LONG_PATIENCE = 150
LONG = "exits(", "pressure(", "together(", "a, b := tls("       # steps that start a thread or a process
STOCK = socket.socket


class Run:
    """One implementation, one sequence: `trace` has what each step came to."""

    def __init__(self, ours, liar=None):
        self.ours, self.liar = ours, liar
        self.trace = []
        self.ports = {}
        modules = array, copy, ctypes, gc, io, mmap, os, pickle, select, socket, ssl, struct, time, weakref
        self.space = {module.__name__: module for module in modules}
        self.space |= {
            name: value
            for name, value in vars(helpers).items()
            if getattr(value, "__module__", "") == "helpers"
        }

    def plain(self, value, depth=0):
        if isinstance(value, BaseException):
            return self.error(value)
        if isinstance(value, socket.socket) or isinstance(value, STOCK):
            return "<" + self.kind(type(value)) + ">"
        if isinstance(value, type):
            return self.kind(value)
        if (
            isinstance(value, tuple)
            and len(value) in (2, 4)
            and isinstance(value[0], str)
            and isinstance(value[1], int)
        ):
            return (value[0], self.port(value[1]), *value[2:])
        if isinstance(value, (tuple, list)) and depth < 5:
            return type(value)(self.plain(item, depth + 1) for item in value)
        if isinstance(value, dict) and depth < 5:
            return {key: self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, bytes):
            return value if len(value) < 100 else f"{len(value)} bytes, {hash(value)}"
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (int, float)):
            return repr(value)
        return self.text(type(value).__name__)

    def port(self, port):
        return port if port < 1024 else self.ports.setdefault(port, f"port{len(self.ports)}")

    @staticmethod
    def kind(cls):
        """The name of the class; a stock socket where ours is expected shows."""
        if cls is STOCK:
            return "socket.socket" if socket.socket is STOCK else "STOCK socket.socket"
        if cls is ssl.SSLSocket and ssl.SSLContext.sslsocket_class is not ssl.SSLSocket:
            return "STOCK ssl.SSLSocket"
        name = f"{cls.__module__}.{cls.__qualname__}"
        return {"iocpsock.socket": "socket.socket", "iocpsock.SSLSocket": "ssl.SSLSocket"}.get(name, name)

    def text(self, text):
        text = text.replace("iocpsock.socket", "socket.socket").replace("iocpsock.SSLSocket", "ssl.SSLSocket")
        text = re.sub(r"fd=\d+", "fd=N", re.sub(r"0x[0-9a-fA-F]+", "0xN", text))
        text = re.sub(r"\(_ssl\.c:\d+\)", "(_ssl.c:N)", text)
        unknown = "port?" if "<socket." in text or "<ssl." in text else None
        return re.sub(r"\b\d{4,5}\b", lambda m: str(self.ports.get(int(m[0]), unknown or m[0])), text)

    def error(self, error):
        codes = tuple(getattr(error, name, None) for name in ("errno", "winerror", "reason", "library"))
        return ("raised", self.kind(type(error)), codes, self.text(str(error)))

    def step(self, line):
        names, _, expression = line.rpartition(" := ")
        try:
            value = eval(expression, self.space)
            if names:
                targets = [name.strip() for name in names.split(",")]
                if len(targets) == 1:
                    self.space[targets[0]] = value
                else:
                    for target, item in zip(targets, value, strict=True):
                        self.space[target] = item
            if names == "h" and isinstance(value, int):
                value = value >= 0
            return self.plain(value)
        except Exception as error:
            return self.error(error)

    def run(self, steps):
        done = threading.Event()

        def work():
            socket.setdefaulttimeout(None)
            for line in steps:
                outcome = self.step(line)
                if self.blocked:
                    return
                self.trace.append(outcome)
            done.set()

        self.blocked = False
        thread = threading.Thread(target=work, daemon=True)
        if self.ours:
            iocpsock.patch()
            if self.liar:
                socket.socket = self.liar
        try:
            thread.start()
            seen, since = 0, time.monotonic()
            while not done.wait(0.05 if len(self.trace) > seen else 0.02):
                if len(self.trace) > seen:
                    seen, since = len(self.trace), time.monotonic()
                elif time.monotonic() - since > self.patience(steps) or not thread.is_alive():
                    self.blocked = True
                    self.trace.append("BLOCKED")
                    break
            socket.setdefaulttimeout(None)
            self.clean(thread)
        finally:
            if self.ours:
                if self.liar:
                    socket.socket = iocpsock.socket
                iocpsock.unpatch()
        return self.trace

    def patience(self, steps):
        step = steps[min(len(self.trace), len(steps) - 1)]
        if step.startswith("f."):
            return FILE_PATIENCE
        return LONG_PATIENCE if step.startswith(LONG) else PATIENCE

    def clean(self, thread):
        """Close everything; peers of whatever still waits first."""
        owned = [value for value in self.space.values() if isinstance(value, STOCK)]
        handle = self.space.get("h")
        if isinstance(handle, int) and handle >= 0 and handle not in [try_(STOCK.fileno, s) for s in owned]:
            try_(socket.close, handle)
        for sock in owned:
            if self.blocked:
                try_(sock.shutdown, socket.SHUT_RDWR)
            try_(lambda: sock._real_close())
        for value in list(self.space.values()):
            if isinstance(value, (io.IOBase, mmap.mmap)):
                try_(value.close)
        if self.blocked:
            thread.join(1)
            if thread.is_alive():
                Run.abandoned += 1

    abandoned = 0
