"""The clients of scenarios that measure servers: programs of this machine itself, the same for every server."""

import errno
import socket
import struct
import time


class Clients:
    """Connections to a server under Wine, all begun at once, kept until the `with` ends, then reset."""

    def __init__(self):
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for client in self.sockets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    def done(self):
        """The server says that it has them all."""
        self.seconds = time.perf_counter() - self.begun

    def connect(self, port, count):
        self.begun = time.perf_counter()
        for _ in range(count):
            client = socket.socket()
            self.sockets.append(client)
            client.setblocking(False)
            error = client.connect_ex(("127.0.0.1", port))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, f"connecting to the server under test: {errno.errorcode[error]}")
