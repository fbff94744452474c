"""The probe under this machine's Wine: every question is answered, and the page says what was said."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.base.report import Problem
from tools.environments import run
from tools.testing import probe

NO_ANSWER = re.compile(r"no answer|its process ended|\bfailed\b")


@pytest.fixture(scope="module")
def windows():
    with run.session("") as session:
        yield session


@pytest.fixture(scope="module")
def answers(windows):
    return json.loads(probe.ask(windows))


def test_every_question_has_an_answer(answers):
    assert [row for row in answers["answers"] if NO_ANSWER.search(row["answer"])] == []
    source = "".join(path.read_text(encoding="utf-8") for path in probe.PROGRAM.glob("*.c"))
    asked = re.findall(r'^    \{"([a-z0-9_.]+)",', source, re.MULTILINE)
    assert len(asked) > 80
    assert {row["name"] for row in answers["answers"]} == set(asked)


def test_the_answers_are_those_that_were_kept(answers):
    """Figures may differ. Of a system whose answers are not kept there is nothing to compare with."""
    name = probe.name_of(answers["system"])
    kept = probe.kept().get(name)
    if kept is None:
        pytest.skip(f"{name}: its answers are not kept in {probe.ANSWERS.relative_to(run.ROOT)}")
    assert comparable(answers) == comparable(kept)


def comparable(answers):
    return {row["name"]: row if row["exact"] else {**row, "answer": None} for row in answers["answers"]}


def test_the_table_is_made_of_what_is_kept():
    assert "wine-8" in probe.kept()
    assert probe.PAGE.read_text(encoding="utf-8") == probe.page()


def test_a_subject_that_takes_too_long_is_no_others_trouble(windows):
    """backlog waits for more than three seconds."""
    answers = json.loads(probe.ask(windows, "--limit", "3000", "backlog", "port"))["answers"]
    said = {row["name"]: row["answer"] for row in answers}
    assert said["backlog.full"] == "no answer in 3000 ms"
    assert said["port.late"] == "is written"


def test_the_answers_of_some_subjects_are_not_kept():
    with pytest.raises(Problem, match="name none"):
        probe.main(["port"], record=True)


def test_a_system_that_answers_gets_a_column():
    row = {"name": "a.b", "question": "q", "assumed": "x", "answer": "y|z", "exact": True}
    assert probe.table({"wine-8": {"answers": [row]}}).splitlines() == [
        "| question | assumed | Wine 8 | Wine 10 | Windows |",
        "| --- | --- | --- | --- | --- |",
        "| `a.b` q | x | y\\|z |  |  |"]
    head, *_ = probe.table({"windows-26100-arm64": {"answers": [row]}}).splitlines()
    assert head == "| question | assumed | Wine 8 | Wine 10 | Windows 26100 arm64 |"
