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
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.rubric import Rubric
from grader.store import write_atomically
from grader.verdict import CheckScore, Finding, QuestionScore, Score

#: Characters that start a formula in a spreadsheet. Source: OWASP ASVS 5.0, 1.2.10.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")
MAX_CELL_CHARS = 2000
STUDENT_COLUMNS = ("question", "check", "kind", "points", "max_points", "outcome", "feedback")

Cell = str | float | None


def write_reports(scores: Iterable[Score], rubric: Rubric, out: Path) -> list[Score]:
    """Write all tables of one assignment.

    Args:
        scores: In the order of the rows; may be made while they are written.
        rubric: For the order of the questions.
        out: Folder of all reports.

    Returns:
        The scores, for a summary.

    Raises:
        StoreFault: a file could not be written.
    """
    folder = out / rubric.assignment
    written = list(scores)
    names = file_names([score.student for score in written])
    for score in written:
        rows = [_check_row(q, c) for q in score.questions for c in q.checks]
        path = folder / "students" / f"{names[score.student]}.csv"
        write_atomically(path, table(STUDENT_COLUMNS, rows))
    _remove_stale(folder / "students", set(names.values()))
    write_atomically(folder / "staff.csv", table(*_staff(written)))
    write_atomically(folder / "scores.csv", table(*_scores(written, rubric)))
    return written


def _scores(scores: Sequence[Score], rubric: Rubric) -> tuple[list[str], list[list[Cell]]]:
    ids = [question.id for question in rubric.questions]
    columns = ["student", "status", *ids, "total", "max_points", "percent", "needs_person", "note"]
    rows: list[list[Cell]] = [
        [
            score.student,
            score.status,
            *(question.points for question in score.questions),
            score.total,
            score.max_points,
            score.percent,
            " ".join(score.needs_person),
            score.note,
        ]
        for score in scores
    ]
    return columns, rows


def _check_row(question: QuestionScore, check: CheckScore) -> list[Cell]:
    said = [question.id, check.check, check.kind, check.points, check.max_points]
    return [*said, check.outcome, check.feedback]


def _staff(scores: Sequence[Score]) -> tuple[list[str], list[list[Cell]]]:
    rows: list[list[Cell]] = []
    for score in scores:
        for question in score.questions:
            for check in question.checks:
                found = check.conclusion
                detail = found.detail if isinstance(found, Finding) else ""
                rows.append([score.student, *_check_row(question, check), detail])
    return ["student", *STUDENT_COLUMNS, "detail"], rows


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Write rows as CSV (RFC 4180), numbers without noise, text defused."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return defused(cell)
    return f"{round(cell, 4):g}"


def defused(text: str) -> str:
    """One line of printable text that no spreadsheet takes for a formula."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    line = line if len(line) <= MAX_CELL_CHARS else line[:MAX_CELL_CHARS] + "…"
    return f"'{line}" if line.startswith(FORMULA_STARTS) else line


def file_names(students: Iterable[str]) -> dict[str, str]:
    """Map student ids to safe, distinct file names: an id that is one already keeps its own."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for student in sorted(students, key=lambda one: (not _is_safe(one), one)):
        name = student
        if not _is_safe(student) or student.casefold() in taken:
            ascii_only = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode()
            short = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_only).strip("_")[:40] or "student"
            name = f"{short}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"
        names[student] = name
        taken.add(name.casefold())
    return names


def _is_safe(student: str) -> bool:
    """Letters, digits and `. _ @ -`, and no name that Windows keeps for itself."""
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", student):
        return False
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", student) is not None


def _remove_stale(folder: Path, keep: set[str]) -> None:
    """Students who are gone leave no report behind."""
    for path in folder.glob("*.csv"):
        if path.stem not in keep:
            path.unlink(missing_ok=True)
