"""The main job, measured: the Tcl script library served by httpd.tcl under Windows Tcl, fetched by fetch.py
under Windows Python.

    python3 dev.py demo                (which calls this with the interpreters set up and the package built)

The tree is fetched with iocpsock on both sides, socket2 in the server and iocpsock.socket in the client, and
then with the stock sockets on both sides; so several times in turn, so that a machine that is busy for a
while slows down both. Every body's length and SHA-256 is compared with the file on disk. One table is
printed; the exit status is 1 if anything is missing or differs.

The clock runs in the client, from before its first connect to after its last byte: neither program's start
counts.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
TCL, PYTHON = "8.6", "3.13"
CONNECTIONS = 8
ROUNDS = 3
# seconds until the server has said where it listens; the first start of a day can be slow
START_TIMEOUT = 60
FETCH_TIMEOUT = 120     # seconds for fetching the tree once

# What a kind of sockets is called by each of the two programs.
SERVER_COMMANDS = {"iocpsock": "socket2", "stock": "socket"}


class DemoError(Exception):
    """The job could not be done; the message says what stopped it."""


def start(command):
    """Start a Windows program with pipes, which is what it needs under Wine; its complaints are passed on."""
    process = subprocess.Popen(command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    threading.Thread(target=shutil.copyfileobj, args=(process.stderr, sys.stderr), daemon=True).start()
    return process


def read_tree(root):
    """The length and SHA-256 of each file below root, by its URL path."""
    tree = {}
    for path in sorted(pathlib.Path(root).rglob("*")):
        if path.is_file():
            body = path.read_bytes()
            url = "/" + urllib.parse.quote(path.relative_to(root).as_posix())
            tree[url] = (len(body), hashlib.sha256(body).hexdigest())
    return tree


@contextlib.contextmanager
def killed_after(process, seconds):
    """Kill the process if the block takes longer, which ends the block's reading of its output."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def running_server(windows, sockets, root):
    """httpd.tcl, as the port it listens on, killed at the end: a server has no end of its own."""
    server = start(windows.tclsh(TCL, windows.path(HERE / "httpd.tcl"), "-socket", SERVER_COMMANDS[sockets],
                                 "-port", 0, windows.path(root)))
    try:
        with killed_after(server, START_TIMEOUT):
            line = server.stdout.readline().split()
        if line[:1] != ["listening"]:
            raise DemoError(f"the server on {sockets} sockets did not start")
        yield line[2]
        if server.poll() is not None:
            raise DemoError(f"the server on {sockets} sockets ended by itself, with exit status "
                            f"{server.returncode}")
    finally:
        server.kill()
        server.wait()


def run_client(windows, sockets, port, paths):
    """What fetch.py reports."""
    client = start(windows.python(PYTHON, windows.path(HERE / "fetch.py"), "--sockets", sockets,
                                  "--connections", CONNECTIONS, "127.0.0.1", port, "-"))
    with killed_after(client, FETCH_TIMEOUT):
        client.stdin.write("\n".join(paths))
        client.stdin.close()
        output = client.stdout.read()
        client.wait()
    try:
        return json.loads(output)
    except ValueError:
        raise DemoError(f"the client on {sockets} sockets ended with exit status {client.returncode} and no "
                        "result") from None


def differences(tree, report):
    """Every way in which what was fetched is not what is on disk."""
    faults = list(report["errors"])
    for path, expected in tree.items():
        fetched = report["files"].get(path)
        if fetched is None:
            faults.append(f"{path}: not fetched")
        elif tuple(fetched) != expected:
            faults.append(f"{path}: fetched {fetched}, on disk {list(expected)}")
    if report["requests"] != len(tree):
        faults.append(f"{report['requests']} requests were answered, not {len(tree)}")
    return faults


class Total:
    """What all rounds with one kind of sockets come to."""

    def __init__(self):
        self.files = set()
        self.requests = self.bytes = self.seconds = 0

    def add(self, report):
        self.files |= report["files"].keys()
        self.requests += report["requests"]
        self.bytes += report["bytes"]
        self.seconds += report["seconds"]

    def speed(self):
        return self.requests / self.seconds


def table(totals):
    """One line for each kind of sockets; the ratio is the speed relative to the stock ones."""
    lines = ["sockets      files   requests        bytes    seconds   requests/s   ratio"]
    for sockets, total in totals.items():
        lines.append(f"{sockets:10} {len(total.files):7} {total.requests:10} {total.bytes:12} "
                     f"{total.seconds:10.2f} {total.speed():12.0f} "
                     f"{total.speed() / totals['stock'].speed():7.2f}")
    return "\n".join(lines)


def demo(windows, root):
    """Do the job with both kinds of sockets, print the table, return the faults."""
    tree = read_tree(root)
    totals, faults = {sockets: Total() for sockets in SERVER_COMMANDS}, []
    print(f"fetching {len(tree)} files {ROUNDS} times over {CONNECTIONS} connections", flush=True)
    with contextlib.ExitStack() as servers:
        ports = {sockets: servers.enter_context(running_server(windows, sockets, root)) for sockets in totals}
        for _ in range(ROUNDS):
            for sockets, total in totals.items():
                report = run_client(windows, sockets, ports[sockets], tree)
                total.add(report)
                faults += [f"{sockets}: {fault}" for fault in differences(tree, report)]
    print(table(totals))
    return faults


def script_library(windows):
    """The folder of Tcl's script library, as this machine names it."""
    if os.name == "nt":
        shell = windows.tclsh(TCL)
        return subprocess.run(shell.argv, env=shell.env, input="puts [info library]", capture_output=True,
                              text=True, check=True).stdout.strip()
    from tools.environments import tcl
    return tcl.shell(TCL).library


def main():
    sys.path.insert(0, str(HERE.parent))
    from tools.environments import run
    try:
        with run.session() as windows:
            faults = demo(windows, script_library(windows))
    except DemoError as error:
        sys.exit(f"demo: {error}")
    if faults:
        sys.exit("\n".join([f"demo: {len(faults)} faults", *faults]))
    print("every body equals the file on disk, in length and SHA-256")


if __name__ == "__main__":
    main()
