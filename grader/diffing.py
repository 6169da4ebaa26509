"""`grader diff`: whose points changed between two scorings, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grader.course import Course, find_course
from grader.database.opening import Database
from grader.difference import Change, Moment, basis_changes, changes
from grader.display import shown
from grader.errors import InputError
from grader.history import History, Scoring
from grader.options import ALL_SCORED

COLUMNS = ("student", "question", "before", "after", "why")


def show_differences(
    slug: str | None,
    course: Path | None,
    console: Console,
    *,
    first: int | None = None,
    last: int | None = None,
) -> int:
    """Print whose points changed between two scorings, the last two if none are named."""
    found = find_course(Path(), course)
    database = Database(found.state, found.database)
    for name in _slugs(found, slug):
        history = History(database, name)
        scorings = history.scorings()
        if len(scorings) < 2 and slug is None:
            continue
        after = _chosen(scorings, last, "--to") if last else scorings[-1] if scorings else None
        earlier = [one for one in scorings if after and one.number < after.number]
        before = _chosen(scorings, first, "--from") if first else earlier[-1] if earlier else None
        if after is None or before is None:
            told = f"{len(scorings)} scoring" + ("s" if len(scorings) != 1 else "")
            raise InputError(f"{name}: expected two scorings to compare, found {told}")
        _print(name, history, before, after, console)
    return ALL_SCORED


def list_scorings(slug: str | None, course: Path | None, console: Console) -> int:
    """Print when scores were made that were new, and from what that was new then."""
    found = find_course(Path(), course)
    for name in _slugs(found, slug):
        table = Table(title=name, title_justify="left", title_style="bold", box=None)
        for column in ("scoring", "at (UTC)", "new in it"):
            table.add_column(column)
        before: Scoring | None = None
        for one in History(Database(found.state, found.database), name).scorings():
            new = "; ".join(basis_changes(before.basis, one.basis)) if before else "the first"
            table.add_row(str(one.number), _when(one), shown(new or "evidence or grades"))
            before = one
        console.print(table)
    return ALL_SCORED


def changed_in_words(history: History, before: Scoring, after: Scoring) -> str:
    """How many students have other points since the scoring before, and what was new."""
    found = list(_changes(history, before, after))
    count = len({change.student for change in found})
    new = "; ".join(basis_changes(before.basis, after.basis))
    says = f"points of {count} students changed since {_when(before)} UTC"
    return shown(f"{says} ({new})" if new else says)


def _slugs(course: Course, slug: str | None) -> list[str]:
    if slug is None:
        return course.slugs
    course.rubric_path(slug)
    return [slug]


def _chosen(scorings: Sequence[Scoring], number: int, option: str) -> Scoring:
    for one in scorings:
        if one.number == number:
            return one
    listed = ", ".join(str(one.number) for one in scorings) or "none"
    raise InputError(f"{option}: expected the number of a scoring ({listed}), found {number}")


def _changes(history: History, before: Scoring, after: Scoring) -> list[Change]:
    concerned = history.changed(before, after)
    then = Moment(scoring=before, scores=history.at(before, concerned))
    now = Moment(scoring=after, scores=history.at(after, concerned))
    return list(changes(then, now, history.graded(before, after)))


def _print(slug: str, history: History, before: Scoring, after: Scoring, console: Console) -> None:
    found = _changes(history, before, after)
    title = f"{slug}: scoring {before.number} ({_when(before)}) and {after.number} ({_when(after)})"
    console.print(f"[bold]{title}[/]", highlight=False)
    for told in basis_changes(before.basis, after.basis):
        console.print(shown(told), highlight=False)
    if found:
        table = Table(box=None)
        for column in COLUMNS:
            table.add_column(column, justify="right" if column in COLUMNS[2:4] else "left")
        for one in found:
            points = map(_points, (one.before, one.after))
            table.add_row(shown(one.student), one.question, *points, shown(", ".join(one.why)))
        console.print(table)
    students = len({change.student for change in found})
    console.print(f"{len(found)} questions of {students} students have other points")


def _points(points: float | None) -> str:
    return "-" if points is None else f"{round(points, 4):g}"


def _when(scoring: Scoring) -> str:
    return scoring.at.removesuffix("+00:00").replace("T", " ")
