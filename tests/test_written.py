"""Written answers from hand-in to grade: the sheet, the import, the re-score, the write-up."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_course import notebook, write

from grader.assignment import read_rubric
from grader.checks import KINDS
from grader.checks.base import Released
from grader.cli import grader
from grader.course import Course
from grader.grades.desk import Desk
from grader.symbolic import Symbolic

RUBRIC = """\
assignment: hw
limits: {cell: 5 s, total: 60 s, probe: 5 s, memory: 1 GiB}
questions:
  - id: 1a
    points: 2
    complexity: cost
    equals: {'rnn, time': t*l*n**2, 'transformer, time': t**2*l*n}
    symbols: {t: positive integer, l: positive integer, n: positive integer}
  - id: 1b
    points: 1
    written:
      under: 1b
      items: [parallel, {tokens: 0.5}]
  - id: 4a
    points: 3
    checks:
      - value: q_steps
        equals: [1, 2, 1, -1]
      - written:
          under: 4a
          writeup: true
          reads: {table: {q: [1, 2, 1, -1], p: [1, -1, -2, -1]}}
        weight: 2
"""
TEMPLATE = ["# HW", "x = 1", "## 1b\n*Your words.*"]
WORDS = "## 1b\nAll tokens at once."
WRITEUP = """\
Ann, 17

# Question 1 (a)
Time: RNN: O(t*l*n^2), Transformer: O(t^3)

# Question 4 (a)
| q | 1 | 2 | 1 | -1 |
|---|---|---|---|----|
| p | 1 | -1 | -2 | 7 |
"""


def hand_in(root: Path, student: str, *cells: str, writeup: str = "") -> None:
    folder = root / "submissions" / "hw" / student
    write(folder / "hw.ipynb", notebook(*cells))
    if writeup:
        write(folder / "writeup.md", writeup)


def course(root: Path) -> None:
    """Ann hands in a write-up beside her notebook, bob words, =cy nothing."""
    write(root / "rubrics" / "hw.yaml", RUBRIC)
    write(root / "reference" / "hw" / "reference.py", "")
    write(root / "reference" / "hw" / "student" / "hw.ipynb", notebook(*TEMPLATE))
    write(root / "reference" / "hw" / "solution" / "hw.ipynb", notebook(*TEMPLATE))
    hand_in(root, "ann", "x = 1", WORDS, writeup=WRITEUP)
    hand_in(root, "bob", "q_steps = [1, 2, 1, -1]", WORDS.replace("All", "No"))
    hand_in(root, "=cy", "y = 1", TEMPLATE[2])


def command(*args: str | Path) -> tuple[int, str]:
    """Run a command here; the exit code and what it printed."""
    done = CliRunner().invoke(grader, list(map(str, args)), standalone_mode=False)
    if done.exception is not None:
        sys.stderr.write(f"{done.exception}\n")  # shown where a test fails
        return 2, str(done.exception)
    return int(done.return_value), done.output


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def points(root: Path, student: str, *questions: str) -> list[str]:
    found = {row["student"]: row for row in rows(root / "reports" / "hw" / "scores.csv")}
    return [found[student][question] for question in questions]


def fill(sheet: Path, points_of: dict[tuple[str, str], str], comment: str = "") -> None:
    """Fill in points by student and question, as a person with a German Excel would."""
    told = rows(sheet)
    for row in told:
        given = points_of.get((row["student"], row["question"]), row["points"])
        row["points"] = given.replace(".", ",")
        row["comment"] = comment if given and not row["comment"] else row["comment"]
    with sheet.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(told[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(told)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    course(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


RUN = ("run", "submissions", "--sandbox", "process", "--trust-students")


@pytest.mark.slow
def test_from_hand_in_to_grade(root: Path) -> None:
    code, said = command(*RUN)
    assert code == 1
    assert "6 answers wait for a person: reports/hw/written.csv" in " ".join(said.split())
    sheet = root / "reports" / "hw" / "written.csv"
    told = rows(sheet)
    assert list(told[0])[:6] == [
        "student",
        "question",
        "excerpt",
        "max_points",
        "points",
        "comment",
    ]
    assert [(row["student"], row["question"], row["kind"]) for row in told] == [
        ("ann", "1a", "complexity"),
        ("ann", "1b", "written"),
        ("bob", "1b", "written"),
        ("ann", "4a", "value"),
        ("ann", "4a", "written"),
        ("bob", "4a", "written"),
    ]
    first, words, _, steps, table, elsewhere = told
    assert first["excerpt"] == "Time: RNN: O(t*l*n^2), Transformer: O(t^3)"
    assert (first["source"], first["proposed"]) == ("writeup.md", "1")
    assert first["read"] == "rnn, time: t*l*n^2 (right); transformer, time: t^3 (not right)"
    assert first["reason"] == (
        "cost is not defined. The write-up has words for 1a: a person looks."
    )
    assert (words["excerpt"], words["source"]) == ("All tokens at once.", "the notebook")
    assert words["items"] == "parallel; tokens (0.5)"
    assert (steps["max_points"], steps["proposed"]) == ("1", "1")
    assert (table["max_points"], table["proposed"]) == ("2", "1.75")
    assert (elsewhere["excerpt"], elsewhere["source"]) == (
        "No tokens at once.",
        "the notebook, elsewhere",
    )
    assert points(root, "ann", "1a", "1b", "4a") == ["", "", ""]
    assert points(root, "bob", "1a", "1b", "4a") == ["0", "", ""]
    assert points(root, "'=cy", "1a", "1b", "4a") == ["0", "0", "0"]

    whole = (root / "reports" / "hw" / "written" / "4a.txt").read_text()
    assert "== ann: written, writeup.md" in whole
    assert "    | p | 1 | -1 | -2 | 7 |" in whole
    assert "-- Under no question:\n    Ann, 17" in whole

    fill(sheet, {("ann", "1b"): "0.5", ("bob", "1b"): "1", ("bob", "4a"): "0"}, "'Why?")
    code, said = command("grades", "import", sheet, "--by", "tom")
    assert (
        code,
        "hw, graded by tom: 3 grades are new, 0 were known, 3 rows have no points yet" in said,
    ) == (
        0,
        True,
    )
    assert command("score")[0] == 1
    assert points(root, "ann", "1a", "1b", "4a") == ["", "0.5", ""]
    assert points(root, "bob", "1a", "1b", "4a") == ["0", "1", "1"]
    (mine,) = (
        row
        for row in rows(root / "reports" / "hw" / "students" / "bob.csv")
        if row["question"] == "1b"
    )
    assert mine["feedback"] == "'Why?"
    again = {(row["student"], row["question"]): row for row in rows(sheet)}
    assert [again["ann", "1b"][name] for name in ("points", "comment", "grader")] == [
        "0.5",
        "'Why?",
        "tom",
    ]

    fill(sheet, {("ann", "1b"): "1"})
    code, said = command("grades", "import", sheet, "--by", "eve")
    assert (code, "found 0.5 of 1 by tom" in said) == (2, True)
    code, said = command("grades", "import", sheet, "--by", "eve", "--replace")
    assert (
        code,
        "hw, graded by eve: 1 grades are new (1 replace older ones), 2 were known" in said,
    ) == (0, True)
    said = command("grades", "show", "ann")[1]
    assert [line.split()[-1] for line in said.splitlines()[2:]] == ["replaced", "counts"]

    hand_in(root, "ann", "x = 1", "## 1b\nOther words.", writeup=WRITEUP)
    assert command(*RUN)[0] == 1
    (row,) = (row for row in rows(sheet) if (row["student"], row["question"]) == ("ann", "1b"))
    assert row["points"] == ""
    assert row["reason"].startswith("Graded 1 of 1 by eve before the text changed.")
    assert points(root, "ann", "1b") == [""]
    said = command("grades", "list", "hw")[1]
    assert "the text changed" in said
    assert "4 answers wait for a person" in said


@pytest.mark.slow
def test_a_write_up_that_changes_is_scored_anew_without_a_run(root: Path) -> None:
    command(*RUN)
    folder = root / "submissions" / "hw"
    (folder / "ann" / "writeup.md").write_text("# 4a\n| q | 1 | 2 | 1 | -1 |\n|--|--|\n")
    (folder / "bob" / "writeup.pdf").write_bytes(b"%PDF no more")
    assert command("score")[0] == 1
    told = {(row["student"], row["question"], row["kind"]): row for row in rows(_sheet(root))}
    reason = "cost is not defined. The answer may be in the write-up: a person looks."
    assert told["ann", "1a", "complexity"]["reason"] == reason
    assert told["ann", "4a", "written"]["read"].endswith("p: not found")
    assert told["bob", "1a", "complexity"]["reason"] == (
        "cost is not defined. The answer may be in the write-up: a person looks. "
        "writeup.pdf is no PDF, or damaged."
    )


@pytest.mark.slow
def test_a_write_up_as_it_was_given_is_nobodys_work(root: Path) -> None:
    given = "# 1a\nWrite the cost here.\n# 4a\nWrite the table here.\n"
    write(root / "reference" / "hw" / "student" / "writeup.md", given)
    hand_in(root, "ann", "x = 1", TEMPLATE[2], writeup=given)
    hand_in(root, "bob", "x = 1", TEMPLATE[2], writeup=given + "| q | 1 | 2 | 1 |\n")
    command(*RUN)
    assert points(root, "ann", "1a", "1b", "4a") == ["0", "0", "0"]
    assert points(root, "bob", "1a", "1b", "4a") == ["0", "", ""]


def _sheet(root: Path) -> Path:
    return root / "reports" / "hw" / "written.csv"


def test_students_are_not_told_what_is_looked_for(root: Path) -> None:
    with Symbolic() as symbolic:
        assignment = Course(root).open("hw", symbolic)
    (check,) = [check for check in assignment.rubric.checks if check.id == "4a/2"]
    told = KINDS["written"].release(check.params, assignment.context, check.id)
    assert told == Released(params={"of": {"under": "4a", "writeup": True}}, requests={})


def test_a_rubric_says_what_is_wrong_with_reads(root: Path) -> None:
    path = root / "rubrics" / "hw.yaml"
    path.write_text(
        RUBRIC.replace("{table: {q: [1, 2, 1, -1], p: [1, -1, -2, -1]}}", "{growth: true}")
    )
    assert "written.reads: expected table or formulas, found neither" in command("score")[1]
    path.write_text(RUBRIC.replace("writeup: true", "writeup: false"))
    assert "expected a heading of the template, found '4a'; writeup: true" in command("score")[1]


def test_a_sheet_that_was_filled_in_is_put_aside_before_a_new_one_is_written(
    tmp_path: Path,
) -> None:
    write(tmp_path / "hw.yaml", RUBRIC)
    rubric = read_rubric(tmp_path / "hw.yaml", "hw.yaml")

    def desk() -> Desk:
        made = Desk(tmp_path / ".grader", rubric)
        made.write(tmp_path)
        return made

    desk()
    sheet = tmp_path / "hw" / "written.csv"
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbfstudent,question,")  # for Excel
    assert desk().kept is None
    sheet.write_text(sheet.read_text() + "s01,1b,,1,0.5,well\n")
    kept = desk().kept
    assert kept is not None
    assert "0.5,well" in kept.read_text()
    assert "0.5,well" not in sheet.read_text()


@pytest.mark.slow
def test_a_grade_is_shown_and_known_again_when_the_question_is_worth_more(root: Path) -> None:
    command(*RUN)
    fill(_sheet(root), {("ann", "1b"): "0.5"}, "Why?")
    old = root / "old" / "written.csv"
    write(old, _sheet(root).read_text("utf-8-sig"))
    command("grades", "import", _sheet(root), "--by", "tom")
    write(root / "rubrics" / "hw.yaml", RUBRIC.replace("points: 1\n", "points: 2\n"))
    command("score")
    (row,) = (row for row in rows(_sheet(root)) if row["points"])
    assert (row["student"], row["max_points"], row["points"]) == ("ann", "2", "1")
    assert points(root, "ann", "1b") == ["1"]

    said = command("grades", "import", _sheet(root), "--by", "eve")[1]
    assert "0 grades are new, 1 were known" in said
    code, said = command("grades", "import", old, "--by", "tom")
    assert (code, said) == (
        2,
        "old/written.csv:3: max_points: expected 2 as it is now, found '1': "
        "grade it in the new sheet",
    )


@pytest.mark.slow
def test_who_changed_their_answer_holds_up_nobody_elses_grades(root: Path) -> None:
    command(*RUN)
    fill(_sheet(root), {("ann", "1a"): "2", ("ann", "1b"): "1", ("bob", "1b"): "1"})
    filled = root / "filled.csv"
    write(filled, _sheet(root).read_text("utf-8-sig"))
    hand_in(root, "ann", "x = 1", "## 1b\nOther words.", writeup=WRITEUP)
    hand_in(root, "bob", "x = 1", TEMPLATE[2])  # nothing of it waits any more
    command(*RUN)
    code, said = command("grades", "import", filled, "--by", "tom")
    assert (code, "--skip-changed leaves such rows out" in said) == (2, True)
    code, said = command("grades", "import", filled, "--by", "tom", "--skip-changed")
    assert code == 0
    assert "1 grades are new, 0 were known" in said
    assert [line.split()[1] for line in said.splitlines() if "was left out" in line] == ["3", "4"]


@pytest.mark.slow
def test_a_grade_that_is_withdrawn_waits_again(root: Path) -> None:
    command(*RUN)
    fill(_sheet(root), {("ann", "1b"): "1"}, "Good.")
    command("grades", "import", _sheet(root), "--by", "tom")
    code, said = command("grades", "withdraw", "hw", "ann", "1b", "--by", "eve")
    assert (code, said) == (
        2,
        "expected a grade of your own, found 1 of 1 by tom: --replace to overrule",
    )
    code, said = command("grades", "withdraw", "hw", "ann", "1b", "--by", "tom")
    assert (code, said.splitlines()[0]) == (0, "hw: 1 of 1 of ann for 1b is withdrawn by tom")
    command("score")
    assert points(root, "ann", "1b") == [""]
    assert [row["points"] for row in rows(_sheet(root))] == [""] * 6
    said = command("grades", "show", "ann")[1]
    assert [line.split()[-1] for line in said.splitlines()[2:]] == ["replaced", "again"]
    code, said = command("grades", "withdraw", "hw", "ann", "1b", "--by", "tom")
    assert (code, said) == (2, "expected one grade of ann for 1b, found none")
    fill(_sheet(root), {("ann", "1b"): "0.5"})
    assert "1 grades are new," in command("grades", "import", _sheet(root), "--by", "eve")[1]
