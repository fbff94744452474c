"""one_process.py: Tcl serves, a thread of Python is its client, and both use one engine."""

import threading
import tkinter

import iocpsock

SERVER = """
    proc accept {channel address port} {
        chan configure $channel -blocking 0 -translation binary
        chan event $channel readable [list echo $channel]
    }
    proc echo {channel} {
        chan puts -nonewline $channel [chan read $channel]
        if {[chan eof $channel]} {close $channel; set ::done 1} else {chan flush $channel}
    }
    lindex [chan configure [socket2 -server accept -myaddr 127.0.0.1 0] -sockname] 2
"""


def talk(port):
    with iocpsock.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"hello from Python")
        print("Tcl has echoed:", client.recv(100).decode())


tcl = tkinter.Tcl()
tcl.eval(f"lappend auto_path {{{iocpsock.__path__[0]}}}; package require iocpsock")
threading.Thread(target=talk, args=(int(tcl.eval(SERVER)),)).start()
tcl.eval("vwait done")
