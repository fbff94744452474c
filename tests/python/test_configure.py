"""configure() and IOCPSOCK_SETTINGS: the settings of the whole process."""

import os
import subprocess
import sys

import pytest

from support import Net


@pytest.fixture
def configure(engine_stats):
    import iocpsock
    before = iocpsock.configure()
    yield iocpsock.configure
    iocpsock.configure(**before)


def test_it_tells_all_settings(configure):
    settings = configure()
    assert settings["recvmode"] == "buffered" and settings["sendlimit"] == 262144 and settings["linger"] == -1
    assert all(isinstance(value, int) for name, value in settings.items()
               if name not in ("recvmode", "lookup"))


def test_it_changes_some_and_tells_all(configure):
    assert configure(recvmode="zero", linger=5) == {**configure(), "recvmode": "zero", "linger": 5}


@pytest.mark.parametrize("settings, named", [
    ({"recvcount": 0}, "recvcount: 0 is not an integer from 1 to 16"),
    ({"recvcount": 17, "linger": 1}, "recvcount: 17 is not"),
    ({"recvcount": "2"}, "recvcount: '2' is not"),
    ({"recvcount": True}, "recvcount: True is not"),
    ({"recvcount": 2.0}, "recvcount: 2.0 is not"),
    ({"sendlimit": 10 ** 30}, "sendlimit: 1000000000000000000000000000000 is not a number of bytes"),
    ({"recvmode": "fast"}, "recvmode: 'fast' is not buffered, zero, or auto"),
    ({"recvmode": 0}, "recvmode: 0 is not"),
    ({"lookup": "never"}, "lookup: 'never' is not foreground or background"),
    ({"recvmode": "zero\0"}, "recvmode: 'zero\\x00' is not"),
])
def test_an_illegal_value_is_named_and_nothing_changes(configure, settings, named):
    before = configure()
    with pytest.raises(ValueError, match="^" + named.replace("\\", "\\\\")):
        configure(**settings)
    assert configure() == before


def test_an_unknown_name_is_refused_with_those_there_are(configure):
    with pytest.raises(TypeError, match="no setting 'recvsize'; there are recvbufsize, "):
        configure(recvsize=1)


def test_sockets_of_python_need_no_completion_thread(configure, balance):
    """So the number of these threads can still be set, for a Tcl that the process may load."""
    with Net("iocpsock").pair() as (client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
    before = configure()["threads"]
    assert configure(threads=before + 1)["threads"] == before + 1
    configure(threads=before)


def imported_with(text):
    """The output of a new process that imports the package with this text in IOCPSOCK_SETTINGS."""
    script = "import iocpsock; print(sorted(iocpsock.configure().items()))"
    return subprocess.run([sys.executable, "-c", script], env={**os.environ, "IOCPSOCK_SETTINGS": text},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def test_the_environment_tunes_a_program_that_knows_nothing_of_it():
    child = imported_with("recvmode=auto, threads=2")
    assert "('recvmode', 'auto')" in child.stdout and "('threads', 2)" in child.stdout


@pytest.mark.parametrize("text", ["threads=many", "thread=2", "x" * 2000])
def test_an_environment_that_is_wrong_is_an_import_error(text):
    child = imported_with(text)
    assert child.returncode == 1
    assert "ImportError: IOCPSOCK_SETTINGS is wrong at " in child.stderr
