"""The table at the end of a run, in a narrow console."""

from __future__ import annotations

import io

from rich.console import Console

from grader.display import summary
from grader.report.tables import Line
from grader.verdict import Status

STUDENT = "maria.magdalena.van-der-berg@students.example.org"


def shown(width: int, *lines: Line) -> list[str]:
    """What is printed of some students, line by line."""
    console = Console(file=io.StringIO(), width=width)
    summary(console, "hw", lines)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip().splitlines()


def line(student: str = STUDENT, note: str = "", **more: object) -> Line:
    given = {"status": Status.COMPLETE, "total": 41 / 3, "max_points": 20.0, "needs_person": ()}
    return Line(student=student, note=note, all_open=False, **{**given, **more})  # type: ignore[arg-type]


def test_a_student_is_whole_where_the_note_gives_way() -> None:
    note = "answers.ipynb stopped at cell 7, which raised a ValueError"
    rows = shown(100, line(note=note))
    assert STUDENT in rows[2]
    assert "13.67 / 20" in rows[2]
    assert rows[2].rstrip().endswith("…")
    assert {len(row.rstrip()) <= 100 for row in rows} == {True}
    assert note in shown(200, line(note=note))[2]


def test_no_student_is_cut_in_eighty_columns() -> None:
    needs = tuple(f"{number}a" for number in range(1, 20))
    rows = shown(80, line(note="a long note " * 20, needs_person=needs))
    assert [STUDENT in row for row in rows].count(True) == 1
    assert "13.67 / 20" in "".join(rows)


def test_points_are_round_numbers_where_they_are() -> None:
    rows = shown(80, line("s1", total=None), line("s2", total=20.0))
    assert [row.split()[2:] for row in rows[2:]] == [["-"], ["20", "/", "20"]]
