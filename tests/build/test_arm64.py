"""The wheel for Windows on ARM64: built, and read byte by byte. Nothing here can run it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pe import FLAG_DYNAMIC_BASE, FLAG_HIGH_ENTROPY_VA, FLAG_NX_COMPAT, MACHINE_ARM64, PE
from test_pe import EXPORTS, VERSION, is_system_dll
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
        return PE(archive.read("iocpsock/iocpsock.dll"))


def test_its_name(wheel):
    assert wheel.name == f"iocpsock-{VERSION}-cp311-abi3-win_arm64.whl"


def test_its_tables(dll):
    hardened = FLAG_NX_COMPAT | FLAG_DYNAMIC_BASE | FLAG_HIGH_ENTROPY_VA
    assert dll.machine == MACHINE_ARM64
    assert dll.flags & hardened == hardened
    assert set(dll.exports) == EXPORTS
    assert [name for name in dll.imports if not is_system_dll(name)] == []


@pytest.mark.parametrize("source", sorted(probe.PROGRAM.glob("*.c")), ids=lambda path: path.stem)
def test_the_probe_compiles_without_a_warning_for_it(source, tmp_path):
    """As MSVC would compile it there."""
    like_msvc = ["-target", "aarch64-windows-gnu", "-fms-extensions", "-fms-compatibility", "-fgnuc-version=12"]
    command = [zig.program(), "cc", *like_msvc, "-Wall", "-Wextra", "-Werror", "-c", "-DWIN32_LEAN_AND_MEAN",
               source, "-o", tmp_path / "object.o"]
    env = {**os.environ, **zig.environment()}
    checked = subprocess.run(command, env=env, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
