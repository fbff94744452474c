"""What ruff, mypy and cython-lint say of the sources, as pyproject.toml configures them; and the length of
the lines that none of them reads."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.environments import linux_python

REQUIREMENTS = linux_python.REQUIREMENTS / "style.txt"


def said(module, *arguments):
    """The output of the linter, a line for each complaint."""
    folder = linux_python.packages("style", REQUIREMENTS, "ruff and cython-lint")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(folder), "PATH": path})
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_ruff(tmp_path):
    assert said("ruff", "check", "--quiet", "--no-cache", "--output-format", "concise", ".") == []
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import os\n")
    assert "F401" in said("ruff", "check", "--quiet", "--no-cache", "--output-format", "concise",
                          str(wrong))[0]


def long_lines(folder, limit):
    """Those of the scripts in Tcl and of the C sources: ruff knows neither."""
    return [f"{path.name}:{number}" for path in sorted(folder.rglob("*"))
            if path.suffix in (".test", ".tcl", ".c")
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > limit]


def test_no_line_is_long(tmp_path):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    limit = settings["tool"]["ruff"]["line-length"]
    assert long_lines(ROOT / "tests", limit) == []
    (tmp_path / "wrong.test").write_text("#" * limit + "\n" + "#" * (limit + 1) + "\n")
    assert long_lines(tmp_path, limit) == ["wrong.test:2"]


def mypy(*arguments):
    """What mypy says of the rig and the examples, or of the named files. The stub file is test_types.py's."""
    done = subprocess.run([sys.executable, "-m", "mypy", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True)
    return done.returncode, done.stdout + done.stderr


def test_mypy(tmp_path):
    status, words = mypy("--cache-dir", tmp_path)
    assert status == 0, words


def test_mypy_looks_into_functions(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    return len(1)\n")
    status, words = mypy("--cache-dir", tmp_path, wrong)
    assert status == 1 and "[arg-type]" in words


def test_cython_lint():
    """An import in one part of the module is used in others, which it cannot see."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "iocpsock").glob("*/*.p[yx][xd]"))
    assert [line for line in said("cython_lint", *files) if "imported but unused" not in line] == []
