"""Plain folders: `submissions/<slug>/<student>/`, with the notebooks and files that are asked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from grader.errors import InputError, SubmissionError
from grader.intake.files import LITTER, Listed, list_files, read_files
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
            InputError: two names differ only in how their letters are encoded.
        """
        return list(self._names)

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
        for path in sorted(self.folder.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            student = unicodedata.normalize("NFC", path.name)
            if student in names:
                raise InputError(f"{self.folder}: expected one folder named {student!r}, found two")
            names[student] = path.name
        return names


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
    if parts is None:
        problem = "nothing was handed in"
        return Submission(student=student, assignment=slug, problem=problem, missing=True)
    return replace(parts, student=student, assignment=slug)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: where it was found, and what was not.

    Args:
        modules: Asked path to the path where it lies.
        notebooks: Asked name to the name under which it was handed in, in order.
        absent: What was not found.
        notes: What was taken for what.
        several: Whether a cell's number alone does not say where it stands.
    """

    modules: dict[str, str]
    notebooks: dict[str, str]
    absent: tuple[str, ...]
    notes: tuple[str, ...]
    several: bool


def _read(folder: Path, slug: str, layout: Layout, notebook: str) -> Submission | None:
    if folder.is_symlink():
        raise SubmissionError("the student's folder is a link, not a folder")
    usual = [f"{name}.ipynb" for name in layout.notebooks or (slug,)]
    root, inside = _root(folder, {*usual, *layout.files})
    names = _names_in(root)
    if all(name.startswith(".") for name in names):
        return None
    listed = list_files(root, layout.ours)
    places = _with_lone_notebook(names, root)
    needed = bool(layout.notebooks or notebook or not layout.files)
    wanted = usual if needed or any(name.endswith(".ipynb") for name in places) else []
    asked = _find(wanted, layout, listed, places, notebook)
    files = read_files(root, listed, list(asked.modules.values()))
    cells, notes = _cells(root, asked, layout)
    sources = {file.path: file.data for file in files}
    return Submission(
        student="",
        assignment=slug,
        cells=(*(_module_cell(path, sources[path]) for path in asked.modules.values()), *cells),
        files=files,
        notes=(
            *([f"the files were taken from the folder {inside}"] if inside else []),
            *asked.notes,
            *notes,
            *listed.notes,
        ),
        absent=asked.absent,
    )


def _find(
    wanted: Sequence[str], layout: Layout, listed: Listed, names: Sequence[str], notebook: str
) -> _Asked:
    """Find the asked modules and notebooks.

    Raises:
        SubmissionError: nothing of it is there, or it is not clear which notebook is meant.
    """
    modules, notes = _modules(layout.files, listed)
    notebooks = {wanted[0]: notebook} if notebook else _notebooks(wanted, names)
    asked = [*layout.files, *wanted]
    absent = tuple(name for name in asked if name not in modules and name not in notebooks)
    if len(absent) == len(asked):
        some = ", ".join([name for name in names if not name.startswith(".")][:5])
        what = "nothing that is asked for" if layout.files else "no notebook"
        raise SubmissionError(f"{what}: expected {', '.join(asked)}, found {some}")
    return _Asked(
        modules=modules,
        notebooks=notebooks,
        absent=absent,
        notes=(*(f"{name} was not handed in" for name in absent), *notes),
        several=len(wanted) > 1 or bool(layout.files),
    )


def _root(folder: Path, wanted: Iterable[str]) -> tuple[Path, str]:
    """Where the asked files lie: the folder, or the only one in it, as archives often have it."""
    inside = folder
    for _ in range(MAX_WRAPPING):
        visible = [name for name in _names_in(inside) if _counts(name)]
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


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in LITTER


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise SubmissionError(f"the folder cannot be read: {error.strerror}") from error


def _with_lone_notebook(names: Sequence[str], root: Path) -> list[str]:
    """The names in a folder, and the one notebook one level below if none lies in it itself."""
    inner = [path for path in sorted(root.glob("*/*.ipynb")) if _is_own(path)]
    if any(name.endswith(".ipynb") for name in names) or len(inner) != 1:
        return list(names)
    return [*names, inner[0].relative_to(root).as_posix()]


def _is_own(path: Path) -> bool:
    """Whether it is a file of the student's, in a folder that counts."""
    linked = path.is_symlink() or path.parent.is_symlink()
    return path.is_file() and not linked and _counts(path.parent.name) and path.name[0] != "."


def _notebooks(wanted: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The names under which the asked notebooks were handed in; one may have another name."""
    there = {name: name for name in wanted if name in names}
    lacking = [name for name in wanted if name not in names]
    others = [n for n in names if n.endswith(".ipynb") and n[0] != "." and n not in wanted]
    if len(lacking) == 1 and len(others) == 1:
        there[lacking[0]] = others[0]
    elif lacking and others:
        listed, named = ", ".join(others[:5]), " or ".join(lacking)
        raise SubmissionError(f"several notebooks and none is named {named}: {listed}")
    return {name: there[name] for name in wanted if name in there}


def _modules(wanted: Sequence[str], listed: Listed) -> tuple[dict[str, str], list[str]]:
    """Where the asked modules lie; one that lies elsewhere is taken if it is the only such file."""
    there, notes = {}, []
    for path in wanted:
        name = path.rpartition("/")[2]
        alike = [found for found in listed.sizes if found.rpartition("/")[2] == name]
        if path in listed.sizes:
            there[path] = path
        elif len(alike) == 1 and alike[0] not in wanted:
            there[path] = alike[0]
            notes.append(f"{alike[0]} was taken for {path}")
    return there, notes


def _cells(root: Path, found: _Asked, layout: Layout) -> tuple[list[Cell], list[str]]:
    """The cells of all notebooks in order, and what had to be repaired."""
    cells: list[Cell] = []
    notes: list[str] = []
    for asked, name in found.notebooks.items():
        notebook = read_notebook(root / name)
        notes += [f"{name} was taken for {asked}"] if name != asked else []
        notes += notebook.notes
        for number, cell in enumerate(notebook.cells, start=1):
            place = f"cell {number} of {name}" if found.several else ""
            cells.append(replace(cell, place=place, left_out=_left_out(cell, layout)))
    return cells, notes


def _left_out(cell: Cell, layout: Layout) -> str:
    if cell.kind is not CellKind.CODE:
        return ""
    tagged = next((tag for tag in cell.tags if tag in layout.tags), "")
    if tagged:
        return f"tagged {tagged}"
    found = next((text for text in layout.matching if re.search(text, cell.source)), "")
    return f"the assignment leaves out cells with {found}" if found else ""


def _module_cell(path: str, data: bytes) -> Cell:
    if len(data) > MAX_SOURCE_BYTES:
        raise SubmissionError(f"{path} has more than {MAX_SOURCE_BYTES >> 20} MiB of source")
    source = data.decode("utf-8-sig", "replace")
    return Cell(CellKind.CODE, source, place=path, module=path)
