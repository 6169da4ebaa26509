"""Theory that is handed in in any form reaches a person, who reads the student's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_course import write
from test_written import RUBRIC, RUN, TEMPLATE, WRITEUP, command, course, hand_in, points, rows

from grader.assignment import read_rubric
from grader.grades.rows import Row, Version, Waiting
from grader.report.written import write_written
from grader.rubric import Rubric
from grader.verdict import Pending, Work

pytestmark = pytest.mark.slow
UNREAD = {
    "docx": ("theory.docx", b"PK", "theory.docx is a .docx file, which is not read"),
    "jpg": ("page1.jpg", b"\xff\xd8", "page1.jpg is a .jpg file, which is not read"),
    "zip": ("theory.zip", b"PK", "theory.zip is a .zip file, which is not read"),
    "name": ("My: theory.pdf", b"%PDF", "was left out: a name that not every system allows"),
    "large": ("scan.pdf", b"", "scan.pdf was left out: at most 64 MiB a file"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which the template's words are in the notebook and in a write-up."""
    made = tmp_path_factory.mktemp("course")
    course(made)
    given = "# 1a\nWrite the cost here.\n# 4a\nWrite the table here.\n"
    write(made / "reference" / "hw" / "student" / "writeup.md", given)
    mine = given.replace("here.\n# 4a", "here.\nTime: RNN: O(t*l*n^2)\n# 4a") + "| q | 1 | 2 |\n"
    hand_in(made, "ann", "x = 1", TEMPLATE[2] + "\n\nAll at once.", writeup=mine)
    folder = made / "submissions" / "hw"
    for student, (name, data, _) in UNREAD.items():
        hand_in(made, student, "y = 1", TEMPLATE[2])
        (folder / student / name).write_bytes(data)
    with (folder / "large" / "scan.pdf").open("wb") as file:
        file.truncate(65 << 20)
    hand_in(made, "txt", "y = 1", TEMPLATE[2])
    (folder / "txt" / "theory.txt").write_text(WRITEUP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        command(*RUN)
    return made


def told(root: Path, student: str) -> list[dict[str, str]]:
    found = rows(root / "reports" / "hw" / "written.csv")
    return [row for row in found if row["student"] == student]


def test_who_handed_in_nothing_else_has_a_zero(root: Path) -> None:
    assert points(root, "'=cy", "1a", "1b", "4a") == ["0", "0", "0"]


@pytest.mark.parametrize("student", UNREAD)
def test_theory_that_no_machine_reads_is_no_zero(student: str, root: Path) -> None:
    says = UNREAD[student][2]
    assert points(root, student, "1a", "1b", "4a") == ["", "", ""]
    assert [says in row["reason"] for row in told(root, student)] == [True] * 4


def test_theory_as_plain_text_is_read(root: Path) -> None:
    (first,) = (row for row in told(root, "txt") if row["question"] == "1a")
    assert first["excerpt"] == "Time: RNN: O(t*l*n^2), Transformer: O(t^3)"
    assert (first["source"], first["proposed"]) == ("theory.txt", "1")


def test_an_excerpt_holds_the_students_words_alone(root: Path) -> None:
    excerpts = {(row["question"], row["kind"]): row["excerpt"] for row in told(root, "ann")}
    assert excerpts == {
        ("1a", "complexity"): "Time: RNN: O(t*l*n^2)",
        ("1b", "written"): "All at once.",
        ("4a", "value"): "| q | 1 | 2 |",
        ("4a", "written"): "| q | 1 | 2 |",
    }
    whole = (root / "reports" / "hw" / "written" / "1b.txt").read_text()
    assert "    *Your words.*\n    \n    All at once." in whole


@pytest.fixture
def rubric(tmp_path: Path) -> Rubric:
    write(tmp_path / "hw.yaml", RUBRIC)
    return read_rubric(tmp_path / "hw.yaml", "hw.yaml")


def test_texts_beside_the_sheet_hold_nothing_that_moves_a_terminal(
    tmp_path: Path, rubric: Rubric
) -> None:
    evil = "x\x1b[2J\u202e\ny"
    row = Row(
        assignment="hw",
        student=evil,
        question="1b",
        check="written",
        kind="written",
        max_points=1,
        version=Version.of(evil, ""),
    )
    work = Work(text=evil, source=evil, read=evil, unplaced=evil)
    pending = Pending(reason=evil, detail=evil, work=work)
    write_written([Waiting(row=row, pending=pending, grade=None)], rubric, tmp_path)
    shown = "x\ufffd[2J\ufffd"
    inside = f"    {shown}\n    y\n"
    assert (tmp_path / "hw" / "written" / "1b.txt").read_text() == (
        f"1b\n\n== {shown}\ufffdy: written, {shown}\ufffdy\n-- {shown}\ufffdy\n{inside}"
        f"-- The machine read:\n{inside}-- Under no question:\n{inside}"
    )


def test_texts_of_others_stay_beside_ours(tmp_path: Path, rubric: Rubric) -> None:
    folder = tmp_path / "hw" / "written"
    for name in ("notes.txt", "1b copy.txt", "1b.txt"):
        write(folder / name, "mine")
    write_written([], rubric, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["1b copy.txt", "notes.txt"]
