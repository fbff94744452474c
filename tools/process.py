"""Child processes: quiet tools, and programs whose output is passed on while they run.

A followed child gets pipes, never our own files: under Wine a program whose stdout is a plain file dies at start.
It leads a session of its own, so that it and whatever it started can be ended together. The loop runs on the
caller's thread; only the feeding of stdin, when there is one, has a thread of its own.
"""

import concurrent.futures
import contextlib
import os
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time

from tools.report import Problem

# After the child has ended its own children may still hold the pipes: wait this long for a last word.
LAST_WORD = 0.5


_children = set()
_stopping = threading.Event()


class Hung(Problem):
    """The child was ended because it took too long, or was silent for too long."""


def check(argv, what, **options):
    """Run a tool to its end; its output is shown only when it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", **options)
    except FileNotFoundError as missing:
        raise Problem(f"{what}: {missing.filename} is not installed") from missing
    if done.returncode:
        raise Problem(f"{what} failed: {' '.join(map(str, argv))}\nexit status {done.returncode}; its last words:\n"
                      + "\n".join(done.stdout.splitlines()[-100:]))
    return done.stdout


def follow(argv, env, on_output, *, cwd=None, stdin=subprocess.DEVNULL, timeout=None, silence=None):
    """Run `argv`, hand each piece of its output to on_output(1 or 2, bytes), and return its exit status.

    `timeout` bounds the whole run and `silence` the time between two pieces of output, in seconds; past either the
    child and its session are killed and Hung is raised.
    """
    if _stopping.is_set():
        raise KeyboardInterrupt
    child = subprocess.Popen(argv, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
    _children.add(child)
    try:
        if stdin == subprocess.PIPE:
            threading.Thread(target=_feed, args=(child.stdin,), daemon=True).start()
        _pump(child, on_output, timeout, silence)
        return child.wait()
    finally:
        _kill(child)
        _children.discard(child)
        child.wait()
        child.stdout.close()
        child.stderr.close()


def side_by_side(function, items):
    """The results of function(item) for each item, as many at a time as there are CPUs, up to two.

    When one of them raises, or we are interrupted, the children of the others are ended before the exception goes on.
    """
    pool = concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count()))
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
    """End every followed child, on whichever thread it is followed, and let none start any more."""
    _stopping.set()
    for child in list(_children):
        _kill(child)


def _kill(child):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def pass_through(argv, env, cwd=None):
    """Run `argv` as if it were this process: its output and exit status, our standard input."""
    return follow(argv, env, _echo, cwd=cwd, stdin=_standard_input())


def _pump(child, on_output, timeout, silence):
    started = heard = time.monotonic()
    ended = os.pidfd_open(child.pid)
    with contextlib.closing(selectors.DefaultSelector()) as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ, 1)
        waiting.register(child.stderr, selectors.EVENT_READ, 2)
        waiting.register(ended, selectors.EVENT_READ, None)
        try:
            running = True
            while waiting.get_map():
                limits = [LAST_WORD] if not running else _limits(started, heard, timeout, silence)
                ready = waiting.select(min(limits, default=None))
                if not ready and not running:
                    return
                for key, _ in ready:
                    if key.data is None:
                        running = False
                        waiting.unregister(ended)
                    elif data := os.read(key.fd, 65536):
                        heard = time.monotonic()
                        on_output(key.data, data)
                    else:
                        waiting.unregister(key.fileobj)
                if running:
                    _refuse_to_wait(started, heard, timeout, silence)
        finally:
            os.close(ended)


def _limits(started, heard, timeout, silence):
    now = time.monotonic()
    ends = [started + timeout] if timeout else []
    ends += [heard + silence] if silence else []
    return [max(0, end - now) for end in ends]


def _refuse_to_wait(started, heard, timeout, silence):
    now = time.monotonic()
    if silence and now - heard >= silence:
        raise Hung(f"no output for {silence:.0f} s")
    if timeout and now - started >= timeout:
        raise Hung(f"not finished after {timeout:.0f} s")


def _echo(fd, data):
    while data:
        data = data[os.write(fd, data):]


def _standard_input():
    """What the child's stdin shall be: ours where a Wine program can use it as it is, else a pipe that we feed."""
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
