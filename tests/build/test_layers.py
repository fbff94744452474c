"""The layering: the order of the includes is the order of the layers, and no file calls, or names, a function
of a later one."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "iocpsock"
EXPORTED = {"Iocpsock_Init", "Iocpsock_SafeInit"}       # names by which Tcl's `load` knows them
DEFINITION = re.compile(r"^(?:cdef|def)\s+(?!class|struct|enum|extern|union)[^=\n(]*?\b(\w+)\(", re.MULTILINE)
FILES = re.findall(r'^include "(.*)"$', (PACKAGE / "_iocpsock.pyx").read_text(encoding="utf-8"), re.MULTILINE)


def code_of(text):
    """Without docstrings, strings and comments."""
    return re.sub(r"""#.*|"[^"\n]*"|'[^'\n]*'""", "", re.sub(r'"""(?:.|\n)*?"""', "", text))


def upward(sources):
    """The uses of functions that a later file defines: (file, function, the file that defines it)."""
    rooms = {name: file for file, text in sources.items() for name in DEFINITION.findall(text)}
    order = list(sources)
    return [(file, word, rooms[word]) for file, text in sources.items()
            for word in sorted(set(re.findall(r"(?<![.\w])\w+\b", code_of(text))) & rooms.keys())
            if order.index(rooms[word]) > order.index(file)]


@pytest.fixture(scope="module")
def sources():
    return {file: (PACKAGE / file).read_text(encoding="utf-8") for file in FILES}


def test_every_file_is_included_once():
    there = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("*/*.pyx")}
    assert sorted(FILES) == sorted(there)


def test_no_file_calls_a_later_one(sources):
    assert upward(sources) == []


def test_an_upward_call_is_found(sources):
    first, last = FILES[0], FILES[-1]
    callee = DEFINITION.findall(sources[last])[0]
    wrong = f"{sources[first]}\ncdef void wrong() noexcept nogil:\n    {callee}(NULL)\n"
    assert upward({**sources, first: wrong}) == [(first, callee, last)]


def test_a_function_s_prefix_is_its_file(sources):
    """But of those that Python or Tcl knows by their names."""
    functions = re.compile(DEFINITION.pattern.replace("cdef|def", "cdef"), re.MULTILINE)
    odd = {file: [name for name in functions.findall(text)
                  if not name.startswith(Path(file).stem + "_") and name not in EXPORTED]
           for file, text in sources.items()}
    assert not {file: names for file, names in odd.items() if names}
