"""Write an assignment's notebooks, and what lies beside them, from readable text.

    python scripts/make_samples.py nyu_hw4            write them all
    python scripts/make_samples.py nyu_hw4 s05 s06    only these

Texts and what becomes of them:

    reference/<slug>/notebooks/template.txt  -> reference/<slug>/student/<slug>.ipynb
                               solution.txt  -> reference/<slug>/solution/<slug>.ipynb
                               _quick.txt    -> nothing: a base for others
                               s05.txt       -> submissions/<slug>/s05/<slug>.ipynb

A text is a header of `key: value` lines, an empty line, then cells. A cell starts with
`%% code NAME` or `%% markdown NAME`; what stands below it is taken as it is. `base: solution` takes
every cell of that text: a cell of the same name then takes the place of the base's, `%% drop NAME`
removes one, and a new cell follows the one before it in the text; `%% after NAME` says after which
of the base's cells to go on. `%% code NAME TAG` gives the cell a tag, such as `skip-grading`.
`%% file src/model.py PART` is no cell, but a part of a file beside the notebook; parts of one file
are joined in their order, and `%% drop src/model.py PART` removes one.
`as: KIND` says how to save the notebook; the kinds are in WRITERS. `as: files` saves none.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
CELL = re.compile(
    r"^%% (code|markdown|drop|after|file) ([A-Za-z0-9_./-]+)(?: ([A-Za-z0-9_-]+))?$", re.MULTILINE
)
PYTHON3 = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PYTHON2 = {
    "kernelspec": {"display_name": "Python 2", "language": "python", "name": "python2"},
    "language_info": {"name": "python", "version": "2.7.18"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: `kind` is code or markdown, or what to do with the base's: drop or after.

    Of the kind file it is a part of one: its name is the path, a space, and the name of the part.
    """

    kind: str
    name: str
    source: str
    tag: str = ""

    @property
    def path(self) -> str:
        """Where a file lies, below the notebook's folder."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One readable notebook: what stands below its header, and its cells over those of its base."""

    header: dict[str, str]
    body: str
    cells: tuple[Cell, ...]
    base: Text | None


def read(folder: Path, name: str) -> Text:
    """Read `folder/name.txt`, and the texts that it is based on.

    Raises:
        ValueError: a header line is no `key: value`.
    """
    whole = (folder / f"{name}.txt").read_text(encoding="utf-8")
    head, _, body = ("", "", whole) if whole.startswith("%% ") else whole.partition("\n\n")
    header = dict(header_line(line) for line in head.splitlines())
    base = read(folder, header["base"]) if "base" in header else None
    cells = overlay(base.cells if base else (), cells_in(body))
    return Text(header=header, body=body, cells=cells, base=base)


def header_line(line: str) -> tuple[str, str]:
    """Split `key: value`."""
    key, colon, value = line.partition(":")
    if not colon:
        raise ValueError(f"expected 'key: value' or a cell, got {line!r}")
    return key.strip(), value.strip()


def cells_in(body: str) -> tuple[Cell, ...]:
    """Split text at its cell lines."""
    _, *parts = CELL.split(body)
    return tuple(
        cell(kind, name, more or "", source.strip("\n"))
        for kind, name, more, source in zip(*(parts[i::4] for i in range(4)), strict=True)
    )


def cell(kind: str, name: str, more: str, source: str) -> Cell:
    """Make a cell of its line: what stands after the name is a tag, or the part of a file."""
    if kind in ("code", "markdown"):
        return Cell(kind=kind, name=name, source=source, tag=more)
    return Cell(kind=kind, name=f"{name} {more}".strip(), source=source)


def overlay(base: tuple[Cell, ...], own: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Put `own` cells over those of the base, in the base's order."""
    cells = list(base)
    place = -1
    for cell in own:
        found = next((i for i, other in enumerate(cells) if other.name == cell.name), None)
        if found is None:
            place += 1
            cells.insert(place, cell)
        else:
            place = found
            cells[place] = cells[found] if cell.kind == "after" else cell
    return tuple(cell for cell in cells if cell.kind != "drop")


def notebook(text: Text) -> Notebook:
    """Make a notebook of format 4.5 whose cell ids are the names of the cells."""
    cells = [notebook_cell(cell) for cell in text.cells if cell.kind != "file"]
    return {"cells": cells, "metadata": PYTHON3, "nbformat": 4, "nbformat_minor": 5}


def notebook_cell(cell: Cell) -> Notebook:
    """Make one cell, never run."""
    metadata = {"tags": [cell.tag]} if cell.tag else {}
    made: Notebook = {"cell_type": cell.kind, "id": cell.name, "metadata": metadata}
    if cell.kind == "code":
        made |= {"execution_count": None, "outputs": []}
    return made | {"source": cell.source.splitlines(keepends=True)}


def as_json(node: object) -> str:
    """Write the way Jupyter does."""
    return json.dumps(node, indent=1, ensure_ascii=False) + "\n"


def save_plain(text: Text) -> str:
    """Save as Jupyter does today."""
    return as_json(notebook(text))


def save_python2(text: Text) -> str:
    """Save with the kernelspec of a Python 2 kernel, which nobody has any more."""
    return as_json(notebook(text) | {"metadata": PYTHON2})


def save_nbformat3(text: Text) -> str:
    """Save in format 3: cells lie in worksheets, and code is called input."""
    cells: list[Notebook] = []
    for cell in text.cells:
        made: Notebook = {"cell_type": cell.kind, "metadata": {}}
        source = cell.source.splitlines(keepends=True)
        if cell.kind == "code":
            made |= {"collapsed": False, "input": source, "language": "python", "outputs": []}
        else:
            made |= {"source": source}
        cells.append(made)
    return as_json(
        {
            "metadata": {"name": "Homework 4"},
            "nbformat": 3,
            "nbformat_minor": 0,
            "worksheets": [{"cells": cells, "metadata": {}}],
        }
    )


def save_messy(text: Text) -> str:
    """Save with one id for all cells, runs out of order, an old error as output, no kernelspec."""
    messy = notebook(text) | {"metadata": {"colab": {"name": "Copy of HW4 (final) (2).ipynb"}}}
    old = {"output_type": "error", "ename": "NameError", "evalue": "name 'mask' is not defined"}
    for index, cell in enumerate(messy["cells"]):
        cell["id"] = "copied"
        if cell["cell_type"] == "code":
            cell["execution_count"] = 40 - 3 * index
            cell["outputs"] = [old | {"traceback": ["NameError: name 'mask' is not defined"]}]
    return as_json(messy)


def save_conflict(text: Text) -> str:
    """Save with a merge conflict between the base's and the text's own version of a cell."""
    theirs = save_plain(text).splitlines()
    ours = save_plain(text.base or text).splitlines()
    same = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
    tail = next(i for i, (a, b) in enumerate(zip(ours[::-1], theirs[::-1], strict=False)) if a != b)
    lines = [
        *ours[:same],
        "<<<<<<< HEAD",
        *ours[same : len(ours) - tail],
        "=======",
        *theirs[same : len(theirs) - tail],
        ">>>>>>> laptop",
        *ours[len(ours) - tail :],
    ]
    return "\n".join(lines) + "\n"


def save_verbatim(text: Text) -> str:
    """Save what stands below the header, whatever it is."""
    return text.body


WRITERS: dict[str, Callable[[Text], str]] = {
    "plain": save_plain,
    "python2": save_python2,
    "nbformat3": save_nbformat3,
    "messy": save_messy,
    "conflict": save_conflict,
    "verbatim": save_verbatim,
}


def target(slug: str, name: str) -> Path:
    """Say in which folder belongs what a text makes, relative to the project."""
    places = {"template": Path("reference", slug, "student")}
    places["solution"] = Path("reference", slug, "solution")
    return places.get(name, Path("submissions", slug, name))


def files(text: Text) -> dict[str, str]:
    """Make the files beside the notebook, by their paths."""
    parts: dict[str, list[str]] = {}
    for cell in text.cells:
        if cell.kind == "file":
            parts.setdefault(cell.path, []).append(cell.source)
    return {path: "\n\n\n".join(sources) + "\n" for path, sources in parts.items()}


def made(slug: str, text: Text) -> dict[str, str]:
    """Make all that a text stands for, by its path below the folder."""
    kind = text.header.get("as", "plain")
    written = {} if kind == "files" else {f"{slug}.ipynb": WRITERS[kind](text)}
    return written | files(text)


def notebooks(slug: str) -> dict[Path, str]:
    """Make all notebooks of an assignment and the files beside them, by their place."""
    folder = ROOT / "reference" / slug / "notebooks"
    names = [path.stem for path in sorted(folder.glob("*.txt")) if not path.stem.startswith("_")]
    return {
        target(slug, name) / path: content
        for name in names
        for path, content in made(slug, read(folder, name)).items()
    }


def main(arguments: list[str]) -> None:
    """Write the notebooks of the assignment named first, or those named after it."""
    slug, *only = arguments
    wanted = {target(slug, name) for name in only}
    for path, text in notebooks(slug).items():
        if not only or wanted & {*path.parents}:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
