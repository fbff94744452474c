"""Child processes: quiet tools, and programs whose output is passed on while they run.

A followed child gets pipes, never our own files: under Wine a Python whose stdout is a plain file dies at
start. It leads a session of its own, so that it and its descendants can be ended together. The caller's
thread passes on the output. One thread each reads a pipe, waits for the end, and feeds stdin; it lives as
long as the pipe.
"""

import concurrent.futures
import contextlib
import os
import queue
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

from tools.base.report import Problem

# After the child has ended, its own children may still hold the pipes: wait this long for more output.
LAST_WORD = 0.5
# Files that one of our programs may have open: ten thousand sockets, at both ends, and a Wine server that
# holds them too.
OPEN_FILES = 65536

_children = set()
_stopping = threading.Event()


class Hung(Problem):
    """The child was killed because it ran too long, or printed nothing for too long."""


def raise_file_limit():
    """Let this process, and what it starts from now on, open OPEN_FILES files, or as many as the system
    allows."""
    import resource         # not on Windows, which has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Piped(subprocess.Popen):
    """A child whose three standard files are pipes of ours."""
    stdin: IO
    stdout: IO
    stderr: IO

    def __init__(self, argv, env, text=False):
        super().__init__(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=text)


class Lines:
    """Splits the output of a followed child into lines, and passes each complete one to `line`."""

    def __init__(self):
        self.rest = {1: b"", 2: b""}

    def take(self, stream, data):
        *lines, self.rest[stream] = (self.rest[stream] + data).split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace").rstrip("\r"))

    def line(self, line):
        raise NotImplementedError


def check(argv, what, **options):
    """Run a tool to its end; its output is shown only when it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    except FileNotFoundError as missing:
        raise Problem(f"{what}: {missing.filename} is not installed") from missing
    if done.returncode:
        raise Problem(f"{what} failed: {' '.join(map(str, argv))}\nexit status {done.returncode}; its last "
                      "words:\n"
                      + "\n".join(done.stdout.splitlines()[-100:]))
    return done.stdout


def recorded(argv, env, timeout=None):
    """Run a tclsh to its end. Return its exit status, its stdout and its stderr as a CompletedProcess does.

    Its output goes to files. Tcl writes to a pipe from a thread of its own. Under Wine such a thread, which
    ends while its process does, may crash (12 of 2543 ends; with files none of 1794), and the process's exit
    status may become that thread's. A Python needs pipes: see above.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                              timeout=timeout)
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode(errors="replace").replace("\r\n", "\n"))
        return subprocess.CompletedProcess(argv, done.returncode, *said)


def follow(argv, env, on_output, *, cwd=None, stdin=subprocess.DEVNULL, timeout=None, silence=None,
           started=None):
    """Run `argv`, hand each piece of its output to on_output(1 or 2, bytes), and return its exit status.

    `started` is called with the child's process id before any output is handed on.

    `timeout` bounds the whole run and `silence` the time between two pieces of output, in seconds. When one
    of them has passed, the child and its session are killed, and Hung is raised.
    """
    if _stopping.is_set():
        raise KeyboardInterrupt
    child = subprocess.Popen(argv, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
    _children.add(child)
    try:
        if started:
            started(child.pid)
        if stdin == subprocess.PIPE:
            threading.Thread(target=_feed, args=(child.stdin,), daemon=True).start()
        _pump(child, on_output, timeout, silence)
        return child.wait()
    finally:
        _kill(child)
        _children.discard(child)
        child.wait()


def side_by_side(function, items, waiting=0):
    """Return the results of function(item) for each item. As many run at a time as there are CPUs, at most
    two, and `waiting` more.

    When one of them raises, or we are interrupted, the children of the others are killed before the exception
    propagates.
    """
    pool = concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1) + waiting)
    try:
        running = [pool.submit(function, item) for item in items]
        for done in concurrent.futures.as_completed(running):
            done.result()
        return [done.result() for done in running]
    except BaseException:
        stop_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def stop_all():
    """Kill every followed child, on whichever thread it is followed, and let no more start."""
    _stopping.set()
    for child in list(_children):
        _kill(child)


def _kill(child):
    if os.name == "nt":
        child.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def pass_through(argv, env, cwd=None):
    """Run `argv` as if it were this process: with our standard input, its output and its exit status."""
    return follow(argv, env, _echo, cwd=cwd, stdin=_standard_input())


def _pump(child, on_output, timeout, silence):
    """Pass on the child's output until the child has ended and its pipes are closed, or silent for LAST_WORD
    seconds."""
    events: queue.Queue = queue.Queue(64)    # a child does not get far ahead of a slow reader of its output
    for stream, pipe in ((1, child.stdout), (2, child.stderr)):
        threading.Thread(target=_read, args=(pipe, stream, events), daemon=True).start()
    threading.Thread(target=lambda: events.put((None, child.wait())), daemon=True).start()
    started = heard = time.monotonic()
    running, streams = True, 2
    while running or streams:
        try:
            stream, data = events.get(timeout=_patience(started, heard, timeout, silence) if running
                                      else LAST_WORD)
        except queue.Empty:
            if not running:
                return
            late = silence and time.monotonic() - heard >= silence
            raise Hung(f"no output for {silence:.0f} s" if late
                       else f"not finished after {timeout:.0f} s") from None
        if stream is None:
            running = False
        elif data:
            heard = time.monotonic()
            on_output(stream, data)
        else:
            streams -= 1


def _read(pipe, stream, events):
    """The thread that reads a pipe. Only this closes the pipe: a grandchild may keep it open for longer than
    we run."""
    with pipe:
        while data := os.read(pipe.fileno(), 65536):
            events.put((stream, data))
    events.put((stream, b""))


def _patience(started, heard, timeout, silence):
    """Seconds until the first of the two limits; None when there is none."""
    ends = [start + limit for start, limit in ((started, timeout), (heard, silence)) if limit]
    return max(0, min(ends) - time.monotonic()) if ends else None


def _echo(fd, data):
    while data:
        data = data[os.write(fd, data):]


def _standard_input():
    """Return the child's stdin: ours where a Wine program can use it directly, otherwise a pipe that we
    feed."""
    if sys.stdin is None:
        return subprocess.DEVNULL
    ours = sys.stdin.fileno()
    kind = os.fstat(ours).st_mode
    if stat.S_ISFIFO(kind) or (stat.S_ISCHR(kind) and not os.isatty(ours)):
        return ours
    return subprocess.PIPE


def _feed(pipe):
    with contextlib.suppress(BrokenPipeError), pipe:
        while data := os.read(sys.stdin.fileno(), 65536):
            pipe.write(data)
            pipe.flush()
