"""Programs of the standard library under the patch: clients and servers that only know `socket.socket`.

Each runs without the patch too. Each checks its sockets on both sides: under the patch every one must be
ours.
"""

import asyncio
import ftplib
import http.client
import http.server
import imaplib
import poplib
import select
import smtplib
import socket
import socketserver
import ssl
import urllib.error
import urllib.request
import xmlrpc.client
import xmlrpc.server

import pytest

from peers import MESSAGE, Echo, Ftp, Imap, Pop3, Smtp, client_context, server_context, serving
from support import DEADLINE, MODULES, pattern, read_exactly, spawn

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture(params=MODULES)
def check(request, engine_stats):
    """The environment of a program: stock, or patched. A call checks that sockets are of its kind."""
    import iocpsock

    def all_are_right(*sockets):
        assert sockets
        for sock in sockets:
            assert isinstance(sock, socket.socket), sock
            assert isinstance(sock, iocpsock.socket) is (request.param == "iocpsock"), sock

    if request.param == "stock":
        yield all_are_right
        return
    request.getfixturevalue("balance")
    with iocpsock.patched():
        yield all_are_right


def contexts(tls):
    return (server_context(), client_context()) if tls else (None, None)


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.path[1:].isdigit():
            self.send_error(404)
            return
        self.answer(pattern(int(self.path[1:])))

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def http_connection(address, context):
    if context:
        return http.client.HTTPSConnection("localhost", address[1], timeout=DEADLINE, context=context)
    return http.client.HTTPConnection(*address, timeout=DEADLINE)


@TLS
def test_http_server_and_client(check, tls):
    server_side, client_side = contexts(tls)
    with serving(Pages, http.server.ThreadingHTTPServer, server_side) as server:
        connection = http_connection(server.server_address, client_side)
        for size in (0, 1000, 300_000):
            connection.request("GET", f"/{size}")
            assert connection.getresponse().read() == pattern(size)
        connection.request("POST", "/", body=pattern(200_000))
        assert connection.getresponse().read() == pattern(200_000)[::-1]
        check(connection.sock, *server.sockets)
        connection.close()


@TLS
def test_urllib(check, tls):
    server_side, client_side = contexts(tls)
    with serving(Pages, http.server.ThreadingHTTPServer, server_side) as server:
        base = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
        with urllib.request.urlopen(f"{base}/100000", timeout=DEADLINE, context=client_side) as answer:
            check(answer.fp.raw._sock)
            assert answer.read() == pattern(100_000)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/nowhere", timeout=DEADLINE, context=client_side)
        check(*server.sockets)


def test_urllib_refuses_a_stranger(check):
    """urllib detects an untrusted certificate on these sockets as on others."""
    with serving(Pages, http.server.ThreadingHTTPServer, server_context(),
                 handle_error=lambda *arguments: None) as server:
        with pytest.raises(urllib.error.URLError) as caught:
            urllib.request.urlopen(f"https://localhost:{server.server_address[1]}/1", timeout=DEADLINE)
        assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("kind", [socketserver.TCPServer, socketserver.ThreadingTCPServer],
                         ids=lambda kind: kind.__name__)
def test_socketserver(check, kind):
    with serving(Echo, kind) as server:
        for number in range(5):
            with socket.create_connection(server.server_address,
                                          DEADLINE) as client, client.makefile("rwb") as file:
                check(client)
                file.write(b"hello %d\n" % number)
                file.flush()
                assert file.readline() == b"HELLO %d\n" % number
        check(*server.sockets)


@pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])
def test_ftplib(check, passive):
    files = {"down": pattern(200_000)}
    with serving(Ftp, files=files) as server:
        with ftplib.FTP(timeout=DEADLINE) as client:
            client.connect(*server.server_address)
            client.login()
            client.set_pasv(passive)
            received = bytearray()
            client.retrbinary("RETR down", received.extend)
            with client.transfercmd("STOR up") as data:
                check(data)
                data.sendall(received[::-1])
            assert client.voidresp() == "226 stored"
            check(client.sock)
        assert received == files["down"] and files["up"] == received[::-1]
        assert len(server.sockets) == (6 if passive else 4)
        check(*server.sockets)


@TLS
def test_smtplib(check, tls):
    server_side, client_side = contexts(tls)
    with serving(Smtp, context=server_side, mail=[]) as server:
        port = server.server_address[1]
        client = (smtplib.SMTP_SSL("localhost", port, "localhost", timeout=DEADLINE, context=client_side)
                  if tls
                  else smtplib.SMTP("127.0.0.1", port, "localhost", timeout=DEADLINE))
        with client:
            check(client.sock)
            assert client.sendmail("a@localhost", ["b@localhost"], MESSAGE) == {}
        assert server.mail == [("<a@localhost>", "<b@localhost>", MESSAGE)]
        check(*server.sockets)


@TLS
def test_poplib(check, tls):
    server_side, client_side = contexts(tls)
    with serving(Pop3, context=server_side) as server:
        port = server.server_address[1]
        client = (poplib.POP3_SSL("localhost", port, context=client_side, timeout=DEADLINE) if tls
                  else poplib.POP3("127.0.0.1", port, timeout=DEADLINE))
        check(client.sock)
        client.user("a")
        client.pass_("b")
        assert client.stat() == (1, len(MESSAGE))
        assert client.retr(1)[1] == MESSAGE.splitlines()
        client.quit()
        check(*server.sockets)


@TLS
def test_imaplib(check, tls):
    server_side, client_side = contexts(tls)
    with serving(Imap, context=server_side) as server:
        port = server.server_address[1]
        client = (imaplib.IMAP4_SSL("localhost", port, ssl_context=client_side, timeout=DEADLINE) if tls
                  else imaplib.IMAP4("127.0.0.1", port, timeout=DEADLINE))
        with client:
            check(client.sock)
            client.login("a", "b")
            assert client.select() == ("OK", [b"1"])
            assert client.fetch("1", "(RFC822)")[1][0][1] == MESSAGE
        check(*server.sockets)


class QuietXmlRpc(xmlrpc.server.SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"       # which keeps the connection

    def log_message(self, *arguments):
        pass


def test_xmlrpc(check):
    class Transport(xmlrpc.client.Transport):
        def make_connection(self, host):
            self.made = super().make_connection(host)
            return self.made

    class Server(socketserver.ThreadingMixIn, xmlrpc.server.SimpleXMLRPCServer):
        pass

    transport = Transport()
    with serving(QuietXmlRpc, Server) as server:
        server.register_function(lambda first, second: first + second, "add")
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.server_address[1]}", transport) as proxy:
            assert proxy.add("a" * 100_000, "b") == "a" * 100_000 + "b"
            check(transport.made.sock)
            with pytest.raises(xmlrpc.client.Fault, match="is not supported"):
                proxy.subtract(1, 2)
        check(*server.sockets)


@pytest.mark.parametrize("wrapped", ["connected", "unconnected"])
def test_tls_sockets(check, wrapped):
    """wrap_socket on both sides, after the connection is made or before. Before, connect and accept are those
    of TLS."""
    data = pattern(300_000)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        if wrapped == "unconnected":
            listener = server_context().wrap_socket(listener, server_side=True)

        def serve():
            connection, _ = listener.accept()
            if wrapped == "connected":
                connection = server_context().wrap_socket(connection, server_side=True)
            with connection:
                check(connection)
                connection.sendall(read_exactly(connection, len(data)))
                connection.unwrap().close()

        serving_it = spawn(serve)
        if wrapped == "connected":
            client.connect(listener.getsockname())
        with listener, client_context().wrap_socket(client, server_hostname="localhost") as secured:
            if wrapped == "unconnected":
                secured.connect(listener.getsockname())
            check(listener, secured)
            assert isinstance(secured, ssl.SSLSocket) and isinstance(secured, socket.socket)
            sender = spawn(secured.sendall, data)
            assert read_exactly(secured, len(data)) == data
            sender.result(DEADLINE)
            with secured.unwrap() as plain:
                check(plain)
            serving_it.result(DEADLINE)


def test_tls_keeps_its_time_out(check):
    with socket.create_server(("127.0.0.1",
                               0)) as listener, socket.create_connection(listener.getsockname()) as client:
        with listener.accept()[0]:
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):           # the peer never shakes hands
                client_context().wrap_socket(client, server_hostname="localhost")


@TLS
@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, asyncio.ProactorEventLoop],
                         ids=["selector", "proactor"])
def test_asyncio(check, loop, tls):
    server_side, client_side = contexts(tls)

    async def answer(reader, writer):
        check(writer.get_extra_info("socket")._sock)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def converse():
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side) as server:
            check(*(each._sock for each in server.sockets))
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side,
                                                           server_hostname="localhost" if tls else None)
            check(writer.get_extra_info("socket")._sock)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(asyncio.wait_for(converse(), DEADLINE)) == b"HELLO\n"


def test_select(check):
    with socket.create_server(("127.0.0.1",
                               0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert select.select([listener], [], [], DEADLINE)[0] == [listener]
        with listener.accept()[0] as server:
            check(listener, client, server)
            assert select.select([server], [client], [], DEADLINE) == ([], [client], [])
            client.sendall(b"x")
            assert select.select([server], [], [], DEADLINE)[0] == [server]
            assert server.recv(10) == b"x"
