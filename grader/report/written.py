"""What waits for a person, as a sheet to fill in, and as whole texts to read beside it.

    <out>/<assignment>/written.csv             a row a student and check: points go here
    <out>/<assignment>/written/<question>.txt  the same answers in full, one after the other

Both are for course staff. Students' words are only ever plain text in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from grader.grades.rows import Waiting, called, labels
from grader.locks import atomically
from grader.report.tables import Table, file_names
from grader.rubric import Check, Rubric

COLUMNS = ("student", "question", "excerpt", "max_points", "points", "comment")
FURTHER = ("check", "kind", "items", "reason", "source", "proposed", "read", "grader")
KEYS = ("text_digest", "row")
#: What a spreadsheet shows without becoming unwieldy; the whole text is in `written/`.
EXCERPT_CHARS = 1000


def write_written(
    waiting: Iterable[Waiting],
    rubric: Rubric,
    out: Path,
    finished: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write sheet and texts of one assignment.

    Args:
        waiting: Everything that a person decides, decided or not.
        rubric: For the order of the questions, and what to look for.
        out: Folder of all reports.
        finished: Told where the sheet is, whole, before it takes the place of the old one.

    Raises:
        StoreFault: a file could not be written.
    """
    folder = out / rubric.assignment
    order = {question.id: number for number, question in enumerate(rubric.questions)}
    rows = sorted(waiting, key=lambda one: (order[one.row.question], one.row.student))
    items = items_of(rubric)
    with atomically(folder / "written.csv") as file:
        file.write("\N{ZERO WIDTH NO-BREAK SPACE}")  # else Excel takes the text for Latin-1
        table = Table(file)
        table.row(*COLUMNS, *FURTHER, *KEYS)
        for one in rows:
            _write_row(table, one, items.get((one.row.question, one.row.check), ""))
        file.flush()
        finished(Path(file.name))
    _write_texts(rows, rubric, folder / "written")


def items_of(rubric: Rubric) -> dict[tuple[str, str], str]:
    """What a person looks for, by question and name of the check in it."""
    found = {}
    for question in rubric.questions:
        names = labels(called(check.name, check.alternative) for check in question.checks)
        for check, name in zip(question.checks, names, strict=True):
            found[question.id, name] = _items(check)
    return found


def _items(check: Check) -> str:
    """Rubric items in words: `locality (0.5); parallelism`, with the points of each."""
    told = []
    for item in getattr(check.params.of, "items", ()):
        shares: Mapping[str, float | None] = item if isinstance(item, dict) else {str(item): None}
        for name, share in shares.items():
            of = "" if share is None else f" ({round(share * check.max_points, 4):g})"
            told.append(f"{name}{of}")
    return "; ".join(told)


def _write_row(table: Table, one: Waiting, items: str) -> None:
    row, work, grade = one.row, one.pending.work, one.holds
    text = " ".join((work.own or work.text).split())
    excerpt = text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS] + "…"
    proposed = None if work.proposed is None else work.proposed * row.max_points
    reason = " ".join(filter(None, [_reason(one), one.pending.detail]))
    table.row(
        row.student,
        row.question,
        excerpt,
        row.max_points,
        grade.points_of(row.max_points) if grade else None,
        grade.comment if grade else "",
        row.check,
        row.kind,
        items,
        reason,
        work.source,
        proposed,
        work.read,
        grade.by if grade else "",
        str(row.version),
        row.id,
    )


def _reason(one: Waiting) -> str:
    if one.grade and not one.holds:
        by = f"by {one.grade.by} before the text changed."
        return f"Graded {one.grade.says} {by} {one.pending.reason}"
    return one.pending.reason


def _write_texts(rows: Sequence[Waiting], rubric: Rubric, folder: Path) -> None:
    names = file_names(question.id for question in rubric.questions)
    titles = {
        question.id: f"{question.id}  {question.title}".rstrip() for question in rubric.questions
    }
    kept = set()
    for question, group in groupby(rows, key=lambda one: one.row.question):
        path = folder / f"{names[question]}.txt"
        kept.add(path.name)
        with atomically(path) as file:
            file.write(f"{titles[question]}\n")
            for one in group:
                file.write(_whole(one))
    for name in names.values():  # nothing else: other texts are somebody's own
        if f"{name}.txt" not in kept:
            (folder / f"{name}.txt").unlink(missing_ok=True)


def _whole(one: Waiting) -> str:
    """One answer in full; students' lines are set in, so that none can look like ours."""
    work, row = one.pending.work, one.row
    about = ", ".join(filter(None, [row.check, work.source]))
    lines = [
        "",
        _printable(f"== {row.student}: {about}"),
        _printable(f"-- {_reason(one)}"),
        *_set_in(work.text),
    ]
    if work.read:
        lines += ["-- The machine read:", *_set_in(work.read)]
    if work.unplaced:
        lines += ["-- Under no question:", *_set_in(work.unplaced)]
    return "\n".join(lines) + "\n"


def _set_in(text: str) -> list[str]:
    return [f"    {_printable(line)}" for line in text.splitlines()]


def _printable(line: str) -> str:
    shown = line.expandtabs(4).rstrip()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
