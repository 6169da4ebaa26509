"""Who handed in what: a student's notebooks and files as plain data, never executed here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from grader.codec import encode

#: Prose that a person reads: it does not enter a sandbox.
WRITE_UP_SUFFIXES = (".pdf", ".tex", ".docx", ".ipynb")


class CellKind(StrEnum):
    """The kinds of notebook cell that we keep."""

    CODE = "code"
    MARKDOWN = "markdown"
    RAW = "raw"
    """Neither; kept so that cells are counted as the student counts them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as the student wrote it, without outputs; or a whole module, run like a cell."""

    kind: CellKind
    source: str
    tags: tuple[str, ...] = ()
    place: str = ""
    """What messages call it, if not `cell <number>`."""
    module: str = ""
    """Path of the file that it is, below the student's folder; empty for a notebook's cell."""
    left_out: str = ""
    """Why it is not run at grading, in a few words; empty if it is."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was handed in beside the notebook."""

    path: str
    """Relative to the student's folder, with slashes."""
    data: bytes

    @property
    def is_write_up(self) -> bool:
        """Whether it is prose for a person, which no sandbox needs."""
        name = self.path.rpartition("/")[2].casefold()
        return name.endswith(WRITE_UP_SUFFIXES) or name == "writeup.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which files make a submission, and which cells of them are not run."""

    notebooks: tuple[str, ...] = ()
    """Names without suffix, in order; none: the one that is named like the assignment."""
    files: tuple[str, ...] = ()
    """Paths of modules, in the order in which they are loaded.

    With some, the notebook that is named like the assignment may be missing.
    """
    tags: tuple[str, ...] = ("skip-grading", "grader-skip")
    """Cells with one of these tags are left out."""
    matching: tuple[str, ...] = ()
    """So are cells in whose source one of these regular expressions is found."""
    ours: tuple[str, ...] = ("data",)
    """Folders that are the course's: what a student hands in under these names is not taken."""


USUAL = Layout()
"""One notebook that is named like the assignment."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What one student handed in for one assignment.

    A submission that could not be read, or is not there, has no cells and says why in `problem`.
    """

    student: str
    assignment: str
    cells: tuple[Cell, ...] = ()
    """Modules first, then the cells of the notebooks, in the order in which they run."""
    files: tuple[File, ...] = ()
    """Everything else in the student's folder, the modules' own files among it."""
    problem: str = ""
    """Why there is nothing to execute, in a sentence for the student; empty if all is well."""
    missing: bool = False
    """Whether nothing was handed in at all, as opposed to something unreadable."""
    notes: tuple[str, ...] = ()
    """What was repaired on the way in, such as an old notebook format."""
    absent: tuple[str, ...] = ()
    """Files that are asked for and were not handed in."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Paths of what was handed in and not taken, each with why."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why asked files that are there, in some form, were not taken, by what was asked for."""

    @property
    def carried(self) -> tuple[File, ...]:
        """The files that lie beside the notebook in a sandbox."""
        return tuple(file for file in self.files if not file.is_write_up)

    @property
    def ticket(self) -> Ticket:
        """What a batch keeps in memory of it."""
        return Ticket(student=self.student, digest=self.digest)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all that a sandbox gets; equal for identical files."""
        cells = [[c.kind.value, c.source, c.module, bool(c.left_out)] for c in self.cells]
        files = [[file.path, hashlib.sha256(file.data).digest()] for file in self.carried]
        return hashlib.sha256(encode([cells, files])).hexdigest()

    @cached_property
    def whole_digest(self) -> str:
        """Hexadecimal SHA-256 of all that was handed in, with what no sandbox gets."""
        files = [[file.path, hashlib.sha256(file.data).digest()] for file in self.files]
        return hashlib.sha256(encode([self.digest, files])).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A submission without its cells."""

    student: str
    digest: str
