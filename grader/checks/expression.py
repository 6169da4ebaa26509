"""`expression`: a formula equals the reference's as mathematics, however it is written."""

from __future__ import annotations

from functools import partial

from grader.checks import entries
from grader.checks.base import Context, Seen
from grader.checks.entries import asks, form, problems, release, requests
from grader.verdict import Conclusion

__all__ = ["TESTIMONY", "Params", "asks", "form", "judge", "problems", "release", "requests"]

TESTIMONY = False


class Params(entries.Params):
    """`expression: causal_count`."""

    where: tuple[str, ...] = ()
    """What is known of the symbols together, such as `n > t` or `w divides n`."""


def judge(params: Params, seen: Seen, context: Context) -> Conclusion:
    """Give full credit for equal formulas; a wrong one gets a counterexample as detail."""
    equal = partial(context.symbolic.equal, where=params.where)
    return entries.judge(params, seen, context, equal)
