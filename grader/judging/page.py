"""A student's report page as the process that judges makes it: finished text, and what a run took.

What it is made of (`grader/report/author.py`) is nothing to this package: it carries the question
to the process, and reads the answer strictly, because who wrote it may have been fed by students.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from grader.submission import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One student's page, twice; or why there is none."""

    student: str = ""
    """HTML, as the student may read it."""
    staff: str = ""
    """The same with expected values."""
    wall_s: float | None = None
    """What the run took; None where nothing ran."""
    peak_mib: float | None = None
    bugs: tuple[str, ...] = ()
    """Tracebacks of errors of ours that nothing expected."""
    why: str = ""
    """Why it could not be made; empty if it was."""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Page:
        """Read what a process answered, which is `asdict` of a page.

        Raises:
            ValueError: it is something else.
            KeyError: a field is missing.
            TypeError: `bugs` is no list.
        """
        return cls(
            student=_text(told["student"]),
            staff=_text(told["staff"]),
            wall_s=_number(told["wall_s"]),
            peak_mib=_number(told["peak_mib"]),
            bugs=tuple(map(_text, told["bugs"])),
            why=_text(told["why"]),
        )


class Author(Protocol):
    """Makes pages in the process that judges."""

    def page(self, question: Mapping[str, Any], submission: Submission) -> Page:
        """Make the page of the submission that was judged last.

        Args:
            question: What the grader wants to have shown of it.
            submission: What was handed in.

        Raises:
            MemoryError: which says nothing about the student.
        """
        ...


def _text(found: Any) -> str:
    if type(found) is not str:
        raise ValueError("a page: expected text")
    return found


def _number(found: Any) -> float | None:
    if found is None:
        return None
    if type(found) not in (int, float) or not math.isfinite(found):
        raise ValueError("a page: expected a number")
    return float(found)
