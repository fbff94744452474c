"""Child processes of the event loop: their pipes, their ends, and theirs with the loop's."""

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import textwrap

import pytest

from loops import MEGABYTES, Aio, passes
from piping import ECHO, LINES, TALK, Child, program
from support import pattern

PIPE = asyncio.subprocess.PIPE
MESSAGES = 10_000


async def start(code, **options):
    return await asyncio.create_subprocess_exec(*program(code), **options)


async def transported(code, **options):
    """The transport and the protocol of a child."""
    return await asyncio.get_running_loop().subprocess_exec(Child, *program(code), **options)


# ------------------------------------------------------------------------------ the end of a child

@pytest.mark.parametrize("code", [0, 1, 255, 259, 0xC0000005])
async def test_exit_codes(aio, code):
    """259 is what the system says of a process that still runs."""
    child = await start(f"import os; os._exit({code - 2 ** 32 if code > 2 ** 31 else code})")
    assert await child.wait() == code
    assert child.returncode == code
    assert await child.wait() == code


async def test_the_shell(aio):
    child = await asyncio.create_subprocess_shell("exit 3")
    assert await child.wait() == 3


async def test_a_program_that_does_not_exist(aio):
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("no-such-program", stdin=PIPE, stdout=PIPE, stderr=PIPE)


@pytest.mark.parametrize("how", ["kill", "terminate"])
async def test_a_child_is_ended(aio, how):
    child = await start(TALK, stdin=PIPE, stdout=PIPE)
    assert await child.stdout.readexactly(5) == b"ready"
    assert child.returncode is None
    getattr(child, how)()
    assert await child.wait() == 1
    assert await child.stdout.read() == b""
    child.stdin.close()


async def test_close_kills_a_child_that_runs(aio):
    transport, child = await transported(TALK)
    await child.until_called("pipe_data_received")
    assert transport.get_pid() > 0
    assert transport.get_returncode() is None
    transport.close()
    assert transport.is_closing()
    await child.until_called("connection_lost")
    assert transport.get_returncode() == 1


async def test_the_order_of_calls(aio):
    transport, child = await transported("import os; os.write(1, b'out'); os.write(2, b'err'); os._exit(5)")
    await child.until_called("connection_lost")
    assert child.calls[0] == "connection_made"
    assert child.calls[-1] == "connection_lost"
    assert child.calls.count("process_exited") == child.calls.count("connection_lost") == 1
    assert child.data == {1: b"out", 2: b"err"}
    assert child.lost == {0: None, 1: None, 2: None}
    assert transport.get_returncode() == 5
    transport.close()


async def test_many_at_a_time(aio):
    async def run(number):
        child = await start(f"import os, sys; os.write(1, b'{number}'); sys.exit({number})", stdout=PIPE)
        return (await child.communicate())[0], child.returncode

    assert await asyncio.gather(*map(run, range(12))) == [(b"%d" % number, number) for number in range(12)]


async def test_a_waiter_that_is_cancelled(aio):
    child = await start(TALK, stdin=PIPE, stdout=PIPE)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(child.wait(), 0.1)
    child.kill()
    assert await child.wait() == 1
    await child.communicate()


# ------------------------------------------------------------------------------ its pipes

async def test_communicate(aio):
    code = "import sys\nfor line in sys.stdin: print(line.strip()[::-1])\nprint('x', file=sys.stderr)"
    child = await start(code, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    out, err = await child.communicate(b"abc\ndef\n")
    assert (out.split(), err.split(), child.returncode) == ([b"cba", b"fed"], [b"x"], 0)


async def test_stderr_into_stdout(aio):
    child = await start("import os; os.write(1, b'a'); os.write(2, b'b'); os.write(1, b'c')", stdout=PIPE,
                        stderr=asyncio.subprocess.STDOUT)
    assert await child.communicate() == (b"abc", None)


async def test_devnull_and_files(aio, tmp_path):
    path = tmp_path / "out"
    with open(path, "wb") as file:
        child = await start("import sys; print(repr(sys.stdin.read()))", stdin=asyncio.subprocess.DEVNULL,
                            stdout=file)
        assert await child.wait() == 0
    assert path.read_bytes().strip() == b"''"


async def test_megabytes_through_a_child(aio):
    data = pattern(MEGABYTES)
    child = await start(ECHO, stdin=PIPE, stdout=PIPE)
    out, _ = await child.communicate(data)
    assert out == data
    assert child.returncode == 0


async def test_small_messages_each_way(aio):
    """As a program that speaks JSON over its standard streams does it."""
    child = await start(LINES, stdin=PIPE, stdout=PIPE)
    for number in range(MESSAGES // 10):
        child.stdin.write(b"message %d\n" % number)
        await child.stdin.drain()
        assert (await child.stdout.readline()).strip() == b"MESSAGE %d" % number
    child.stdin.close()
    assert await child.wait() == 0


async def test_small_messages_both_ways_at_once(aio):
    child = await start(LINES, stdin=PIPE, stdout=PIPE)

    async def feed():
        for number in range(MESSAGES):
            child.stdin.write(b"message %d\n" % number)
            await child.stdin.drain()
        child.stdin.close()

    feeding = asyncio.ensure_future(feed())
    for number in range(MESSAGES):
        assert (await child.stdout.readline()).strip() == b"MESSAGE %d" % number
    await feeding
    assert await child.stdout.read() == b""
    assert await child.wait() == 0


async def test_bytes_come_when_they_are_written(aio):
    child = await start("import os\nos.write(1, b'one')\nos.read(0, 1)\nos.write(1, b'two')\nos.read(0, 1)",
                        stdin=PIPE, stdout=PIPE)
    assert await child.stdout.read(100) == b"one"
    child.stdin.write(b"x")
    assert await child.stdout.read(100) == b"two"
    child.stdin.write(b"x")
    assert await child.wait() == 0


async def test_a_child_that_dies_while_it_is_written_to(aio):
    child = await start("import os; os.read(0, 1); os._exit(9)", stdin=PIPE)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            child.stdin.write(bytes(100_000))
            await child.stdin.drain()
            await asyncio.sleep(0)
    assert await child.wait() == 9


async def test_communicate_with_a_child_that_does_not_read(aio):
    child = await start("pass", stdin=PIPE, stdout=PIPE)
    assert await child.communicate(bytes(MEGABYTES)) == (b"", None)
    assert child.returncode == 0


async def test_a_child_that_closes_its_stdin_and_goes_on(aio):
    transport, child = await transported("import os; os.close(0); os.write(1, b'closed'); os._exit(0)")
    await child.until_called("connection_lost")
    assert child.data[1] == b"closed"
    transport.close()


async def test_a_reader_that_does_not_keep_up_stops_the_child(aio):
    code = f"import os\nfor _ in range(100): os.write(1, bytes({MEGABYTES // 100}))"
    child = await start(code, stdout=PIPE, limit=1000)
    await asyncio.sleep(0.3)
    assert child.returncode is None
    assert len(await child.stdout.read()) == MEGABYTES
    assert await child.wait() == 0


# ------------------------------------------------------------------------------ options

async def test_environment_and_directory(aio, tmp_path):
    child = await start("import os; print(os.environ['MARK'], os.getcwd())", stdout=PIPE, cwd=tmp_path,
                        env={**os.environ, "MARK": "here"})
    out, _ = await child.communicate()
    mark, folder = out.decode().strip().split(" ", 1)
    assert mark == "here"
    assert os.path.samefile(folder, tmp_path)


async def test_creationflags_and_startupinfo_are_passed_on(aio, monkeypatch):
    seen = []
    original = subprocess.Popen.__init__

    def spy(self, *arguments, **options):
        seen.append((options.get("creationflags"), options.get("startupinfo")))
        original(self, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", spy)
    information = subprocess.STARTUPINFO(dwFlags=subprocess.STARTF_USESHOWWINDOW, wShowWindow=0)
    child = await start("pass", creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, startupinfo=information)
    assert await child.wait() == 0
    assert seen == [(subprocess.CREATE_NEW_PROCESS_GROUP, information)]


@pytest.mark.parametrize("wrong", [{"universal_newlines": True}, {"shell": True}, {"bufsize": 1},
                                   {"text": True}, {"encoding": "utf-8"}, {"errors": "strict"}])
async def test_options_that_do_not_fit(aio, wrong):
    with pytest.raises(ValueError):
        await asyncio.get_running_loop().subprocess_exec(Child, *program("pass"), **wrong)


# ------------------------------------------------------------------------------ in the loop

async def test_a_child_and_a_reader_in_one_loop(aio):
    if aio.name == "stock":
        pytest.skip("it has no add_reader")
    loop, one, other = asyncio.get_running_loop(), *socket.socketpair()
    got = loop.create_future()
    with one, other:
        child = await start(TALK, stdin=PIPE, stdout=PIPE)
        loop.add_reader(one, lambda: got.done() or got.set_result(one.recv(10)))
        assert await child.stdout.readexactly(5) == b"ready"
        other.send(b"ready too")
        assert await got == b"ready too"
        loop.remove_reader(one)
        await child.communicate(b"x")


@pytest.mark.parametrize("debug", [False, True])
def test_a_loop_that_ends_before_its_child(aio, capfd, debug):
    """Without a word but asyncio's own, which debug mode asks for."""
    async def main():
        kept.append(await start("import os, time; os.write(1, b'ready'); time.sleep(60)", stdin=PIPE,
                                stdout=PIPE))
        assert await kept[0].stdout.readexactly(5) == b"ready"
        kept[0].stdin.write(bytes(MEGABYTES))

    gc.collect()
    capfd.readouterr()
    kept = []
    aio.run(main())
    kept[0]._transport._proc.kill()
    kept[0]._transport._proc.wait()
    del kept[:]
    gc.collect()
    if aio.name == "iocpsock" and not debug:
        assert capfd.readouterr() == ("", "")
    capfd.readouterr()


def test_a_program_that_leaves_its_child_says_nothing():
    """Neither at the loop's end nor at the interpreter's."""
    code = textwrap.dedent("""
        import asyncio, sys
        import iocpsock

        async def main():
            global child
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-S", "-c", "import sys; sys.stdin.read()", stdin=-1, stdout=-1)
            child.stdin.write(b"x")

        iocpsock.run(main())
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_child_hears_of_the_loops_end(balance):
    """Its pipes are closed then, so it does not wait for ever."""
    async def main():
        child = await start(TALK, stdin=PIPE, stdout=PIPE)
        await child.stdout.readexactly(5)
        return child

    child = Aio("iocpsock").run(main())
    assert child._transport._proc.wait(30) == 0


async def test_debug_mode_logs_the_child(aio, caplog):
    caplog.set_level(logging.DEBUG, "asyncio")
    asyncio.get_running_loop().set_debug(True)
    child = await start("import os; os._exit(4)", stdin=PIPE, stdout=PIPE)
    await child.communicate()
    await passes()
    assert any("exited with return code" in record.getMessage() for record in caplog.records)
