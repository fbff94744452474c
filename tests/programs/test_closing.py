"""A native peer that reads slowly, but all the time, what a process has written before it closed its end."""

import contextlib
import socket
import time

from tools.load import servers

STALL = 2               # seconds of -closetimeout
SIZE = 4_000_000        # more than the systems hold between the two
PIECE = 4096            # received in one go, so many times a second
RATE = 50


def test_a_peer_that_reads_is_not_reset(windows, request):
    """Its pauses are short; but the system's buffer empties slowly, and no send may end for longer than
    -closetimeout."""
    with servers.ended(servers.TclServer(windows, request.config.getoption("--tcl"))) as server:
        server.eval("""
            iocpsock::configure -closetimeout $stall -sendlimit 16777216
            set talker [socket -server {apply {{channel args} {
                chan configure $channel -blocking 0 -translation binary -buffersize 1000000
                puts -nonewline $channel [string repeat x $::size]
                close $channel
            }}} -myaddr 127.0.0.1 0]
            set size $amount
        """, stall=STALL, amount=SIZE)
        port = int(server.eval("port_of $talker"))
        with contextlib.closing(socket.socket()) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            peer.connect(("127.0.0.1", port))
            received, began = 0, time.monotonic()
            while data := peer.recv(PIECE):
                received += len(data)
                time.sleep(max(0, began + received / PIECE / RATE - time.monotonic()))
        server.eval("close $talker")
    assert received == SIZE
