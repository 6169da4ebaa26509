"""How much of a value is right, for credit by the entry."""

from __future__ import annotations

from collections.abc import Iterator

from grader.compare.numbers import Numbers, Rule, share_close, to_numbers
from grader.compare.plain import plain_items
from grader.compare.walk import compare_under, one_by_one
from grader.values import Table, Value


def share_right(
    seen: Value,
    expected: Value,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    on_gpu: bool = False,
) -> float:
    """The share of entries that are right, from 0 to 1.

    Entries are elements of an array or list, values of a dict (each weighs the same, whatever it
    holds) and columns of a table. An array of a wrong shape has no right elements; entries that a
    list, dict or table lacks or has too many are wrong. It is 1 exactly where `compare` finds
    nothing.
    """
    rule = Rule(rtol=rtol, atol=atol, equal_nan=equal_nan, on_gpu=on_gpu)
    return _share(seen, expected, rule)


def _share(seen: Value, expected: Value, rule: Rule) -> float:
    numbers, found = to_numbers(expected), to_numbers(plain_items(seen))
    if one_by_one(seen, expected):
        numbers = None
    if isinstance(numbers, Numbers) and isinstance(found, Numbers) and numbers.array.ndim:
        lists = isinstance(seen, list | tuple) and isinstance(expected, list | tuple)
        if numbers.array.size and (numbers.array.shape == found.array.shape or not lists):
            return share_close(found, numbers, rule)
    shares = list(_shares(seen, expected, rule))
    return sum(shares) / len(shares)


def _shares(seen: Value, expected: Value, rule: Rule) -> Iterator[float]:
    """At least one share."""
    match expected, seen:
        case ((list() | tuple()), (list() | tuple())) if expected and seen:
            for one, other in zip(seen, expected, strict=False):
                yield _share(one, other, rule)
            yield from [0.0] * abs(len(seen) - len(expected))
        case dict(), dict() if expected:
            for key in {**expected, **seen}:
                both = key in expected and key in seen
                yield _share(seen[key], expected[key], rule) if both else 0.0
        case Table(), Table() if expected.columns:
            mine, right = (
                dict(zip(map(repr, t.columns), t.data, strict=False)) for t in (seen, expected)
            )
            yield from _shares(mine, right, rule)
            if compare_under(rule, seen.index, expected.index) is not None:
                yield 0.0
        case _:
            yield float(compare_under(rule, seen, expected) is None)
