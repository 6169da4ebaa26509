"""One assignment, opened: its rubric, its reference, and the plan that its questions make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from grader.checks import KINDS
from grader.checks.base import Context, Request
from grader.checks.culprit import defined_names
from grader.codec import encode
from grader.errors import RubricError
from grader.known import folder_digest
from grader.plan import Plan, Probe
from grader.rubric import Check, Rubric, load_rubric
from grader.rubric.yaml import Document, Place
from grader.submission import CellKind, Layout, Submission
from grader.writeup.read import WriteUp

#: Probes are put in this order: what only looks comes before what runs a student's code.
ORDER = ("capture", "counts", "figures", "call", "model", "predict", "scaling")


@dataclass(frozen=True)
class Assignment:
    """Everything on the trusted side that concerns one assignment.

    Args:
        rubric: Questions and answers.
        context: The reference and what else checks need.
        data: Folder that students find as `data/`, or None.
        lib: Folder of packages that stand in for what is not installed, or None.
        starter: What students were given, as if it had been handed in; None without any.
    """

    rubric: Rubric
    context: Context
    data: Path | None
    lib: Path | None = None
    starter: Submission | None = None

    @property
    def slug(self) -> str:
        """The assignment's name everywhere."""
        return self.rubric.assignment

    @cached_property
    def data_digest(self) -> str:
        """Digest of the files that students find as `data/`; empty without any."""
        return folder_digest(self.data) if self.data else ""

    @property
    def layout(self) -> Layout:
        """Which files are handed in, and which cells are not run."""
        return layout_of(self.rubric, self.lib)

    @property
    def asks_reference(self) -> bool:
        """Whether the reference is called with results of students, as predicates and measures."""
        checks = self.rubric.checks
        return any(c.kind == "metric" or getattr(c.params, "holds", None) for c in checks)

    @cached_property
    def names(self) -> frozenset[str]:
        """Names that a student's name cannot be meant for: asked, or the starter's own."""
        asked = {r["name"] for one in self.requests.values() for r in one.values() if "name" in r}
        return frozenset({*map(str, asked), *defined_names(self.context.template)})

    @cached_property
    def headings(self) -> tuple[str, ...]:
        """What a write-up is split by: ids of questions, and headings of written answers."""
        asked = (getattr(check.params.of, "under", "") for check in self.rubric.checks)
        ids = (question.id for question in self.rubric.questions)
        return tuple(dict.fromkeys((*ids, *filter(None, asked))))

    def writeup(self, submission: Submission) -> WriteUp | None:
        """What a student wrote beside the notebook; files as they were given are nobody's work.

        Raises:
            Fault: the process that reads PDFs cannot be started.
        """
        given = self.starter.files if self.starter else ()
        files = [file for file in submission.files if file not in given]
        code = "\n".join(c.source for c in submission.cells if c.kind is CellKind.CODE)
        predictions = [
            str(c.params.of).casefold() for c in self.rubric.checks if c.kind == "metric"
        ]
        return self.context.writeups.read(
            files, self.headings, code=code, data=predictions, left_out=submission.left_out
        )

    @cached_property
    def given_writeup(self) -> WriteUp | None:
        """The write-up that students were given to fill in, if there is one."""
        files = self.starter.files if self.starter else ()
        return self.context.writeups.read(files, self.headings)

    @cached_property
    def requests(self) -> dict[str, dict[str, Request]]:
        """What every check asks: check id to local name to request.

        Raises:
            ReferenceFault: the reference failed to give inputs or the shapes of weights.
        """
        return {
            check.id: KINDS[check.kind].requests(check.params, self.context, check.id)
            for check in self.rubric.checks
        }

    def asked(self, check: Check) -> dict[str, str]:
        """Digests of a check's probes, by probe id."""
        return self._asked[check.id]

    def plan(self, image: str, **limits: Any) -> Plan:
        """What a sandbox is told.

        Args:
            image: Identity of the environment that will run it.
            limits: Fields of `Limits` that replace the rubric's.
        """
        probes = [
            Probe(id=f"{check}/{local}", request=request, time_s=self.rubric.limits.probe_s)
            for check, asked in self.requests.items()
            for local, request in asked.items()
        ]
        return Plan(
            assignment=self.slug,
            limits=replace(self.rubric.limits, **limits),
            probes=tuple(sorted(probes, key=_turn)),
            seed=self.context.inputs.seed("notebook") % 2**32,
            data_digest=self.data_digest,
            lib_digest=folder_digest(self.lib) if self.lib else "",
            image=image,
        )

    @cached_property
    def _asked(self) -> dict[str, dict[str, str]]:
        return {
            check: {f"{check}/{local}": _digest(request) for local, request in asked.items()}
            for check, asked in self.requests.items()
        }


def layout_of(rubric: Rubric, lib: Path | None) -> Layout:
    """What is handed in; the course's folders of `data/` and, if there is one, `lib/` are not."""
    return replace(rubric.layout, ours=("data", "lib") if lib else ("data",))


def read_rubric(path: Path, shown: str) -> Rubric:
    """Read a rubric with the kinds of check that there are.

    Raises:
        RubricError: with every problem of the file itself.
    """
    return load_rubric(path, {name: kind.Params for name, kind in KINDS.items()}, shown)


def look_closer(rubric: Rubric, context: Context, path: Path, shown: str) -> None:
    """Find the problems that only the reference, the template and the symbols can tell.

    Raises:
        RubricError: with every problem found.
    """
    document = Document(path, shown)
    problems = []
    for question in rubric.questions:
        for check in question.checks:
            at = place_of(document, check)
            for place, says in KINDS[check.kind].problems(check.params, context):
                place = tuple(check.kind if part == "of" else part for part in place)
                problems.append(document.problem((*at, *place), says))
    if problems:
        raise RubricError(problems)


def _turn(probe: Probe) -> tuple[int, bool]:
    """When a probe's turn is; public cases, whose errors are shown, before any hidden input."""
    public = probe.id.rpartition("/")[2].startswith("public")
    return ORDER.index(probe.request["op"]), not public


def place_of(document: Document, check: Check) -> Place:
    """Where a check stands in its rubric's file; a lone one may stand right in its question."""
    question_id, *alternative, number = check.id.split("/")
    questions = document.data["questions"]
    at = next(n for n, question in enumerate(questions) if str(question["id"]) == question_id)
    if alternative:
        return ("questions", at, "alternatives", alternative[0], int(number) - 1)
    inline = "checks" not in questions[at]
    return ("questions", at) if inline else ("questions", at, "checks", int(number) - 1)


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(encode(dict(request))).hexdigest()[:16]
