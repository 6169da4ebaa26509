"""`grader report`: pages beside the tables.

    <out>/<assignment>/index.html                the class: stays with the staff
    <out>/<assignment>/students/<student>.html   goes to the student, as their CSV does
    <out>/<assignment>/staff/<student>.html      the same with expected values: stays

What goes to a student and what does not are in folders of their own, so that nobody hands out the
wrong one. Students are shown what `students/*.csv` says to them, their own cells, and pictures of
what is not hidden. Nothing of a student's is read here: their pages come finished from the process
that judged them. They are written one at a time; what remains of a student is a row of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment

from grader.judging.page import Page
from grader.locks import atomically
from grader.report.author import plain
from grader.report.pages import class_html, environment, student_html
from grader.report.statistics import Tally
from grader.report.tables import file_names
from grader.rubric import Rubric
from grader.verdict import Score


@dataclass(frozen=True)
class Publisher:
    """Writes the pages of one assignment while its scores go by.

    Args:
        rubric: What was asked.
        page_of: The page of a score, or why there is none.
        out: Folder of all reports.
    """

    rubric: Rubric
    page_of: Callable[[Score], Page]
    out: Path
    _made: Environment = field(default_factory=environment)

    @property
    def folder(self) -> Path:
        """Where the pages of this assignment go."""
        return self.out / self.rubric.assignment

    def published(self, scores: Iterable[Score], students: Iterable[str]) -> Iterator[Score]:
        """Hand scores on, each after its pages are written; the page of the class comes last.

        Args:
            scores: Each is written and let go before the next is made.
            students: Everybody who may have a score.

        Raises:
            StoreFault: a page could not be written.
        """
        names = file_names(students)
        tally = Tally(self.rubric)
        for score in scores:
            file = names[score.student]
            page = self.page_of(score)
            self._put(f"students/{file}.html", page.student or self._plain(score, file, page.why))
            told = page.staff or self._plain(score, file, page.why, staff=True)
            self._put(f"staff/{file}.html", told)
            tally.add(score, file, page.wall_s, page.peak_mib)
            yield score
        self._put("index.html", class_html(self._made, tally, self.rubric))

    def _plain(self, score: Score, file: str, why: str, *, staff: bool = False) -> str:
        page = plain(score, file, self.rubric, why)
        return student_html(self._made, page, self.rubric, staff=staff)

    def _put(self, path: str, told: str) -> None:
        with atomically(self.folder / path) as file:
            file.write(told)
