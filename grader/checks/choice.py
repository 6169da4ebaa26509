"""`choice`: a variable names one of several options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from grader.checks.base import Context, Problem, Released, Request, Seen
from grader.rubric.model import CheckParams, Share
from grader.values import Tensor, Value, describe
from grader.verdict import Finding

#: How truth values are also written.
WORDS = {"true": True, "yes": True, "false": False, "no": False}


class Params(CheckParams):
    """`choice: faster_model`."""

    of: str
    options: tuple[str | bool | int, ...] = Field(min_length=2)
    """All options; what students may write."""
    equals: str | bool | int | dict[str | bool | int, Share]
    """The right option, or options with the credit that each earns."""

    @property
    def credits(self) -> dict[Any, float]:
        """Credit of every option that earns some."""
        return dict(self.equals) if isinstance(self.equals, dict) else {self.equals: 1.0}


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Never: it is an answer, not a claim about a run."""
    return False


def asks(params: Params) -> str:
    """What the student must define."""
    return f"one of {', '.join(map(str, params.options))}"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Right answers and mistakes that are none of the options, and mistakes that are right."""
    for option in params.credits:
        if not any(_same(option, known) for known in params.options):
            yield ("equals",), f"expected {asks(params)}, found {option!r}"
    for number, mistake in enumerate(params.mistakes):
        if mistake.reference is not None:
            yield ("mistakes", number, "reference"), "expected equals, one of the options"
        elif not any(_same(mistake.equals, known) for known in params.options):
            yield ("mistakes", number), f"expected {asks(params)}, found {mistake.equals!r}"
        elif any(_same(mistake.equals, option) for option in params.credits):
            says = f"expected an option without credit of its own, found {mistake.equals!r}"
            yield ("mistakes", number, "equals"), says


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """Capture the variable."""
    return {"value": {"op": "capture", "name": params.of}}


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether it is one of the options."""
    nothing = seen.unanswered(params.of)
    if nothing:
        return nothing
    given = _meant(params, seen.observations["value"].value)
    if any(_same(given, option) for option in params.options):
        return None
    return Finding(credit=0.0, says=f"Expected {asks(params)}, found {describe(given)}.")


def release(params: Params, context: Context, check_id: str) -> Released:
    """The options, without the right one."""
    told = {"of": params.of, "options": list(params.options)}
    return Released(params=told, requests=requests(params, context, check_id))


def answers(
    params: Params, asked: Mapping[str, Request], context: Context, check_id: str
) -> dict[str, Value]:
    """The option that earns most."""
    best = max(params.credits, key=lambda option: params.credits[option])
    return {"value": best}


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give the credit of the option that was chosen."""
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    given = _meant(params, seen.observations["value"].value)
    for option, credit in params.credits.items():
        if _same(given, option):
            says = "Right." if credit == 1.0 else "Partly right."
            return Finding(credit=credit, says=says)
    for mistake in params.mistakes:
        if _same(given, mistake.equals):
            return Finding(credit=mistake.credit, says=mistake.says)
    right = ", ".join(str(option) for option, credit in params.credits.items() if credit == 1.0)
    return Finding(credit=0.0, says="Not the right option.", detail=f"Expected {right}.")


def _meant(params: Params, value: Value) -> Value:
    """The option that a value stands for; among truth values, also their words and 1 and 0."""
    if isinstance(value, Tensor) and value.array.ndim == 0:
        value = value.array.item()
    if not all(isinstance(option, bool) for option in params.options):
        return value
    if isinstance(value, str):
        return WORDS.get(value.strip().casefold(), value)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _same(seen: Value, option: Any) -> bool:
    if isinstance(seen, str) and isinstance(option, str):
        return seen.strip().casefold() == option.strip().casefold()
    if isinstance(seen, int | float) and isinstance(option, int | float):
        # 2.0 chooses 2; but True is no 1.
        return isinstance(seen, bool) == isinstance(option, bool) and seen == option
    return False
