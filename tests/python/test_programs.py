"""Programs of the standard library, unchanged, on these sockets: servers, clients, and asyncio."""

import asyncio
import http.client
import http.server
import socket
import socketserver
import ssl
import threading
import urllib.request

import pytest

from support import DEADLINE, pattern, read_exactly, spawn, still_waits


class Echo(socketserver.StreamRequestHandler):
    """Sends each line back, in capitals."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = pattern(int(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *arguments):
        pass


class running:
    """Runs a server of socketserver on a listener of the module, in a thread of its own; gives its
    address."""

    def __init__(self, net, kind, handler):
        self.server = kind(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = net.listener()
        self.server.server_address = self.server.socket.getsockname()
        self.server.server_name, self.server.server_port = self.server.server_address
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self.server.server_address

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(DEADLINE)


@pytest.mark.parametrize("kind", [socketserver.TCPServer, socketserver.ThreadingTCPServer],
                         ids=lambda kind: kind.__name__)
def test_socketserver(net, kind):
    with running(net, kind, Echo) as address:
        for number in range(10):
            with net.create_connection(address) as client, client.makefile("rwb") as file:
                file.write(b"hello %d\n" % number)
                file.flush()
                assert file.readline() == b"HELLO %d\n" % number


def test_socketserver_with_many_clients(net):
    def converse(address, number):
        with net.create_connection(address) as client, client.makefile("rwb") as file:
            for turn in range(20):
                file.write(b"client %d turn %d\n" % (number, turn))
                file.flush()
                if file.readline() != b"CLIENT %d TURN %d\n" % (number, turn):
                    return False
        return True

    with running(net, socketserver.ThreadingTCPServer, Echo) as address:
        clients = [spawn(converse, address, number) for number in range(16)]
        assert all(client.result(DEADLINE) for client in clients)


def test_http(net):
    with running(net, http.server.ThreadingHTTPServer, Pages) as address:
        connection = http.client.HTTPConnection(*address)
        connection.sock = net.create_connection(address, DEADLINE)
        for size in (0, 1, 1000, 100_000, 1_000_000):
            connection.request("GET", f"/{size}")
            assert connection.getresponse().read() == pattern(size)
        connection.request("POST", "/", body=pattern(500_000))
        assert connection.getresponse().read() == pattern(500_000)[::-1]
        connection.close()


def test_a_program_that_knows_nothing_of_it(net, monkeypatch):
    """The class replaces the stock one, so the sockets that the library opens by itself are of this class."""
    monkeypatch.setattr(socket, "socket", net.socket)
    with running(net, http.server.ThreadingHTTPServer, Pages) as address:
        with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/50000", timeout=DEADLINE) as answer:
            assert answer.read() == pattern(50_000)


def anonymous_tls(side):
    """TLS without certificates: the older version still has key exchanges that do not need them."""
    context = ssl.SSLContext(side)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    if side is ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def test_tls(pair):
    client, server = pair
    data = pattern(300_000)

    def serve():
        with anonymous_tls(ssl.PROTOCOL_TLS_SERVER).wrap_socket(server, server_side=True) as secured:
            secured.sendall(read_exactly(secured, len(data)))

    serving = spawn(serve)
    with anonymous_tls(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(client) as secured:
        secured.sendall(data)
        assert read_exactly(secured, len(data)) == data
    serving.result(DEADLINE)


def test_asyncio_drives_the_sockets(net):
    """The loop makes its own socket calls, on sockets that the module has only created."""
    data = pattern(300_000)

    async def serve(listener):
        loop = asyncio.get_running_loop()
        server, _ = await loop.sock_accept(listener)
        with server:
            received = bytearray()
            while len(received) < len(data):
                received += await loop.sock_recv(server, 65536)
            await loop.sock_sendall(server, received)

    async def converse():
        loop = asyncio.get_running_loop()
        with net.listener() as listener, net.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            serving = asyncio.create_task(serve(listener))
            await loop.sock_connect(client, listener.getsockname())
            await loop.sock_sendall(client, data)
            received = bytearray()
            while len(received) < len(data):
                received += await loop.sock_recv(client, 65536)
            await serving
            return received

    assert asyncio.run(asyncio.wait_for(converse(), DEADLINE)) == data


def test_asyncio_streams_on_a_given_socket(net):
    async def converse():
        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        listener, client = net.listener(), net.socket()
        client.setblocking(False)
        async with await asyncio.start_server(answer, sock=listener):
            await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
            reader, writer = await asyncio.open_connection(sock=client)
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert asyncio.run(asyncio.wait_for(converse(), DEADLINE)) == b"HELLO\n"


def test_asyncio_takes_over_a_listener(net):
    """The listener has waited for a connection by a call of its own before."""
    with net.listener() as listener:
        waiting = spawn(listener.accept)
        assert still_waits(waiting)
        with net.create_connection(listener.getsockname()):
            waiting.result(DEADLINE)[0].close()

        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()

        async def converse():
            async with await asyncio.start_server(answer, sock=listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(b"hello\n")
                line = await reader.readline()
                writer.close()
                await writer.wait_closed()
                return line

        assert asyncio.run(asyncio.wait_for(converse(), DEADLINE)) == b"HELLO\n"


def test_asyncio_takes_over_a_connected_socket(net):
    """A waiting call connects the socket, and the loop gets it then."""
    with net.listener() as listener:
        client, server = net.connect(listener)

    async def converse():
        client.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"hello\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return line

    def answer():
        server.sendall(read_exactly(server, 6).upper())

    with server:
        answering = spawn(answer)
        assert asyncio.run(asyncio.wait_for(converse(), DEADLINE)) == b"HELLO\n"
        answering.result(DEADLINE)
