"""Plain folders: `submissions/<slug>/<student>/`, with the notebooks and files that are asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from grader import patterns
from grader.errors import InputError, SubmissionError
from grader.intake.asked import Asked, counts, find_asked
from grader.intake.files import list_files, read_files
from grader.intake.notebook import MAX_SOURCE_BYTES, read_notebook
from grader.submission import USUAL, Cell, CellKind, Layout, Submission

#: Folders in folders that an archive may have put around what was handed in.
MAX_WRAPPING = 4


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
        layout: Which files are asked for, and which cells are not run.
    """

    folder: Path
    slug: str
    layout: Layout = USUAL

    @cached_property
    def students(self) -> list[str]:
        """Ids of the students: names of the sub-folders that are not hidden, in order.

        Raises:
            InputError: two names differ only in how letters are encoded, or in what nobody sees.
        """
        return list(self._names)

    @property
    def folders(self) -> dict[str, Path]:
        """Where each student's submission lies."""
        return {student: self.folder / name for student, name in self._names.items()}

    def read(self, student: str) -> Submission:
        """Read what a student handed in; what cannot be read says so in `problem`."""
        return read_submission(self.folder / self._names[student], self.slug, self.layout)

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
        seen: set[str] = set()
        for path in sorted(self.folder.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            student = unicodedata.normalize("NFC", path.name)
            shown = _shown(student)
            if shown in seen:
                raise InputError(f"{self.folder}: expected one folder named {shown!r}, found two")
            seen.add(shown)
            names[student] = path.name
        return names


def _shown(student: str) -> str:
    """A name as a table has it: single blanks, and one mark for whatever cannot be seen."""
    blanks = " ".join(student.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in blanks)


def read_submission(
    folder: Path, slug: str, layout: Layout = USUAL, notebook: str = ""
) -> Submission:
    """Read one student's folder.

    Args:
        folder: What they handed in.
        slug: The assignment.
        layout: Which files are asked for, and which cells are not run.
        notebook: Name of the one notebook to read, whatever it is called.
    """
    student = unicodedata.normalize("NFC", folder.name)
    try:
        parts = _read(folder, slug, layout, notebook)
    except SubmissionError as error:
        return Submission(student=student, assignment=slug, problem=str(error))
    except OSError as error:  # what an archive may have put there: a folder that nobody may enter
        problem = f"the folder cannot be read: {error.strerror}"
        return Submission(student=student, assignment=slug, problem=problem)
    if parts is None:
        problem = "nothing was handed in"
        return Submission(student=student, assignment=slug, problem=problem, missing=True)
    return replace(parts, student=student, assignment=slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What the notebooks hold, what was repaired, and why some could not be read."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    unread: dict[str, str]


def _read(folder: Path, slug: str, layout: Layout, notebook: str) -> Submission | None:
    if folder.is_symlink():
        raise SubmissionError("the student's folder is a link, not a folder")
    usual = [f"{name}.ipynb" for name in layout.notebooks or (slug,)]
    root, inside = _root(folder, {*usual, *layout.files})
    names = _names_in(root)
    if all(name.startswith(".") for name in names):
        return None
    listed = list_files(root, layout.ours)
    asked = find_asked(root, names, usual, layout=layout, listed=listed, notebook=notebook)
    for name in asked.notebooks.values():
        listed.sizes.pop(name, None)  # read as what they are
    files = read_files(root, listed, list(asked.modules.values()))
    taken = _cells(root, asked, layout)
    sources = {file.path: file.data for file in files}
    modules = tuple(_module_cell(path, sources[path]) for path in asked.modules.values())
    unread = {**asked.unread, **taken.unread}
    return Submission(
        student="",
        assignment=slug,
        cells=_some_code((*modules, *taken.cells), asked, unread),
        files=files,
        notes=(
            *([f"the files were taken from the folder {inside}"] if inside else []),
            *(f"{name} was not handed in" for name in asked.absent),
            *unread.values(),
            *asked.notes,
            *taken.notes,
            *listed.notes,
        ),
        absent=asked.absent,
        unread=unread,
        left_out=listed.reasons,
    )


def _some_code(
    cells: tuple[Cell, ...], asked: Asked, unread: Mapping[str, str]
) -> tuple[Cell, ...]:
    """The cells, if there is anything to execute among them."""
    if any(cell.kind is CellKind.CODE for cell in cells):
        return cells
    have = "has" if len(asked.notebooks) == 1 else "have"
    nothing = f"{', '.join(asked.notebooks.values())} {have} no code cells"
    raise SubmissionError("; ".join(unread.values()) or nothing)


def _root(folder: Path, wanted: Iterable[str]) -> tuple[Path, str]:
    """Where the asked files lie: the folder, or the only one in it, as archives often have it."""
    inside = folder
    for _ in range(MAX_WRAPPING):
        visible = [name for name in _names_in(inside) if counts(name)]
        if len(visible) != 1 or any((inside / name).exists() for name in wanted):
            break
        one = inside / visible[0]
        if one.is_symlink() or not one.is_dir() or one.suffix == ".ipynb":
            break
        inside = one
    else:
        return folder, ""
    found = any((inside / name).exists() for name in wanted) or list(inside.glob("*.ipynb"))
    if inside == folder or not found:
        return folder, ""
    return inside, inside.relative_to(folder).as_posix()


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise SubmissionError(f"the folder cannot be read: {error.strerror}") from error


def _cells(root: Path, asked: Asked, layout: Layout) -> _Taken:
    """The cells of all notebooks in order.

    Raises:
        SubmissionError: a notebook that has to be there cannot be read.
    """
    cells: list[Cell] = []
    notes: list[str] = []
    unread: dict[str, str] = {}
    for wanted, name in asked.notebooks.items():
        notes += [f"{name} was taken for {wanted}"] if name != wanted else []
        try:
            notebook = read_notebook(root / name)
        except SubmissionError as error:
            if not asked.optional:
                raise
            unread[wanted] = str(error)
            continue
        notes += notebook.notes
        for number, cell in enumerate(notebook.cells, start=1):
            place = f"cell {number} of {name}" if asked.several else ""
            cells.append(replace(cell, place=place, left_out=_left_out(cell, layout)))
    return _Taken(cells=tuple(cells), notes=tuple(notes), unread=unread)


def _left_out(cell: Cell, layout: Layout) -> str:
    if cell.kind is not CellKind.CODE:
        return ""
    tagged = next((tag for tag in cell.tags if tag in layout.tags), "")
    if tagged:
        return f"tagged {tagged}"
    found = next((text for text in layout.matching if patterns.found(text, cell.source)), "")
    return f"the assignment leaves out cells with {found}" if found else ""


def _module_cell(path: str, data: bytes) -> Cell:
    if len(data) > MAX_SOURCE_BYTES:
        raise SubmissionError(f"{path} has more than {MAX_SOURCE_BYTES >> 20} MiB of source")
    source = data.decode("utf-8-sig", "replace")
    return Cell(CellKind.CODE, source, place=path, module=path)
