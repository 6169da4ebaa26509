"""Formulas as students give them: alone, in lists, in dicts, however keys are written."""

from __future__ import annotations

import re
from typing import Any

from grader.values import Formula, Tensor, Value

#: How deep a dict of dicts may be.
MOST_PARTS = 6


def formulas(written: Any) -> dict[str, str]:
    """Formulas by key; a lone one has the key ''."""
    match written:
        case dict():
            return {str(key): str(text) for key, text in written.items()}
        case list() | tuple():
            return {str(number): str(text) for number, text in enumerate(written)}
    return {"": str(written)}


def text_of(value: Value) -> str | None:
    """The text of a formula: as written, as sympy prints it, or a plain number's."""
    match value:
        case Formula(text=text):
            return text
        case str():
            return value
        case bool():
            return None
        case int() | float():
            return str(value)
        case Tensor(array=array) if array.ndim == 0 and array.dtype.kind in "iuf":
            return str(array[()])  # the shortest text of this dtype: 0.1 also in float32
    return None


def given_by_key(value: Value, equals: Any) -> dict[str, Value] | None:
    """What the student gave by key, in the shape of `formulas`; None for what is no answer.

    Of a list no more is looked at than is asked for: a tensor may have millions of items.
    """
    asked = len(formulas(equals))
    if isinstance(equals, list):
        value = _in_order(value, len(equals))
    match value:
        case dict():
            return _named(value, equals)
        case list() | tuple():
            return {str(number): item for number, item in enumerate(value[:asked])}
        case Tensor(array=array) if array.ndim == 1:
            items = (Tensor(item, value.dtype) for item in array[:asked])
            return {str(number): item for number, item in enumerate(items)}
    return None if text_of(value) is None else {"": value}


def _in_order(value: Value, count: int) -> Value:
    """A dict, or formulas with commas between them, as the list that is asked."""
    match value:
        case dict() if len(value) == count:
            return list(value.values())
        case str() if value.count(",") + 1 == count > 1:
            return list(value.strip().removeprefix("[").removesuffix("]").split(","))
    return value


def _named(value: dict[Value, Value], equals: Any) -> dict[str, Value]:
    """Entries by the rubric's keys, however they are written: other case, other signs, nested."""
    flat = _flat(value, ())
    wanted = {_bare(key): key for key in formulas(equals)}
    return {wanted.get(_bare(key), key): item for key, item in reversed(flat.items())}


def _flat(value: dict[Value, Value], above: tuple[str, ...]) -> dict[str, Value]:
    """A dict of dicts as one, whose keys are joined as those of tuples are."""
    found: dict[str, Value] = {}
    for key, item in value.items():
        parts = (*above, *(map(str, key) if isinstance(key, tuple) else [str(key)]))
        if isinstance(item, dict) and len(parts) <= MOST_PARTS:
            found |= _flat(item, parts)
        else:
            found[", ".join(parts)] = item
    return found


def _bare(key: str) -> str:
    return " ".join(re.findall(r"\w+", key.replace("_", " ").casefold()))
