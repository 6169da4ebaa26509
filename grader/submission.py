"""Who handed in what: a student's notebook as plain data, never executed here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from grader.codec import encode


class CellKind(StrEnum):
    """The kinds of notebook cell that we keep."""

    CODE = "code"
    MARKDOWN = "markdown"
    RAW = "raw"
    """Neither; kept so that cells are counted as the student counts them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as the student wrote it, without outputs and metadata."""

    kind: CellKind
    source: str


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What one student handed in for one assignment.

    A submission that could not be read, or is not there, has no cells and says why in `problem`.
    """

    student: str
    assignment: str
    cells: tuple[Cell, ...] = ()
    problem: str = ""
    """Why there is nothing to execute, in a sentence for the student; empty if all is well."""
    missing: bool = False
    """Whether nothing was handed in at all, as opposed to something unreadable."""
    notes: tuple[str, ...] = ()
    """What was repaired on the way in, such as an old notebook format."""

    @property
    def ticket(self) -> Ticket:
        """What a batch keeps in memory of it."""
        return Ticket(student=self.student, digest=self.digest)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of what the student wrote; equal for identical files."""
        told = [[cell.kind.value, cell.source] for cell in self.cells]
        return hashlib.sha256(encode(told)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A submission without its cells."""

    student: str
    digest: str
