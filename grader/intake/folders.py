"""Plain folders: `submissions/<slug>/<student>/<slug>.ipynb`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grader.errors import InputError, SubmissionError
from grader.intake.notebook import read_notebook
from grader.submission import Submission


def assignments_in(folder: Path, slugs: list[str]) -> list[tuple[str, Path]]:
    """Find the assignments in a folder: it is one itself, or a folder of them.

    Args:
        folder: `submissions/`, or one assignment's folder of students.
        slugs: The assignments that have a rubric.

    Raises:
        InputError: there is none that has a rubric.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of submissions, found no folder {folder}")
    name = folder.resolve().name
    if name in slugs:
        return [(name, folder)]
    found = [(path.name, path) for path in sorted(folder.iterdir()) if path.name in slugs]
    if not found:
        rubrics = ", ".join(slugs) or "none"
        raise InputError(
            f"expected in {folder} a folder named like a rubric ({rubrics}), found none"
        )
    return found


@dataclass(frozen=True)
class Handed:
    """What was handed in for one assignment; notebooks are read one at a time, never all at once.

    Args:
        folder: The assignment's folder of students.
        slug: The assignment.
    """

    folder: Path
    slug: str

    @cached_property
    def students(self) -> list[str]:
        """Ids of the students: names of the sub-folders that are not hidden, in order.

        Raises:
            InputError: two names differ only in how their letters are encoded.
        """
        return list(self._names)

    def read(self, student: str) -> Submission:
        """Read what a student handed in; what cannot be read says so in `problem`."""
        return read_submission(self.folder / self._names[student], self.slug)

    def __iter__(self) -> Iterator[Submission]:
        """Read them all, one after the other."""
        return map(self.read, self.students)

    @property
    def strays(self) -> list[str]:
        """Notebooks beside the students' folders, which might be somebody's work."""
        found = [p.name for p in self.folder.iterdir() if p.suffix == ".ipynb" and not p.is_dir()]
        return sorted(found)

    @cached_property
    def _names(self) -> dict[str, str]:
        """Folder names by id: the id is the name in one agreed encoding (Unicode NFC)."""
        names: dict[str, str] = {}
        for path in sorted(self.folder.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            student = unicodedata.normalize("NFC", path.name)
            if student in names:
                raise InputError(f"{self.folder}: expected one folder named {student!r}, found two")
            names[student] = path.name
        return names


def read_submission(folder: Path, slug: str) -> Submission:
    """Read one student's folder."""
    student = unicodedata.normalize("NFC", folder.name)
    try:
        path = _notebook_in(folder, slug)
        if path is None:
            problem = "nothing was handed in"
            return Submission(student=student, assignment=slug, problem=problem, missing=True)
        notebook = read_notebook(path)
    except SubmissionError as error:
        return Submission(student=student, assignment=slug, problem=str(error))
    notes = notebook.notes
    if path.name != f"{slug}.ipynb":
        notes = (f"{path.name} was taken for {slug}.ipynb", *notes)
    return Submission(student=student, assignment=slug, cells=notebook.cells, notes=notes)


def _notebook_in(folder: Path, slug: str) -> Path | None:
    if folder.is_symlink():
        raise SubmissionError("the student's folder is a link, not a folder")
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise SubmissionError(f"the folder cannot be read: {error.strerror}") from error
    if f"{slug}.ipynb" in names:
        return folder / f"{slug}.ipynb"
    notebooks = [name for name in names if name.endswith(".ipynb") and not name.startswith(".")]
    if len(notebooks) > 1:
        listed = ", ".join(notebooks[:5])
        raise SubmissionError(f"several notebooks and none is named {slug}.ipynb: {listed}")
    if not notebooks and any(not name.startswith(".") for name in names):
        raise SubmissionError(f"no notebook: expected {slug}.ipynb, found {', '.join(names[:5])}")
    return folder / notebooks[0] if notebooks else None
