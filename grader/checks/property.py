"""`property`: many answers are right; a predicate of the reference says whether this one is.

The predicate meets only results in the form of the reference's own answer, so that it may be
written plainly. If it raises all the same, it is the result's doing, unless the reference's own
answer makes it raise, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.fitted import Misfit, fitted
from grader.checks.function import (
    CalledParams,
    answers,
    asks,
    form,
    right_in,
    shown_requests,
    testimony,
    wrong_in,
)
from grader.checks.function import problems as problems_of_calls
from grader.checks.function import requests as requests_of_calls
from grader.checks.telling import OTHER_KIND, beyond_name, exception, placed
from grader.compare import compare
from grader.errors import ReferenceFault, ReferenceRaised
from grader.evidence import ProbeStatus
from grader.rubric.model import Identifier
from grader.values import Value
from grader.verdict import Finding

__all__ = ["Params", "answers", "asks", "form", "judge"]
__all__ += ["problems", "release", "requests", "testimony"]

#: The first hidden case put again. Its name starts as those do that students never get.
AGAIN = "case1_again"


class Params(CalledParams):
    """`property: copy_query`."""

    holds: Identifier
    """A predicate of the reference: (result, arguments by name) -> whether, or what is wrong."""
    shape: Literal["as_reference", "free"] = "as_reference"
    """Whether shapes and lengths must be those of the reference's own answer."""
    deterministic: bool = False
    """Whether the same seed must give the same result; the first case is called twice for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What is wrong with one result."""

    says: str
    """For the student: nothing of a hidden input."""
    detail: str = ""
    """For staff, beside `says`."""
    result: Value = None
    """The result in the reference's form, if it could be brought into it."""
    formed: bool = False
    """Whether it could."""
    raised: bool = False
    """Whether `detail` is what was raised."""


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Those of `function`, and a predicate that the reference lacks."""
    yield from problems_of_calls(params, context)
    yield from no_name(params.holds, context, ("holds",))


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Those of `function`, and the first case once more if its result must stay the same."""
    asked = requests_of_calls(params, context, check_id)
    return asked | ({AGAIN: asked["case1"]} if params.deterministic else {})


def release(params: Params, context: Context, check_id: str) -> Released:
    """The public cases without results: many are right, and the predicate stays here."""
    told: dict[str, Any] = {"of": params.of, "cases": [], "public": list(params.public)}
    told |= {"method": params.method, "repeat": params.repeat}
    return Released(params=told, requests=shown_requests(params, context, check_id))


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Ask the predicate about every case; look for a known mistake where it does not hold."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    cases = params.named_cases
    found = {local: _lack(params, local, seen, context) for local in cases}
    wrong = {local: lack for local, lack in found.items() if lack}
    varies = _varies(seen) if params.deterministic and not found["case1"] else None
    if not wrong and not varies:
        return Finding(credit=1.0, says=right_in(len(cases)))
    for mistake in params.mistakes if wrong else ():
        if mistake.reference and _explains(mistake.reference, wrong, seen, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    wrong |= {"case1": varies} if varies else {}
    credit = 1 - len(wrong) / len(cases) if params.credit == "per_case" else 0.0
    first, lack = next(iter(wrong.items()))
    count = wrong_in(len(wrong), len(cases))
    call = params.shown(cases[first])
    if first.startswith("public"):
        return Finding(credit=credit, says=f"{count} {placed(call, lack.says, lack.detail)}")
    detail = placed(
        call, lack.detail if lack.raised else lack.says, "" if lack.raised else lack.detail
    )
    return Finding(credit=credit, says=f"{count} {lack.says}", detail=detail)


def _varies(seen: Seen) -> Lack | None:
    """Whether the first case, right as it is, gave another result when it was put again."""
    once, again = seen.observations["case1"], seen.observations[AGAIN]
    if again.status is ProbeStatus.OK:
        found = compare(again.value, once.value, equal_nan=True, on_gpu=once.on_gpu)
        told = found and found.summary
    else:
        told = Seen.failed(again)
    return Lack(says="It gives another result under the same seed.", detail=told) if told else None


def _lack(params: Params, local: str, seen: Seen, context: Context) -> Lack | None:
    """What is wrong with one case; None when nothing is.

    Raises:
        ReferenceFault: the reference, or the predicate on its own answer, raised.
    """
    observed, request = seen.observations[local], seen.requests[local]
    own = context.reference.answer(params.right, request)
    if observed.status is not ProbeStatus.OK:
        if observed.raised is None:
            return Lack(says=f"It {Seen.failed(observed)}.")
        says = f"It raised {exception(observed.raised.ename)}."
        return Lack(says=says, detail=beyond_name(observed.raised), raised=True)
    try:
        result = fitted(observed.value, own, free=params.shape == "free")
    except Misfit as misfit:
        return Lack(says=OTHER_KIND, detail=str(misfit))
    try:
        said = context.reference.holds(params.holds, result, _given(request))
    except ReferenceRaised as error:
        context.reference.holds(params.holds, own, _given(request))
        return Lack(says="The result is not one that can be checked.", detail=str(error))
    if said is True:
        return None
    return Lack(says=said or "It does not do what is asked.", result=result, formed=True)


def _explains(predicate: str, wrong: dict[str, Lack], seen: Seen, context: Context) -> bool:
    """Whether a predicate recognises its mistake in all that is wrong."""

    def recognised(local: str, lack: Lack) -> bool:
        args = _given(seen.requests[local])
        try:
            return lack.formed and context.reference.holds(predicate, lack.result, args) is True
        except ReferenceFault:
            return False

    return all(recognised(local, lack) for local, lack in wrong.items())


def _given(request: Request) -> dict[str, Value]:
    """What a predicate may ask for by name: arguments of the call, and those of the object."""
    return {**request.get("build", {}), **request["args"]}
