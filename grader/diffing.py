"""`grader diff`: whose points changed between two scorings, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from grader.course import find_course
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
    if slug is None and (first, last) != (None, None):
        raise InputError("expected an assignment beside --from and --to: grader diff SLUG")
    histories = _histories(slug, course)
    compared = [one for one in histories if slug or len(one[1].scorings()) > 1]
    for name, history in compared:
        _print(name, history, *_pair(name, history.scorings(), first, last), console)
    if not compared:
        console.print("no assignment has two scorings yet to compare: grader diff --list")
    return ALL_SCORED


def list_scorings(slug: str | None, course: Path | None, console: Console) -> int:
    """Print when scores were made that were new, and from what that was new then."""
    for name, history in _histories(slug, course):
        table = Table(title=name, title_justify="left", title_style="bold", box=None)
        for column in ("scoring", "at (UTC)", "new in it"):
            table.add_column(column)
        before: Scoring | None = None
        for one in history.scorings():
            new = "; ".join(basis_changes(before.basis, one.basis)) if before else "the first"
            table.add_row(str(one.number), _when(one), shown(new or "evidence or grades"))
            before = one
        console.print(table if before else f"{name}: not scored yet", highlight=False)
    return ALL_SCORED


def changed_in_words(history: History, before: Scoring, after: Scoring) -> str:
    """How many students have other points since the scoring before, and what was new."""
    students = len({change.student for change in _changes(history, before, after)})
    new = "; ".join(basis_changes(before.basis, after.basis))
    whose = f"points of {_counted(students, 'student')}" if students else "nobody's points"
    says = f"{whose} changed since {_when(before)} UTC"
    return shown(f"{says} ({new})" if new else says)


def _histories(slug: str | None, course: Path | None) -> list[tuple[str, History]]:
    found = find_course(Path(), course)
    if slug is not None:
        found.rubric_path(slug)
    database = Database(found.state, found.database)
    return [(name, History(database, name)) for name in ([slug] if slug else found.slugs)]


def _pair(
    slug: str, scorings: Sequence[Scoring], first: int | None, last: int | None
) -> tuple[Scoring, Scoring]:
    """The two scorings that numbers mean, the last two if none are given."""
    if len(scorings) < 2:
        found = _counted(len(scorings), "scoring")
        raise InputError(f"{slug}: expected two scorings to compare, found {found}")
    after = scorings[-1] if last is None else _chosen(scorings, last, "--to: expected a scoring")
    earlier = [one for one in scorings if one.number < after.number]
    if not earlier:
        raise InputError(f"--to: expected a scoring after the first, found {after.number}")
    if first is None:
        return earlier[-1], after
    return _chosen(earlier, first, f"--from: expected a scoring before {after.number}"), after


def _chosen(scorings: Sequence[Scoring], number: int, says: str) -> Scoring:
    for one in scorings:
        if one.number == number:
            return one
    listed = ", ".join(str(one.number) for one in scorings)
    raise InputError(f"{says} ({listed}), found {number}")


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
    told = f"{_counted(len(found), 'question')} of {_counted(students, 'student')}"
    console.print(f"{told} changed" if found else "nobody's points changed", highlight=False)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count != 1 else "")


def _points(points: float | None) -> str:
    return "-" if points is None else f"{round(points, 4):g}"


def _when(scoring: Scoring) -> str:
    return scoring.at.removesuffix("+00:00").replace("T", " ")
