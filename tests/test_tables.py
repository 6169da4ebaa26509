"""Reports: empty is not zero, and no student's text becomes a formula."""

import csv
from itertools import product
from pathlib import Path

import pytest

from grader.plan import Limits
from grader.report.tables import defused, file_names, one_line, undone, write_reports
from grader.rubric import Question, Rubric
from grader.verdict import (
    Broken,
    CheckScore,
    Conclusion,
    Finding,
    Pending,
    QuestionScore,
    Score,
    Status,
)

RUBRIC = Rubric(
    assignment="hw",
    title="",
    round=1,
    limits=Limits(),
    questions=tuple(
        Question(id=i, title="", points=2, bonus=False, checks=()) for i in ("1a", "2")
    ),
    source="",
)


STARTS = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def score_of(student: str, first: Conclusion, second: Conclusion, note: str = "") -> Score:
    questions = tuple(
        QuestionScore(
            id=question_id,
            max_points=2,
            checks=(
                CheckScore(check="count", kind="value", max_points=2, conclusion=c, reveal=False),
            ),
        )
        for question_id, c in (("1a", first), ("2", second))
    )
    return Score(
        student=student, assignment="hw", status=Status.COMPLETE, questions=questions, note=note
    )


def report(scores: list[Score], out: Path) -> None:
    write_reports(scores, [score.student for score in scores], RUBRIC, out)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_empty_cell_means_not_scored(tmp_path: Path) -> None:
    right, wrong = Finding(credit=1, says="Right."), Finding(credit=0, says="Wrong.", detail="6")
    report(
        [
            score_of("s01", right, wrong),
            score_of("s02", right, Pending(reason="A person grades this.")),
            score_of("s03", Broken(reason="the reference raised"), Pending(reason="")),
        ],
        tmp_path,
    )
    shared = {"status": "complete", "max_points": "4", "note": ""}
    assert rows(tmp_path / "hw" / "scores.csv") == [
        {"student": "s01", "1a": "2", "2": "0", "total": "2", "percent": "50", "needs_person": ""}
        | shared,
        {"student": "s02", "1a": "2", "2": "", "total": "2", "percent": "", "needs_person": "2"}
        | shared,
        {"student": "s03", "1a": "", "2": "", "total": "", "percent": "", "needs_person": "1a 2"}
        | shared,
    ]
    assert [
        (r["outcome"], r["points"], r["feedback"]) for r in rows(tmp_path / "hw/students/s01.csv")
    ] == [
        ("full", "2", "Right."),
        ("none", "0", "Wrong."),
    ]
    assert rows(tmp_path / "hw" / "staff.csv")[1]["detail"] == "6"


def test_columns_are_in_the_order_that_is_promised(tmp_path: Path) -> None:
    report([], tmp_path)
    head = (tmp_path / "hw" / "scores.csv").read_text().splitlines()[0]
    assert head == "student,status,1a,2,total,max_points,percent,needs_person,note"


@pytest.mark.threat("RI-03")
@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t=", "\r=", "  =", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_no_text_starts_a_formula(start: str, tmp_path: Path) -> None:
    evil = f'{start}HYPERLINK("http://x"),\n1'
    finding = Finding(credit=0, says=evil)
    report([score_of(evil, finding, finding, note=evil)], tmp_path)
    for path in [tmp_path / "hw" / "scores.csv", *(tmp_path / "hw" / "students").iterdir()]:
        for row in rows(path):
            assert not [cell for cell in row.values() if cell.startswith(STARTS)]
    assert len(rows(tmp_path / "hw" / "scores.csv")) == 1


DEFUSED = {
    "=x": "'=x",
    "'=x": "''=x",
    "'tis": "'tis",
    "a;=x": "a;'=x",
    "a; =x;-1": "a; '=x;'-1",
    'a;"=x': "a;\"'=x",
    "a;'=x": "a;''=x",
    "'+' is missing": "'+' is missing",
    "''+'' is": "''+'' is",
    "'''+' is": "''''+' is",
    "+' is": "'''+' is",
    "-1: it's": "'-1: it's",
    "= is not '=='": "'= is not '=='",
    "a; '-' b": "a; '-' b",
    "a = b; c": "a = b; c",
    "": "",
}


def test_no_formula_starts_where_a_spreadsheet_splits_at_semicolons(tmp_path: Path) -> None:
    evil = 'words, words; =HYPERLINK("http://x");"=1+1'
    finding = Finding(credit=0, says=evil)
    report([score_of("ann", finding, finding, note=evil)], tmp_path)
    for path in [tmp_path / "hw" / "scores.csv", tmp_path / "hw" / "students" / "ann.csv"]:
        with path.open(newline="") as file:
            cells = [cell.strip(' "') for row in csv.reader(file, delimiter=";") for cell in row]
        assert any(cell.startswith("'=HYPERLINK") for cell in cells)
        assert not [cell for cell in cells if cell.startswith(STARTS)]


@pytest.mark.parametrize("text", DEFUSED)
def test_a_formula_after_a_semicolon_is_none_and_all_of_it_can_be_undone(text: str) -> None:
    assert defused(text) == DEFUSED[text]
    assert undone(defused(text)) == text


def test_any_text_can_be_undone() -> None:
    for length in range(6):
        for letters in product("=-'\"; a", repeat=length):
            text = one_line("".join(letters))
            assert undone(defused(text)) == text
            assert not defused(text).lstrip(' "').startswith(("=", "-"))


@pytest.mark.threat("RI-04")
def test_control_characters_do_not_reach_a_terminal() -> None:
    assert defused("a\x1b[31mred\x07\u202eb") == "a\ufffd[31mred\ufffd\ufffdb"


@pytest.mark.threat("XS-06")
def test_students_with_odd_names_get_safe_files() -> None:
    names = file_names(
        ["s01", "S01", "../../etc/passwd", "Zoë Müller", "=cmd()", "nul", "ä", "a b"]
    )
    assert names["s01"] != names["S01"]
    assert {"s01", "S01"} & set(names.values())
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert not [name for name in names.values() if "/" in name or name.startswith((".", "="))]
    assert names["Zoë Müller"].startswith("Zoe_Muller-")


def test_a_student_who_is_gone_leaves_no_report(tmp_path: Path) -> None:
    right = Finding(credit=1, says="")
    report([score_of("s01", right, right), score_of("s02", right, right)], tmp_path)
    report([score_of("s02", right, right)], tmp_path)
    assert [path.name for path in (tmp_path / "hw" / "students").iterdir()] == ["s02.csv"]


def test_a_student_whose_scores_are_the_same_keeps_the_file_that_is_there(tmp_path: Path) -> None:
    right, wrong = Finding(credit=1.0, says="Right."), Finding(credit=0.0, says="Wrong: é.")
    report([score_of("s01", right, wrong), score_of("s02", right, wrong)], tmp_path)
    files = [tmp_path / "hw" / "students" / f"s0{number}.csv" for number in (1, 2)]
    before = [(file.stat().st_ino, file.read_bytes()) for file in files]
    report([score_of("s01", right, wrong), score_of("s02", right, right)], tmp_path)
    after = [(file.stat().st_ino, file.read_bytes()) for file in files]
    assert after[0] == before[0]
    assert after[1][1] != before[1][1]
    files[0].write_text("spoilt")
    report([score_of("s01", right, wrong), score_of("s02", right, right)], tmp_path)
    assert files[0].read_bytes() == before[0][1]
