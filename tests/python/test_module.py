"""The package itself: its names, the declarations of its stub file, importing it again."""

import ast
import importlib
import inspect
import pathlib
import socket

import pytest

from support import DEADLINE, Net, spawn

PUBLIC = {"socket", "create_connection", "create_server", "socketpair", "fromfd", "fromshare",
          "has_dualstack_ipv6", "patch", "patched", "unpatch", "stats", "configure", "__version__",
          "EventLoop", "new_event_loop", "run"}


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


def test_dir_shows_what_is_ours(engine_stats):
    import iocpsock
    assert set(dir(iocpsock)) == PUBLIC


def test_every_other_name_of_socket_is_passed_on(engine_stats):
    """`import iocpsock as socket` in the place of `import socket`."""
    import iocpsock
    names = {name for name in dir(socket) if not name.startswith("__")}
    assert {name for name in names - PUBLIC if getattr(iocpsock, name) is not getattr(socket, name)} == set()
    with pytest.raises(AttributeError, match="module 'iocpsock' has no attribute 'sockket'"):
        assert iocpsock.sockket


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


def stub_of(module):
    return ast.parse((pathlib.Path(module.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")).body


def stub_functions(nodes):
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


def parameters(node):
    """The parameters of a function in the stub: (name, whether it can be omitted), by kind."""
    arguments = node.args
    required = len(arguments.args) - len(arguments.defaults)
    return {"positional": [(item.arg, index >= required) for index, item in enumerate(arguments.args)],
            "keyword": [(item.arg, default is not None) for item,
                        default in zip(arguments.kwonlyargs, arguments.kw_defaults)],
            "rest": arguments.kwarg is not None}


def parameters_of(function):
    """The same for the real function."""
    found = inspect.signature(function).parameters.values()

    def of_kind(kind):
        return [(item.name, item.default is not item.empty) for item in found if item.kind is kind]

    return {"positional": of_kind(inspect.Parameter.POSITIONAL_OR_KEYWORD),
            "keyword": of_kind(inspect.Parameter.KEYWORD_ONLY),
            "rest": bool(of_kind(inspect.Parameter.VAR_KEYWORD))}


def test_the_stubs_have_the_same_parameters(engine_stats):
    import iocpsock
    body = stub_of(iocpsock)
    declared = {node.name: parameters(node) for node in stub_functions(body)}
    assert declared == {name: parameters_of(getattr(iocpsock, name)) for name in declared}
    methods = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "socket").body
    declared = {node.name: parameters(node) for node in stub_functions(methods)}
    assert declared == {name: parameters_of(getattr(iocpsock.socket, name)) for name in declared}


def test_the_stubs_say_what_the_docstrings_say(engine_stats):
    """Each docstring begins with the sentence of the stub file."""
    import iocpsock
    body = stub_of(iocpsock)
    cls = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "socket")
    said = {getattr(iocpsock, node.name): ast.get_docstring(node) for node in [cls, *stub_functions(body)]}
    said |= {getattr(iocpsock.socket, node.name): ast.get_docstring(node)
             for node in stub_functions(cls.body)}
    said |= {getattr(iocpsock.socket, before.target.id): after.value.value
             for before, after in zip(cls.body, cls.body[1:]) if isinstance(before, ast.AnnAssign)}
    assert len(said) > 10
    for thing, sentence in said.items():
        documented = " ".join(inspect.getdoc(thing).split())
        assert documented.startswith(" ".join(sentence.split()).rstrip(".")), thing


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
