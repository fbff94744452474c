"""Tcl and Python in one process, through tkinter: one DLL, loaded by both, with one engine.

The interpreter's event loop runs in the thread that made the interpreter. So that thread only services events
(`update`), while the waiting calls of the Python side run in threads of their own.
"""

import ctypes
import os
import pathlib
import socket
import sys
import time

import pytest

from support import DEADLINE, Net, pattern, read_exactly, spawn

try:
    import tkinter
except ModuleNotFoundError:
    if sys.version_info[:2] != (3, 12):     # all others are set up with it
        raise
    pytest.skip("no tkinter of 3.12 is to be had, and so no Tcl in its process", allow_module_level=True)

ECHO_SERVER = """
    proc accept {channel address port} {
        chan configure $channel -blocking 0 -translation binary
        chan event $channel readable [list echo $channel]
    }
    proc echo {channel} {
        puts -nonewline $channel [read $channel]
        if {[chan eof $channel]} {close $channel} else {flush $channel}
    }
    set listener [socket2 -server accept -myaddr 127.0.0.1 0]
    lindex [chan configure $listener -sockname] 2
"""
CLIENT = """
    proc receive {channel} {
        append ::received [read $channel]
        if {[chan eof $channel]} {
            close $channel
            set ::finished 1
        }
    }
    set received {}
    set finished 0
    set client [socket2 127.0.0.1 %d]
    chan configure $client -blocking 0 -translation binary
    chan event $client readable [list receive $client]
    puts -nonewline $client hello
    flush $client
"""


def test_the_number_of_threads_is_settled_once_the_engine_runs(tcl):
    import iocpsock
    tcl.eval("close [socket2 -server x -myaddr 127.0.0.1 0]")
    with pytest.raises(ValueError, match="^threads: can only be changed before"):
        iocpsock.configure(threads=iocpsock.configure()["threads"] + 1)
    iocpsock.configure(threads=iocpsock.configure()["threads"])


@pytest.fixture
def tcl(balance):
    """An interpreter with the package, from the folder from which Python has loaded the module."""
    import iocpsock
    interpreter = tkinter.Tcl()
    interpreter.call("lappend", "auto_path", pathlib.Path(iocpsock.__file__).parent.as_posix())
    interpreter.call("package", "require", "iocpsock")
    yield interpreter
    for channel in interpreter.splitlist(interpreter.eval("chan names sock*")):
        interpreter.call("close", channel)
    interpreter.eval("update")


def run_events_until(tcl, condition):
    """Service Tcl's events until the condition holds."""
    end = time.monotonic() + DEADLINE
    tcl.eval("proc tick {} {after 10 tick}; tick")      # so that waiting for an event returns now and then
    while not condition():
        assert time.monotonic() < end, "Tcl's side did not get done"
        tcl.tk.dooneevent()
    tcl.eval("after cancel tick")


def handle_of(tcl, channel):
    """The socket handle of a channel, from Tcl's own functions."""
    library = ctypes.CDLL("tcl86t.dll" if tkinter.TclVersion < 9 else "tcl90.dll")
    for name in ("Tcl_GetChannel", "Tcl_GetChannelHandle"):
        getattr(library, name).restype = ctypes.c_void_p
    handle = ctypes.c_void_p()
    found = library.Tcl_GetChannel(ctypes.c_void_p(tcl.interpaddr()), str(channel).encode(), None)
    library.Tcl_GetChannelHandle(ctypes.c_void_p(found), 2, ctypes.byref(handle))
    return handle.value


def no_delay(tcl, channel):
    """TCP_NODELAY as the system knows it."""
    flag, size = ctypes.c_int(), ctypes.c_int(ctypes.sizeof(ctypes.c_int))
    assert ctypes.windll.ws2_32.getsockopt(ctypes.c_void_p(handle_of(tcl, channel)), socket.IPPROTO_TCP,
                                           socket.TCP_NODELAY, ctypes.byref(flag), ctypes.byref(size)) == 0
    return flag.value


def test_there_is_no_nagle_unless_it_is_asked_for(tcl):
    """Tested for both ends of a connection, and of one whose server and client have asked for it."""
    tcl.eval("""
        proc take {channel args} {lappend ::accepted $channel}
        set server [socket2 -server take -myaddr 127.0.0.1 0]
        set port [lindex [chan configure $server -sockname] 2]
        set first [socket2 127.0.0.1 $port]
        vwait accepted
        chan configure $server -nodelay 0
        set second [socket2 -async 127.0.0.1 $port]
        chan configure $second -nodelay 0
        vwait accepted
        chan configure $second -blocking 1
        puts $second x
        flush $second
    """)
    ends = [tcl.getvar("first"), *tcl.splitlist(tcl.getvar("accepted")), tcl.getvar("second")]
    assert [no_delay(tcl, channel) for channel in ends] == [1, 1, 0, 0]
    tcl.call("chan", "configure", ends[0], "-nodelay", 0)
    assert no_delay(tcl, ends[0]) == 0


def test_the_module_is_loaded_once(tcl):
    import iocpsock
    loaded = [path for path, _ in map(tcl.splitlist, tcl.splitlist(tcl.eval("info loaded {}")))
              if "iocpsock" in path.lower()]
    folder = pathlib.Path(iocpsock.__file__).parent
    assert [os.path.samefile(path, folder / "iocpsock.dll") for path in loaded] == [True]


def test_python_talks_to_tcl(tcl):
    data = pattern(300_000)
    port = int(tcl.eval(ECHO_SERVER))

    def converse():
        with Net("iocpsock").create_connection(("127.0.0.1", port)) as client:
            sending = spawn(client.sendall, data)
            received = read_exactly(client, len(data))
            sending.result(DEADLINE)
            return received

    conversations = [spawn(converse) for _ in range(4)]
    run_events_until(tcl, lambda: all(conversation.done() for conversation in conversations))
    assert all(conversation.result() == data for conversation in conversations)


def test_tcl_talks_to_python(tcl):
    def serve(listener):
        with listener.accept()[0] as server:
            question = read_exactly(server, 5)
            server.sendall(question.upper())
        return question

    with Net("iocpsock").listener() as listener:
        serving = spawn(serve, listener)
        tcl.eval(CLIENT % listener.getsockname()[1])
        run_events_until(tcl, lambda: tcl.getvar("finished") == 1 or tcl.getvar("finished") == "1")
        assert serving.result(DEADLINE) == b"hello"
    assert tcl.eval("set received") == "HELLO"


def test_both_see_the_same_engine(tcl, engine_stats):
    def tcl_stats():
        items = tcl.splitlist(tcl.eval("iocpsock::stats"))
        return {name: int(count) for name, count in zip(items[::2], items[1::2])}

    quiet = engine_stats()
    assert tcl_stats() == quiet
    port = int(tcl.eval(ECHO_SERVER))
    with Net("iocpsock").create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"x")
        replying = spawn(client.recv, 1)
        run_events_until(tcl, replying.done)
        busy = engine_stats()
        assert set(tcl_stats()) == set(busy)
        assert {name: count for name, count in tcl_stats().items() if name.endswith("_total")} == \
               {name: count for name, count in busy.items() if name.endswith("_total")}
        assert busy != quiet
    run_events_until(tcl, lambda: engine_stats() == tcl_stats())
