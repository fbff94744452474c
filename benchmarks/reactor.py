"""The scenarios on Twisted's protocols, with its reactor for completion ports.

    python reactor.py iocp SCENARIO NAME VALUE...
"""

import os
import sys
import time

from twisted.internet import iocpreactor

iocpreactor.install()

from twisted.internet import protocol, reactor  # noqa: E402  (the reactor is the one that was installed)

import measure  # noqa: E402
from measure import BACKLOG, HOST  # noqa: E402


def listen(factory_protocol):
    factory = protocol.Factory.forProtocol(factory_protocol)
    return reactor.listenTCP(0, factory, backlog=BACKLOG, interface=HOST).getHost().port


def connect(port, made):
    """Connect; `made()` makes the protocol."""
    factory = protocol.ClientFactory()
    factory.noisy = False
    factory.buildProtocol = lambda address: made()
    reactor.connectTCP(HOST, port, factory)


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


def echo(values):
    clients = []
    clock = measure.Clock(values)

    class Trips(protocol.Protocol):
        def connectionMade(self):
            clients.append(self)
            if len(clients) == values.connections:
                clock.begun = time.perf_counter() + values.warm
                for client in clients:
                    client.start()

        def start(self):
            self.got = 0
            self.started = time.perf_counter()
            self.transport.write(values.message)

        def dataReceived(self, data):
            self.got += len(data)
            if self.got < values.size:
                return
            if clock.count(self.started, time.perf_counter()):
                reactor.crash()
            else:
                self.start()

    port = listen(Echo)
    for _ in range(values.connections):
        connect(port, Trips)
    reactor.run()
    clock.result()


def stream(values):
    class Receiver(protocol.Protocol):
        def dataReceived(self, data):
            measured.total += len(data)

        def connectionLost(self, reason):
            reactor.crash()

    class Sender(protocol.Protocol):
        def connectionMade(self):
            nonlocal measured
            measured = measure.Stream(values)
            self.transport.registerProducer(self, False)

        def resumeProducing(self):
            self.transport.write(values.message)
            if measured.over():
                self.transport.unregisterProducer()
                self.transport.loseConnection()

        def stopProducing(self):
            pass

    measured = None
    connect(listen(Receiver), Sender)
    reactor.run()
    measured.result()


def connections(values):
    clock = measure.Clock(values)

    class Closer(protocol.Protocol):
        def connectionMade(self):
            self.transport.loseConnection()

    class Client(protocol.Protocol):
        def __init__(self):
            self.started = started

        def connectionLost(self, reason):       # the server has closed, and Twisted this end too
            nonlocal started
            now = time.perf_counter()
            if clock.count(started, now):
                reactor.crash()
                return
            started = now
            connect(port, Client)

    port = listen(Closer)
    started = time.perf_counter()
    connect(port, Client)
    reactor.run()
    clock.result()


def wait_for_guests(values):
    class Guest(protocol.Protocol):
        def connectionMade(self):
            guests.accepted(self)

        def connectionLost(self, reason):
            guests.gone(self)

    guests = measure.Guests(values, listen(Guest))
    reactor.run()


SCENARIOS = {"echo": echo, "stream": stream, "connect": connections, "burst": wait_for_guests,
             "idle": wait_for_guests}

if __name__ == "__main__":
    measure.main(SCENARIOS, sys.argv[2], sys.argv[3:])
    sys.stdout.flush()
    os._exit(0)
