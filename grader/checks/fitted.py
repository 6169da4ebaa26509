"""A result in the form of another: students return lists, arrays and tensors alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grader.compare.numbers import Numbers, to_numbers
from grader.compare.plain import plain, plain_items
from grader.compare.words import count, noun
from grader.values import Formula, Tensor, Value

#: A student's result may be nested as deep as the guest allows.
_MOST_DEPTH = 20
#: No free result has more items than this where it is taken apart item by item.
MOST_ITEMS = 200_000


class Misfit(Exception):
    """A result has another structure, kind or shape than the reference's own."""


def fitted(seen: Value, like: Value, *, free: bool = False, depth: int = 0) -> Value:
    """The same result with the kinds of another: tensors where it has tensors, and so on.

    Args:
        seen: What the student's code gave.
        like: What the reference gave for the same arguments.
        free: Whether shapes and lengths may be others.
        depth: How deep in the result this stands.

    Raises:
        Misfit: it has another form, or more items than can be looked at one by one.
    """
    if free and not depth and _spread(seen, _levels(like)) > MOST_ITEMS:
        raise Misfit(f"it has more than {MOST_ITEMS:,} items")
    if depth > _MOST_DEPTH:
        raise Misfit(f"it is nested more than {_MOST_DEPTH} deep")
    match like:
        case bool() | int() | float() | complex():
            return _number(seen, like)
        case Tensor():
            return _tensor(seen, like, free)
        case list() | tuple():
            items = _items(seen, like, free)
            # Of another length, which is free then, every item is like the last.
            likes = [like[min(at, len(like) - 1)] if like else one for at, one in enumerate(items)]
            pairs = zip(items, likes, strict=True)
            return type(like)(fitted(a, b, free=free, depth=depth + 1) for a, b in pairs)
        case dict():
            return _dict(seen, like, free, depth)
        case str() if isinstance(seen, Formula):
            return seen.text
    if type(seen) is not type(like):
        raise Misfit(_unlike(seen, like))
    return seen


def _levels(like: Value) -> int:
    """How deep lists stand in each other that a result is taken apart like."""
    match like:
        case list() | tuple():
            return 1 + max(map(_levels, like), default=0)
        case dict():
            return 1 + max(map(_levels, like.values()), default=0)
    return 0


def _spread(seen: Value, levels: int) -> int:
    """How many items a result has when lists so deep are taken apart."""
    match seen:
        case Tensor() if levels:
            return math.prod(max(size, 1) for size in seen.shape[:levels])  # rows may be empty
        case list() | tuple() if levels:
            return len(seen) + sum(_spread(item, levels - 1) for item in seen)
        case dict() if levels:
            return len(seen) + sum(_spread(item, levels - 1) for item in seen.values())
    return 0


def _number(seen: Value, like: Any) -> Value:
    found = to_numbers(plain(seen))
    if not isinstance(found, Numbers) or found.array.size != 1:
        raise Misfit(_unlike(seen, like))
    if found.array.dtype.kind == "c" and not isinstance(like, complex):
        raise Misfit("expected a real number, found a complex one")
    return _cast(found.array.reshape(()), np.asarray(like).dtype).item()


def _tensor(seen: Value, like: Tensor, free: bool) -> Tensor:
    found = to_numbers(plain_items(seen))
    if not isinstance(found, Numbers) or not (free or found.array.shape == like.shape):
        raise Misfit(_unlike(seen, like))
    if found.array.dtype.kind == "c" and like.array.dtype.kind != "c":
        raise Misfit("expected real numbers, found complex ones")
    array = _cast(found.array, like.array.dtype)
    dtype = like.dtype if array.dtype == like.array.dtype else str(array.dtype)
    return Tensor(array, dtype, like.origin)


def _cast(array: Any, dtype: np.dtype[Any]) -> Any:
    """An array in another dtype, if that loses no more than digits; else as it is."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    exact = dtype.kind in "fc" or np.array_equal(cast, array)
    return cast if exact else array


def _items(seen: Value, like: list[Value] | tuple[Value, ...], free: bool) -> list[Value]:
    match seen:
        case Tensor() if seen.shape:
            length = seen.shape[0]
        case list() | tuple():
            length = len(seen)
        case _:
            raise Misfit(_unlike(seen, like))
    if length != len(like) and not free:
        raise Misfit(f"expected {count(len(like), 'item')}, found {length or 'none'}")
    if isinstance(seen, Tensor):
        return [Tensor(np.asarray(row), seen.dtype, seen.origin) for row in seen.array]
    return list(seen)


def _dict(seen: Value, like: dict[Value, Value], free: bool, depth: int) -> dict[Value, Value]:
    if not isinstance(seen, dict):
        raise Misfit(_unlike(seen, like))
    if seen.keys() != like.keys() and not free:
        raise Misfit("it has other keys than asked")
    return {
        key: fitted(item, like[key], free=free, depth=depth + 1) if key in like else item
        for key, item in seen.items()
    }


def _unlike(seen: Value, like: Value) -> str:
    return f"expected {noun(like)}, found {noun(seen)}"
