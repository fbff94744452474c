"""The scenarios with blocking sockets in Python, a thread for each end: the stock class or ours.

    python blocking.py socket|iocpsock SCENARIO NAME VALUE...
"""

import functools
import http.server
import os
import socket as stock
import sys
import threading
import time

import measure
from measure import BACKLOG, HOST


def implementation(name):
    if name == "iocpsock":
        import iocpsock
        return iocpsock
    return stock


def listen():
    server = sockets.create_server((HOST, 0), backlog=BACKLOG)
    return server, server.getsockname()


def connect(address):
    return sockets.create_connection(address)


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def echo_back(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def accept_all(server, serve):
    while True:
        start(serve, server.accept()[0])


def receive(connection, size):
    while size:
        size -= len(connection.recv(min(size, 65536)))


def echo(values):
    server, address = listen()
    start(accept_all, server, echo_back)
    clients = [connect(address) for _ in range(values.connections)]
    clock = measure.Clock(values)
    over = threading.Event()

    def trips(client):
        while True:
            started = time.perf_counter()
            client.sendall(values.message)
            receive(client, values.size)
            if clock.count(started, time.perf_counter()):
                over.set()
                return

    for client in clients:
        start(trips, client)
    over.wait()
    clock.result()


def stream(values):
    server, address = listen()
    sender = connect(address)
    receiver, _ = server.accept()
    measured = measure.Stream(values)

    def send():
        with sender:
            while True:
                sender.sendall(values.message)
                if measured.over():
                    return

    start(send)
    while data := receiver.recv(65536):
        measured.total += len(data)
    measured.result()


def connections(values):
    """One connection after the other. The server closes first."""
    server, address = listen()
    start(close_all, server)
    clock = measure.Clock(values)
    while True:
        started = time.perf_counter()
        with connect(address) as client:
            client.recv(1)              # none
        if clock.count(started, time.perf_counter()):
            break
    clock.result()


def close_all(server):
    while True:
        server.accept()[0].close()


def burst(values):
    """A server that goes on accepting while another thread waits for the last guests to go."""
    server, address = listen()
    guests = measure.Guests(values, address[1])
    while True:
        if guests.accepted(server.accept()[0]):
            start(see_off, guests, list(guests.here))


def see_off(guests, wave):
    for guest in wave:
        guest.recv(1)                   # none: a guest says nothing, and goes
        guest.close()
        guests.gone(guest)


def idle(values):
    """A server that has accepted its guests and keeps them."""
    server, address = listen()
    guests = measure.Guests(values, address[1])
    while len(guests.here) < values.count:
        guests.accepted(server.accept()[0])
    threading.Event().wait()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body are two writes, and the second would wait for the peer's acknowledgement
    disable_nagle_algorithm = True

    def end_headers(self):
        if self.close_connection:       # wrk counts an end that was not announced as an error
            self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = BACKLOG


def serve_http(values):
    """The standard library's server, which takes its sockets from the module `socket`."""
    if sockets is not stock:
        sockets.patch()
    server = Server((HOST, 0), functools.partial(Handler, directory=values.root))
    measure.say("listening", port=server.server_port)
    server.serve_forever()


SCENARIOS = {"echo": echo, "stream": stream, "connect": connections, "burst": burst, "idle": idle,
             "http": serve_http}

if __name__ == "__main__":
    sockets = implementation(sys.argv[1])
    measure.main(SCENARIOS, sys.argv[2], sys.argv[3:])
    sys.stdout.flush()
    os._exit(0)         # the threads that still wait for a peer need not be asked
