"""What a person sees: live progress, plain lines where there is no terminal, summary tables."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from grader.report.tables import Line, one_line
from grader.verdict import Status

#: Below this many students the summary has a row for each.
ROWS_SHOWN = 40
HEADINGS = ("student", "status", "points", "a person", "note")
#: Blanks around the cells of a column.
PADDING = 2
LEAST_NOTE = 12
STYLES = {Status.COMPLETE: "green", Status.NEEDS_PERSON: "magenta", Status.MISSING: "dim"}


def console() -> Console:
    """Standard output; where it is no terminal, wide enough for a line to be read in a log."""
    found = Console()
    return found if found.is_terminal else Console(width=120)


class Display:
    """Shows a batch's progress; a `grader.batch.Listener`."""

    def __init__(self, console: Console, title: str) -> None:
        """Prepare to show how the submissions of the assignment `title` get on."""
        self.console, self.title, self.total = console, title, 0
        self.running: list[str] = []
        self.done = self.faults = 0
        self._lock = threading.Lock()
        self._task = TaskID(0)
        self._progress: Progress | None = None

    def __enter__(self) -> Display:
        """Show nothing yet."""
        return self

    def planned(self, new: int, known: int, alike: int) -> None:
        """Say how many submissions are to be executed."""
        self.total = new
        says = f"[bold]{self.title}[/]: {new} to execute"
        says += f", {alike} of them identical to another" if alike else ""
        says += f", {known} known from before" if known else ""
        self.console.print(says, highlight=False)

    def explained(self, reasons: Mapping[str, int]) -> None:
        """Say why, and start showing progress."""
        for reason, count in reasons.items():
            self.console.print(f"  {count}: {shown(reason)}", highlight=False)
        if self.console.is_terminal and self.total:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[running]}"),
                console=self.console,
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(self.title, total=self.total, running="")

    def awaited(self, count: int) -> None:
        """Say who is waited for."""
        says = f"  {count} of them are being executed by another grader: waiting for it"
        self.console.print(says, highlight=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing."""
        if self._progress:
            self._progress.stop()

    def began(self, student: str) -> None:
        """A submission went into a sandbox."""
        with self._lock:
            self.running.append(student)
            self._refresh()

    def retried(self, student: str, why: str) -> None:
        """A fault of ours; the submission is tried once more."""
        self.console.print(f"  [yellow]retry[/] {shown(student)}: {shown(why)}", highlight=False)

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        """A submission is done."""
        with self._lock:
            if student in self.running:
                self.running.remove(student)
            self.done += 1
            self.faults += fault
            self._refresh()
        if fault:
            says = f"needs a person: {says}"
        if self._progress is None or fault:
            place = f"[{self.done}/{self.total}] "
            self.console.print(escape(place) + f"{shown(student)}: {shown(says)}", highlight=False)

    def _refresh(self) -> None:
        if self._progress:
            running = ", ".join(self.running[:4]) + (" …" if len(self.running) > 4 else "")
            failed = f" · {self.faults} need a person" if self.faults else ""
            fields = f"{len(self.running)} running: {shown(running)}{failed}"
            self._progress.update(self._task, completed=self.done, running=fields)


def shown(text: str) -> str:
    """Text that others wrote, in one line, without control characters or markup."""
    return escape(one_line(text))


def summary(console: Console, title: str, lines: Sequence[Line]) -> None:
    """Print the table at the end of a run."""
    if not lines:
        console.print(f"[bold]{shown(title)}[/]: nobody has a score yet", highlight=False)
    elif len(lines) <= ROWS_SHOWN:
        console.print(_rows(title, lines, console.width))
    else:
        console.print(_counts(title, lines))


def _rows(title: str, lines: Sequence[Line], width: int) -> Table:
    """A row a student; in a narrow console the note gives way, then the list of what is open."""
    table = Table(title=shown(title), title_justify="left", title_style="bold", box=None)
    rows = [_row(line) for line in lines]
    wide = [
        max([len(heading), *(Text.from_markup(cell).cell_len for cell in column)])
        for heading, *column in zip(HEADINGS, *rows, strict=True)
    ]
    room = width - sum(wide[:3]) - PADDING * len(HEADINGS)
    wide[3] = max(min(wide[3], room - LEAST_NOTE), len(HEADINGS[3]))
    wide[4] = max(min(wide[4], room - wide[3]), len(HEADINGS[4]))
    for heading, cells in zip(HEADINGS, wide, strict=True):
        table.add_column(
            heading,
            min_width=cells,  # a plain `width` would shrink in all columns alike
            max_width=cells,
            justify="right" if heading == "points" else "left",
            no_wrap=heading != "a person",
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _row(line: Line) -> tuple[str, ...]:
    style = STYLES.get(line.status, "yellow")
    most = f"{round(line.max_points, 2):g}"
    points = "-" if line.total is None else f"{round(line.total, 2):g} / {most}"
    needs = "all" if line.all_open else " ".join(line.needs_person)
    status = f"[{style}]{line.status}[/]"
    return shown(line.student), status, points, shown(needs), shown(line.note)


def _counts(title: str, lines: Sequence[Line]) -> Table:
    table = Table(title=shown(title), title_justify="left", title_style="bold", box=None)
    table.add_column("status")
    table.add_column("students", justify="right")
    for status, count in Counter(line.status for line in lines).most_common():
        table.add_row(f"[{STYLES.get(status, 'yellow')}]{status}[/]", str(count))
    totals = [line.total for line in lines if line.total is not None]
    if totals:
        table.add_row("mean points", f"{sum(totals) / len(totals):.2f} / {lines[0].max_points:g}")
    return table
