"""The built DLL and wheel, read byte by byte on this machine: what they need, what they offer, what they
carry."""

import re
import tomllib
import zipfile
from pathlib import Path

import pefile
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "package" / "iocpsock"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

# Every Windows has these; the universal C run-time (api-ms-win-crt-*) is what MSVC builds import instead of
# msvcrt.
SYSTEM_DLLS = {"advapi32.dll", "iphlpapi.dll", "kernel32.dll", "mswsock.dll", "msvcrt.dll", "ntdll.dll",
               "user32.dll", "ws2_32.dll"}
EXPORTS = {"PyInit__iocpsock", "Iocpsock_Init", "Iocpsock_SafeInit"}
CONTENTS = {"__init__.py", "__init__.pyi", "_patch.py", "_tls.py", "py.typed", "pkgIndex.tcl", "iocpsock.dll"}


@pytest.fixture(scope="module")
def dll():
    """The tables of the DLL of the last build."""
    return pefile.PE(data=(PACKAGE / "iocpsock.dll").read_bytes())


@pytest.fixture(scope="module")
def wheel():
    """The one wheel of this version, open for reading."""
    (path,) = (ROOT / "dist").glob(f"iocpsock-{VERSION}-*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def imports(dll):
    """Each DLL's name, and the names taken from it, None for one taken by its number; delay-loaded too."""
    entries = [*getattr(dll, "DIRECTORY_ENTRY_IMPORT", ()), *getattr(dll, "DIRECTORY_ENTRY_DELAY_IMPORT", ())]
    return {entry.dll.decode(): [symbol.name and symbol.name.decode() for symbol in entry.imports]
            for entry in entries}


def exports(dll):
    return sorted(symbol.name.decode() for symbol in dll.DIRECTORY_ENTRY_EXPORT.symbols)


def hardened(dll):
    """Whether it is a 64-bit image that may lie anywhere, and whose data is no code."""
    header = dll.OPTIONAL_HEADER
    return dll.PE_TYPE == pefile.OPTIONAL_HEADER_MAGIC_PE_PLUS and header.IMAGE_DLLCHARACTERISTICS_NX_COMPAT \
        and header.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE and header.IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA


def is_system_dll(name):
    return name.lower() in SYSTEM_DLLS or name.lower().startswith("api-ms-win-crt-")


def test_imports_only_system_dlls(dll):
    assert "kernel32.dll" in {name.lower() for name in imports(dll)}
    assert [name for name in imports(dll) if not is_system_dll(name)] == []


def test_imports_nothing_of_python_or_tcl(dll):
    names = [*imports(dll), *(symbol for symbols in imports(dll).values() for symbol in symbols if symbol)]
    assert [name for name in names if re.match(r"_?py|tcl|tk", name, re.IGNORECASE)] == []


def test_exports_exactly_its_entry_points(dll):
    assert exports(dll) == sorted(EXPORTS)


def test_is_a_hardened_64_bit_image(dll):
    assert dll.FILE_HEADER.Machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_AMD64"]
    assert hardened(dll)


def test_wheel_tags(wheel):
    assert Path(wheel.filename).name == f"iocpsock-{VERSION}-cp311-abi3-win_amd64.whl"
    text = wheel.read(f"iocpsock-{VERSION}.dist-info/WHEEL").decode()
    assert "Tag: cp311-abi3-win_amd64" in text.splitlines()
    assert "Root-Is-Purelib: false" in text.splitlines()


def test_wheel_contents(wheel):
    names = {name for name in wheel.namelist() if not name.startswith(f"iocpsock-{VERSION}.dist-info/")}
    missing = {f"iocpsock/{name}" for name in CONTENTS} - names
    assert missing == set()
    strangers = {name for name in names
                 if not re.fullmatch(r"iocpsock/(\w+\.(py|pyi|tcl|typed)|iocpsock\.dll)", name)}
    assert strangers == set()


def test_wheel_metadata(wheel):
    metadata = wheel.read(f"iocpsock-{VERSION}.dist-info/METADATA").decode()
    assert f"\nVersion: {VERSION}\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "License-Expression: BSD-3-Clause" in metadata
    assert "Requires-Dist" not in metadata


def test_package_is_the_wheel(wheel):
    """What the tests import and what a user installs are the same bytes."""
    for name in wheel.namelist():
        if name.startswith("iocpsock/"):
            assert (PACKAGE / name.removeprefix("iocpsock/")).read_bytes() == wheel.read(name), name


def test_versions_agree():
    """Tcl takes 1.0a0 for a version as Python does: the package index says what pyproject.toml says."""
    index = (PACKAGE / "pkgIndex.tcl").read_text(encoding="utf-8")
    assert set(re.findall(r"package ifneeded \w+ (\S+)", index)) == {VERSION}
