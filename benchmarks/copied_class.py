"""A class of any size made of an assignment's sample notebooks, and changes that score it anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contestants import ROOT

SECRET = bytes(32).hex()
"""The same for every class, so that all are asked the same and recordings fit."""


def samples(slug: str, most: int) -> list[Path]:
    """Folders of sample students whose notebooks run to their end, the first ones by name."""
    folder = ROOT / "submissions" / slug
    told: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text())
    names = sorted(name for name, about in told.items() if about["status"] == "complete")
    return [folder / name for name in names if (folder / name / f"{slug}.ipynb").is_file()][:most]


def write_class(root: Path, slug: str, count: int, chosen: Sequence[Path]) -> None:
    """Write a course with one assignment of ours and so many students, who share samples evenly.

    Their notebooks differ in every cell, so that each has evidence and text of its own.

    Args:
        root: The course; must not exist.
        slug: The assignment.
        count: How many students.
        chosen: Folders of samples.
    """
    (root / "rubrics").mkdir(parents=True)
    (root / ".grader").mkdir()
    (root / ".grader" / "secret").write_text(SECRET)
    shutil.copy(ROOT / "rubrics" / f"{slug}.yaml", root / "rubrics")
    shutil.copytree(ROOT / "reference" / slug, root / "reference" / slug)
    texts = [(sample / f"{slug}.ipynb").read_text() for sample in chosen]
    for number in range(count):
        sample = chosen[number % len(chosen)]
        folder = root / "submissions" / slug / f"student{number:05d}"
        shutil.copytree(sample, folder)
        text = signed_by(number, texts[number % len(chosen)])
        (folder / f"{slug}.ipynb").write_text(text)


def signed_by(number: int, notebook: str) -> str:
    """The same notebook with the student's number in every cell.

    Args:
        number: Less than 100,000.
        notebook: JSON of a notebook file, of format 4.
    """
    told: dict[str, Any] = json.loads(notebook)
    for cell in told["cells"]:
        sign = "#" if cell["cell_type"] == "code" else "\n"
        cell["source"] = f"{''.join(cell['source'])}\n{sign} student {number:05d}"
    return json.dumps(told)


def change_rubric(root: Path, slug: str) -> None:
    """Give one question one point more, and functions and values another tolerance."""
    path = root / "rubrics" / f"{slug}.yaml"
    rubric: dict[str, Any] = yaml.safe_load(path.read_text())
    rubric["points"] += 1
    rubric["questions"][-1]["points"] += 1
    for question in rubric["questions"]:
        for check in question.get("checks", [question]):
            if "function" in check or "value" in check:
                check["atol"] = 2e-5
    path.write_text(yaml.safe_dump(rubric, sort_keys=False))


def change_reference(root: Path, slug: str) -> None:
    """Change the reference's file but not what it says: none of its results is known any more."""
    with (root / "reference" / slug / "reference.py").open("a") as file:
        file.write("\n# Changed.\n")
