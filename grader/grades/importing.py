"""Check a sheet that a person filled in, whole, against what waits for a person. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from grader.errors import InputError
from grader.grades.names import NUMBER, forms, means, plain, same_number
from grader.grades.rows import DIGITS, Grade, Row, Version
from grader.grades.sheet import Line, Sheet
from grader.report.tables import one_line, undone

#: Columns that a sheet may have, and by which it is recognised.
KNOWN = ("student", "question", "points", "comment", "check", "text_digest", "row", "max_points")
#: `1.5` as a spreadsheet shows it that has made a date of it: `01. Mai`, `1-May`, `Jan 50`.
_DATE = re.compile(r"\d{1,4}[./-] ?([^\W\d]{3,}.*|\d{1,2}[./-]\d*)|[^\W\d]{3}[. -]{1,2}\d\d")
#: Keys as `Row.id` makes them.
_KEY = re.compile(rf"r[0-9a-f]{{{DIGITS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an import would do."""

    new: tuple[Grade, ...]
    same: int
    """Rows whose grade is known already."""
    empty: int
    """Rows without points."""
    commented: tuple[int, ...]
    """Lines with a comment but no points: nothing is kept of them."""
    replaced: int = 0
    """How many of the new grades take the place of another."""
    changed: tuple[int, ...] = ()
    """Lines left out, because what they graded has changed since the sheet was written."""
    gone: tuple[int, ...] = ()
    """Lines left out, because their keys are of no row that waits for a person."""


@dataclass(slots=True)
class _Reading:
    """A sheet on its way to grades, and every problem met."""

    sheet: Sheet
    expected: Mapping[str, Row]
    current: Mapping[str, Grade]
    skip_changed: bool
    problems: list[str] = field(default_factory=list)
    of_student: dict[str, list[Row]] = field(default_factory=dict)
    """Rows by every form that a sheet may give a student's id."""
    changed: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for row in self.expected.values():
            for name in forms(row.student):
                self.of_student.setdefault(name, []).append(row)

    def problem(self, line: Line, column: str, says: str) -> None:
        self.problems.append(f"{self.sheet.shown}:{line.number}: {column}: {says}")


def check_sheet(
    sheet: Sheet,
    expected: Mapping[str, Row],
    current: Mapping[str, Grade],
    *,
    by: str,
    at: str,
    replace: bool,
    skip_changed: bool = False,
) -> Import:
    """Turn a sheet into grades, all or nothing.

    Args:
        sheet: As people edited it.
        expected: What waits for a person, by row id.
        current: The last grade of every row, by row id.
        by: Who graded.
        at: When, in ISO 8601.
        replace: Whether grades of others may be overruled.
        skip_changed: Whether rows are left out, rather than refused, whose text has changed since
            the sheet was written, or that no longer wait; those of another assignment look alike,
            so that one row at least must be known.

    Raises:
        InputError: with every problem, each as `file:line: column: expected ..., found ...`.
    """
    _check_columns(sheet)
    reading = _Reading(sheet, expected, current, skip_changed)
    found = _grades(reading, by, at)
    _check_known(reading, found)
    new = []
    for line, grade in found:
        before = current.get(grade.row.id)
        if before is None or not _alike(before, grade):
            new.append(grade)
            if before is not None and not replace and _by_another(before, grade):
                says = f"expected a row that nobody else has graded, found {before.says} by"
                says += f" {before.by} ({before.at[:10]}): --replace to overrule"
                reading.problem(line, "points", says)
    if reading.problems:
        raise InputError("\n".join(reading.problems))
    blank = [line for line in sheet.lines if not line["points"]]
    return Import(
        new=tuple(new),
        same=len(found) - len(new),
        empty=len(blank),
        commented=tuple(line.number for line in blank if line["comment"]),
        replaced=sum(grade.row.id in current for grade in new),
        changed=tuple(reading.changed),
        gone=tuple(reading.gone),
    )


def _check_columns(sheet: Sheet) -> None:
    needed = ("points",) if "row" in sheet.columns else ("student", "question", "points")
    at = f"{sheet.shown}:{sheet.header}"
    columns = ", ".join(filter(None, sheet.columns)) or "nothing"
    problems = [
        f"{at}: {name}: expected a column of this name, found {columns}"
        for name in needed
        if name not in sheet.columns
    ]
    problems += [
        f"{at}: {name}: expected one column of this name, found {sheet.columns.count(name)}"
        for name in KNOWN
        if sheet.columns.count(name) > 1
    ]
    if not problems and not any(line["points"] for line in sheet.lines):
        problems = [f"{at}: points: expected points in at least one row, found none"]
    if problems:
        raise InputError("\n".join(problems))


def _grades(reading: _Reading, by: str, at: str) -> list[tuple[Line, Grade]]:
    found: list[tuple[Line, Grade]] = []
    first: dict[str, int] = {}
    for line in reading.sheet.lines:
        if not line["points"]:
            continue
        row = _row(reading, line)
        points = _points(reading, line, row)
        if row is None or not _still(reading, line, row):
            continue
        if row.id in first:
            says = f"expected every row once, found {row.student}, {row.question} again"
            reading.problem(line, "student", f"{says} (first on line {first[row.id]})")
            continue
        first[row.id] = line.number
        if points:
            comment = _comment(reading, line, row)
            found.append((line, Grade(row=row, points=points, comment=comment, by=by, at=at)))
    return found


def _check_known(reading: _Reading, found: Sequence[tuple[Line, Grade]]) -> None:
    """A sheet of which nothing is known is a wrong one, and not one to leave rows out of."""
    sheet = reading.sheet
    known = found or reading.changed or any(line["row"] in reading.expected for line in sheet.lines)
    if reading.gone and reading.skip_changed and not known:
        says = "expected rows that wait for a person, found none: the sheet is of another"
        says += " assignment, or nothing of it waits any more"
        reading.problems.append(f"{sheet.shown}:{sheet.header}: row: {says}")


def _comment(reading: _Reading, line: Line, row: Row) -> str:
    """What somebody wrote, or all of the comment that there was if the sheet showed only a part."""
    comment = " ".join(undone(line["comment"]).split())
    before = reading.current.get(row.id)
    return before.comment if before and comment == one_line(before.comment) else comment


def _row(reading: _Reading, line: Line) -> Row | None:
    """The row that a line means: by its key, else by student, question and check."""
    key = line["row"]
    if key in reading.expected:
        return _row_of_key(reading, line, reading.expected[key])
    if not _KEY.fullmatch(key):
        return _row_of_names(reading, line)
    reading.gone.append(line.number)
    if not reading.skip_changed:
        says = f"expected the key of a row that waits for a person, found {key!r}"
        says += ": it is of another assignment, or no longer waits"
        reading.problem(line, "row", f"{says}; --skip-changed leaves such rows out")
    return None


def _row_of_names(reading: _Reading, line: Line) -> Row | None:
    of_student = [
        row for name in forms(line["student"]) for row in reading.of_student.get(name, ())
    ]
    of_student = list(dict.fromkeys(of_student))
    if not of_student:
        says = "expected a student whose answers wait for a person"
        reading.problem(line, "student", f"{says}, found {line['student']!r}")
        return None
    of_question = [row for row in of_student if row.question == undone(line["question"])]
    if not of_question:
        listed = ", ".join(dict.fromkeys(row.question for row in of_student))
        says = f"expected a question of this student that a person grades ({listed})"
        reading.problem(line, "question", f"{says}, found {line['question']!r}")
        return None
    of_check = [row for row in of_question if row.check == undone(line["check"])]
    if len(of_question) == 1 and (of_check or not line["check"]):
        return of_question[0]
    if len(of_check) == 1:
        return of_check[0]
    listed = ", ".join(row.check for row in of_question)
    reading.problem(line, "check", f"expected one of {listed}, found {line['check']!r}")
    return None


def _row_of_key(reading: _Reading, line: Line, row: Row) -> Row | None:
    """The row of a key, unless the line names another, as when only some columns were sorted.

    Of question and check only names of others count: a spreadsheet makes dates of `1-2`.
    """
    others = {
        "question": {one.question for one in reading.expected.values()},
        "check": {one.check for one in reading.of_student[plain(row.student)]},
    }
    wrong = [
        name
        for name, of_others in others.items()
        if undone(line[name]) in of_others - {getattr(row, name)}
        and not same_number(undone(line[name]), getattr(row, name))
    ]
    if line["student"] and not means(line["student"], row.student):
        wrong.insert(0, "student")
    for name in wrong[:1]:
        says = f"expected {getattr(row, name)!r} as this row was written, found {line[name]!r}"
        reading.problem(line, name, says)
    return None if wrong else row


def _points(reading: _Reading, line: Line, row: Row | None) -> str:
    """Points as a plain decimal number; empty when they are none."""
    most = f"{round(row.max_points, 4):g}" if row else ""
    wanted = (
        f"expected a number from 0 to {most}" if row else "expected a number that is not below 0"
    )
    written = undone(line["points"]).replace("\N{NO-BREAK SPACE}", "").strip()
    number = written.replace(",", ".") if "." not in written else written
    if not NUMBER.fullmatch(number):
        hint = ": a spreadsheet has made a date of it" if _DATE.fullmatch(written) else ""
        reading.problem(line, "points", f"{wanted}, found {line['points']!r}{hint}")
        return ""
    if row and Decimal(number) > max(Decimal(most), Decimal(repr(row.max_points))):
        reading.problem(line, "points", f"{wanted}, found {line['points']!r}")
        return ""
    return f"{Decimal(number).normalize():f}"


def _still(reading: _Reading, line: Line, row: Row) -> bool:
    """Whether text and points are still those that the sheet showed."""
    shown = line["text_digest"]
    if shown and not Version.parse(shown).holds(row.version):
        if reading.skip_changed:
            reading.changed.append(line.number)
            return False
        says = "expected the text as it is now, found a sheet from before the student changed it"
        says += ": grade it in the new sheet; --skip-changed leaves such rows out"
        reading.problem(line, "text_digest", says)
        return False
    if _is_other(line["max_points"], row.max_points):
        says = f"expected {round(row.max_points, 4):g} as it is now, found {line['max_points']!r}"
        reading.problem(line, "max_points", f"{says}: grade it in the new sheet")
        return False
    return True


def _is_other(shown: str, most: float) -> bool:
    """Whether a sheet shows other points; it is no matter how a spreadsheet writes the number."""
    written, now = shown.replace(",", "."), f"{round(most, 4):g}"
    if not NUMBER.fullmatch(written) or written.replace(".", "") == now.replace(".", ""):
        return False  # a comma may be one of thousands by now, and a date says nothing
    return Decimal(written) != Decimal(now)


def _by_another(before: Grade, now: Grade) -> bool:
    """Whether somebody else has graded the text as it is now."""
    return before.by.casefold() != now.by.casefold() and before.row.version.holds(now.row.version)


def _alike(before: Grade, now: Grade) -> bool:
    shown = before.points_of(now.row.max_points)
    same = Decimal(shown) == Decimal(now.points) and before.comment == now.comment
    return same and before.row.version.holds(now.row.version)
