"""An echo server on blocking iocpsock sockets, in a Windows Python, for the scenarios that echo.tcl serves
too.

It prints its port, then answers each line on stdin with one on stdout. `open N` accepts until N connections
are open; `talk PORT SIZE...` sends back what the peer with that port says, in so many bytes each time; `shut`
closes all of them, `end` the listener; `stats`, `end` and `pid` tell. Everything runs on the main thread.
"""

import json
import os
import sys

import iocpsock

TIMEOUT = 60            # seconds for one call


def accept(listener, peers, count):
    while len(peers) < count:
        sock, address = listener.accept()
        sock.settimeout(TIMEOUT)
        peers[address[1]] = sock
    return len(peers)


def talk(sock, sizes):
    for size in sizes:
        while size:
            data = sock.recv(min(size, 65536))
            if not data:
                raise EOFError("the peer hung up")
            sock.sendall(data)
            size -= len(data)


def serve(listener, peers, command, *numbers):
    numbers = [int(number) for number in numbers]
    if command == "open":
        return accept(listener, peers, *numbers)
    if command == "talk":
        return talk(peers[numbers[0]], numbers[1:])
    if command == "shut":
        while peers:
            peers.popitem()[1].close()
        return None
    if command == "end":
        listener.close()
        return iocpsock.stats()
    return {"stats": iocpsock.stats, "pid": os.getpid}[command]()


def main():
    peers = {}
    with iocpsock.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.settimeout(TIMEOUT)
        print(listener.getsockname()[1], flush=True)
        for line in sys.stdin:
            print(json.dumps(serve(listener, peers, *line.split())), flush=True)


main()
