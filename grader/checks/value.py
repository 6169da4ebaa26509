"""`value`: a variable holds the right number, text, list, dict, tensor or table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.compare import compare, share_right
from grader.rubric.model import CheckParams, Identifier
from grader.values import Formula, Table, Tensor, Value, describe
from grader.verdict import Finding

TESTIMONY = False


class Params(CheckParams):
    """`value: q_steps`."""

    of: Identifier
    equals: Any = None
    """The right value, written out."""
    reference: Identifier | None = None
    """Or a name of the reference that holds or computes it."""
    rtol: Annotated[float, Field(ge=0)] | None = None
    atol: Annotated[float, Field(ge=0)] | None = None
    credit: Literal["all", "per_entry"] | None = None
    """By default lists, dicts and tables earn per entry, everything else all or nothing."""


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a value {params.of}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """No right answer, two of them, or a name that the reference lacks."""
    if (params.equals is None) == (params.reference is None):
        yield ("equals",), "expected either equals or reference"
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
    """Capture the variable."""
    return {"value": {"op": "capture", "name": params.of}}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether there is plain data."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    if _is_empty(value) and not _is_empty(_expected(params.equals, params.reference, context)):
        return Finding(credit=0.0, says=f"{params.of} is still empty.", answered=False)
    if params.reference is None and not _alike(value, params.equals):
        wanted = describe(_blank(params.equals))
        return Finding(
            credit=0.0, says=f"Expected something like {wanted}, found {describe(value)}."
        )
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """The kind and shape of the right value, with blanks for what it holds."""
    blank = _blank(_expected(params.equals, params.reference, context))
    told = {"of": params.of, "equals": blank}
    return Released(params=told, requests=requests(params, context, check_id))


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Compare with the reference's value; name a known mistake when it is one."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    value = seen.observations["value"].value
    expected = _expected(params.equals, params.reference, context)
    found = compare(value, expected, rtol=params.rtol, atol=params.atol)
    if found is None:
        return Finding(credit=1.0, says="Right.")
    for mistake in params.mistakes:
        wrong = _expected(mistake.equals, mistake.reference, context)
        if compare(value, wrong, rtol=params.rtol, atol=params.atol) is None:
            return Finding(credit=mistake.credit, says=mistake.says)
    per_entry = isinstance(expected, list | tuple | dict | Table)
    credit = 0.0
    if params.credit == "per_entry" or (params.credit is None and per_entry):
        credit = share_right(value, expected, rtol=params.rtol, atol=params.atol)
    # A relation to a fixed right value would tell it ("off by a constant 3"): for staff.
    detail = f"Found {describe(value)}. {found.relation} {found.detail}"
    says = f"{_first_up(found.summary)}."
    return Finding(credit=credit, says=says, detail=" ".join(detail.split()))


def _blank(value: Value) -> Value:
    """The same kind and shape, holding nothing."""
    match value:
        case bool():
            return False
        case int() | float() | complex():
            return 0
        case str():
            return ""
        case list() | tuple():
            return [_blank(item) for item in value]
        case dict():
            return {key: _blank(item) for key, item in value.items()}
        case Tensor():
            return Tensor(np.zeros_like(value.array), value.dtype, value.origin)
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


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
