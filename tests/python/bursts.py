"""Many connections at a time to one listening socket."""

import contextlib

BURST = 50              # connections; more than are accepted ahead


def begin(net, listener):
    """One accept, so that the socket accepts ahead from now on where it does."""
    for sock in net.connect(listener):
        sock.close()


@contextlib.contextmanager
def clients(net, listener, count):
    socks = [net.create_connection(listener.getsockname()[:2]) for _ in range(count)]
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


def accept_all(listener, wanted):
    """Accept until each of the clients was, once; nothing else may come."""
    missing = {sock.getsockname() for sock in wanted}
    while missing:
        server, address = listener.accept()
        server.close()
        missing.remove(address)
