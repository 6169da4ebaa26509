"""`function`: the student's function returns what the reference's does, case by case."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.compare import Difference, compare
from grader.errors import ReferenceFault, UnknownGenerator
from grader.evidence import Observation, ProbeStatus
from grader.inputs import parse_call
from grader.rubric.model import CheckParams, Identifier
from grader.values import Opaque, Value
from grader.verdict import Finding

TESTIMONY = False

Cases = tuple[dict[str, Any], ...]


class Params(CheckParams):
    """`function: causal_mask`."""

    of: Identifier
    reference: Identifier | None = None
    """A function of the reference; the one of the same name if left out."""
    cases: Cases = Field(min_length=1)
    """Arguments by name: plain values, or generators such as `normal(2, 3)`."""
    public: Cases = ()
    """Further cases, which `grader check` shows to students."""
    rtol: Annotated[float, Field(ge=0)] | None = None
    atol: Annotated[float, Field(ge=0)] | None = None
    credit: Literal["all", "per_case"] = "all"

    @property
    def right(self) -> str:
        """Name of the function that knows what is right."""
        return self.reference or self.of


def asks(params: Params) -> str:
    """What the student must define."""
    names = (params.public or params.cases)[0]
    return f"a function {params.of}({', '.join(names)})"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, mistakes that are none."""
    yield from no_name(params.right, context, ("reference",) if params.reference else ("function",))
    yield from bad_mistakes(params, context)
    for key, cases in (("cases", params.cases), ("public", params.public)):
        for number, case in enumerate(cases):
            yield from bad_inputs(case, (key, number))


def bad_mistakes(params: CheckParams, context: Context) -> Iterator[Problem]:
    """Problems of mistakes that name no wrong function or model of the reference."""
    for number, mistake in enumerate(params.mistakes):
        place = ("mistakes", number, "reference")
        if mistake.reference is None:
            yield place, "expected the name of a wrong one in the reference, found nothing"
        elif mistake.equals is not None:
            yield ("mistakes", number, "equals"), "expected reference alone, found equals too"
        yield from no_name(mistake.reference, context, place)


def bad_inputs(case: dict[str, Any], place: tuple[str | int, ...]) -> Iterator[Problem]:
    """Problems of inputs that are written like a call of a generator, but are none."""
    for name, written in case.items():
        try:
            parse_call(written)
        except UnknownGenerator as error:
            yield (*place, name), str(error)


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Look at the name itself, then call it on every case."""
    asked: dict[str, Request] = {"value": {"op": "capture", "name": params.of}}
    for local, written in _cases(params):
        args = context.inputs.case(written, f"{check_id}/{local}")
        asked[local] = {"op": "call", "name": params.of, "args": args}
    return asked


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it can be called, and gives anything but None."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    if not isinstance(value, Opaque):
        return Finding(credit=0.0, says=f"{params.of} is a value, not a function.")
    calls = [seen.observations[local] for local, _ in _cases(params)]
    if calls and all(call.status is ProbeStatus.OK and call.value is None for call in calls):
        return Finding(credit=0.0, says=f"{params.of} returns None.", answered=False)
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """The public cases with their results; no hidden case."""
    told: dict[str, Any] = {"of": params.of, "cases": [], "public": list(params.public)}
    told |= {"rtol": params.rtol, "atol": params.atol}
    asked = requests(params, context, check_id)
    asked = {local: asked[local] for local in asked if not local.startswith("case")}
    expected = {
        local: context.reference.call(params.right, request["args"])
        for local, request in asked.items()
        if "args" in request
    }
    return Released(params=told, requests=asked, expected=expected)


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compare every case; look for a known mistake when some are wrong."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    cases = _cases(params)
    expected = {local: _expected(params.right, local, seen, context) for local, _ in cases}
    wrong = {
        local: said
        for local, _ in cases
        if (said := _differs(params, seen.observations[local], expected[local]))
    }
    if not wrong:
        return Finding(credit=1.0, says=f"Right in all {len(cases)} cases.")
    for mistake in params.mistakes:
        if mistake.reference and _explains(mistake.reference, params, seen, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    share = 1 - len(wrong) / len(cases)
    credit = share if params.credit == "per_case" else 0.0
    says, detail = _words(params, wrong)
    return Finding(credit=credit, says=says, detail=detail)


def _words(params: Params, wrong: dict[str, Difference]) -> tuple[str, str]:
    """Say how many cases are wrong, and about the most telling one as much as may be said."""
    cases = dict(_cases(params))
    first = min(wrong, key=lambda local: (not local.startswith("public"), list(cases).index(local)))
    said, call = wrong[first], called(params.of, cases[first])
    count = "the only case" if len(cases) == 1 else f"{len(wrong)} of {len(cases)} cases"
    says = f"Wrong in {count}."
    shown = f"{call}: {said.summary}." + (f" {said.detail}." if said.detail else "")
    if first.startswith("public"):
        return f"{says} {shown}", ""
    if said.relation:
        says += f" {said.relation[:1].upper()}{said.relation[1:].rstrip('.')}."
    elif said.summary.startswith("expected "):
        says += " The result is of another kind or shape than asked."
    elif len(wrong) < len(cases):
        says += " It is right for some arguments and not for others: is a size fixed in the code?"
    return says, shown


def called(of: str, case: dict[str, Any]) -> str:
    """Write a call as the rubric states it: `strided_mask(n=8, t=2)`."""
    return f"{of}({', '.join(f'{name}={written}' for name, written in case.items())})"


def hidden_failure(seen: Seen, of: str, local: str) -> Finding | None:
    """`Seen.unanswered` for a probe whose inputs are hidden.

    Whatever a student's code raises may tell what it was given: the text goes to staff.
    """
    nothing = seen.unanswered(of, local)
    raised = seen.observations[local].raised
    if nothing is None or raised is None:
        return nothing
    return replace(nothing, says=f"{of} raised {exception(raised.ename)}.", detail=str(raised))


def exception(name: str) -> str:
    """The name of an exception, if it is Python's own and so tells nothing of an input."""
    kind = vars(builtins).get(name)
    known = isinstance(kind, type) and issubclass(kind, BaseException)
    return name if known else "an exception"


def _cases(params: Params) -> list[tuple[str, dict[str, Any]]]:
    public = [(f"public{number}", case) for number, case in enumerate(params.public, 1)]
    return public + [(f"case{number}", case) for number, case in enumerate(params.cases, 1)]


def _expected(name: str, local: str, seen: Seen, context: Context) -> Value:
    return context.reference.call(name, seen.args(local))


def _differs(params: Params, seen: Observation, expected: Value) -> Difference | None:
    if seen.status is not ProbeStatus.OK:
        relation = f"it raised {exception(seen.raised.ename)}" if seen.raised else ""
        return Difference(summary=Seen.failed(seen), relation=relation)
    return compare(seen.value, expected, rtol=params.rtol, atol=params.atol)


def _explains(mistake: str, params: Params, seen: Seen, context: Context) -> bool:
    """Whether a wrong reference does what the student's function did, in every case.

    A wrong function may fail where the right one does not; the student's then must too. Values
    must agree in one case at least: failing everywhere is no sign of any one mistake.
    """
    agreed = 0
    for local, _ in _cases(params):
        observed = seen.observations[local]
        try:
            expected = _expected(mistake, local, seen, context)
        except ReferenceFault:
            if observed.status is not ProbeStatus.ERROR:
                return False
            continue
        if _differs(params, observed, expected):
            return False
        agreed += 1
    return agreed > 0
