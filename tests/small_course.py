"""A course of one small assignment, made in a temporary folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frames_of import NOTHING

from grader.course import Course
from grader.values import Opaque, Tensor, Value

RUBRIC = """\
assignment: hw
title: A small assignment
points: 4
limits: {cell: 5 s, total: 60 s, probe: 5 s, memory: 1 GiB}
questions:
  - id: 1
    points: 1
    expression: count
    equals: n*(n+1)/2
    symbols: {n: positive integer}
    mistakes: [{equals: n**2, says: Every pair was counted.}]
  - id: 2
    points: 2
    function: double
    public: [{x: 'tensor([1.0, 2.0])'}]
    cases: [{x: 'normal(3)'}]
    mistakes: [{reference: squared, says: That is the square., credit: 0.25}]
  - id: 3
    points: 1
    written: {under: 3}
"""
REFERENCE = """\
def double(x):
    return 2 * x

def squared(x):
    return x * x
"""
TEMPLATE = ["# Homework", "count = None", "def double(x):\n    return None", "## 3\n*Your words.*"]
SOLUTION = ["count = 'n*(n+1)/2'", "def double(x):\n    return x + x", "## 3\nBecause."]
WRONG = ["count = 'n**2'", "def double(x):\n    return x * x", "## 3\n*Your words.*"]


def notebook(*sources: str) -> str:
    """A notebook; a source that starts with # is markdown."""
    cells = []
    for source in sources:
        kind = "markdown" if source.startswith("#") else "code"
        cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": source}
        cells.append(cell | ({"outputs": [], "execution_count": None} if kind == "code" else {}))
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_course(root: Path, **students: list[str]) -> Course:
    """Write a course; `students` maps ids to the cells of what they hand in."""
    write(root / "rubrics" / "hw.yaml", RUBRIC)
    write(root / "reference" / "hw" / "reference.py", REFERENCE)
    write(root / "reference" / "hw" / "student" / "hw.ipynb", notebook(*TEMPLATE))
    write(root / "reference" / "hw" / "solution" / "hw.ipynb", notebook(*SOLUTION))
    (root / "submissions" / "hw").mkdir(parents=True)
    for student, cells in students.items():
        write(root / "submissions" / "hw" / student / "hw.ipynb", notebook(*cells))
    return Course(root)


def frames(
    plan_probes: Any, formula: Value, factor: float
) -> list[tuple[str, Value, dict[str, Any]]]:
    """What a guest writes of a student whose `double` multiplies by `factor`."""
    told: list[tuple[str, Value, dict[str, Any]]] = [
        ("ready", NOTHING, {"guest": "1"}),
        ("cell", {"text": ""}, {"index": 0, "status": "ok", "wall_s": 0.1}),
    ]
    for probe in plan_probes:
        if "args" in probe.request:
            x = probe.request["args"]["x"]
            value: Value = Tensor(x.array * factor, x.dtype, "torch")
        else:
            value = formula if probe.id == "1/1/value" else Opaque("function", "double", "(x)")
        told.append(("probe", value, {"id": probe.id, "status": "ok", "wall_s": 0.1}))
    return [*told, ("end", NOTHING, {"ending": "complete"})]
