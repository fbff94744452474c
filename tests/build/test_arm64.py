"""The wheel for Windows on ARM64: built, and read byte by byte. Nothing here can run it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pefile
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from test_pe import EXPORTS, VERSION, exports, hardened, imports, is_system_dll
from tools.environments import build, run, zig
from tools.environments.build import ARM64
from tools.testing import probe

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows the wheel is that of the machine")


@pytest.fixture(scope="module")
def wheel():
    build.ensure(variant=ARM64)
    return next((run.place(ARM64) / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def dll(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return pefile.PE(data=archive.read("iocpsock/iocpsock.dll"))


def test_its_name(wheel):
    assert wheel.name == f"iocpsock-{VERSION}-cp311-abi3-win_arm64.whl"


def test_its_tables(dll):
    assert dll.FILE_HEADER.Machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_ARM64"]
    assert hardened(dll)
    assert exports(dll) == sorted(EXPORTS)
    assert [name for name in imports(dll) if not is_system_dll(name)] == []


@pytest.mark.parametrize("source", sorted(probe.PROGRAM.glob("*.c")), ids=lambda path: path.stem)
def test_the_probe_compiles_without_a_warning_for_it(source, tmp_path):
    """As MSVC would compile it there."""
    like_msvc = ["-target", "aarch64-windows-gnu", "-fms-extensions", "-fms-compatibility",
                 "-fgnuc-version=12"]
    command = [zig.program(), "cc", *like_msvc, "-Wall", "-Wextra", "-Werror", "-c", "-DWIN32_LEAN_AND_MEAN",
               source, "-o", tmp_path / "object.o"]
    env = {**os.environ, **zig.environment()}
    checked = subprocess.run(command, env=env, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
