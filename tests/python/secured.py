"""TLS connections for the scenarios: both ends wrapped, or one of them played by hand."""

import contextlib
import ssl

from peers import client_context, server_context
from support import DEADLINE, spawn

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def contexts(version):
    """(a server's context, a client's context) for this version of TLS."""
    both = server_context(), client_context()
    for context in both:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return both


@contextlib.contextmanager
def secured_pair(net, version, **options):
    """A client and a server after the handshake; the options are the server's."""
    server_side, client_side = contexts(version)
    with net.pair() as (client, server):
        accepting = spawn(lambda: server_side.wrap_socket(server, server_side=True, **options))
        with client_side.wrap_socket(client,
                                     server_hostname="localhost") as near, accepting.result(DEADLINE) as far:
            yield near, far


class ByHand:
    """A client whose TLS is in memory: the test decides which bytes are sent, and when."""

    def __init__(self, sock, context):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def carry(self, operation, *arguments):
        """Run the operation, transfer the bytes that it needs, and return its result."""
        while True:
            try:
                outcome = operation(*arguments)
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                if data := self.sock.recv(65536):
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            else:
                self.sock.sendall(self.outgoing.read())
                return outcome

    def read_exactly(self, size):
        data = bytearray()
        while len(data) < size:
            data += self.carry(self.tls.read, size - len(data))
        return bytes(data)

    def encrypted(self, data):
        """The encrypted record, which the caller has to send."""
        self.tls.write(data)
        return self.outgoing.read()

    def farewell(self):
        """The record that ends the stream."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()


@contextlib.contextmanager
def served_by_hand(net, version, **options):
    """A wrapped server after the handshake with a client ByHand: (server, client)."""
    server_side, client_side = contexts(version)
    with net.pair() as (near, far):
        client = ByHand(near, client_side)
        accepting = spawn(lambda: server_side.wrap_socket(far, server_side=True, **options))
        client.carry(client.tls.do_handshake)
        with accepting.result(DEADLINE) as server:
            yield server, client
