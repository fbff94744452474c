"""What steps may call beside the sockets themselves: buffers, files, looks at a socket, threads, TLS."""

import gc
import io
import mmap
import os
import pathlib
import queue
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import iocpsock

PEM = pathlib.Path(__file__).parents[2] / "python" / "localhost.pem"
FOLDER = tempfile.mkdtemp(prefix="iocpsock-fuzz")
WAIT = 60       # seconds for a thread or a process that a step has started: on a busy machine too
STANDS = 5      # seconds after which a call that nothing ends is taken to stand still
HANDED = 100    # seconds of a thread's turn with the GIL: it gives it away in its call, and not before


def make_file(size, mode="rb", name="file"):
    path = os.path.join(FOLDER, f"{name}{size}")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.write(letters(size))
    return open(path, mode)


def letters(size):
    return (
        bytes(97 + i % 26 for i in range(size))
        if size < 2000
        else (bytes(range(97, 123)) * (size // 26 + 1))[:size]
    )


def into(call, buffer, *arguments):
    """What a call that fills a buffer returns, and the buffer."""
    result = call(buffer, *arguments)
    return result, bytes(memoryview(buffer).cast("B") if not isinstance(buffer, mmap.mmap) else buffer[:])


def filled(call, buffer, *arguments):
    """The same if it may fail: what it did to the buffer."""
    try:
        result = call(buffer, *arguments)
    except Exception as error:
        result = error
    return result, bytes(buffer)


def mapped(size):
    return mmap.mmap(-1, size)


def inside(thing, call):
    with thing as entered:
        return entered is thing, call()


def try_(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return error


def ready(*socks):
    """What select says, at once: for each (readable, writable, exceptional)."""
    found = [try_(select.select, [s], [s], [s], 0) for s in socks]
    return [tuple(map(len, f)) if isinstance(f, tuple) else f for f in found]


def arrived(sock):
    return bool(select.select([sock], [], [], 0.3)[0])


def state(sock):
    """Everything there is to see of a socket without changing it."""
    result = {}
    for name, look in {
        "timeout": lambda: sock.gettimeout(),
        "blocking": lambda: sock.getblocking(),
        "attribute": lambda: sock.timeout,
        "kind": lambda: (sock.family, sock.type, sock.proto),
        "name": lambda: sock.getsockname(),
        "peer": lambda: sock.getpeername(),
        "error": lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
        "listens": lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
        "inheritable": lambda: sock.get_inheritable(),
        "open": lambda: sock.fileno() >= 0,
        "closed": lambda: sock._closed,
        "refs": lambda: sock._io_refs,
        "select": lambda: ready(sock),
        "repr": lambda: repr(sock),
    }.items():
        result[name] = try_(look)
    return result


def settled():
    """What of the engine's objects is left when it has had time to end: the counters that are not zero."""
    end = time.monotonic() + WAIT
    while True:
        gc.collect()
        left = {name: count for name, count in iocpsock.stats().items() if name.endswith("_live") and count}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


_contexts = {}


def contexts(version):
    if version not in _contexts:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(PEM)
        client = ssl.create_default_context(cafile=PEM)
        for each in (server, client):
            each.minimum_version = each.maximum_version = version
        _contexts[version] = server, client
    return _contexts[version]


def tls(client, server, version=ssl.TLSVersion.TLSv1_3, **options):
    """Wrap both ends of a connection: (client, server), or what went wrong on either."""
    contexts_of = contexts(version)
    answers = queue.Queue()

    def serve():
        answers.put(try_(lambda: contexts_of[0].wrap_socket(server, server_side=True, **options)))

    threading.Thread(target=serve, daemon=True).start()
    near = try_(lambda: contexts_of[1].wrap_socket(client, server_hostname="localhost", **options))
    return near, answers.get(timeout=WAIT)


def started(call):
    """Run the call on a thread: the queue gets what it gave or raised."""
    answers = queue.Queue()
    threading.Thread(target=lambda: answers.put(try_(call)), daemon=True).start()
    return answers


def begun(call):
    """The same, and the call has begun: the thread has the GIL until its call gives it away."""
    answers, begins = queue.Queue(), threading.Lock()
    begins.acquire()

    def run():
        begins.release()
        answers.put(try_(call))

    turn = sys.getswitchinterval()
    sys.setswitchinterval(HANDED)
    try:
        threading.Thread(target=run, daemon=True).start()
        begins.acquire()
    finally:
        sys.setswitchinterval(turn)
    return answers


def pressure(source, target, size, piece, how):
    """Send so much on a thread, read it here in pieces: whether it is the same, and what the sender heard."""
    data = os.urandom(size)
    before = source.gettimeout(), target.gettimeout()
    source.settimeout(None)
    target.settimeout(STANDS)

    def send():
        if how == "sendfile":
            return source.sendfile(io.BytesIO(data))
        if how == "sendall":
            return source.sendall(data)
        done = 0
        while done < size:
            done += source.send(data[done : done + 300_000])
        return done

    readable = ready(target)[0]
    early = len(target.recv(1 << 20)) if readable != (0, 1, 0) and readable[0] else 0
    sent, got, more = started(send), bytearray(), True
    try:
        while len(got) < size and more:
            try:
                more = target.recv(min(piece, size - len(got)))
                got += more
            except TimeoutError:
                more = sent.empty()     # nothing comes any more from who has failed
    except OSError as error:
        try_(target.close)      # so that the send ends; how it does hangs on the moment
        sent.get(timeout=WAIT)
        return error
    outcome = sent.get(timeout=WAIT)
    source.settimeout(before[0])
    target.settimeout(before[1])
    return bytes(got) == data or early, outcome


def has_to_wait(sock):
    """Read everything that is there: whether the next read waits, and tells of no end and no error."""
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            pass
        return False
    except BlockingIOError:
        return True


def together(sock, waits, then, release):
    """A call on `sock` that has to wait, on a thread, and what is done meanwhile: what both came to.

    With `then` the call ends, at once or when `release` is done. Nothing here hangs on the moment: the call
    waits for certain, without a time-out, because all that was there has been read; else it ends by itself.
    """
    before = sock.gettimeout()
    try:
        waiting = has_to_wait(sock)
        sock.settimeout(None)
        answers = begun(waits)
        if not waiting:
            return "", answers.get(timeout=WAIT), try_(then)
        other = try_(then)
        for how in "", "released":
            try:
                return how, answers.get(timeout=STANDS), other
            except queue.Empty:
                try_(release)
        return "stands still", other
    finally:
        try_(sock.settimeout, before)


def sendfile(sock, file, *arguments):
    """What `sendfile` returns, and where the file stands, unless a send failed: then behind what was read."""
    try:
        sent = sock.sendfile(file, *arguments)
    except OSError as error:
        return error
    except Exception as error:
        sent = error
    return sent, try_(file.tell), try_(file.read, 7)


PROGRAM = """
import os, socket, sys
if {ours}:
    import iocpsock
    iocpsock.patch()
s = socket.create_connection(("127.0.0.1", {port}))
{call}
{end}
"""


def exits(call, end):
    """Run a process that connects to here, calls, and ends so: what arrives, how, and its exit status."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        ours = socket.socket.__module__ == "iocpsock"
        program = PROGRAM.format(ours=ours, port=server.getsockname()[1], call=call, end=end)
        argv = [sys.executable, "-P", "-c", program]
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                sock = server.accept()[0]
                break
            except TimeoutError:
                if child.poll() is not None:
                    return "never connected", child.wait()
        with sock:
            sock.settimeout(WAIT)
            got, ending = bytearray(), "the end"
            try:
                while more := sock.recv(65536):
                    got += more
            except OSError as error:
                ending = error
        return bytes(got), ending, child.wait(WAIT)
