"""Plain folders: `submissions/<slug>/<student>/<slug>.ipynb`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
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


def students_in(folder: Path) -> list[str]:
    """The students of an assignment's folder: its sub-folders that are not hidden."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def submissions_in(folder: Path, slug: str, students: list[str]) -> Iterator[Submission]:
    """Read what students handed in; one that cannot be read says so and stops nobody else."""
    for student in students:
        yield read_submission(folder / student, slug)


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


def strays_in(folder: Path) -> list[str]:
    """What lies beside the students' folders and might be somebody's work: notebooks."""
    return sorted(p.name for p in folder.iterdir() if p.suffix == ".ipynb" and not p.is_dir())
