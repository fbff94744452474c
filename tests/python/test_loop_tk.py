"""An event loop in the main loop of Tk, in one thread."""

import asyncio
import socket
import sys
import threading
import time

import pytest

try:
    import tkinter
except ImportError:
    if sys.version_info[:2] != (3, 12):
        raise
    pytest.skip("no tkinter of 3.12 is to be had", allow_module_level=True)

from loops import HOST
from support import DEADLINE, interrupt

SOON = 10           # seconds


@pytest.fixture
def root():
    window = tkinter.Tk()
    yield window
    try:
        window.destroy()
    except tkinter.TclError as gone:
        assert "application has been destroyed" in str(gone)


@pytest.fixture
def run(balance, root):
    import iocpsock
    return lambda main: iocpsock.run(asyncio.wait_for(main, DEADLINE) if asyncio.iscoroutine(main) else main,
                                     tk=root)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_both_run_in_one_thread(run, root):
    """A timer of Tk fires while a coroutine waits, and the coroutine goes on while Tk waits."""
    threads = []

    async def main():
        fired = asyncio.Event()
        root.after(20, lambda: (threads.append(threading.get_ident()), fired.set()))
        await fired.wait()
        await asyncio.sleep(0.02)
        threads.append(threading.get_ident())
        return "done"

    assert run(main()) == "done"
    assert threads == [threading.get_ident()] * 2


def test_it_serves(run, root):
    ticks = []

    def tick():
        ticks.append(1)
        root.after(5, tick)

    async def main():
        tick()
        server = await asyncio.start_server(echo, HOST, 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for number in range(200):
                writer.write(b"x" * 10_000)
                assert await reader.readexactly(10_000)
                if number == 100:
                    await asyncio.sleep(0.1)
            writer.close()
            await writer.wait_closed()

    run(main())
    assert ticks


def test_nobody_polls(run, root):
    """While nothing happens, the loop makes no pass and Tcl has no event of ours."""
    import iocpsock
    passes = []

    class Counted(iocpsock.EventLoop):
        def _pass(self):
            passes.append(time.monotonic())
            return super()._pass()

    async def main():
        await asyncio.sleep(0.1)
        passes.clear()
        await asyncio.sleep(0.5)
        return len(passes)

    from iocpsock import _hosted
    assert _hosted.run(main(), root, Counted, None) <= 4        # two for the timer: see port_wait_time


def test_a_callback_of_tk_uses_the_loop(run, root):
    """It starts a task, sets a timer, and reads on; each ends the wait at once."""
    async def main():
        loop, heard = asyncio.get_running_loop(), asyncio.Queue()

        async def task():
            heard.put_nowait("task")

        root.after(20, lambda: asyncio.ensure_future(task()))
        assert await asyncio.wait_for(heard.get(), SOON) == "task"
        root.after(20, lambda: loop.call_later(0.02, heard.put_nowait, "timer"))
        assert await asyncio.wait_for(heard.get(), SOON) == "timer"
        near, far = socket.socketpair()
        with far:
            reader, writer = await asyncio.open_connection(sock=near)
            writer.transport.pause_reading()
            far.sendall(b"hello")
            await asyncio.sleep(0.05)
            root.after(20, writer.transport.resume_reading)
            assert await asyncio.wait_for(reader.readexactly(5), SOON) == b"hello"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_another_thread_wakes_it(run, root):
    async def main():
        assert await asyncio.to_thread(lambda: 7) == 7

    run(main())


def test_the_loop_goes_on_without_the_window(run, root):
    async def main():
        root.after(20, root.destroy)
        await asyncio.sleep(0.2)
        async with await asyncio.start_server(echo, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"still there")
            assert await reader.readexactly(11) == b"still there"
            writer.close()
            await writer.wait_closed()
        return "done"

    assert run(main()) == "done"


def test_an_exception_of_the_coroutine(run, root):
    async def main():
        await asyncio.sleep(0.02)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(main())


def test_one_run_after_the_other(run, root):
    async def main(number):
        await asyncio.sleep(0.01)
        return number

    assert [run(main(number)) for number in range(3)] == [0, 1, 2]


def test_ctrl_c(run, root):
    async def main():
        await asyncio.get_running_loop().create_future()

    start = time.monotonic()
    striking = interrupt()
    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert time.monotonic() - start < SOON
    striking.result(DEADLINE)


def test_no_window(balance):
    import iocpsock

    async def main():
        raise AssertionError("it ran")

    coroutine = main()
    with pytest.raises(TypeError, match="tk must be a tkinter.Tk or another widget, not str"):
        iocpsock.run(coroutine, tk=".")
    coroutine.close()
