"""`expression`: a formula equals the reference's as mathematics, however it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import grader.checks.entries as entries
from grader.checks.base import Context, Problem, Seen
from grader.checks.entries import answers, asks, form, release, requests, testimony
from grader.checks.given import formulas
from grader.errors import InputError
from grader.verdict import Conclusion

__all__ = [
    "Params",
    "answers",
    "asks",
    "form",
    "judge",
    "problems",
    "release",
    "requests",
    "testimony",
]


class Params(entries.Params):
    """`expression: causal_count`."""

    where: tuple[str, ...] = ()
    """What is known of the symbols together, such as `n > t` or `w divides n`."""


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """What is wrong with formulas, and conditions that are none or that no numbers fulfil."""
    found = list(entries.problems(params, context))
    yield from found
    if found:
        return
    for number, condition in enumerate(params.where):
        said = _unfulfilled([condition], params, context)
        if said:
            yield ("where", number), said
            return
    said = _unfulfilled(params.where, params, context)
    if said:
        yield ("where",), said


def _unfulfilled(where: Sequence[str], params: Params, context: Context) -> str:
    """What is wrong with conditions, for any of the formulas; empty when nothing is."""
    try:
        for formula in formulas(params.equals).values() if where else ():
            context.symbolic.check_conditions(where, formula, params.symbols)
    except InputError as error:
        return str(error)
    return ""


def judge(params: Params, seen: Seen, context: Context) -> Conclusion:
    """Give full credit for equal formulas; a wrong one gets a counterexample as detail."""
    equal = partial(context.symbolic.equal, where=params.where)
    return entries.judge(params, seen, context, equal)
