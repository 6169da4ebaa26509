"""`grader grades ...`: what people decided, in and out; each command returns an exit code."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grader.course import find_course
from grader.display import shown
from grader.errors import InputError
from grader.grades.importing import KNOWN, Import, check_sheet
from grader.grades.rows import Grade, Row
from grader.grades.sheet import read_sheet
from grader.grades.store import Grades, open_grades
from grader.options import ALL_SCORED

COLUMNS = ("student", "question", "check", "points", "by", "at (UTC)", "comment", "state")
COMMENT_CHARS = 60


def import_grades(
    file: Path,
    slug: str | None,
    course: Path | None,
    by: str | None,
    console: Console,
    *,
    replace: bool,
    skip_changed: bool = False,
) -> int:
    """`grader grades import`: check a sheet whole, then keep its grades, or none of them."""
    found = find_course(file.parent, course)
    sheet = read_sheet(file, found.shown(file), KNOWN)
    by = by or _user()
    with open_grades(found.state, found.database) as grades:
        slug = slug or _assignment_of(file, grades)
        done = check_sheet(
            sheet,
            grades.expected(slug),
            grades.current(slug),
            by=by,
            at=_now(),
            replace=replace,
            skip_changed=skip_changed,
        )
        grades.add(done.new)
    _say(done, slug, by, console)
    return ALL_SCORED


def withdraw_grade(
    of: tuple[str, str, str, str | None],
    course: Path | None,
    by: str | None,
    console: Console,
    *,
    replace: bool,
) -> int:
    """`grader grades withdraw`: take a grade back; its row waits again if it is one that waits."""
    slug, student, question, _ = of
    by = by or _user()
    found = find_course(Path(), course)
    with open_grades(found.state, found.database) as grades:
        grade = _grade_of(of, grades)
        if grade.by.casefold() != by.casefold() and not replace:
            says = f"expected a grade of your own, found {grade.says} by {grade.by}"
            raise InputError(f"{says}: --replace to overrule")
        grades.add([changed(grade, points="", comment="", by=by, at=_now())])
        waits = grade.row.id in grades.expected(slug)
    says = f"{slug}: {grade.says} of {student} for {question} is withdrawn by {by}"
    console.print(shown(says), highlight=False)
    then = "now it waits again: grader score" if waits else "the machine decides now"
    console.print(then, highlight=False)
    return ALL_SCORED


def _grade_of(of: tuple[str, str, str, str | None], grades: Grades) -> Grade:
    """The grade that counts, by slug, student, question, and check where there are several."""
    slug, student, question, check = of
    _chosen(slug, grades)
    found = [
        grade
        for grade in grades.current(slug).values()
        if (grade.row.student, grade.row.question) == (student, question)
        and check in (None, grade.row.check)
    ]
    if len(found) != 1:
        listed = ", ".join(grade.row.check for grade in found) or "none"
        raise InputError(f"expected one grade of {student} for {question}, found {listed}")
    return found[0]


def list_grades(slug: str | None, course: Path | None, console: Console) -> int:
    """`grader grades list`: the grade that counts for every row, and how many rows have none."""
    found = find_course(Path(), course)
    with open_grades(found.state, found.database, reading=True) as grades:
        for name in _chosen(slug, grades):
            expected, current = grades.expected(name), grades.current(name)
            _print(name, current.values(), expected, current, console)
            open_rows = [r for r in expected.values() if not _counts(current.get(r.id), expected)]
            console.print(f"{len(open_rows)} answers wait for a person", highlight=False)
    return ALL_SCORED


def show_grades(student: str, slug: str | None, course: Path | None, console: Console) -> int:
    """`grader grades show`: every grade that a student was ever given, in order."""
    found = find_course(Path(), course)
    with open_grades(found.state, found.database, reading=True) as grades:
        known = _chosen(slug, grades)
        given = {
            name: [g for g in grades.history(name) if g.row.student == student] for name in known
        }
        if not any(given.values()):
            raise InputError(f"expected a student with grades, found none of {student!r}")
        for name, history in given.items():
            if history:
                _print(name, history, grades.expected(name), grades.current(name), console)
    return ALL_SCORED


def _assignment_of(file: Path, grades: Grades) -> str:
    """The assignment of a sheet: its folder's name, else the only one that there is."""
    known = grades.assignments()
    folder = file.resolve().parent.name
    if folder in known:
        return folder
    if len(known) == 1:
        return known[0]
    listed = ", ".join(known) or "none: grader run comes first"
    raise InputError(f"--assignment: expected one of those that have grades ({listed})")


def _chosen(slug: str | None, grades: Grades) -> list[str]:
    known = grades.assignments()
    if slug is None:
        return known
    if slug not in known:
        listed = ", ".join(known) or "none: grader run comes first"
        raise InputError(f"expected an assignment that has grades ({listed}), found {slug!r}")
    return [slug]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise InputError("--by: expected the name of who graded, found none") from error


def _say(done: Import, slug: str, by: str, console: Console) -> None:
    older = f" ({done.replaced} replace older ones)" if done.replaced else ""
    console.print(
        f"{slug}, graded by {shown(by)}: {len(done.new)} grades are new{older}, "
        f"{done.same} were known, {done.empty} rows have no points yet",
        highlight=False,
    )
    for line in done.changed:
        says = "was left out, because the answer has changed: grade it in the new sheet"
        console.print(f"  [yellow]line {line}[/] {says}", highlight=False)
    for line in done.gone:
        says = "was left out: it no longer waits for a person, or is of another assignment"
        console.print(f"  [yellow]line {line}[/] {says}", highlight=False)
    for line in done.commented:
        says = "has a comment but no points, so nothing of it was kept"
        console.print(f"  [yellow]line {line}[/] {says}", highlight=False)
    if done.new:
        console.print("now they count: grader score", highlight=False)


def _counts(grade: Grade | None, expected: dict[str, Row]) -> bool:
    row = expected.get(grade.row.id) if grade else None
    return grade is not None and row is not None and grade.row.version.holds(row.version)


def _state(grade: Grade, expected: dict[str, Row], current: dict[str, Grade]) -> str:
    """What has become of a grade."""
    last = current.get(grade.row.id)
    if last != grade and (grade.points or last):
        return "replaced"
    if grade.row.id not in expected:
        return "the machine decides now"
    if not grade.points:
        return "waits again"
    return "counts" if _counts(grade, expected) else "the text changed"


def _print(
    slug: str,
    grades: Iterable[Grade],
    expected: dict[str, Row],
    current: dict[str, Grade],
    console: Console,
) -> None:
    table = Table(title=slug, title_justify="left", title_style="bold", box=None)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column == "points" else "left")
    for grade in grades:
        row, comment = grade.row, grade.comment
        short = comment if len(comment) <= COMMENT_CHARS else comment[:COMMENT_CHARS] + "…"
        cells = [row.student, row.question, row.check, grade.says, grade.by, grade.at[:16], short]
        table.add_row(*map(shown, cells), _state(grade, expected, current))
    console.print(table)
