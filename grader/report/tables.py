"""CSV reports.

    <out>/<assignment>/scores.csv              a row a student
    <out>/<assignment>/students/<student>.csv  a row a check: goes to the student
    <out>/<assignment>/staff.csv               a row a student and check, with all details: stays

An empty cell means not scored (pending or broken), never zero. Every file is written whole or not
at all. Text that a spreadsheet would take for a formula is defused with an apostrophe.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from grader.locks import atomically
from grader.rubric import Rubric
from grader.verdict import CheckScore, QuestionScore, Score, Status

#: Characters that start a formula in a spreadsheet; those of double width do in East Asia.
#: Source: OWASP ASVS 5.0, 1.2.10, and the OWASP page on CSV injection.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: Where a formula may start. Half of the world's spreadsheets begin a new cell at each `;`, and
#: quotes do not stop them where the line has begun with another cell.
_STARTS = "".join(map(re.escape, FORMULA_STARTS))
#: A quotation mark that closes later on, as in `'+' is missing`, makes it somebody's quotation.
_FORMULA = re.compile(rf"""((?:^|;)[\s"]*)('*)(?=[{_STARTS}](?P<closed>[^';]*(?<!\s)'(?!\w))?)""")
MAX_CELL_CHARS = 2000
SCORE_COLUMNS = ("total", "max_points", "percent", "needs_person", "note")
STUDENT_COLUMNS = ("question", "check", "kind", "points", "max_points", "outcome", "feedback")

Cell = str | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What remains in memory of a score once it is written: enough for a summary."""

    student: str
    status: Status
    total: float | None
    max_points: float
    needs_person: tuple[str, ...]
    all_open: bool
    """Whether no question is decided."""
    note: str


def write_reports(
    scores: Iterable[Score], students: Iterable[str], rubric: Rubric, out: Path
) -> list[Line]:
    """Write all tables of one assignment.

    Args:
        scores: In the order of the rows; each is written and let go before the next is made.
        students: Everybody who may have a score.
        rubric: For the order of the questions.
        out: Folder of all reports.

    Raises:
        StoreFault: a file could not be written.
    """
    folder = out / rubric.assignment
    names = file_names(students)
    ids = [question.id for question in rubric.questions]
    lines = []
    with (
        atomically(folder / "scores.csv") as scores_file,
        atomically(folder / "staff.csv") as staff_file,
    ):
        table, staff = Table(scores_file), Table(staff_file)
        table.row("student", "status", *ids, *SCORE_COLUMNS)
        staff.row("student", *STUDENT_COLUMNS, "detail")
        for score in scores:
            table.row(*_score_row(score))
            told = io.StringIO(newline="")
            student = Table(told)
            student.row(*STUDENT_COLUMNS)
            for question in score.questions:
                for check in question.counted:
                    student.row(*_check_row(question, check))
                    staff.row(score.student, *_check_row(question, check), check.for_staff)
            _write(folder / "students" / f"{names[score.student]}.csv", told.getvalue())
            lines.append(_line(score))
    _remove_stale(folder, {names[line.student] for line in lines})
    return lines


def _write(path: Path, text: str) -> None:
    """Write a file unless it is the same: disks take longer for that than we do for the rest."""
    with suppress(OSError):
        if path.read_bytes() == text.encode():
            return
    with atomically(path) as file:
        file.write(text)


def _line(score: Score) -> Line:
    return Line(
        student=score.student,
        status=score.status,
        total=score.total,
        max_points=score.max_points,
        needs_person=score.needs_person,
        all_open=len(score.needs_person) == len(score.questions),
        note=score.note[:200],
    )


def _score_row(score: Score) -> list[Cell]:
    points = [question.points for question in score.questions]
    needs = " ".join(score.needs_person)
    sums = [score.total, score.max_points, score.percent]
    return [score.student, score.status, *points, *sums, needs, score.note]


def _check_row(question: QuestionScore, check: CheckScore) -> list[Cell]:
    said = [question.id, check.check, check.kind, check.points, check.max_points]
    return [*said, check.outcome, check.feedback]


class Table:
    """Writes rows as CSV (RFC 4180): numbers without noise, text defused."""

    def __init__(self, file: TextIO) -> None:
        """Write to an open file."""
        self._writer = csv.writer(file)

    def row(self, *cells: Cell) -> None:
        """Write one row."""
        self._writer.writerow([_cell(cell) for cell in cells])


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return defused(cell)
    return f"{round(cell, 4):g}"


def one_line(text: str) -> str:
    """One line of printable text, cut where a cell would become unwieldy."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= MAX_CELL_CHARS else line[:MAX_CELL_CHARS] + "…"


def defused(text: str) -> str:
    """One line of printable text that no spreadsheet takes for a formula."""
    return _FORMULA.sub(_marked, one_line(text))


def undone(cell: str) -> str:
    """A cell without the apostrophes that `defused` has put in."""
    return _FORMULA.sub(_unmarked, cell)


def _marked(start: re.Match[str]) -> str:
    """Three apostrophes where one or two would look like a quotation that a person has typed."""
    if _is_quoted(start):
        return start[0]
    return start[0] + ("'''" if start["closed"] and not start[2] else "'")


def _unmarked(start: re.Match[str]) -> str:
    if _is_quoted(start):
        return start[0]
    return start[1] + ("" if start["closed"] and start[2] == "'''" else start[2][1:])


def _is_quoted(start: re.Match[str]) -> bool:
    """Whether one or two apostrophes, harmless already, are what somebody quotes with."""
    return bool(start["closed"]) and start[2] in ("'", "''")


def file_names(students: Iterable[str]) -> dict[str, str]:
    """Map student ids to safe, distinct file names: an id that is one already keeps its own."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for student in sorted(students, key=lambda one: (not _is_safe(one), one)):
        name = student
        if not _is_safe(student) or student.casefold() in taken:
            ascii_only = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode()
            short = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_only).strip("_")[:40] or "student"
            encoded = student.encode("utf-8", "surrogatepass")  # names of folders may be no UTF-8
            name = f"{short}-{hashlib.sha256(encoded).hexdigest()[:8]}"
        names[student] = name
        taken.add(name.casefold())
    return names


def _is_safe(student: str) -> bool:
    """Letters, digits and `. _ @ -`, and no name that Windows keeps for itself."""
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", student):
        return False
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", student) is not None


def _remove_stale(folder: Path, keep: set[str]) -> None:
    """Students who are gone leave no table and no page behind."""
    for pattern in ("students/*.csv", "students/*.html", "staff/*.html"):
        for path in folder.glob(pattern):
            if path.stem not in keep:
                path.unlink(missing_ok=True)
