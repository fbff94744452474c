"""Callbacks of the event loop: their order, their contexts, timers, and what becomes of their exceptions."""

import asyncio
import contextvars
import socket
import sys
import threading
import time

import pytest

from loops import HOST, SIDES, Recording, away, linked, passes, trouble
from support import DEADLINE

mark = contextvars.ContextVar("mark", default="none")


async def test_callbacks_run_in_the_order_of_their_calls(aio):
    loop, order = asyncio.get_running_loop(), []
    for number in range(1000):
        loop.call_soon(order.append, number)
    await passes()
    assert order == list(range(1000))


async def test_a_callback_that_is_scheduled_by_another_runs_in_the_next_pass(aio):
    loop, order = asyncio.get_running_loop(), []

    def first():
        order.append("first")
        loop.call_soon(order.append, "third")

    loop.call_soon(first)
    loop.call_soon(order.append, "second")
    await passes()
    assert order == ["first", "second", "third"]


async def test_call_soon_threadsafe_from_the_loops_thread_does_not_overtake(aio):
    loop, order = asyncio.get_running_loop(), []
    for number in range(100):
        schedule = loop.call_soon_threadsafe if number % 2 else loop.call_soon
        schedule(order.append, number)
    await passes()
    assert order == list(range(100))


async def test_the_calls_of_each_thread_keep_their_order(aio):
    loop, heard = asyncio.get_running_loop(), {number: [] for number in range(4)}

    def work(number):
        for index in range(500):
            loop.call_soon_threadsafe(heard[number].append, index)

    await asyncio.gather(*(away(work, number) for number in heard))
    await passes()
    assert all(order == list(range(500)) for order in heard.values())


async def test_a_call_from_another_thread_ends_the_wait(aio):
    """Nothing else would: the loop has no timer and no transport."""
    loop = asyncio.get_running_loop()
    for _ in range(200):
        called = asyncio.Event()
        threading.Thread(target=loop.call_soon_threadsafe, args=(called.set,), daemon=True).start()
        await called.wait()


@pytest.mark.parametrize("side", SIDES)
async def test_callbacks_run_after_the_data_that_scheduled_them_and_before_the_end(aio, side):
    order = []

    class Scheduling(Recording):
        def data_received(self, data):
            super().data_received(data)
            order.append("data")
            asyncio.get_running_loop().call_soon(order.append, "called")

        def connection_lost(self, failure):
            order.append("lost")
            super().connection_lost(failure)

    async with linked(side, Scheduling) as (protocol, peer):
        peer.sendall(b"x")
        peer.close()
        await protocol.until("connection_lost")
        await passes()
    assert order == ["data", "called", "lost"]


@pytest.mark.parametrize("side", SIDES)
async def test_a_chain_of_callbacks_does_not_starve_the_sockets(aio, side):
    loop = asyncio.get_running_loop()
    async with linked(side) as (protocol, peer):
        peer.sendall(b"x")

        def again():
            if not protocol.data:
                loop.call_soon(again)

        again()
        assert await protocol.until_data(1) == b"x"


async def test_a_stream_of_data_does_not_starve_callbacks_and_timers(aio):
    loop, over = asyncio.get_running_loop(), threading.Event()

    def flood(peer):
        while not over.is_set():
            peer.sendall(bytes(65536))

    class Counting(asyncio.Protocol):
        def data_received(self, data):
            pass

    server = await loop.create_server(Counting, HOST, 0)
    with socket.create_connection(server.sockets[0].getsockname()) as peer:
        peer.settimeout(DEADLINE)
        flooding = asyncio.ensure_future(away(flood, peer))
        for _ in range(50):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
        over.set()
        await flooding
    server.close()


DELAYS = (0, 0.0001, 0.0004, 0.001, 0.0015, 0.003, 0.01, 0.0163, 0.02, 0.0337)


@pytest.mark.parametrize("delay", DELAYS)
async def test_a_timer_is_never_early(aio, delay):
    """By more than the clock's resolution, which asyncio allows."""
    loop = asyncio.get_running_loop()
    tolerance = time.get_clock_info("monotonic").resolution
    for _ in range(5):
        ended = loop.create_future()
        handle = loop.call_later(delay, lambda: ended.set_result(loop.time()))
        assert await ended >= handle.when() - tolerance


async def test_timers_run_in_the_order_of_their_times(aio):
    loop, order = asyncio.get_running_loop(), []
    start = loop.time() + 0.05
    for number in (3, 1, 4, 0, 2):
        loop.call_at(start + 0.02 * number, order.append, number)
    done = asyncio.Event()
    loop.call_at(start + 0.1, done.set)
    await done.wait()
    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_timer_does_not_run(aio):
    loop, order, done = asyncio.get_running_loop(), [], asyncio.Event()
    handles = [loop.call_later(0.01, order.append, number) for number in range(500)]
    for handle in handles[1:]:
        handle.cancel()
    loop.call_later(0.03, done.set)
    await done.wait()
    assert order == [0]
    assert handles[1].cancelled() and not handles[0].cancelled()


async def test_a_long_timer_ends_the_wait_in_its_own_time(aio):
    """A shorter one that is set meanwhile comes first."""
    loop, order, done = asyncio.get_running_loop(), [], asyncio.Event()
    loop.call_later(0.2, lambda: (order.append("long"), done.set()))
    await away(lambda: loop.call_soon_threadsafe(loop.call_later, 0.01, order.append, "short"))
    await done.wait()
    assert order == ["short", "long"]


async def test_callbacks_run_in_the_context_of_their_call(aio):
    loop, seen = asyncio.get_running_loop(), []
    mark.set("call_soon")
    loop.call_soon(lambda: seen.append(mark.get()))
    mark.set("call_later")
    loop.call_later(0, lambda: seen.append(mark.get()))
    other = contextvars.copy_context()
    other.run(mark.set, "other")
    loop.call_soon(lambda: seen.append(mark.get()), context=other)
    mark.set("after")
    await asyncio.sleep(0.01)
    assert sorted(seen) == ["call_later", "call_soon", "other"]


@pytest.mark.parametrize("side", SIDES)
async def test_a_protocol_runs_in_the_context_in_which_its_connection_or_server_was_asked_for(aio, side):
    seen = set()

    class Asking(Recording):
        def note(self, name):
            seen.add((name, mark.get()))
            super().note(name)

    mark.set("asked")
    async with linked(side, Asking) as (protocol, peer):
        mark.set("later")
        peer.sendall(b"x")
        await protocol.until_data(1)
        peer.close()
        await protocol.until("connection_lost")
    assert seen == {(name, "asked")
                    for name in ("connection_made", "data_received", "eof_received", "connection_lost")}


async def test_what_one_call_sets_in_its_context_stays_there(aio):
    """The task that reads afterwards has its own context."""
    class Setting(Recording):
        def data_received(self, data):
            mark.set("by the protocol")
            super().data_received(data)

    mark.set("by the task")
    async with linked(factory=Setting) as (protocol, peer):
        peer.sendall(b"x")
        await protocol.until_data(1)
        assert mark.get() == "by the task"


async def test_an_exception_in_a_callback_goes_to_the_handler_and_the_loop_goes_on(aio):
    loop, order = asyncio.get_running_loop(), []
    with trouble() as heard:
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(order.append, "next")
        await passes()
    assert order == ["next"]
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_callback_can_end_the_loop(aio, kind):
    loop, order = aio.new(), []

    def leave():
        raise kind

    loop.call_soon(leave)
    loop.call_soon(order.append, "next")
    with pytest.raises(kind):
        loop.run_forever()
    assert not loop.is_running()
    loop.run_until_complete(asyncio.sleep(0))           # it can go on
    loop.close()
    assert order == ["next"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_data_received_can_end_the_loop(aio, kind):
    class Leaving(Recording):
        def data_received(self, data):
            raise kind

    async def main():
        async with linked(factory=Leaving) as (protocol, peer):
            peer.sendall(b"x")
            await protocol.until("connection_lost")

    with pytest.raises(kind):
        aio.run(main())


def test_stop_lets_the_pass_end(aio):
    loop, order = aio.new(), []
    loop.call_soon(loop.stop)
    loop.call_soon(order.append, "same pass")
    loop.call_soon(lambda: loop.call_soon(order.append, "next pass"))
    loop.run_forever()
    assert order == ["same pass"]
    loop.run_until_complete(passes())
    loop.close()
    assert order == ["same pass", "next pass"]


def test_a_closed_loop_refuses(aio):
    loop = aio.new()
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (loop.call_soon, loop.call_soon_threadsafe, lambda function: loop.call_later(1, function)):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()


async def test_one_loop_at_a_time_runs_in_a_thread(aio):
    loop = aio.new()
    try:
        with pytest.raises(RuntimeError, match="another loop is running"):
            loop.run_forever()
    finally:
        loop.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_tasks(aio):
    loop, order = asyncio.get_running_loop(), []

    async def body():
        order.append("body")
        await asyncio.sleep(0)

    loop.set_task_factory(asyncio.eager_task_factory)
    task = loop.create_task(body())
    order.append("made")
    await task
    loop.set_task_factory(None)
    assert order == ["body", "made"]


async def test_a_task_factory(aio):
    loop, made = asyncio.get_running_loop(), []

    def factory(loop, coroutine, **options):
        made.append(options)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    context = contextvars.copy_context()
    context.run(mark.set, "in the task")

    async def body():
        return mark.get()

    assert await loop.create_task(body(), name="named", context=context) == "in the task"
    loop.set_task_factory(None)
    assert made[0]["context"] is context


async def test_a_call_in_the_executor(aio):
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(None, lambda: 1 / 0)


async def test_names_are_looked_up_in_the_executor(aio, monkeypatch):
    threads = []

    def lookup(*arguments, **options):
        threads.append(threading.get_ident())
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, 7))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert (await asyncio.get_running_loop().getaddrinfo("a.name", 7))[0][4] == (HOST, 7)
    assert threads and threading.get_ident() not in threads
