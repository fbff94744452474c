"""The event loop while calls of Windows fail: each scenario ends, with its result or with an OSError or a
MemoryError, and leaves nothing.

A scenario is run on a new loop again and again, the fault one call later each time, until it is not reached.
"""

import asyncio
import socket
import subprocess
import threading
import time

import pytest

import iocpsock
from loops import HOST, Recording
from piping import ECHO, ends, program
from support import DEADLINE, PATIENCE, eventually, live_counters, pattern, read_all, spawn

DATA = pattern(200_000)
BRIEF = 5               # seconds: less than any timeout that could end a wait in the place of its packet
MOST = 30               # faults of a sweep
NO_MEMORY, NO_RESOURCES, NO_BUFFERS, NO_HANDLES = 8, 1450, 10055, 10024


def status(code):
    return code - (1 << 32)


RESET, INSUFFICIENT, BROKEN = (status(code) for code in (0xC000020D, 0xC000009A, 0xC000014B))


def run(scenario):
    """What the scenario returned, and the error that it ended with instead."""
    async def limited():
        return await asyncio.wait_for(scenario(), DEADLINE)

    try:
        with asyncio.Runner(loop_factory=iocpsock.new_event_loop) as runner:
            return runner.run(limited()), None
    except TimeoutError:
        raise                                               # which is an OSError: it waited for ever
    except (OSError, MemoryError) as error:
        return None, error


async def round_trip():
    """An echo server and its client, by transports."""
    failures, accepted = [], []

    async def serve(reader, writer):
        accepted.append(writer)
        try:
            writer.write(await reader.read())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (OSError, MemoryError) as failure:
            failures.append(failure)
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        accepted.append(writer)
        writer.write(DATA)
        writer.write_eof()
        got = await reader.read()
        await asyncio.sleep(0.01)                       # the server's end of it
    finally:
        server.close()
        for each in accepted:
            each.transport.abort()
    if failures:
        raise failures[0]
    return got


async def round_trip_or_end():
    """The same, but the server may close the connection before anything comes: a connection that Winsock does
    not know as connected cannot be reset."""
    got = await round_trip()
    if not got:
        raise ConnectionAbortedError("the server has closed the connection")
    return got


async def pings():
    """Small messages to and fro: each wait of the loop ends with one packet."""
    loop, near, far = asyncio.get_running_loop(), *socket.socketpair()
    (_, one), (_, other) = [await loop.create_connection(Recording, sock=sock) for sock in (near, far)]
    for count in range(1, 40):
        one.transport.write(b"x")
        await other.until_data(count)
        other.transport.write(b"x")
        await one.until_data(count)
    for protocol in one, other:
        protocol.transport.abort()
        await protocol.until("connection_lost")
    return DATA


async def watched():
    """A pair of non-blocking sockets, which the loop watches."""
    loop, near, far = asyncio.get_running_loop(), *socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        sending = loop.create_task(loop.sock_sendall(near, DATA))
        got = bytearray()
        while len(got) < len(DATA):
            got += await loop.sock_recv(far, 65536)
        await sending
    return bytes(got)


async def piped():
    """A pipe, from one transport to another."""
    loop = asyncio.get_running_loop()
    ours, theirs = ends(duplex=True)
    protocols = []
    try:
        _, reader = await loop.connect_read_pipe(Recording, ours)
        protocols.append(reader)
        transport, writer = await loop.connect_write_pipe(Recording, theirs)
        protocols.append(writer)
        transport.write(DATA)
        transport.close()
        for protocol in writer, reader:
            await protocol.until("connection_lost")
            if protocol.lost[0]:
                raise protocol.lost[0]
        return bytes(reader.data)
    finally:
        for protocol in protocols:
            protocol.transport.abort()
            await protocol.until("connection_lost")         # which closes the pipe object
        ours.close()
        theirs.close()


async def served_pipe():
    """A named pipe with a client."""
    loop, made = asyncio.get_running_loop(), asyncio.Queue()

    def factory():
        made.put_nowait(Recording())
        return made._queue[-1]

    name = rf"\\.\pipe\iocpsock-faults-{time.monotonic_ns()}"
    server, = await loop.start_serving_pipe(factory, name)
    try:
        transport, client = await loop.create_pipe_connection(Recording, name)
        served = loop.create_task(made.get())
        await asyncio.wait([served, loop.create_task(client.until("connection_lost"))],
                           return_when=asyncio.FIRST_COMPLETED)
        if not served.done():
            raise ConnectionResetError("its instance was closed")
        served = served.result()
        transport.write(DATA)
        transport.close()
        await served.until("connection_lost")
        if served.lost[0]:
            raise served.lost[0]
        return bytes(served.data)
    finally:
        server.close()


async def child():
    """A child process that echoes."""
    process = await asyncio.create_subprocess_exec(*program(ECHO), stdin=subprocess.PIPE,
                                                   stdout=subprocess.PIPE)
    return (await process.communicate(b"hello"))[0]


async def threaded():
    """A call in another thread, whose end wakes the loop."""
    began = time.monotonic()
    await asyncio.to_thread(threading.Event().wait, 0.05)
    assert time.monotonic() - began < BRIEF, "the loop was not woken"
    return DATA


async def brief():
    """A short wait, which a timer of high resolution ends."""
    for _ in range(3):
        await asyncio.sleep(0.002)
    return DATA


# (scenario, call, action, code, whether it succeeds all the same)
SWEEPS = [
    (round_trip_or_end, "setsockopt", "fail", NO_BUFFERS, False),
    *[(round_trip, call, "fail", code, False) for call, code in (
        ("WSARecv", NO_BUFFERS), ("WSARecv", 10054), ("WSASend", NO_BUFFERS), ("WSASocketW", NO_HANDLES),
        ("malloc", NO_MEMORY),
        ("CreateIoCompletionPort", NO_MEMORY), ("NtCreateFile", INSUFFICIENT),
        ("SetFileCompletionNotificationModes", NO_MEMORY))],
    *[(round_trip, call, "fail", code, True) for call, code in (
        ("AcceptEx", NO_BUFFERS), ("GetQueuedCompletionStatusEx", NO_RESOURCES), ("ReadFile", NO_RESOURCES),
        ("CancelIoEx", 1168))],
    (pings, "GetQueuedCompletionStatus", "fail", NO_RESOURCES, True),
    *[(round_trip, call, "status", code, False) for call, code in (
        ("WSARecv", RESET), ("WSARecv", INSUFFICIENT), ("WSASend", RESET))],
    (round_trip, "AcceptEx", "status", RESET, True), (round_trip, "WSARecv", "late", 30, True),
    (round_trip, "WSARecv", "short", 3, True), (round_trip, "WSASend", "late", 30, True),
    (watched, "NtDeviceIoControlFile", "fail", INSUFFICIENT, True),
    (watched, "NtDeviceIoControlFile", "status", INSUFFICIENT, True),
    (watched, "NtDeviceIoControlFile", "late", 30, True), (watched, "malloc", "fail", NO_MEMORY, False),
    *[(piped, call, "fail", NO_RESOURCES, False) for call in ("ReadFile", "WriteFile")],
    *[(piped, call, "status", INSUFFICIENT, False) for call in ("ReadFile", "WriteFile")],
    *[(piped, call, "short", 3, True) for call in ("ReadFile", "WriteFile")],
    (piped, "malloc", "fail", NO_MEMORY, False), (piped, "CreateIoCompletionPort", "fail", NO_MEMORY, False),
    (served_pipe, "ConnectNamedPipe", "fail", NO_RESOURCES, False),
    (served_pipe, "ConnectNamedPipe", "status", BROKEN, False),
    (child, "RegisterWaitForSingleObject", "fail", NO_MEMORY, False),
    (child, "UnregisterWaitEx", "fail", 997, True),
    (threaded, "PostQueuedCompletionStatus", "fail", NO_MEMORY, True),
    (brief, "CreateWaitableTimerExW", "fail", NO_MEMORY, True), (brief, "SetWaitableTimer", "fail", 87, True),
]
RESULTS = {child: b"hello"}


@pytest.mark.parametrize("scenario, call, action, code, succeeds", SWEEPS,
                         ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_scenario_under_a_fault(faults, scenario, call, action, code, succeeds):
    expected = RESULTS.get(scenario, DATA)
    assert run(scenario) == (expected, None)
    assert eventually(lambda: not any(live_counters(iocpsock.stats)[f"{kind}_live"] for kind in (
        "ports", "polls", "pipes", "processes", "connections", "listeners")))
    before = live_counters(iocpsock.stats)
    count, struck = 0, True
    while struck and count < MOST:
        faults.clear()
        if call == "WSASend":
            faults.plan("send_direct", "short", 1000, times=-1)         # a system that takes little at once
        faults.plan(call, action, code, count)
        result, error = run(scenario)
        struck = faults.fired(call)
        faults.clear()
        assert error is not None or result == expected, f"after {count} calls: {result!r:.100} and no error"
        assert not (succeeds and error), f"after {count} calls: {error!r}"
        assert eventually(lambda: live_counters(iocpsock.stats) == before), (count, before,
                                                                             live_counters(iocpsock.stats))
        count += bool(struck)
    assert count, "the scenario has no such call"
    assert run(scenario) == (expected, None)


def test_without_a_thread_the_loop_itself_closes_what_is_left(faults):
    """The end of the loop waits then, until what was written is sent."""
    with socket.create_server((HOST, 0)) as listener:
        loop = iocpsock.new_event_loop()
        transport, _ = loop.run_until_complete(loop.create_connection(Recording, *listener.getsockname()))
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(DEADLINE)
            written = 0
            while not transport.get_write_buffer_size():
                transport.write(DATA)
                written += len(DATA)
            transport.close()
            faults.plan("CreateThread", "fail", NO_MEMORY)
            reading = spawn(lambda: (time.sleep(PATIENCE), read_all(peer))[1])
            loop.close()
            assert faults.fired("CreateThread") == 1
            assert len(reading.result(DEADLINE)) == written
    assert eventually(lambda: not live_counters(iocpsock.stats)["ports_live"])
