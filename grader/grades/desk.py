"""Where scores pass a person's desk on their way into reports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.errors import StoreFault
from grader.grades.rows import Grade, Waiting, graded, waiting
from grader.grades.store import open_grades
from grader.locks import atomically
from grader.report.written import write_written
from grader.rubric import Rubric
from grader.verdict import Score


class Desk:
    """Grades of one assignment, and what waits for some.

    Args:
        state: The course's `.grader/`.
        rubric: The assignment's.
        url: Where the course's database is; in `state` if empty.
    """

    def __init__(self, state: Path, rubric: Rubric, url: str = "") -> None:
        """Read the grades.

        Raises:
            StoreFault: they cannot be read.
        """
        self._state = state
        self._url = url
        self._rubric = rubric
        self._waiting: list[Waiting] = []
        self.kept: Path | None = None
        """Where a filled-in sheet was put before a new one took its place."""
        with open_grades(state, url, reading=True) as grades:
            self._grades: dict[str, Grade] = grades.current(rubric.assignment)
            self.last = grades.last
            """Number of the last grade that counts here."""

    def decided(self, score: Score) -> Score:
        """A score with people's grades in it."""
        return graded(score, self._grades)

    def graded(self, scores: Iterable[Score]) -> Iterator[Score]:
        """Scores with people's grades in them; what waits is remembered on the way."""
        for score in scores:
            self._waiting += waiting(score, self._grades)
            yield self.decided(score)

    def write(self, out: Path) -> int:
        """Write the sheet for people and remember what it asks; return how many rows are open.

        Raises:
            StoreFault: something could not be written.
        """
        sheet = out / self._rubric.assignment / "written.csv"
        where = hashlib.sha256(str(sheet.resolve()).encode()).hexdigest()[:16]
        note = self._state / "written" / f"{where}.sha256"
        self.kept = _kept(sheet, note)
        note.parent.mkdir(parents=True, exist_ok=True)

        def remember(finished: Path) -> None:
            """Whatever happens next, old and new are known as ours."""
            known = [_digest(path) for path in (sheet, finished) if path.is_file()]
            with atomically(note) as file:
                file.write("\n".join(known))

        write_written(self._waiting, self._rubric, out, remember)
        with open_grades(self._state, self._url) as grades:
            grades.expect(self._rubric.assignment, (one.row for one in self._waiting))
        return sum(one.holds is None for one in self._waiting)


def _kept(sheet: Path, note: Path) -> Path | None:
    """Put a sheet aside that somebody has filled in since it was written; where it is now.

    Raises:
        StoreFault: it could not be put aside, so a new one must not take its place.
    """
    if not sheet.is_file() or (note.is_file() and _digest(sheet) in note.read_text().split()):
        return None
    aside = sheet.with_name(f"written-{_digest(sheet)[:8]}.csv")
    try:
        sheet.replace(aside)
    except OSError as error:
        says = "holds what somebody filled in, and could not be put aside"
        raise StoreFault(f"{sheet} {says}: {error.strerror}") from error
    return aside


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
