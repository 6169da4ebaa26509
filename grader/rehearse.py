"""Rehearse a rubric before anybody runs: the reference's own answers must earn everything.

Every check is judged on what a student would give who answers as the reference does. So a reference
that raises, an option that is none, a tolerance that nothing meets or a mistake that takes the
right answer for itself is found when the rubric is read, not one student at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grader.assignment import Assignment, place_of
from grader.checks import KINDS
from grader.checks.base import Seen
from grader.errors import InputError, ReferenceFault, RubricError
from grader.evidence import Observation, ProbeStatus
from grader.rubric import Check
from grader.rubric.yaml import Document
from grader.verdict import Broken, Finding, Pending


def rehearse(assignment: Assignment) -> Iterator[tuple[Check, str]]:
    """Judge the reference's own answers; yields every check that does not give them full credit."""
    for check in assignment.rubric.checks:
        problem = _problem(assignment, check)
        if problem:
            yield check, problem


def refuse(assignment: Assignment, path: Path, shown: str) -> None:
    """Refuse a rubric whose reference does not earn everything by it.

    Raises:
        RubricError: with every check concerned.
    """
    found = list(rehearse(assignment))
    if found:
        document = Document(path, shown)
        raise RubricError(
            [document.problem(place_of(document, check), says) for check, says in found]
        )


def _problem(assignment: Assignment, check: Check) -> str:
    kind, context = KINDS[check.kind], assignment.context
    try:
        asked = assignment.requests[check.id]
        answers = kind.answers(check.params, asked, context, check.id)
        if answers is None:
            return ""
        seen = Seen(
            check_id=check.id,
            requests=asked,
            observations={
                local: Observation(status=ProbeStatus.OK, value=answers[local]) for local in asked
            },
            cells=(),
            receipts={},
        )
        found = kind.judge(check.params, seen, context)
    except (ReferenceFault, InputError) as error:
        return str(error)
    except MemoryError:
        return "expected the reference's own answer, found that memory does not suffice for it"
    match found:
        case Finding(credit=1.0):
            return ""
        case Finding(says=says, detail=detail):
            return f"expected full credit for the reference's own answer, found: {says} {detail}"
        case Broken(reason=reason) | Pending(reason=reason):
            return f"expected full credit for the reference's own answer, found: {reason}"
