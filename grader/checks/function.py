"""`function`: the student's function returns what the reference's does, case by case."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.telling import beyond_name, hint, placed, sizes
from grader.checks.telling import exception as exception
from grader.compare import Difference, compare, holds_finite
from grader.errors import ReferenceFault, UnknownGenerator
from grader.evidence import Observation, ProbeStatus
from grader.inputs import REFERENCE, parse_call
from grader.rubric.model import CheckParams, Identifier
from grader.rubric.yaml import Place
from grader.values import Opaque, Value
from grader.verdict import Finding

Cases = tuple[dict[str, Any], ...]


class CalledParams(CheckParams):
    """What checks have in common that call something, case by case."""

    of: Identifier
    reference: Identifier | None = None
    """A function or class of the reference; the one of the same name if left out."""
    build: dict[str, Any] | None = None
    """Arguments that an object of the class `of` is made with; it is called in its place."""
    method: Identifier | None = None
    """Which method to call; the object itself if left out."""
    repeat: Annotated[int, Field(ge=1)] | None = None
    """Call each case so many times; the result is the list of what came back."""
    cases: Cases = Field(min_length=1)
    """Arguments by name: plain values, or calls such as `normal(2, 3)`; see `grader/inputs.py`."""
    public: Cases = ()
    """Further cases, which `grader check` shows to students."""
    credit: Literal["all", "per_case"] = "all"

    @property
    def right(self) -> str:
        """Name of what knows what is right."""
        return self.reference or self.of

    @property
    def named_cases(self) -> dict[str, dict[str, Any]]:
        """All cases by the local names of their probes, the public ones first."""
        public = {f"public{number}": case for number, case in enumerate(self.public, 1)}
        return public | {f"case{number}": case for number, case in enumerate(self.cases, 1)}

    def shown(self, case: Mapping[str, Any]) -> str:
        """How a case is called, as the rubric writes it."""
        owner = self.of if self.build is None else called(self.of, self.build)
        return called(f"{owner}.{self.method}" if self.method else owner, case)


class Params(CalledParams):
    """`function: causal_mask`."""

    rtol: Annotated[float, Field(ge=0)] | None = None
    atol: Annotated[float, Field(ge=0)] | None = None


def testimony(params: CalledParams, asked: Mapping[str, Request]) -> bool:
    """Never: it is called on inputs of ours."""
    return False


def asks(params: CalledParams) -> str:
    """What the student must define."""
    names = ", ".join((params.public or params.cases)[0])
    if params.build is None and params.method is None:
        return f"a function {params.of}({names})"
    kind = "an object" if params.build is None else "a class"
    built = params.of if params.build is None else f"{params.of}({', '.join(params.build)})"
    return f"{kind} {built} with a method {params.method or '__call__'}({names})"


def problems(params: CalledParams, context: Context) -> Iterator[Problem]:
    """Names that the reference lacks, inputs that nothing can draw, mistakes that are none."""
    yield from no_name(params.right, context, ("reference",) if params.reference else ("of",))
    yield from bad_mistakes(params, context)
    yield from bad_inputs(params.build or {}, ("build",), context)
    for key, cases in (("cases", params.cases), ("public", params.public)):
        for number, case in enumerate(cases):
            yield from bad_inputs(case, (key, number), context)


def bad_mistakes(params: CheckParams, context: Context) -> Iterator[Problem]:
    """Problems of mistakes that name no wrong function or model of the reference."""
    for number, mistake in enumerate(params.mistakes):
        place = ("mistakes", number, "reference")
        if mistake.reference is None:
            yield place, "expected the name of a wrong one in the reference, found nothing"
        elif mistake.equals is not None:
            yield ("mistakes", number, "equals"), "expected reference alone, found equals too"
        yield from no_name(mistake.reference, context, place)


def bad_inputs(case: Mapping[str, Any], place: Place, context: Context) -> Iterator[Problem]:
    """Problems of inputs that are written like a call, but of nothing that there is."""
    for name, written in case.items():
        try:
            call = parse_call(written)
        except UnknownGenerator as error:
            yield (*place, name), str(error)
            continue
        if call and call.named:
            yield from no_name(call.name, context, (*place, name))
        elif call and call.name == REFERENCE:
            yield from no_name(call.args[0], context, (*place, name))


def requests(params: CalledParams, context: Context, check_id: str) -> dict[str, Request]:
    """Look at the name itself, then call it on every case."""
    how: Request = {"op": "call", "name": params.of}
    if params.build is not None:
        how["build"] = context.case(params.build, f"{check_id}/build")
    how |= {"method": params.method} if params.method else {}
    how |= {"repeat": params.repeat} if params.repeat else {}
    asked: dict[str, Request] = {"value": {"op": "capture", "name": params.of}}
    for local, written in params.named_cases.items():
        asked[local] = {**how, "args": context.case(written, f"{check_id}/{local}")}
    return asked


def form(params: CalledParams, seen: Seen, context: Context) -> Finding | None:
    """Whether it can be called, and gives anything but None."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    if not isinstance(value, Opaque):
        kind = "function" if params.build is None else "class"
        return Finding(credit=0.0, says=f"{params.of} is a value, not a {kind}.")
    calls = [seen.observations[local] for local in params.named_cases]
    for call in calls:
        if call.status is ProbeStatus.MISSING:  # a class that an input is made of
            return Finding(credit=0.0, says=seen.why(params.of, call), answered=False)
    if calls and all(_is_none(call, params.repeat) for call in calls):
        of = f"{params.of}.{params.method}" if params.method else params.of
        return Finding(credit=0.0, says=f"{of} returns None.", answered=False)
    return None


def _is_none(seen: Observation, repeat: int | None) -> bool:
    """Whether a call gave None, or each of its repetitions."""
    results = seen.value if repeat and isinstance(seen.value, list) else [seen.value]
    return seen.status is ProbeStatus.OK and all(result is None for result in results)


def release(params: Params, context: Context, check_id: str) -> Released:
    """The public cases with their results; no hidden case."""
    told: dict[str, Any] = {"of": params.of, "cases": [], "public": list(params.public)}
    told |= {"method": params.method, "repeat": params.repeat}
    told |= {"rtol": params.rtol, "atol": params.atol}
    asked = shown_requests(params, context, check_id)
    expected = answers(params, asked, context, check_id)
    del expected["value"]
    return Released(params=told, requests=asked, expected=expected)


def shown_requests(params: CalledParams, context: Context, check_id: str) -> dict[str, Request]:
    """The requests that students may see: of public cases."""
    asked = requests(params, context, check_id)
    return {local: asked[local] for local in asked if not local.startswith("case")}


def answers(
    params: CalledParams, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """A function, and what the reference's gives for every case."""
    given = {
        local: context.reference.answer(params.right, request)
        for local, request in asked.items()
        if "args" in request
    }
    return {"value": Opaque("function", params.of), **given}


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compare every case; look for a known mistake when some are wrong."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    cases = params.named_cases
    expected = {local: _expected(params.right, local, seen, context) for local in cases}
    wrong = {
        local: said
        for local in cases
        if (said := _differs(params, seen.observations[local], expected[local]))
    }
    if not wrong:
        return Finding(credit=1.0, says=right_in(len(cases)))
    for mistake in params.mistakes:
        if mistake.reference and _explains(mistake.reference, params, seen, context):
            return Finding(credit=mistake.credit, says=mistake.says)
    share = 1 - len(wrong) / len(cases)
    credit = share if params.credit == "per_case" else 0.0
    says, detail = _words(params, wrong, expected, seen)
    return Finding(credit=credit, says=says, detail=detail)


def _words(
    params: Params, wrong: Mapping[str, Difference], expected: Mapping[str, Value], seen: Seen
) -> tuple[str, str]:
    """Say how many cases are wrong, and about the most telling one as much as may be said."""
    cases = params.named_cases
    first = next(local for local in cases if local in wrong)
    said, call = wrong[first], params.shown(cases[first])
    says = wrong_in(len(wrong), len(cases))
    shown = placed(call, said.summary, said.detail)
    if first.startswith("public"):
        return f"{says} {shown}", ""
    raised = seen.observations[first].raised
    told = hint(wrong.values(), len(cases), by_size=_by_size(wrong, expected, seen))
    return f"{says} {told}".strip(), placed(call, beyond_name(raised)) if raised else shown


def _by_size(wrong: Mapping[str, Difference], expected: Mapping[str, Value], seen: Seen) -> bool:
    """Whether no wrong case has the sizes of a right one, of its arguments and its result."""
    found: tuple[set[Hashable], set[Hashable]] = (set(), set())
    for local, right in expected.items():
        found[local in wrong].add((sizes(seen.args(local)), sizes(right)))
    return found[0].isdisjoint(found[1])


def right_in(cases: int) -> str:
    """Say that every case is right."""
    return f"Right in {'the only case' if cases == 1 else f'all {cases} cases'}."


def wrong_in(wrong: int, cases: int) -> str:
    """Say how many cases are wrong."""
    return f"Wrong in {'the only case' if cases == 1 else f'{wrong} of {cases} cases'}."


def called(of: str, case: Mapping[str, Any]) -> str:
    """Write a call as the rubric states it: `strided_mask(n=8, t=2)`."""
    return f"{of}({', '.join(f'{name}={_written(one)}' for name, one in case.items())})"


def _written(one: Any) -> Any:
    """An argument as the rubric writes it; what the reference draws has names that are its own."""
    return "..." if isinstance(one, str) and one.lstrip().startswith(f"{REFERENCE}(") else one


def hidden_failure(seen: Seen, of: str, local: str) -> Finding | None:
    """`Seen.unanswered` for a probe whose inputs are hidden.

    Whatever a student's code raises may tell what it was given: the text goes to staff.
    """
    nothing = seen.unanswered(of, local)
    raised = seen.observations[local].raised
    if nothing is None or raised is None or seen.observations[local].status is ProbeStatus.MISSING:
        return nothing
    return replace(nothing, says=f"{of} raised {exception(raised.ename)}.", detail=str(raised))


def _expected(name: str, local: str, seen: Seen, context: Context) -> Value:
    return context.reference.answer(name, seen.requests[local])


def _differs(
    params: Params, seen: Observation, expected: Value, *, equal_nan: bool = False
) -> Difference | None:
    if seen.status is not ProbeStatus.OK:
        relation = f"it raised {exception(seen.raised.ename)}" if seen.raised else ""
        return Difference(summary=Seen.failed(seen), relation=relation)
    return compare(
        seen.value,
        expected,
        rtol=params.rtol,
        atol=params.atol,
        equal_nan=equal_nan,
        on_gpu=seen.on_gpu,
    )


def _explains(mistake: str, params: Params, seen: Seen, context: Context) -> bool:
    """Whether a wrong reference does what the student's function did, in every case.

    A wrong function may fail where the right one does not; the student's then must too. Values
    must agree in one case at least: failing everywhere is no sign of any one mistake. Nor is NaN
    everywhere; beside a number NaN is.
    """
    given: dict[str, Value] = {}
    for local in params.named_cases:
        try:
            given[local] = _expected(mistake, local, seen, context)
        except ReferenceFault:
            if seen.observations[local].status is not ProbeStatus.ERROR:
                return False
    finite = any(map(holds_finite, given.values()))
    return bool(given) and not any(
        _differs(params, seen.observations[local], value, equal_nan=finite)
        for local, value in given.items()
    )
