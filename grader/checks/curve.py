"""`curve`: a list of numbers over steps falls, reaches a bound, stays finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen, no_mistakes
from grader.rubric.model import CheckParams
from grader.values import Tensor, Value, describe
from grader.verdict import Finding


class Params(CheckParams):
    """`curve: losses`."""

    of: str
    steps: Annotated[int, Field(ge=2)] = 2
    """How many numbers there must be at least."""
    falls_to: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The mean of the last tenth is at most this share of the mean of the first tenth."""
    lowest_falls_to: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The lowest number is at most this share of that mean; afterwards it may rise again."""
    reaches: float | None = None
    """The mean of the last tenth is at most this."""


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Always: no run of ours confirms a list that a student may have typed."""
    return True


def asks(params: Params) -> str:
    """What the student must define."""
    return f"a list of at least {params.steps} numbers"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """A check that anything passes."""
    if params.falls_to is params.lowest_falls_to is params.reaches is None:
        yield ("of",), "expected falls_to, lowest_falls_to or reaches, found none"
    yield from no_mistakes(params)


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Capture the variable."""
    return {"value": {"op": "capture", "name": params.of}}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it is a list of enough finite numbers."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    value = seen.observations["value"].value
    numbers = _numbers(value)
    if numbers is None:
        return Finding(credit=0.0, says=f"Expected a list of numbers, found {describe(value)}.")
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        return Finding(credit=0.0, says=f"{params.of} is not finite at step {at}.")
    if numbers.size < params.steps:
        answered = numbers.size > 0  # an empty list is the template's, not an answer
        says = f"Expected at least {params.steps} numbers, found {numbers.size}."
        return Finding(credit=0.0, says=says, answered=answered)
    return None


def release(params: Params, context: Context, check_id: str) -> Released:
    """How many numbers are asked."""
    told = {"of": params.of, "steps": params.steps}
    return Released(params=told, requests=requests(params, context, check_id))


def answers(params: Params, asked: Mapping[str, Request], context: Context, check_id: str) -> None:
    """None: a claim, which no reference makes."""


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when the curve does all that is asked, none otherwise."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    numbers = _numbers(seen.observations["value"].value)
    assert numbers is not None  # noqa: S101 - form has looked at it
    tenth = max(1, numbers.size // 10)
    first, last = float(numbers[:tenth].mean()), float(numbers[-tenth:].mean())
    moves = f"{params.of} goes from {first:.4g} to {last:.4g}"
    if params.falls_to is not None and not _is_share(last, first, params.falls_to):
        says = f"{moves}; it should fall to {params.falls_to:.0%} of its start."
        return Finding(credit=0.0, says=says)
    lowest, share = float(numbers.min()), params.lowest_falls_to
    if share is not None and not _is_share(lowest, first, share):
        says = f"{moves}; at its lowest it should be {share:.0%} of its start."
        return Finding(credit=0.0, says=says)
    if params.reaches is not None and not last <= params.reaches:
        return Finding(credit=0.0, says=f"{moves}; it should reach {params.reaches:g}.")
    return Finding(credit=1.0, says=f"{moves}.")


def _is_share(number: float, start: float, share: float) -> bool:
    """Whether a number is at most this share of the start; below zero, less by as much of it.

    A start of zero has no share to fall to, but what stays there has not fallen.
    """
    return number <= start - (1 - share) * abs(start) and (share >= 1 or number < start)


def _numbers(value: Value) -> npt.NDArray[np.float64] | None:
    """A flat array of the numbers in a list, tensor or list of 0-d tensors; None if it is none."""
    if isinstance(value, Tensor):
        value = list(value.array.reshape(-1)) if value.array.ndim == 1 else None
    if not isinstance(value, list | tuple):
        return None
    items = [v.array.item() if isinstance(v, Tensor) and v.array.size == 1 else v for v in value]
    real = int | float | np.integer | np.floating
    if any(isinstance(v, bool) or not isinstance(v, real) for v in items):
        return None
    try:
        return np.asarray(items, dtype=np.float64)
    except (OverflowError, TypeError):
        return None
