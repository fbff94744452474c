"""The stub file under the type checker, alone and in use."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WRONG = {
    "a result": "import iocpsock\nn: int = iocpsock.create_server(('', 0))\n",
    "an argument": "import iocpsock\niocpsock.create_connection('localhost')\n",
    "a name": "import iocpsock\niocpsock.create_listener\n",
    "an attribute": "import iocpsock\niocpsock.socket().acceptcount = 'many'\n",
}


def mypy(folder, *files):
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--platform", "win32",
                           "--python-version", "3.11", "--cache-dir", str(folder / "cache"),
                           *map(str, files)], cwd=ROOT, capture_output=True, text=True)


def test_the_stub_file_and_its_use(tmp_path):
    checked = mypy(tmp_path, "iocpsock/__init__.pyi", "tests/build/typed_use.py")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found(tmp_path, what):
    """Otherwise the checker has not seen the stub file at all."""
    program = tmp_path / "program.py"
    program.write_text(WRONG[what])
    checked = mypy(tmp_path, program)
    assert (checked.returncode, checked.stdout.count("error:")) == (1, 1), checked.stdout + checked.stderr
