"""The package as such: what it offers, what its stubs promise, importing it again."""

import ast
import importlib
import inspect
import pathlib
import socket

from support import DEADLINE, Net, spawn

PUBLIC = {"socket", "create_connection", "create_server", "socketpair", "fromfd", "fromshare", "has_dualstack_ipv6", "patch",
          "patched", "unpatch", "stats", "configure", "__version__"}


def stub_names(text):
    """The public names that a stub file declares."""
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = node.name
        elif isinstance(node, ast.AnnAssign):
            name = node.target.id
        else:
            continue
        if name.startswith("__") or not name.startswith("_"):
            yield name


def test_what_it_offers(engine_stats):
    import iocpsock
    assert set(iocpsock.__all__) == PUBLIC
    assert isinstance(iocpsock.__version__, str) and iocpsock.__version__[0].isdigit()
    assert issubclass(iocpsock.socket, socket.socket)


def test_everything_is_described(engine_stats):
    import iocpsock
    for name in PUBLIC - {"__version__"}:
        assert inspect.getdoc(getattr(iocpsock, name)), name


def test_the_stubs_name_the_same(engine_stats):
    import iocpsock
    folder = pathlib.Path(iocpsock.__file__).parent
    assert (folder / "py.typed").exists()
    declared = set(stub_names((folder / "__init__.pyi").read_text(encoding="utf-8")))
    assert declared == PUBLIC


def test_names_say_where_they_belong(engine_stats):
    import iocpsock
    assert repr(iocpsock.socket) == "<class 'iocpsock.socket'>"
    with iocpsock.socket() as sock:
        assert repr(sock).startswith("<iocpsock.socket fd=")


def test_importing_again_changes_nothing(balance):
    import iocpsock
    with Net("iocpsock").pair() as (client, server):
        waiting = spawn(server.recv, 10)
        assert importlib.import_module("iocpsock") is iocpsock
        again = importlib.reload(iocpsock)
        assert again is iocpsock
        client.sendall(b"still here")
        assert waiting.result(DEADLINE) == b"still here"
    with Net("iocpsock").pair() as (client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
