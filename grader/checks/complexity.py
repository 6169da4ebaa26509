"""`complexity`: a formula grows like the reference's (the same Theta class in all variables)."""

from __future__ import annotations

from typing import ClassVar

import grader.checks.entries as entries
from grader.checks.base import Context, Seen
from grader.checks.entries import answers, asks, form, problems, release, requests, testimony
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
    """`complexity: rnn2d_ops`."""

    growth: ClassVar[bool] = True


def judge(params: Params, seen: Seen, context: Context) -> Conclusion:
    """Give full credit for the same growth class; all variables grow independently."""
    return entries.judge(params, seen, context, context.symbolic.growth)
