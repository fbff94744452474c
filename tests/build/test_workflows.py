"""The workflows: what actionlint says of them, that what they use is pinned, and that their commands
exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import dev
from tools.environments import linux_python

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What is on the machines that the workflows name, beside Python and this checkout.
THERE = {"apt-get", "printf", "mkdir", "for", "done"}


def commands(workflow):
    """The lines of each `run:`, of one line or of a block."""
    lines = workflow.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        head, found, command = line.partition("- run: ")
        if found and command != "|":
            yield command
        elif found:
            for inner in lines[number + 1:]:
                if not inner.startswith(" " * (len(head) + 4)):
                    break
                yield inner.strip()


def test_there_are_workflows():
    assert [path.name for path in WORKFLOWS] == ["linux.yml", "release.yml", "windows.yml"]
    assert all(list(commands(path)) for path in WORKFLOWS)


def lint(*files):
    command = [linux_python.actionlint(), "-no-color", *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_actionlint():
    checked = lint(*WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_actionlint_finds_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    steps:\n"
                     "      - run: ${{ matrix.none }}\n")
    checked = lint(wrong)
    assert checked.returncode == 1 and "matrix" in checked.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_is_used_is_pinned(workflow):
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+")
    used = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))
    assert [action for action in used if not pinned.fullmatch(action)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_its_commands_exist(workflow):
    for command in commands(workflow):
        words = [word for word in command.split() if not re.fullmatch(r"\w+=.*", word)]
        if words[0] in ("python", "python3") and words[1] == "dev.py":
            assert words[2] in dev.COMMANDS, command
            assert all(option in dev.__doc__ for option in words[3:] if option.startswith("--")), command
        elif words[0] in ("python", "python3", '"$python"'):
            assert words[1:3] in (["-m", "pip"], ["-m", "iocpsock"]), command
        else:
            assert words[0] in THERE, command
