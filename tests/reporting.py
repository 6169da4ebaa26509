"""A small course whose runs are replayed, and whose report pages are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from frames_of import NOTHING, FakeSandbox
from small_course import notebook, write

from grader.assignment import Assignment
from grader.batch import Batch, score_all
from grader.course import Course
from grader.executor import Local
from grader.intake.folders import Handed
from grader.judging.judge import judge_of
from grader.judging.page import Page
from grader.report.author import PageAuthor, question
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.store import Store
from grader.symbolic import Symbolic
from grader.values import Opaque, Tensor, Value
from grader.verdict import Score

RUBRIC = """\
assignment: hw
title: Masks and <curves>
points: 5
questions:
  - id: 1a
    title: A mask
    points: 2
    function: mask
    public: [{n: 3}]
    cases: [{n: 2}, {n: 4}]
    mistakes: [{reference: strict, says: The diagonal is missing.}]
  - id: 1b
    points: 1
    value: sizes
    equals: {rows: 2, columns: 3}
  - id: 2
    title: A curve
    points: 1
    curve: losses
    steps: 3
    falls_to: 0.5
  - id: 3
    points: 1
    written: {under: 3}
"""
REFERENCE = """\
import torch

def mask(n):
    return torch.ones(n, n).tril().bool()

def strict(n):
    return torch.ones(n, n).tril(-1).bool()
"""
CELLS = ("# Homework", "def mask(n):\n    return None", "losses = [3.0, 2.0, 1.0]", "## 3\nWords.")


class Quiet:
    """A listener that hears nothing."""

    def planned(self, new: int, known: int, alike: int) -> None: ...
    def explained(self, reasons: Mapping[str, int]) -> None: ...

    def awaited(self, count: int) -> None: ...
    def began(self, student: str) -> None: ...
    def retried(self, student: str, why: str) -> None: ...
    def finished(self, student: str, says: str, *, fault: bool) -> None: ...


def pages_here(
    assignment: Assignment, handed: Handed, store: Store, bugs: list[str]
) -> Callable[[Score], Page]:
    """Makes pages in this process, which must trust what was handed in."""
    author, names = PageAuthor(judge_of(assignment, store)), file_names(handed.students)

    def page_of(score: Score) -> Page:
        asked = json.loads(question(score, names[score.student]))
        page = author.page(asked, handed.read(score.student))
        bugs.extend(page.bugs)
        return page

    return page_of


def mask_of(n: int, diagonal: int = 0) -> Tensor:
    """What the function of the reference gives, or one that leaves out diagonals."""
    return Tensor(np.tril(np.ones((n, n)), diagonal).astype(bool), "bool", "torch")


@dataclass(kw_only=True)
class Told:
    """What a student handed in, and what came of it."""

    cells: Sequence[str] = CELLS
    diagonal: int = 0
    masks: dict[str, Value] = field(default_factory=dict)
    """Results by local name, in place of those that `diagonal` gives."""
    sizes: Value = field(default_factory=lambda: {"rows": 2, "columns": 3})
    losses: Value = (3.0, 2.0, 1.0)
    receipts: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    """By index of the cell: `text`, `ename`, `evalue`, `traceback`."""


class Press:
    """Publishes what students are told to have handed in.

    Args:
        root: An empty folder.
        symbolic: Does the mathematics on formulas.
        students: What each of them handed in.
        rubric: Another one than the course's own.
    """

    def __init__(
        self, root: Path, symbolic: Symbolic, students: Mapping[str, Told], rubric: str = RUBRIC
    ) -> None:
        write(root / "rubrics" / "hw.yaml", rubric)
        write(root / "reference" / "hw" / "reference.py", REFERENCE)
        for student, told in students.items():
            write(root / "submissions" / "hw" / student / "hw.ipynb", notebook(*told.cells))
        self.out = root / "reports"
        course = Course(root)
        self.assignment = course.open("hw", symbolic)
        self.store = Store(course.state)
        self.handed = Handed(root / "submissions" / "hw", "hw")
        self.bugs: list[str] = []
        self.plan = self.assignment.plan("fake image")
        for student, told in students.items():
            self._run(student, told)

    def _run(self, student: str, told: Told) -> None:
        Batch(
            assignment=self.assignment,
            plan=self.plan,
            executor=Local(FakeSandbox(self._frames(told))),
            store=self.store,
            jobs=1,
            listener=Quiet(),
            load=self.handed.read,
        ).execute([self.handed.read(student)], fresh=True)

    def publish(self) -> Path:
        """Write tables and pages; returns their folder."""
        scores = score_all(self.assignment, self.handed, self.store, self.bugs)
        page_of = pages_here(self.assignment, self.handed, self.store, self.bugs)
        publisher = Publisher(self.assignment.rubric, page_of, self.out)
        pages = publisher.published(scores, self.handed.students)
        write_reports(pages, self.handed.students, self.assignment.rubric, self.out)
        assert self.bugs == []
        return self.out / "hw"

    def _frames(self, told: Told) -> list[tuple[str, Value, dict[str, Any]]]:
        frames: list[tuple[str, Value, dict[str, Any]]] = [("ready", NOTHING, {"guest": "1"})]
        for index, source in enumerate(told.cells):
            if source.startswith("#"):
                continue
            said = told.receipts.get(index, {})
            status = "error" if "ename" in said else "ok"
            header = {"index": index, "status": status, "wall_s": 0.5}
            frames.append(("cell", {"text": "", **said}, header))
        for probe in self.plan.probes:
            local = probe.id.rpartition("/")[2]
            if "args" in probe.request:
                made = mask_of(probe.request["args"]["n"], told.diagonal)
                value: Value = told.masks.get(local, made)
            else:
                named = {"sizes": told.sizes, "losses": told.losses}
                value = named.get(str(probe.request["name"]), Opaque("function", "mask", "(n)"))
            frames.append(("probe", value, {"id": probe.id, "status": "ok", "wall_s": 0.1}))
        return [*frames, ("end", NOTHING, {"ending": "complete"})]
