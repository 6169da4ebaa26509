"""What students get: the template, its data, and a self-check file with nothing hidden in it.

<out>/<slug>/<slug>.ipynb       the template, outputs removed; or the files that it consists of
<out>/<slug>/data/              the course's data
<out>/<slug>/lib/               packages that stand in for what is not installed, if there are any
<out>/<slug>/<slug>.check.json  asked names and kinds, public cases with their results
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.course import Course
from grader.errors import InputError
from grader.locks import atomically
from grader.readable import to_json
from grader.submission import CellKind

VERSION = 1


def release(course: Course, assignment: Assignment, out: Path) -> list[Path]:
    """Write an assignment's folder for students.

    Args:
        course: Where the template lies.
        assignment: What is asked.
        out: Folder that gets a folder named like the assignment.

    Returns:
        The files written, without the data's.

    Raises:
        InputError: there is no template.
    """
    slug = assignment.slug
    template = course.template(slug)
    if assignment.starter is None or assignment.starter.problem:
        raise InputError(f"expected the students' notebook at {course.shown(template)}, found none")
    folder, given = out / slug, template.parent
    written = []
    for path in sorted(given.rglob("*")):
        place = path.relative_to(given)
        if path.is_file() and not _is_ours(place):
            _write(path, folder / place)
            written.append(folder / place)
    check = folder / f"{slug}.check.json"
    with atomically(check) as file:
        json.dump(self_check(assignment), file, indent=1, ensure_ascii=False)
    if assignment.data:
        shutil.copytree(assignment.data, folder / "data", dirs_exist_ok=True)
    if assignment.lib:
        shutil.copytree(assignment.lib, folder / "lib", dirs_exist_ok=True, ignore=_LITTER)
    return [*written, check]


_LITTER = shutil.ignore_patterns("__pycache__", ".*")


def _is_ours(place: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
    return hidden or place.parts[0] in ("data", "lib")


def _write(path: Path, there: Path) -> None:
    """Copy a file of the template; a notebook without its outputs and without notes of tools."""
    if path.suffix != ".ipynb":
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, there)
        return
    notebook = nbformat.read(path, as_version=4)
    _keep(notebook.metadata, "kernelspec", "language_info")
    for cell in notebook.cells:
        _keep(cell.metadata, "tags")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with atomically(there) as file:
        file.write(nbformat.writes(notebook) + "\n")


def _keep(metadata: dict[str, Any], *known: str) -> None:
    """Remove what a tool may have noted: a solution, or who worked on it."""
    for name in metadata.keys() - set(known):
        del metadata[name]


def self_check(assignment: Assignment) -> dict[str, Any]:
    """The content of `<slug>.check.json`: the question halves, and results of public cases."""
    limits = assignment.rubric.limits
    return {
        "version": VERSION,
        "assignment": assignment.slug,
        "title": assignment.rubric.title,
        "limits": {
            "cell_s": limits.cell_s,
            "total_s": limits.total_s,
            "probe_s": limits.probe_s,
            "memory_mib": limits.memory_mib,
        },
        "layout": {
            "notebooks": assignment.layout.notebooks,
            "files": assignment.layout.files,
            "tags": assignment.layout.tags,
            "matching": assignment.layout.matching,
        },
        "names": sorted(assignment.names),
        "template": [
            cell.source for cell in assignment.context.template if cell.kind is CellKind.MARKDOWN
        ],
        "checks": [_check(assignment, number) for number in range(len(assignment.rubric.checks))],
    }


def _check(assignment: Assignment, number: int) -> dict[str, Any]:
    check = assignment.rubric.checks[number]
    kind = KINDS[check.kind]
    told = kind.release(check.params, assignment.context, check.id)
    return {
        "id": check.id,
        "name": check.name,
        "kind": check.kind,
        "asks": kind.asks(check.params),
        "params": to_json(told.params),
        "requests": to_json(told.requests),
        "expected": to_json(told.expected),
        "shapes": to_json(told.shapes),
        "parameters": to_json(told.parameters),
    }
