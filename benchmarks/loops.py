"""The scenarios on asyncio's protocols, with one of four loops.

    python loops.py proactor|selector|winloop|iocpsock SCENARIO NAME VALUE...
"""

import asyncio
import os
import sys
import time

import measure
from measure import BACKLOG, HOST


def new_loop(name):
    if name == "winloop":
        import winloop
        return winloop.new_event_loop()
    if name == "iocpsock":
        import iocpsock
        return iocpsock.new_event_loop()
    return {"proactor": asyncio.ProactorEventLoop, "selector": asyncio.SelectorEventLoop}[name]()


async def listen(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, HOST, 0, backlog=BACKLOG)
    return server, server.sockets[0].getsockname()[1]


def connect(protocol, port):
    return asyncio.get_running_loop().create_connection(protocol, HOST, port)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Trips(asyncio.Protocol):
    """One client: a message, its echo, and the next."""

    def __init__(self, values, clock, over):
        self.values, self.clock, self.over = values, clock, over

    def connection_made(self, transport):
        self.transport = transport

    def start(self):
        self.got = 0
        self.started = time.perf_counter()
        self.transport.write(self.values.message)

    def data_received(self, data):
        self.got += len(data)
        if self.got < self.values.size:
            return
        if self.clock.count(self.started, time.perf_counter()):
            if not self.over.done():
                self.over.set_result(None)
            return
        self.start()


async def echo(values):
    server, port = await listen(Echo)
    over = asyncio.get_running_loop().create_future()
    clock = measure.Clock(values)
    clients = [(await connect(lambda: Trips(values, clock, over), port))[1]
               for _ in range(values.connections)]
    clock.begun = time.perf_counter() + values.warm
    for client in clients:
        client.start()
    await over
    clock.result()


class Receiver(asyncio.Protocol):
    def __init__(self, accepted, over):
        self.accepted, self.over = accepted, over
        self.total = 0

    def connection_made(self, transport):
        self.accepted.set_result(self)

    def data_received(self, data):
        self.total += len(data)

    def connection_lost(self, error):
        self.over.set_result(None)


class Sender(asyncio.Protocol):
    """Writes whenever the transport does not ask it to pause."""

    def __init__(self):
        self.flows = asyncio.Event()
        self.flows.set()

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.flows.clear()

    def resume_writing(self):
        self.flows.set()


async def stream(values):
    loop = asyncio.get_running_loop()
    accepted, over = loop.create_future(), loop.create_future()
    server, port = await listen(lambda: Receiver(accepted, over))
    _, sender = await connect(Sender, port)
    receiver = await accepted
    measured = measure.Stream(values)
    while True:
        sender.transport.write(values.message)
        if measured.over():
            break
        if sender.flows.is_set():
            await asyncio.sleep(0)
        else:
            await sender.flows.wait()
    sender.transport.close()
    await over
    measured.total = receiver.total
    measured.result()


class Closer(asyncio.Protocol):
    def connection_made(self, transport):
        transport.close()


class Closed(asyncio.Protocol):
    """A client that closes when the server has."""

    def __init__(self):
        self.over = asyncio.get_running_loop().create_future()

    def connection_lost(self, error):
        self.over.set_result(None)


async def connections(values):
    server, port = await listen(Closer)
    clock = measure.Clock(values)
    while True:
        started = time.perf_counter()
        _, client = await connect(Closed, port)
        await client.over
        if clock.count(started, time.perf_counter()):
            break
    clock.result()


class Guest(asyncio.Protocol):
    guests = None

    def connection_made(self, transport):
        self.transport = transport
        Guest.guests.accepted(self)

    def connection_lost(self, error):
        Guest.guests.gone(self)


async def wait_for_guests(values):
    server, port = await listen(Guest)
    Guest.guests = measure.Guests(values, port)
    await asyncio.Event().wait()


SCENARIOS = {"echo": echo, "stream": stream, "connect": connections, "burst": wait_for_guests,
             "idle": wait_for_guests}

if __name__ == "__main__":
    loop = new_loop(sys.argv[1])
    asyncio.set_event_loop(loop)
    measure.main({name: lambda values, run=run: loop.run_until_complete(run(values))
                  for name, run in SCENARIOS.items()}, sys.argv[2], sys.argv[3:])
    sys.stdout.flush()
    os._exit(0)         # what the loop still holds is no part of the measure
