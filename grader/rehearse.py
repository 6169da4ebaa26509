"""Rehearse a rubric before anybody runs: the reference's own answers must earn everything.

Every check is judged on what a student would give who answers as the reference does. So a reference
that raises, an option that is none, a tolerance that nothing meets or a mistake that takes the
right answer for itself is found when the rubric is read, not one student at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.assignment import Assignment, place_of
from grader.checks import KINDS
from grader.checks.base import Seen
from grader.errors import InputError, ReferenceFault, RubricError
from grader.evidence import Observation, ProbeStatus
from grader.rubric import Check
from grader.rubric.yaml import Document
from grader.values import Opaque, Value
from grader.verdict import Broken, Finding, Pending

#: Kinds about which the reference has nothing to say: claims, source text and words.
UNREHEARSED = ("curve", "source", "written")


def rehearse(assignment: Assignment) -> Iterator[tuple[Check, str]]:
    """Judge the reference's own answers; yields every check that does not give them full credit."""
    for check in assignment.rubric.checks:
        if check.kind not in UNREHEARSED:
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
    try:
        asked = assignment.requests[check.id]
        answers = _answers(assignment, check)
        seen = Seen(
            check_id=check.id,
            requests=asked,
            observations={
                local: Observation(status=ProbeStatus.OK, value=answers[local]) for local in asked
            },
            cells=(),
            receipts={},
        )
        found = KINDS[check.kind].judge(check.params, seen, assignment.context)
    except (ReferenceFault, InputError) as error:
        return str(error)
    match found:
        case Finding(credit=1.0):
            return ""
        case Finding() if getattr(check.params, "measure", "accuracy") != "accuracy":
            return ""  # of another measure nobody knows whether the labels themselves are best
        case Finding(says=says, detail=detail):
            return f"expected full credit for the reference's own answer, found: {says} {detail}"
        case Broken(reason=reason) | Pending(reason=reason):
            return f"expected full credit for the reference's own answer, found: {reason}"


def _answers(assignment: Assignment, check: Check) -> dict[str, Value]:
    """What a student would give who answers as the reference does, by local probe name."""
    params: Any = check.params
    reference = assignment.context.reference
    asked = assignment.requests[check.id]
    match check.kind:
        case "function":
            found: dict[str, Value] = {"value": Opaque("function", params.of)}
            called = {local: request for local, request in asked.items() if "args" in request}
            right = params.reference or params.of
            return found | {
                local: reference.call(right, request["args"]) for local, request in called.items()
            }
        case "model":
            return {"model": _model(assignment, params, asked["model"])}
        case "metric":
            seed = assignment.context.inputs.seed(f"{check.id}/withheld") % 2**31
            _, labels = reference.call(params.data, {"seed": seed})
            return {"value": [labels]}
        case "choice":
            best = params.equals
            if isinstance(best, dict):
                best = max(best, key=lambda option: best[option])
            return {"value": best}
        case "value" if params.reference:
            return {"value": reference.value(params.reference)}
    return {"value": params.equals}


def _model(assignment: Assignment, params: Any, request: dict[str, Value]) -> dict[str, Value]:
    reference, weights = assignment.context.reference, request["weights"] or {}
    right = params.reference or params.of
    gradients = request["gradients"]
    given = reference.model(right, params.build, weights, request["inputs"], gradients=gradients)
    return {
        **given,
        "parameters": {name: list(weight.shape) for name, weight in weights.items()},
        "loaded": "by name" if weights else "",
        "unloaded": [],
        "extra": [],
        "error": None,
    }
