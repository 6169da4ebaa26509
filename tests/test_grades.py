"""Grades: sheets as spreadsheets save them, all or nothing, kept for good."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.cli import grader
from grader.errors import InputError, StoreFault
from grader.grades.importing import KNOWN, Import, check_sheet
from grader.grades.rows import Grade, Row, Version, called, graded, labels, waiting
from grader.grades.sheet import read_sheet
from grader.grades.store import open_grades
from grader.report.tables import defused
from grader.verdict import (
    Broken,
    CheckScore,
    Conclusion,
    Finding,
    Pending,
    QuestionScore,
    Score,
    Status,
    Work,
)

TEXT = Version.of("Because it is parallel.", "s1")


def row_of(student: str, question: str = "2c", check: str = "written", most: float = 1) -> Row:
    return Row(
        assignment="hw",
        student=student,
        question=question,
        check=check,
        kind="written",
        max_points=most,
        version=TEXT,
    )


ROWS = (
    row_of("ann"),
    row_of("007"),
    row_of("=cmd()"),
    row_of("Zoë"),
    row_of("ann", "3", "written"),
    row_of("ann", "3", "written #2", most=1 / 3),
)
EXPECTED = {row.id: row for row in ROWS}


def grade_of(row: Row, points: str, by: str = "tom", comment: str = "") -> Grade:
    return Grade(row=row, points=points, comment=comment, by=by, at="2026-01-02T03:04:05+00:00")


def given(
    path: Path,
    data: bytes | str,
    current: tuple[Grade, ...] = (),
    *,
    replace: bool = False,
    skip_changed: bool = False,
) -> Import:
    path = path / "w.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return check_sheet(
        read_sheet(path, "w.csv", KNOWN),
        EXPECTED,
        {grade.row.id: grade for grade in current},
        by="tom",
        at="2026-01-02T03:04:05+00:00",
        replace=replace,
        skip_changed=skip_changed,
    )


def points(done: Import) -> list[tuple[str, str, str, str]]:
    return [(g.row.student, g.row.question, g.points, g.comment) for g in done.new]


SHEETS = {
    "plain": b"student,question,points,comment\nann,2c,0.5,so so\n",
    "excel of half the world": b"\xef\xbb\xbf"
    b"student;question;points;comment\r\nann;2c;0,5;so so\r\n",
    "tabs in UTF-16": "student\tquestion\tpoints\tcomment\r\nann\t2c\t0,5\tso so\r\n".encode(
        "utf-16"
    ),
    "declared": b"sep=;\r\nstudent;question;points;comment\r\nann;2c;0,50;so so\r\n",
    "other order and columns": b""
    b"Comment,Mine,Points,Question,Student\nso  so,x,.5,2c,ann\n\n,,,,\n",
    "quoted": b'"student","question","points","comment"\n"ann","2c","0.5","so\nso"\n',
}


@pytest.mark.parametrize("data", SHEETS.values(), ids=SHEETS)
def test_a_sheet_is_read_however_it_was_saved(data: bytes, tmp_path: Path) -> None:
    assert points(given(tmp_path, data)) == [("ann", "2c", "0.5", "so so")]


def test_latin_1_is_read(tmp_path: Path) -> None:
    data = "student;question;points;comment\nZoë;2c;1;schön\n".encode("latin-1")
    assert points(given(tmp_path, data)) == [("Zoë", "2c", "1", "schön")]


def test_a_defused_cell_is_read_back(tmp_path: Path) -> None:
    data = "student,question,points,comment\n'=cmd(),2c,1,'-good-\n"
    assert points(given(tmp_path, data)) == [("=cmd()", "2c", "1", "-good-")]


def test_a_key_finds_a_row_whose_names_a_spreadsheet_has_mangled(tmp_path: Path) -> None:
    lines = [f"7,2. Jan,1,{ROWS[1].id}", f"ZoÃ«,2c,0,{ROWS[3].id}", f",,.3333,{ROWS[5].id}"]
    done = given(tmp_path, "\n".join(["student,question,points,row", *lines]))
    assert points(done) == [
        ("007", "2c", "1", ""),
        ("Zoë", "2c", "0", ""),
        ("ann", "3", "0.3333", ""),
    ]
    assert [grade.credit for grade in done.new] == [1, 0, 1]


def test_rows_without_points_are_left_for_later(tmp_path: Path) -> None:
    done = given(tmp_path, "student,question,points,comment\nann,2c,,\nnobody,9,,note\n007,2c,1,\n")
    assert (len(done.new), done.empty, done.commented) == (1, 2, (3,))


def test_all_problems_are_said_at_once_and_nothing_is_taken(tmp_path: Path) -> None:
    old = Version.of("Old words.", "s0")
    lines = [
        "student,question,check,points,text_digest",
        "bob,2c,,1,",
        "ann,1a,,1,",
        "ann,2c,,1.5,",
        "007,2c,,-1,",
        "Zoë,2c,,good,",
        "ann,3,,1,",
        f"=cmd(),2c,,1,{old}",
        "ann,3,written,1,",
        "ann,3,written,1,",
    ]
    with pytest.raises(InputError) as caught:
        given(tmp_path, "\n".join(lines))
    assert str(caught.value).splitlines() == [
        "w.csv:2: student: expected a student whose answers wait for a person, found 'bob'",
        "w.csv:3: question: expected a question of this student that a person grades (2c, 3), "
        "found '1a'",
        "w.csv:4: points: expected a number from 0 to 1, found '1.5'",
        "w.csv:5: points: expected a number from 0 to 1, found '-1'",
        "w.csv:6: points: expected a number from 0 to 1, found 'good'",
        "w.csv:7: check: expected one of written, written #2, found ''",
        "w.csv:8: text_digest: expected the text as it is now, found a sheet from before the "
        "student changed it: grade it in the new sheet; --skip-changed leaves such rows out",
        "w.csv:10: student: expected every row once, found ann, 3 again (first on line 9)",
    ]


def test_a_sheet_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"w.csv:1: points: expected a column of this name, found a"
    ):
        given(tmp_path, "a,b\n1,2\n")
    with pytest.raises(InputError, match="points: expected one column of this name, found 2"):
        given(tmp_path, "student,question,points,Points\nann,2c,1,1\n")
    with pytest.raises(InputError, match="found nothing"):
        given(tmp_path, "")
    with pytest.raises(InputError, match="found a workbook: save it as CSV first"):
        given(tmp_path, b"PK\x03\x04")


def test_a_grade_of_another_is_overruled_only_when_told(tmp_path: Path) -> None:
    sheet = "student,question,points\nann,2c,1\n"
    other = grade_of(ROWS[0], "0.5", by="eve")
    with pytest.raises(InputError) as caught:
        given(tmp_path, sheet, (other,))
    assert str(caught.value) == (
        "w.csv:2: points: expected a row that nobody else has graded, found 0.5 of 1 by eve "
        "(2026-01-02): --replace to overrule"
    )
    assert points(given(tmp_path, sheet, (other,), replace=True)) == [("ann", "2c", "1", "")]
    assert points(given(tmp_path, sheet, (replace(other, by="Tom"),))) == [("ann", "2c", "1", "")]
    stale = replace(other, row=replace(ROWS[0], version=Version.of("Old words.", "s0")))
    assert points(given(tmp_path, sheet, (stale,))) == [("ann", "2c", "1", "")]


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    done = given(
        tmp_path, "student,question,points\nann,2c,1.0\n", (grade_of(ROWS[0], "1", by="eve"),)
    )
    assert (done.new, done.same) == ((), 1)


def test_grades_are_kept_for_good(tmp_path: Path, database_url: str) -> None:
    first, second = grade_of(ROWS[5], "0.1", comment="x"), grade_of(ROWS[5], "0.3", by="eve")
    with open_grades(tmp_path, database_url) as grades:
        grades.expect("hw", ROWS)
        grades.add([first, second])
        assert grades.assignments() == ["hw"]
    with open_grades(tmp_path, database_url) as grades:
        assert grades.history("hw") == [first, second]
        assert grades.current("hw") == {ROWS[5].id: second}
        assert grades.expected("hw") == EXPECTED
        grades.expect("hw", ROWS[:1])
        assert grades.expected("hw") == {ROWS[0].id: ROWS[0]}
    with (
        pytest.raises(StoreFault, match="a grade is never removed"),
        open_grades(tmp_path, database_url) as grades,
    ):
        grades._connection.exec_driver_sql("DELETE FROM grades")
    with (
        pytest.raises(StoreFault, match="a grade is never changed"),
        open_grades(tmp_path, database_url) as grades,
    ):
        grades._connection.exec_driver_sql("UPDATE grades SET points = '1'")


def told_by(root: Path, *args: str | Path) -> list[str]:
    """What a command of `grader grades` says in a course that waits for `ROWS`."""
    (root / "rubrics").mkdir(exist_ok=True)
    with open_grades(root / ".grader") as grades:
        grades.expect("hw", ROWS)
    told = ["grades", *map(str, args), "--course", str(root)]
    done = CliRunner().invoke(grader, told, standalone_mode=False, catch_exceptions=False)
    return [line.strip() for line in done.output.splitlines()]


def test_what_an_import_leaves_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stale = keyed(ROWS[3], digest=str(Version.of("Old words.", "s0")))
    (tmp_path / "w.csv").write_text(KEYED + keyed(DECIDED) + keyed(ROWS[1]) + stale)
    sheet = tmp_path / "w.csv"
    assert told_by(tmp_path, "import", sheet, "--by", "tom", "--skip-changed") == [
        "hw, graded by tom: 1 grades are new, 0 were known, 0 rows have no points yet",
        "line 4 was left out, because the answer has changed: grade it in the new sheet",
        "line 2 was left out: it no longer waits for a person, or is of another assignment",
        "now they count: grader score",
    ]


def test_a_grade_taken_back_waits_again_only_where_a_person_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with open_grades(tmp_path / ".grader") as grades:
        grades.add([grade_of(ROWS[0], "1"), grade_of(DECIDED, "0.5")])

    def said(*args: str) -> list[str]:
        return told_by(tmp_path, *args)

    def states() -> list[str]:
        return [re.split("  +", line)[-1] for line in said("show", "ann")[2:]]

    assert states() == ["counts", "the machine decides now"]
    assert said("withdraw", "hw", "ann", "2c", "--by", "tom") == [
        "hw: 1 of 1 of ann for 2c is withdrawn by tom",
        "now it waits again: grader score",
    ]
    assert said("withdraw", "hw", "ann", "1a", "--by", "tom") == [
        "hw: 0.5 of 1 of ann for 1a is withdrawn by tom",
        "the machine decides now",
    ]
    assert states() == ["replaced", "replaced", "waits again", "the machine decides now"]


def test_what_is_raised_undoes_the_import(tmp_path: Path) -> None:
    def fail() -> None:
        with open_grades(tmp_path) as grades:
            grades.add([grade_of(ROWS[0], "1")])
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        fail()
    with open_grades(tmp_path) as grades:
        assert grades.history("hw") == []


def score_of(text: str, submission: str = "s1", conclusion: Conclusion | None = None) -> Score:
    pending = Pending(reason="A person grades this.", work=Work(text=text))
    check = CheckScore(
        check="written",
        kind="written",
        max_points=1,
        conclusion=conclusion or pending,
        reveal=False,
    )
    return Score(
        student="ann",
        assignment="hw",
        status=Status.COMPLETE,
        questions=(QuestionScore(id="2c", max_points=1, checks=(check,)),),
        submission=submission,
    )


def concluded(score: Score, *grades: Grade) -> Conclusion:
    done = graded(score, {grade.row.id: grade for grade in grades})
    return done.questions[0].checks[0].conclusion


SAME = "Because it is parallel."


def test_a_grade_takes_the_place_of_what_waits() -> None:
    grade = grade_of(ROWS[0], "0.5", comment="Say why.")
    assert concluded(score_of(SAME), grade) == Finding(credit=0.5, says="Say why.")
    plain = replace(grade, comment="", points="1")
    assert concluded(score_of(SAME), plain) == Finding(credit=1, says="A person graded this.")
    assert concluded(score_of(SAME)) == score_of(SAME).questions[0].checks[0].conclusion


def test_a_grade_survives_other_blanks_and_no_other_words() -> None:
    grade = grade_of(ROWS[0], "0.5", comment="Say why.")
    says = Finding(credit=0.5, says="Say why.")
    assert concluded(score_of("Because  it\nis parallel.", "s2"), grade) == says
    # The same file, but another place in it, as after a rubric's change of headings.
    assert isinstance(concluded(score_of("What stands under 1d.", "s1"), grade), Pending)


def test_a_grade_for_other_words_is_kept_but_counts_no_more() -> None:
    found = concluded(score_of("New words.", "s2"), grade_of(ROWS[0], "0.5", comment="Say why."))
    assert isinstance(found, Pending)
    assert found.reason == "This was graded 0.5 of 1 before the text changed; a person looks again."
    assert found.detail == "Graded by tom: Say why."


def test_what_the_machine_decides_is_not_overruled() -> None:
    wrong = Finding(credit=0, says="Nothing is written under 2c.", answered=False)
    assert concluded(score_of(SAME, conclusion=wrong), grade_of(ROWS[0], "1")) == wrong
    assert list(waiting(score_of(SAME, conclusion=wrong), {})) == []


def test_what_cannot_change_the_points_is_not_asked() -> None:
    (question,) = score_of(SAME).questions
    (waits,) = question.checks
    full = replace(waits, conclusion=Finding(credit=1, says="Right."), alternative="rotary")
    tried = replace(question, checks=(full, replace(waits, alternative="synthesizer")))
    assert list(waiting(replace(score_of(SAME), questions=(tried,)), {})) == []
    assert [one.row for one in waiting(score_of(SAME), {})] == [ROWS[0]]


def test_a_rubric_that_gives_other_points_gives_a_share_of_them() -> None:
    grade = grade_of(replace(ROWS[0], max_points=2), "0.5")
    assert grade.credit == 0.25


def test_without_a_text_only_the_same_submission_is_the_same() -> None:
    assert not Version.of("", "s1").holds(Version.of("", "s2"))
    assert Version.of("", "s1").holds(Version.of(" ", "s1"))
    assert Version.parse(str(TEXT)) == TEXT
    assert not Version.parse("1e5").holds(TEXT)


def test_checks_of_a_question_have_names_of_their_own() -> None:
    names = ["written", called("written", "rotary"), "written", "f"]
    assert labels(names) == ["written", "rotary/written", "written #2", "f"]


def test_a_big_sheet_takes_no_time(tmp_path: Path) -> None:
    rows = [row_of(f"s{n:04}", f"q{q}") for n in range(1000) for q in range(5)]
    path = tmp_path / "w.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "question", "points"])
        writer.writerows([row.student, row.question, "1"] for row in rows)
    done = check_sheet(
        read_sheet(path, "w.csv", KNOWN),
        {row.id: row for row in rows},
        {},
        by="tom",
        at="now",
        replace=False,
    )
    assert len(done.new) == 5000


def test_a_key_is_not_taken_for_a_row_that_the_names_deny(tmp_path: Path) -> None:
    lines = [
        "student,question,check,points,row",
        f"ann,3,written,1,{ROWS[0].id}",
        f"ann,3,written,1,{ROWS[5].id}",
        f"007,2c,written,1,{ROWS[0].id}",
        f"ann,2. Mrz,written #2,.1,{ROWS[5].id}",
    ]
    with pytest.raises(InputError) as caught:
        given(tmp_path, "\n".join(lines))
    assert str(caught.value).splitlines() == [
        "w.csv:2: question: expected '2c' as this row was written, found '3'",
        "w.csv:3: check: expected 'written #2' as this row was written, found 'written'",
        "w.csv:4: student: expected 'ann' as this row was written, found '007'",
    ]


@pytest.mark.parametrize("date", ["01. Mai", "01.05.2026", "1-May", "Jan 50", "2026-05-01"])
def test_points_that_became_a_date_are_said_to_be_one(date: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        given(tmp_path, f"student,question,points\nann,2c,{date}\n")
    assert str(caught.value) == (
        f"w.csv:2: points: expected a number from 0 to 1, found {date!r}: "
        "a spreadsheet has made a date of it"
    )


def test_a_sheet_without_any_points_is_refused(tmp_path: Path) -> None:
    for lines in ("", "ann,2c,\n"):
        with pytest.raises(InputError) as caught:
            given(tmp_path, f"student,question,points\n{lines}")
        assert str(caught.value) == (
            "w.csv:1: points: expected points in at least one row, found none"
        )


@pytest.mark.parametrize(
    "comment",
    [
        "x" * 2500,
        "'=x",
        "''=x",
        "a; =b; '-c",
        'a;" =b',
        "cut\u200dhere",
        "'tis; 'tis",
        "+' is",
        "'+' is",
    ],
)
def test_a_comment_comes_back_as_it_was(comment: str, tmp_path: Path) -> None:
    before = grade_of(ROWS[0], "0.5", comment=comment, by="eve")

    def back(points: str) -> Import:
        path = tmp_path / "made.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            told = [("student", "question", "points", "comment")]
            csv.writer(file).writerows([*told, ("ann", "2c", points, defused(comment))])
        return given(tmp_path, path.read_bytes(), (before,), replace=True)

    assert (back("0.5").new, back("0.5").same) == ((), 1)
    assert points(back("1")) == [("ann", "2c", "1", comment)]
    assert back("1").replaced == 1


def test_a_check_that_broke_is_left_to_a_person() -> None:
    broken = score_of("", conclusion=Broken(reason="the reference raised"))
    (one,) = waiting(broken, {})
    assert one.pending == Pending(
        reason="The grader could not judge this.", detail="the reference raised"
    )
    grade = grade_of(one.row, "0.5", comment="Half of it.")
    assert concluded(broken, grade) == Finding(credit=0.5, says="Half of it.")
    assert concluded(replace(broken, submission="s2"), grade) == Broken(
        reason="the reference raised"
    )


def keyed(row: Row, **cells: str) -> str:
    """A line of a sheet as the grader writes it, with points."""
    told = {"points": "1", "comment": "", "digest": str(row.version)} | cells
    names = [row.student, row.question, row.check, told["points"], told["comment"]]
    return ",".join([*names, told["digest"], row.id]) + "\n"


KEYED = "student,question,check,points,comment,text_digest,row\n"
#: Written as those of ann, but on the sheet of another assignment, and before a rubric's change.
ELSEWHERE = replace(ROWS[0], assignment="other")
DECIDED = row_of("ann", "1a")


@pytest.mark.parametrize("digest", [str(TEXT), ""])
def test_a_row_of_another_assignment_is_not_taken_for_one_of_the_same_names(
    digest: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        given(tmp_path, KEYED + keyed(ROWS[1]) + keyed(ELSEWHERE, digest=digest))
    assert str(caught.value) == (
        "w.csv:3: row: expected the key of a row that waits for a person, found "
        f"{ELSEWHERE.id!r}: it is of another assignment, or no longer waits; "
        "--skip-changed leaves such rows out"
    )


def test_a_column_called_row_may_be_somebodys_own(tmp_path: Path) -> None:
    done = given(tmp_path, "row,student,question,points\n1,ann,2c,1\nr2,007,2c,0\n")
    assert points(done) == [("ann", "2c", "1", ""), ("007", "2c", "0", "")]


def test_rows_that_no_longer_wait_hold_up_no_others(tmp_path: Path) -> None:
    stale = keyed(ROWS[3], digest=str(Version.of("Old words.", "s0")))
    sheet = KEYED + keyed(DECIDED) + keyed(ROWS[1]) + stale
    with pytest.raises(InputError) as caught:
        given(tmp_path, sheet)
    assert [problem.split(": ")[1] for problem in str(caught.value).splitlines()] == [
        "row",
        "text_digest",
    ]
    done = given(tmp_path, sheet, skip_changed=True)
    assert points(done) == [("007", "2c", "1", "")]
    assert (done.gone, done.changed) == ((2,), (4,))


def test_a_sheet_of_which_no_row_is_known_is_refused_whatever_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        given(tmp_path, KEYED + keyed(ELSEWHERE) + keyed(DECIDED), skip_changed=True)
    assert str(caught.value) == (
        "w.csv:1: row: expected rows that wait for a person, found none: "
        "the sheet is of another assignment, or nothing of it waits any more"
    )
    known = KEYED + keyed(DECIDED) + keyed(ROWS[0], points="")
    done = given(tmp_path, known, skip_changed=True)
    assert (done.new, done.gone, done.empty) == ((), (2,), 1)


@pytest.mark.parametrize(
    "comment", ["'+' is missing", "wrong sign; '-' expected", "'=' is not '=='", "'-n' and ''+''"]
)
def test_signs_that_a_person_quotes_are_kept(comment: str, tmp_path: Path) -> None:
    done = given(tmp_path, f"student,question,points,comment\nann,2c,1,{comment}\n")
    assert points(done) == [("ann", "2c", "1", comment)]
