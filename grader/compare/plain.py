"""Values as compared: numbers that sympy holds become plain ones, and whole numbers stay exact."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from grader.values import Formula, Tensor, Value

_MOST_DEPTH = 20
#: A float holds every whole number up to here.
_LARGEST_EXACT = 2**53
_WHOLE = re.compile(r"-?[0-9]{1,1000}")
_RATIONAL = re.compile(r"(-?[0-9]{1,300})/([0-9]{1,300})")
_DECIMAL = re.compile(r"-?[0-9]{0,300}\.[0-9]{1,1000}(?:e[-+]?[0-9]{1,3})?")


def plain(value: Value) -> Value:
    """The number that a formula is, as sympy writes `6`, `1/3` or `0.5`; else the value itself."""
    if not isinstance(value, Formula):
        return value
    if _WHOLE.fullmatch(value.text):
        return int(value.text)
    if _DECIMAL.fullmatch(value.text):
        return float(value.text)
    found = _RATIONAL.fullmatch(value.text)
    if found and int(found[2]):
        return float(Fraction(int(found[1]), int(found[2])))
    return value


def plain_items(value: Value, depth: int = 0) -> Value:
    """The same for all items of nested lists."""
    if isinstance(value, list | tuple) and depth < _MOST_DEPTH:
        return [plain_items(item, depth + 1) for item in value]
    return plain(value)


def holds_large(value: Value, depth: int = 0) -> bool:
    """Whether a list holds a whole number that an array of floats would round."""
    if isinstance(value, list | tuple) and depth < _MOST_DEPTH:
        return any(holds_large(item, depth + 1) for item in value)
    return type(value) is int and abs(value) > _LARGEST_EXACT


def holds_finite(value: Value, depth: int = 0) -> bool:
    """Whether there is any finite number in a value."""
    if depth > _MOST_DEPTH:
        return False
    match value:
        case Tensor():
            known = value.array.dtype.kind in "biufc"
            return known and bool(np.isfinite(value.array).any())
        case list() | tuple():
            return any(holds_finite(item, depth + 1) for item in value)
        case dict():
            return any(holds_finite(item, depth + 1) for item in value.values())
        case bool() | int():  # which may be too large for NumPy
            return True
        case float() | complex():
            return bool(np.isfinite(value))
    return False
