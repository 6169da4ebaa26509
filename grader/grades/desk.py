"""Where scores pass a person's desk on their way into reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.grades.rows import Grade, Waiting, graded, waiting
from grader.grades.store import open_grades
from grader.report.written import write_written
from grader.rubric import Rubric
from grader.verdict import Score


class Desk:
    """Grades of one assignment, and what waits for some.

    Args:
        state: The course's `.grader/`.
        rubric: The assignment's.
    """

    def __init__(self, state: Path, rubric: Rubric) -> None:
        """Read the grades.

        Raises:
            StoreFault: they cannot be read.
        """
        self._state = state
        self._rubric = rubric
        self._waiting: list[Waiting] = []
        with open_grades(state) as grades:
            self._grades: dict[str, Grade] = grades.current(rubric.assignment)

    def graded(self, scores: Iterable[Score]) -> Iterator[Score]:
        """Scores with people's grades in them; what waits is remembered on the way."""
        for score in scores:
            self._waiting += waiting(score, self._grades)
            yield graded(score, self._grades)

    def write(self, out: Path) -> int:
        """Write the sheet for people and remember what it asks; return how many rows are open.

        Raises:
            StoreFault: something could not be written.
        """
        write_written(self._waiting, self._rubric, out)
        with open_grades(self._state) as grades:
            grades.expect(self._rubric.assignment, (one.row for one in self._waiting))
        return sum(one.holds is None for one in self._waiting)
