"""Ctrl-C: it ends a loop at once, whatever the loop does."""

import asyncio
import signal
import socket
import threading
import time

import pytest

from loops import HOST, Aio, Recording, away, linked, passes
from support import DEADLINE, SOON, interrupt


async def idle():
    await asyncio.sleep(DEADLINE)


async def idle_for_ever():
    """Without any timer."""
    await asyncio.get_running_loop().create_future()


async def busy():
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        await asyncio.sleep(0)


async def computing():
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        pass


async def receiving():
    async with linked() as (protocol, peer):
        await protocol.until_data(1)


async def serving():
    server = await asyncio.get_running_loop().create_server(Recording, HOST, 0)
    async with server:
        await server.serve_forever()


async def in_the_executor():
    await asyncio.get_running_loop().run_in_executor(None, over.wait, DEADLINE)


async def in_another_thread():
    await away(over.wait, DEADLINE)


async def looking_up():
    await asyncio.get_running_loop().getaddrinfo("a.name", 7)


over = threading.Event()
STATES = [idle, idle_for_ever, busy, receiving, serving, in_the_executor, in_another_thread, looking_up]


@pytest.fixture
def slow(monkeypatch):
    """Lookups and the executor's calls last until the test is over."""
    over.clear()
    real = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        if host == "a.name":
            over.wait(DEADLINE)
        return real(HOST, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    over.set()


def assert_interrupted(aio, state):
    """Ctrl-C ends the coroutine by KeyboardInterrupt, soon. What runs in the executor is let go then, because
    the end of the loop waits for it."""
    start = time.monotonic()
    striking = interrupt()
    with asyncio.Runner(loop_factory=aio.new) as runner:
        try:
            with pytest.raises(KeyboardInterrupt):
                runner.run(state())
            assert time.monotonic() - start < SOON
        finally:
            over.set()
    striking.result(DEADLINE)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_loop_ends(aio, slow, state):
    assert_interrupted(aio, state)


def test_the_second_one_ends_a_task_that_computes(aio):
    """The first cancels the task, which does not see that."""
    start = time.monotonic()
    striking = interrupt(then=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        aio.run(computing())
    assert time.monotonic() - start < SOON
    striking.result(DEADLINE)


def test_again_and_again(aio, slow):
    for _ in range(3):
        assert_interrupted(aio, idle_for_ever)
        over.clear()


def test_the_main_task_is_cancelled(aio):
    """So it can clean up."""
    cleaned = []

    async def main():
        try:
            await idle_for_ever()
        finally:
            await passes()
            cleaned.append(True)

    assert_interrupted(aio, main)
    assert cleaned == [True]


def test_without_a_runner(aio):
    """run_forever of a bare loop ends by the exception of the default handler, and can go on."""
    loop = aio.new()
    for _ in range(2):
        striking = interrupt()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert time.monotonic() - start < SOON
        striking.result(DEADLINE)
        assert not loop.is_running()
    assert loop.run_until_complete(asyncio.sleep(0, "on it goes")) == "on it goes"
    loop.close()


def test_a_handler_that_returns(aio, strikes):
    """The loop goes on, and nothing is lost."""
    async def main():
        async with linked() as (protocol, peer):
            for number in range(10):
                striking = interrupt(0)
                await asyncio.wrap_future(striking)
                peer.sendall(b"x")
                await protocol.until_data(number + 1)

    aio.run(main())
    assert strikes and set(strikes) == {signal.SIGINT}


def test_a_handler_runs_while_the_loop_is_idle(aio, handler):
    """Soon, and not when something else happens."""
    called = threading.Event()
    handler(lambda number, frame: called.set())
    loop = aio.new()
    striking = interrupt()
    waiting = threading.Thread(target=lambda: (called.wait(SOON), loop.call_soon_threadsafe(loop.stop)))
    waiting.start()
    loop.run_forever()
    assert called.is_set()
    waiting.join()
    striking.result(DEADLINE)
    loop.close()


def test_another_loop_that_closes_does_not_end_it(aio, slow):
    """A loop of another thread, or one made and closed before."""
    def other():
        loop = aio.new()
        loop.run_until_complete(passes())
        loop.close()

    async def main():
        await away(other)
        await idle_for_ever()

    other()
    assert_interrupted(aio, main)


def test_a_loop_of_another_thread_goes_on(aio, strikes):
    """Ctrl-C is the main thread's."""
    async def main():
        await asyncio.sleep(0.3)
        return "undisturbed"

    async def outer():
        striking = interrupt(0.05)
        assert await away(aio.run, main()) == "undisturbed"
        await asyncio.wrap_future(striking)

    aio.run(outer())
    assert strikes


def test_the_wakeup_file_of_somebody_else_stays(balance):
    """Ours needs none."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        before = signal.set_wakeup_fd(near.fileno())
        try:
            Aio("iocpsock").run(passes())
            assert signal.set_wakeup_fd(near.fileno()) == near.fileno()
        finally:
            signal.set_wakeup_fd(before)


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGBREAK], ids=["SIGINT", "SIGBREAK"])
async def test_a_signal_handler_of_the_loop(aio, number):
    loop, called = asyncio.get_running_loop(), asyncio.Event()
    before = signal.getsignal(number)
    loop.add_signal_handler(number, called.set)
    try:
        signal.raise_signal(number)
        await called.wait()
    finally:
        assert loop.remove_signal_handler(number)
        signal.signal(number, before)
    assert not loop.remove_signal_handler(number)
