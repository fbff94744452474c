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


SIGNALS = signal.SIGINT, signal.SIGBREAK, signal.SIGTERM


@pytest.fixture
def wakeup_socket():
    """Somebody else's wakeup file: a socket."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        before = signal.set_wakeup_fd(near.fileno())
        yield near
        assert signal.set_wakeup_fd(before) == near.fileno()


def test_the_wakeup_file_of_somebody_else_stays(balance, wakeup_socket):
    Aio("iocpsock").run(passes())
    assert signal.set_wakeup_fd(wakeup_socket.fileno()) == wakeup_socket.fileno()


def test_the_loop_ends_beside_it(balance, wakeup_socket):
    assert_interrupted(Aio("iocpsock"), idle_for_ever)


def test_the_wakeup_file_is_given_back(aio):
    async def main():
        return None

    before = signal.set_wakeup_fd(-1)
    assert before == -1
    aio.run(main())
    assert signal.set_wakeup_fd(-1) == -1


def test_the_wakeup_file_of_a_loop_within_stays(balance):
    """Somebody sets the file while the loop runs."""
    near, far = socket.socketpair()

    async def main():
        near.setblocking(False)
        signal.set_wakeup_fd(near.fileno())

    with near, far:
        Aio("iocpsock").run(main())
        assert signal.set_wakeup_fd(-1) == near.fileno()


def raised(number):
    """Raise a signal on another thread, a moment from now."""
    return away(lambda: (time.sleep(0.1), signal.raise_signal(number)))


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_any_signal_ends_the_wait(aio, handler, number):
    """A handler of the module signal runs at once, though the loop is idle."""
    async def main():
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(called.set))
        try:
            raising = asyncio.ensure_future(raised(number))
            await asyncio.wait_for(called.wait(), DEADLINE)
            await raising
        finally:
            signal.signal(number, before)

    start = time.monotonic()
    aio.run(main())
    assert time.monotonic() - start < SOON


@pytest.fixture
def handlers():
    """Signals have the handlers again that they had."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, old in zip(SIGNALS, before):
        signal.signal(number, old)


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("where", ["in the loop", "on another thread"])
async def test_a_signal_handler_of_the_loop(aio, handlers, number, where):
    loop, called = asyncio.get_running_loop(), asyncio.Queue()
    loop.add_signal_handler(number, called.put_nowait, "first")
    loop.add_signal_handler(number, called.put_nowait, "second")
    if where == "in the loop":
        signal.raise_signal(number)
    else:
        await raised(number)
    assert await called.get() == "second"
    assert loop.remove_signal_handler(number)
    assert not loop.remove_signal_handler(number)
    assert signal.getsignal(number) == (signal.default_int_handler if number == signal.SIGINT
                                        else signal.SIG_DFL)
    assert called.empty()


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
@pytest.mark.parametrize("arguments, error", [
    (("SIGINT", print), TypeError), ((1000, print), ValueError), ((signal.SIGINT, idle), TypeError),
    ((signal.SIGINT, idle_for_ever), TypeError)])
async def test_a_signal_handler_that_cannot_be(aio, arguments, error):
    with pytest.raises(error):
        asyncio.get_running_loop().add_signal_handler(*arguments)


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
async def test_a_signal_handler_belongs_to_the_main_thread(aio):
    async def main():
        with pytest.raises(RuntimeError, match="signal 2 cannot be caught here"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print)

    await away(aio.run, main())


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
def test_the_end_of_the_loop_removes_its_signal_handlers(aio, handlers):
    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGBREAK, print)

    aio.run(main())
    assert signal.getsignal(signal.SIGBREAK) == signal.SIG_DFL


@pytest.mark.fails_on_stock("NotImplementedError: asyncio has no signal handlers on Windows")
async def test_a_signal_handler_that_raises(aio, handlers):
    """It is reported as a callback's exception is; the loop goes on."""
    loop, heard = asyncio.get_running_loop(), asyncio.Queue()
    loop.set_exception_handler(lambda loop, context: heard.put_nowait(context["exception"]))
    loop.add_signal_handler(signal.SIGBREAK, lambda: 1 / 0)
    signal.raise_signal(signal.SIGBREAK)
    assert isinstance(await heard.get(), ZeroDivisionError)


def test_run_forever_of_a_running_loop(balance):
    """It is refused, and Ctrl-C still ends the loop. The stock one forgets that it runs."""
    async def main():
        with pytest.raises(RuntimeError, match="running"):
            asyncio.get_running_loop().run_forever()
        await idle_for_ever()

    assert_interrupted(Aio("iocpsock"), main)
