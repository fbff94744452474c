"""Small servers, for the clients of the standard library to talk to: mail, files, and one that echoes.

Each is a handler for `serving`, which runs it in a threading server of socketserver's. They implement the
commands that the tests use, and answer anything else with an error.
"""

import contextlib
import pathlib
import socket
import socketserver
import ssl
import threading

from support import DEADLINE

PEM = pathlib.Path(__file__).with_name("localhost.pem")
MESSAGE = b"Subject: greetings\r\n\r\nOne line.\r\nAnd another.\r\n"


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def client_context():
    return ssl.create_default_context(cafile=PEM)


class Watched:
    """Mixed into a server: it remembers the sockets it listens on and accepts, and speaks TLS if it has a
    context."""

    context = None
    allow_reuse_address = False
    daemon_threads = False              # closing the server waits for its connections

    def server_activate(self):
        super().server_activate()
        self.sockets = [self.socket]

    def get_request(self):
        connection, address = super().get_request()
        if self.context:                # the handshake is the business of the thread that handles it
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.sockets.append(connection)
        return connection, address


@contextlib.contextmanager
def serving(handler, kind=socketserver.ThreadingTCPServer, context=None, **attributes):
    """A server of this kind on a port of its own. The handler has it as `self.server`, with these
    attributes."""
    server = type("Server", (Watched, kind), {"context": context, **attributes})(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE)


class Echo(socketserver.StreamRequestHandler):
    """Sends each line back, in capitals."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Dialogue(socketserver.StreamRequestHandler):
    """A protocol of command lines: `do_NAME(argument)` for each; one that returns False ends it."""

    timeout = DEADLINE
    greeting = ""
    unknown = "500 unknown"

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say(self.greeting)
        for line in self.rfile:
            if self.dispatch(line.decode().strip()) is False:
                break

    def dispatch(self, line):
        name, _, argument = line.partition(" ")
        method = getattr(self, f"do_{name.upper()}", None)
        return method(argument) if method else self.say(self.unknown)

    def lines_to_dot(self):
        """The lines of a message, up to the dot that ends it."""
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)


class Smtp(Dialogue):
    """Takes one message: `server.mail` has (from, to, text)."""

    greeting = "220 localhost ready"

    def do_EHLO(self, argument):
        self.say("250 localhost")

    def do_MAIL(self, argument):
        self.sender = argument.partition(":")[2]
        self.say("250 fine")

    def do_RCPT(self, argument):
        self.recipient = argument.partition(":")[2]
        self.say("250 fine")

    def do_DATA(self, argument):
        self.say("354 go on")
        self.server.mail.append((self.sender, self.recipient, self.lines_to_dot()))
        self.say("250 taken")

    def do_QUIT(self, argument):
        self.say("221 bye")
        return False


class Pop3(Dialogue):
    """Holds one message."""

    greeting = "+OK ready"
    unknown = "-ERR unknown"

    def do_USER(self, argument):
        self.say("+OK")

    def do_PASS(self, argument):
        self.say("+OK")

    def do_STAT(self, argument):
        self.say(f"+OK 1 {len(MESSAGE)}")

    def do_RETR(self, argument):
        self.say("+OK")
        self.wfile.write(MESSAGE + b".\r\n")

    def do_QUIT(self, argument):
        self.say("+OK bye")
        return False


class Imap(Dialogue):
    """Holds one mailbox with one message."""

    greeting = "* OK IMAP4rev1 ready"

    def dispatch(self, line):
        self.tag, _, command = line.partition(" ")
        self.unknown = f"{self.tag} BAD unknown"
        return super().dispatch(command)

    def end(self, name):
        self.say(f"{self.tag} OK {name} done")

    def do_CAPABILITY(self, argument):
        self.say("* CAPABILITY IMAP4rev1")
        self.end("CAPABILITY")

    def do_LOGIN(self, argument):
        self.end("LOGIN")

    def do_SELECT(self, argument):
        self.say("* 1 EXISTS")
        self.end("SELECT")

    def do_FETCH(self, argument):
        self.say(f"* 1 FETCH (RFC822 {{{len(MESSAGE)}}}")
        self.wfile.write(MESSAGE)
        self.say(")")
        self.end("FETCH")

    def do_LOGOUT(self, argument):
        self.say("* BYE")
        self.end("LOGOUT")
        return False


class Ftp(Dialogue):
    """Files in memory, `server.files`; data connections both ways."""

    greeting = "220 ready"

    def setup(self):
        super().setup()
        self.open_data = None           # makes the data connection that the next transfer uses

    def do_USER(self, argument):
        self.say("331 password?")

    def do_PASS(self, argument):
        self.say("230 welcome")

    def do_TYPE(self, argument):
        self.say("200 fine")

    def do_PASV(self, argument):
        listener = socket.create_server(("127.0.0.1", 0))
        self.server.sockets.append(listener)
        port = listener.getsockname()[1]

        def accept():
            with listener:
                listener.settimeout(DEADLINE)
                return listener.accept()[0]

        self.open_data = accept
        self.say(f"227 passive (127,0,0,1,{port >> 8},{port & 255})")

    def do_PORT(self, argument):
        *host, high, low = argument.split(",")
        address = ".".join(host), int(high) * 256 + int(low)
        self.open_data = lambda: socket.create_connection(address, DEADLINE)
        self.say("200 fine")

    def do_RETR(self, argument):
        self.say("150 here it comes")
        with self.data_connection() as data:
            data.sendall(self.server.files[argument])
        self.say("226 sent")

    def do_STOR(self, argument):
        self.say("150 go on")
        with self.data_connection() as data, data.makefile("rb") as file:
            self.server.files[argument] = file.read()
        self.say("226 stored")

    def do_QUIT(self, argument):
        self.say("221 bye")
        return False

    def data_connection(self):
        data = self.open_data()
        self.server.sockets.append(data)
        return data
