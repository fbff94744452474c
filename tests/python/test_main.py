"""`python -m iocpsock` as a user calls it: each call in a process of its own."""

import os
import subprocess
import sys
import textwrap
import zipfile

import pytest

from support import DEADLINE

PROGRAM = """
    import os, socket, sys
    script = os.path.dirname(os.path.abspath(sys.argv[0]))
    print(__name__, sys.argv[1:], script in sys.path, socket.socket.__module__, sep="|")
    sys.exit(3)
"""


def python(*arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], env=os.environ, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=2 * DEADLINE)
    return done.returncode, done.stdout, done.stderr


def called(*arguments):
    return python("-m", "iocpsock", *arguments)


LOOP = """
    import asyncio, socket, sys

    async def echo(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x" * 1_000_000)
        writer.write_eof()
        print(len(await reader.read()))
        writer.close()
        loop = asyncio.get_running_loop()
        with socket.create_connection(address) as plain:        # a blocking socket beside the loop
            plain.setblocking(False)
            await loop.sock_sendall(plain, b"hello")
            print(await loop.sock_recv(plain, 100))
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('a child')", stdout=-1)
        print((await child.communicate())[0].split())
        server.close()
        return type(loop)

    print(asyncio.run(main()))
    print(type(asyncio.new_event_loop()))
    with asyncio.Runner(loop_factory=asyncio.ProactorEventLoop) as runner:
        print(type(runner.get_loop()).__name__)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return path


def test_the_version():
    import iocpsock
    status, said, complaint = called("--version")
    assert (status, complaint) == (0, "")
    assert said.splitlines()[0] == f"iocpsock {iocpsock.__version__}"
    assert said.splitlines()[1].startswith("Python 3.") and said.splitlines()[-1].startswith("Windows ")


def test_where():
    status, said, complaint = called("--where")
    assert (status, complaint) == (0, "")
    dll, tcl = said.splitlines()
    assert os.path.isfile(dll.removeprefix("DLL: "))
    assert os.path.isdir(os.path.join(tcl[tcl.index("{") + 1:tcl.index("}")], "iocpsock"))


def test_stats():
    import iocpsock
    status, said, complaint = called("--stats")
    assert (status, complaint) == (0, "")
    assert set(iocpsock.stats()) <= {line.split()[0] for line in said.splitlines() if line}


def test_help():
    status, said, complaint = called("--help")
    assert (status, complaint) == (0, "") and said.startswith("usage: python -m iocpsock ")


@pytest.mark.parametrize("arguments", [[], ["-m"], ["--verison"], ["--version", "x"]])
def test_a_wrong_call(arguments):
    status, said, complaint = called(*arguments)
    assert (status, said) == (1, "") and complaint.startswith("usage: python -m iocpsock ")


def patched(outcome):
    """The outcome to expect under the patch of a program that prints the module of its socket class last."""
    status, said, complaint = outcome
    return status, said.replace("|socket\n", "|iocpsock\n"), complaint


def test_asyncio_runs_on_our_loop(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(LOOP))
    ours = "<class 'iocpsock._loop.EventLoop'>"
    assert called(path) == (0, "\n".join(["1000000", "b'hello'", "[b'a', b'child']", ours, ours,
                                          "ProactorEventLoop", ""]), "")


def test_a_program_runs_as_by_itself(program):
    arguments = program, "--where", "-m"
    alone = python(*arguments)
    assert alone[0] == 3 and "|socket\n" in alone[1]
    assert called(*arguments) == patched(alone)


def test_a_zip_file_runs_as_by_itself(program):
    path = program.with_suffix(".pyz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(program, "__main__.py")
    assert called(path, "one") == patched(python(path, "one"))


def test_a_module_runs_as_by_itself():
    arguments = "-m", "timeit", "-n1", "-r1", "import socket; print('', socket.socket.__module__, sep='|')"
    status, said, complaint = called(*arguments)
    assert (status, complaint) == (0, "") and said.splitlines()[0] == "|iocpsock"
    assert python(*arguments)[1].splitlines()[0] == "|socket"


def test_a_program_that_is_not_there(tmp_path):
    status, said, complaint = called(tmp_path / "none.py")
    assert (status, said) == (1, "") and complaint.splitlines()[-1].startswith("FileNotFoundError")
