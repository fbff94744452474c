"""An echo server on blocking iocpsock sockets, in a Windows Python, one thread for each connection.

It prints its port, then answers each `stats` on stdin with a line on stdout, and `end`, when it has ended to
accept. A peer that resets, or goes away in the middle, ends its own thread and nothing else; anything else
that fails is told on stderr. Main thread: stdin; one thread accepts.
"""

import json
import sys
import threading

import iocpsock


def echo(sock):
    with sock:
        try:
            while data := sock.recv(65536):
                sock.sendall(data)
        except ConnectionError:
            pass                            # the peer has reset: that is what its scenario wants


def serve(listener):
    while True:
        try:
            sock = listener.accept()[0]
        except ConnectionError:
            continue                        # the peer has reset before it was accepted
        except OSError:
            if listener.fileno() < 0:
                return                      # closed, for the end
            raise
        threading.Thread(target=echo, args=(sock,), daemon=True).start()


with iocpsock.create_server(("127.0.0.1", 0), backlog=1024) as listener:
    accepting = threading.Thread(target=serve, args=(listener,), daemon=True)
    accepting.start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            listener.close()
            accepting.join()
        print(json.dumps(iocpsock.stats()), flush=True)
