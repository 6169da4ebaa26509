"""`value`: a variable holds the right number, text, list, dict, tensor or table.

A number may also be right within a band, or as the number of parameters of a model that the run
left: of one whose sizes are the student's choice nobody else knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.checks.blanks import blank
from grader.checks.telling import sentence
from grader.compare import compare, holds_finite, share_right
from grader.evidence import Observation, ProbeStatus
from grader.rubric.model import CheckParams, Identifier
from grader.values import Formula, Table, Tensor, Value, describe
from grader.verdict import Conclusion, Finding, Pending

#: How sympy prints a rational or a floating-point number.
_NUMBER = re.compile(r"(-?\d{1,30}(?:\.\d{1,30})?)(?:/([1-9]\d{0,29}))?", flags=re.ASCII)


class Params(CheckParams):
    """`value: q_steps`."""

    of: Identifier
    equals: Any = None
    """The right value, written out."""
    reference: Identifier | None = None
    """Or a name of the reference that holds or computes it."""
    at_least: float | None = None
    """Or the smallest plausible number,"""
    at_most: float | None = None
    """or the largest, or both."""
    parameters_of: Identifier | None = None
    """Or a class of the student's, of whose objects it is the number of parameters."""
    rtol: Annotated[float, Field(ge=0)] | None = None
    atol: Annotated[float, Field(ge=0)] | None = None
    credit: Literal["all", "per_entry"] | None = None
    """By default lists, dicts and tables earn per entry, everything else all or nothing."""

    @property
    def is_band(self) -> bool:
        """Whether any number in a band is right."""
        return self.at_least is not None or self.at_most is not None

    @property
    def is_number(self) -> bool:
        """Whether one number is asked that no reference holds."""
        return self.is_band or self.parameters_of is not None


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Whether any plausible number is right, such as an accuracy that nobody here measured."""
    return params.is_band


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a value {params.of}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """No right answer, two of them, or a name that the reference lacks."""
    answers = (params.equals, params.reference, params.parameters_of)
    if sum(answer is not None for answer in answers) + params.is_band != 1:
        says = "expected one of equals, reference, at_least and at_most, or parameters_of"
        yield ("equals",), says
    yield from no_name(params.reference, context, ("reference",))
    for number, mistake in enumerate(params.mistakes):
        place = ("mistakes", number)
        if (mistake.equals is None) == (mistake.reference is None):
            yield place, "expected either equals or reference"
        yield from no_name(mistake.reference, context, (*place, "reference"))
        if None not in (mistake.equals, params.equals) and not _alike(
            mistake.equals, params.equals
        ):
            found = f"found {describe(mistake.equals)}"
            yield (*place, "equals"), f"expected {describe(params.equals)}, as in equals, {found}"


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Capture the variable; count the parameters of what the run left, if that is asked."""
    asked: dict[str, Request] = {"value": {"op": "capture", "name": params.of}}
    if params.parameters_of:
        asked["counts"] = {"op": "counts", "name": params.parameters_of}
    return asked


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether there is plain data."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    if params.is_number:
        says = f"Expected a number, found {describe(value)}."
        return Finding(credit=0.0, says=says) if _number(value) is None else None
    if _is_empty(value) and not _is_empty(_expected(params.equals, params.reference, context)):
        return Finding(credit=0.0, says=f"{params.of} is still empty.", answered=False)
    if params.reference is None and not _alike(value, params.equals):
        is_number = type(params.equals) in (int, float)
        wanted = "a number" if is_number else f"something like {describe(blank(params.equals))}"
        return Finding(credit=0.0, says=f"Expected {wanted}, found {describe(value)}.")
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """The kind and shape of the right value, with blanks for what it holds."""
    value = {"value": requests(params, context, check_id)["value"]}
    if params.is_number:  # the number itself is an answer; that it is one is not
        return Released(params={"of": params.of, "at_least": 0}, requests=value)
    empty = blank(_expected(params.equals, params.reference, context))
    return Released(params={"of": params.of, "equals": empty}, requests=value)


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The right value."""
    if params.parameters_of:
        return {"value": 1, "counts": {"found": [[1, 1]], "others": []}}
    if params.is_band:
        return {"value": params.at_most if params.at_least is None else params.at_least}
    return {"value": _expected(params.equals, params.reference, context)}


def judge(params: Params, seen: Seen, context: Context) -> Conclusion:
    """Compare with the reference's value; name a known mistake when it is one."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    observed = seen.observations["value"]
    if not params.is_number:
        return _compared(params, observed, context)
    right = _in_band(params, observed.value) if params.is_band else _counted(params, seen)
    if isinstance(right, Finding) and right.credit == 0:
        return _known(params, observed, context) or right
    return right


def _in_band(params: Params, value: Value) -> Finding:
    """Whether a number is plausible."""
    number = _number(value)
    low = params.at_least is not None and not (number is not None and number >= params.at_least)
    high = params.at_most is not None and not (number is not None and number <= params.at_most)
    if not low and not high:
        return Finding(credit=1.0, says="Right.")
    least, most = params.at_least, params.at_most
    bounds = [f"at least {least:g}"] if least is not None else []
    bounds += [f"at most {most:g}"] if most is not None else []
    detail = f"Found {describe(value)}, expected {' and '.join(bounds)}."
    said = f"{params.of} is {'lower' if low else 'higher'} than is plausible."
    return Finding(credit=0.0, says=said, detail=detail)


def _counted(params: Params, seen: Seen) -> Conclusion:
    """Whether a number is that of the parameters of a model that there is."""
    of = str(params.parameters_of)
    if seen.observations["counts"].status is ProbeStatus.MISSING:
        return Finding(credit=0.0, says=seen.why(of, seen.observations["counts"]), answered=False)
    counts = _counts(seen.observations["counts"].value, "found")
    others = _counts(seen.observations["counts"].value, "others")
    number = _number(seen.observations["value"].value)
    if number in {count for pair in counts or others for count in pair}:
        return Finding(credit=1.0, says="Right.")
    if not counts:
        reason = f"No {of} is left whose parameters could be counted. A person looks."
        return Pending(reason=reason)
    held = ", ".join(f"{every} ({trained} of them trained)" for every, trained in counts[:8])
    return Finding(
        credit=0.0,
        says=f"{params.of} is not the number of parameters of any {of} that there is.",
        detail=f"Found {describe(seen.observations['value'].value)}, expected one of {held}.",
    )


def _counts(value: Value, of: str) -> list[tuple[int, int]]:
    """Pairs of a reply: all parameters of a model, and those that are trained."""
    held = value.get(of) if isinstance(value, dict) else None
    pairs = held if isinstance(held, list) else []
    found = []
    for pair in pairs:
        match pair:
            case [int() as every, int() as trained] if 0 < trained <= every < 2**63:
                found.append((every, trained))
            case [int() as every, 0] if 0 < every < 2**63:
                found.append((every, every))
    return found


def _number(value: Value) -> float | int | None:
    """A finite number that a value is, alone or in a tensor; None if it is none."""
    if isinstance(value, Formula):
        number = _NUMBER.fullmatch(value.text)
        value = float(number[1]) / float(number[2] or 1) if number else None
    if isinstance(value, Tensor) and value.array.size == 1 and value.array.dtype.kind in "iuf":
        value = value.array.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or np.isfinite(value) else None


def _compared(params: Params, observed: Observation, context: Context) -> Finding:
    value, on_gpu = observed.value, observed.on_gpu
    expected = _expected(params.equals, params.reference, context)
    found = compare(value, expected, rtol=params.rtol, atol=params.atol, on_gpu=on_gpu)
    if found is None:
        return Finding(credit=1.0, says="Right.")
    known = _known(params, observed, context)
    if known:
        return known
    per_entry = isinstance(expected, list | tuple | dict | Table)
    credit = 0.0
    if params.credit == "per_entry" or (params.credit is None and per_entry):
        credit = share_right(value, expected, rtol=params.rtol, atol=params.atol, on_gpu=on_gpu)
    # A relation to a fixed right value would tell it ("off by a constant 3"): for staff.
    told = [f"Found {describe(value)}", found.relation, found.detail]
    detail = " ".join(filter(None, map(sentence, told)))
    return Finding(credit=credit, says=sentence(found.summary), detail=detail)


def _known(params: Params, observed: Observation, context: Context) -> Finding | None:
    """The first known mistake that the value is; NaN is one only beside a number."""
    for mistake in params.mistakes:
        wrong = _expected(mistake.equals, mistake.reference, context)
        found = compare(
            observed.value,
            wrong,
            rtol=params.rtol,
            atol=params.atol,
            equal_nan=holds_finite(wrong),
            on_gpu=observed.on_gpu,
        )
        if found is None:
            return Finding(credit=mistake.credit, says=mistake.says)
    return None


def _is_empty(value: Value) -> bool:
    return isinstance(value, list | tuple | dict) and not value


def _alike(seen: Value, expected: Value) -> bool:
    """Whether text stands where text is asked, a dict where a dict is; numbers take many forms."""
    if isinstance(seen, Formula):  # as good as the number or the text that it holds
        return not isinstance(expected, dict)
    return isinstance(seen, str) == isinstance(expected, str) and (
        isinstance(seen, dict) == isinstance(expected, dict)
    )


def _expected(equals: Any, reference: str | None, context: Context) -> Value:
    return equals if reference is None else context.reference.value(reference)
