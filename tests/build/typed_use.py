"""Every public name in use, for the type checker: it is never run."""

import os
import socket
from typing import Any, assert_type

import iocpsock

assert_type(iocpsock.__version__, str)
assert_type(iocpsock.stats(), dict[str, int])
assert_type(iocpsock.configure(recvmode="zero", threads=2), dict[str, int | str])
assert_type(iocpsock.has_dualstack_ipv6(), bool)

with iocpsock.create_server(("::", 0), family=socket.AF_INET6, backlog=10, dualstack_ipv6=True) as listener:
    assert_type(listener, iocpsock.socket)
    listener.acceptcount = 64
    connection, peer = listener.accept()
    assert_type(connection, iocpsock.socket)
    assert_type(peer, Any)

client = iocpsock.create_connection(("localhost", "http"), 1.5, source_address=("127.0.0.1", 0),
                                    all_errors=True)
client.sendlimit = 1 << 20
assert_type(client.recv(10), bytes)
assert_type(client.recv_into(bytearray(10)), int)
assert_type(client.sendall(b"x"), None)
assert_type(client.dup(), iocpsock.socket)
assert_type(iocpsock.fromfd(client.fileno(), socket.AF_INET, socket.SOCK_STREAM), iocpsock.socket)
assert_type(iocpsock.fromshare(client.share(os.getpid())), iocpsock.socket)
assert_type(iocpsock.socketpair(), tuple[iocpsock.socket, iocpsock.socket])

stock: socket.socket = iocpsock.socket(socket.AF_INET, socket.SOCK_STREAM)

iocpsock.patch()
iocpsock.unpatch()
with iocpsock.patched():
    pass


@iocpsock.patched()
def decorated(number: int) -> str:
    return str(number)


assert_type(decorated(1), str)
