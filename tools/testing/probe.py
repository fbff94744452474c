"""`dev.py probe`: a C program tests the behaviour of the system's sockets; docs/windows.md has the table.

The answers of each system are kept as the program printed them, in tests/probe/answers. The table is made
from those files and nothing else. A test compares the answers of its own system with the program's present
output.
"""

import json
import shutil
from pathlib import Path

from tools.base import process
from tools.base.report import Problem, say
from tools.environments import cprogram, run

PROGRAM = run.ROOT / "tests" / "probe"
ANSWERS = PROGRAM / "answers"
PAGE = run.ROOT / "docs" / "windows.md"
BEGIN, END = "<!-- dev.py probe: the table begins -->", "<!-- dev.py probe: the table ends -->"
TIMEOUT = 400
WINES = ("wine-8", "wine-10")


def main(subjects, as_json=False, record=False, take=None):
    if take:
        keep(json.loads(Path(take).read_text(encoding="utf-8")))
        return 0
    if record and subjects:
        raise Problem("probe: --record keeps the answers of all subjects: name none")
    with run.session("") as windows:
        if not (as_json or record):
            return windows.pass_through(windows.program(compiled(), *subjects))
        said = ask(windows, *subjects)
    if record:
        keep(json.loads(said))
    if as_json:
        print(said, end="")
    return 0


def compiled():
    """The compiled program. A copy is put in build/, for use on another machine."""
    headers = [*PROGRAM.glob("*.h"), run.ROOT / "include" / "afd.h"]
    path = cprogram.compiled("probe", sorted(PROGRAM.glob("*.c")), sorted(headers))
    run.BUILD.mkdir(exist_ok=True)
    return Path(shutil.copy2(path, run.BUILD / "probe.exe"))


def ask(windows, *arguments):
    """The program's JSON."""
    argv, env = windows.program(compiled(), "--json", *arguments)
    words = {1: b"", 2: b""}

    def take(stream, data):
        words[stream] += data

    status = process.follow(argv, env, take, timeout=TIMEOUT)
    if status:
        raise Problem(f"probe: status {status}: {words[2].decode(errors='replace').strip()}")
    return words[1].decode().replace("\r\n", "\n")


def name_of(system):
    """The name of the file with a system's answers."""
    wine = system["wine"]
    return f"wine-{wine.split('.')[0]}" if wine else f"windows-{system['build']}-{system['processor']}"


def keep(answers):
    path = ANSWERS / f"{name_of(answers['system'])}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    say(f"-- {path.relative_to(run.ROOT)}")
    PAGE.write_text(page(), encoding="utf-8")


def kept():
    """The recorded answers: the name of each system, and its answers."""
    files = sorted(ANSWERS.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def page():
    """docs/windows.md with the table of the recorded answers."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Problem(f"{PAGE.relative_to(run.ROOT)}: the two lines that mark the table are not there")
    return f"{before}{BEGIN}\n{table(kept())}{END}{after}"


def table(systems):
    """A row for each question, a column for each system; Wine 10 and Windows have theirs in any case."""
    windows = [name for name in systems if name not in WINES]
    columns = [*WINES, *(windows or ["windows"])]
    said = {name: {row["name"]: row["answer"] for row in systems[name]["answers"]} for name in systems}
    questions = {row["name"]: row for answers in systems.values() for row in answers["answers"]}
    rows = [["question", "assumed", *map(title, columns)], ["---"] * (2 + len(columns))]
    for name, row in questions.items():
        answers = [said.get(column, {}).get(name, "") for column in columns]
        rows.append([f"`{name}` {row['question']}", row["assumed"], *answers])
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def title(name):
    system, _, rest = name.partition("-")
    return f"{system.capitalize()} {rest.replace('-', ' ')}".strip()
