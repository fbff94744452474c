"""What a loop consists of: a completion port, and no more. And that a policy is not needed."""

import asyncio
import gc
import socket
import threading
import time

import pytest

from loops import Aio, away, passes
from support import eventually


@pytest.fixture
def no_pairs(monkeypatch):
    """Nobody can make a pair of sockets, as with a firewall that forbids it."""
    def refuse(*arguments, **options):
        raise PermissionError("no socket pair")

    monkeypatch.setattr(socket, "socketpair", refuse)
    yield
    gc.collect()                        # what became of a loop that could not be made


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.fails_on_stock("its calls from other threads come by a socket pair")
def test_a_loop_needs_no_socket_pair(aio, no_pairs):
    """Nor do a call from another thread and the executor."""
    async def main():
        called = asyncio.Event()
        threading.Thread(target=asyncio.get_running_loop().call_soon_threadsafe, args=(called.set,)).start()
        await called.wait()
        return await away(threading.get_ident)

    loop = aio.new()
    assert loop.run_until_complete(main()) != threading.get_ident()
    loop.close()


def test_a_loop_has_no_thread(aio):
    before = threading.active_count()
    loop = aio.new()
    loop.run_until_complete(passes())
    assert threading.active_count() == before
    loop.close()


def test_an_idle_loop_takes_no_time_of_the_processor(aio):
    async def main():
        await passes()
        before = time.process_time()
        await asyncio.sleep(0.5)
        return time.process_time() - before

    assert aio.run(main()) < 0.25


def test_what_a_loop_takes_it_gives_back(balance):
    import iocpsock
    loops = [Aio("iocpsock").new() for _ in range(20)]
    before = balance.before["ports_live"]
    assert iocpsock.stats()["ports_live"] - before == 20
    for loop in loops:
        loop.run_until_complete(passes())
        loop.close()
    assert eventually(lambda: iocpsock.stats()["ports_live"] == before)


def test_a_loop_that_nobody_closes_gives_back_what_it_took(aio):
    with pytest.warns(ResourceWarning):
        aio.new()
        gc.collect()


def test_run_and_the_factory(balance):
    import iocpsock

    async def main():
        return type(asyncio.get_running_loop())

    assert iocpsock.run(main()) is iocpsock.EventLoop
    with asyncio.Runner(loop_factory=iocpsock.new_event_loop, debug=True) as runner:
        assert runner.run(main()) is iocpsock.EventLoop
        assert runner.get_loop().get_debug()
    with asyncio.Runner(loop_factory=iocpsock.EventLoop) as runner:
        assert runner.run(main()) is iocpsock.EventLoop


def test_asyncios_own_choice_stays(balance):
    """Nothing is registered for those who do not ask for it."""
    async def main():
        return type(asyncio.get_running_loop())

    assert asyncio.run(main()) is asyncio.ProactorEventLoop


def test_it_is_no_proactor_loop(balance):
    """psycopg, tornado and pyzmq refuse a Proactor loop, or start a thread beside it."""
    loop = Aio("iocpsock").new()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert not isinstance(loop, asyncio.ProactorEventLoop)
    loop.close()


def test_loops_in_several_threads(aio):
    def work(number):
        async def main():
            for _ in range(100):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            return number
        return aio.run(main())

    async def main():
        return await asyncio.gather(*(away(work, number) for number in range(5)))

    assert aio.run(main()) == list(range(5))
