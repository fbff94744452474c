"""The layers of the rig: a package of tools/ imports those before it, and nothing of those behind it."""

import ast
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
LAYERS = ["base", "environments", "suites", "load", "bench", "release", "testing"]


def imported(text):
    """The packages of the rig that a module imports, at its head or inside a function."""
    modules = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    return {module.split(".")[1] for module in modules if module.startswith("tools.")}


def upward(package, text):
    return sorted(imported(text) & set(LAYERS[LAYERS.index(package) + 1:]))


def test_every_package_has_its_layer():
    assert {path.parent.name for path in TOOLS.glob("*/__init__.py")} == set(LAYERS)


@pytest.mark.parametrize("package", LAYERS)
def test_no_package_imports_a_later_one(package):
    modules = {path.name: upward(package, path.read_text(encoding="utf-8"))
               for path in (TOOLS / package).glob("*.py")}
    assert {name: found for name, found in modules.items() if found} == {}


def test_an_upward_import_is_found():
    assert upward("base", "def f():\n    from tools.suites import suite\n") == ["suites"]
