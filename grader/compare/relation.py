"""The simple relation between what was seen and what was expected, if one explains it.

These are the slips that students make: a transposed mask, a missing 1/sqrt(d), a list shifted by
one. A relation is named only when it holds for every element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Near: TypeAlias = Callable[[Array, Array], bool]

_MOST_ELEMENTS = 2_000_000
_LARGEST_ROOT = 4096


def misshapen(seen: Array, expected: Array, near: Near) -> str:
    """What explains a wrong shape."""
    if seen.dtype.kind == "c" or expected.dtype.kind == "c" or seen.size > _MOST_ELEMENTS:
        return ""
    if seen.ndim == expected.ndim == 1 and expected.size:
        return _wrong_length(seen, expected, near)
    if seen.size != expected.size or not seen.size:
        return ""
    if np.squeeze(seen).shape == np.squeeze(expected).shape:
        same = near(np.squeeze(seen), np.squeeze(expected))
        return (
            "the values are right, but a dimension of size 1 is too many or missing" if same else ""
        )
    if near(seen.T, expected):
        return "the dimensions are in the opposite order (transposed)"
    if near(seen.reshape(expected.shape), expected):
        return "the values are right, but not their shape"
    return ""


def _wrong_length(seen: Array, expected: Array, near: Near) -> str:
    if len(seen) == len(expected) - 1 and len(seen):
        if near(seen, expected[1:]):
            return "the first value is missing, the others are right"
        if near(seen, expected[:-1]):
            return "the last value is missing, the others are right"
    if len(seen) == len(expected) + 1:
        if near(seen[1:], expected):
            return "there is one value too many at the start"
        if near(seen[:-1], expected):
            return "there is one value too many at the end"
    return ""


def relation(seen: Array, expected: Array, near: Near) -> str:
    """What explains wrong values of the right shape.

    Args:
        seen: Any shape, real numbers or truth values.
        expected: The same shape; not equal to `seen`.
        near: Whether two arrays agree everywhere.
    """
    if seen.size > _MOST_ELEMENTS or not seen.size or "c" in (seen.dtype.kind, expected.dtype.kind):
        return ""
    if expected.dtype.kind == "b":
        return next(_of_masks(seen.astype(bool), expected, near), "")
    seen, expected = seen.astype(np.float64), expected.astype(np.float64)
    with np.errstate(all="ignore"):
        found = (
            _of_numbers(seen, expected, near) if seen.size > 1 else _of_one(seen, expected, near)
        )
        return next(found, "")


def _of_masks(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    if near(~seen, expected):
        yield "True and False are swapped"
    if seen.ndim >= 2 and seen.shape[-1] == seen.shape[-2]:
        diagonal = np.broadcast_to(np.eye(seen.shape[-1], dtype=bool), seen.shape)
        if near(seen | diagonal, expected | diagonal):
            lacks = expected[diagonal].all() and not seen[diagonal].any()
            adds = seen[diagonal].all() and not expected[diagonal].any()
            word = "is missing" if lacks else "should be left out" if adds else "is wrong"
            yield f"only the diagonal {word}"
    yield from _moved(seen, expected, near)
    if seen.all() or not seen.any():
        yield f"every value is {bool(seen.flat[0])}"


def _of_one(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    if near(-seen, expected):
        yield "the sign is the opposite"
    elif near(seen * 100, expected) or near(seen / 100, expected):
        yield "it is off by a factor of 100 (a share or a percentage?)"


def _of_numbers(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    if near(-seen, expected):
        yield "the sign is the opposite everywhere"
    yield from _moved(seen, expected, near)
    if expected.min() != expected.max():
        yield from _linear(seen, expected, near)
    yield from _normalised(seen, expected, near)
    for words, changed in (
        ("they are the logarithms of the right values", np.exp(seen)),
        ("they are the exponentials of the right values", np.log(seen)),
        ("they are the squares of the right values", np.sqrt(seen)),
        ("they are the square roots of the right values", np.square(seen)),
        ("they are the reciprocals of the right values", 1 / seen),
        ("the signs are missing or wrong", np.copysign(seen, expected)),
    ):
        if near(changed, expected):
            yield words
    if near(np.sort(seen, axis=None), np.sort(expected, axis=None)):
        yield "the values are right, but in another order"


def _moved(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    """The right values at other places."""
    if seen.ndim >= 2 and near(np.swapaxes(seen, -1, -2), expected):
        rows = "rows and columns" if seen.ndim == 2 else "the last two dimensions"
        yield f"{rows} are swapped (transposed)"
    for axis in range(seen.ndim):
        along = f" along dimension {axis}" if seen.ndim > 1 else ""
        if near(np.flip(seen, axis), expected):
            yield f"the order is reversed{along}"
        length = seen.shape[axis]
        if length < 3:
            continue
        head, tail = np.arange(length - 1), np.arange(1, length)
        for kept, wanted, words in ((tail, head, "late"), (head, tail, "early")):
            part = np.take(expected, wanted, axis)
            if part.min() != part.max() and near(np.take(seen, kept, axis), part):
                yield f"the values come one place too {words}{along}"


def _linear(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    largest = np.unravel_index(int(np.abs(expected).argmax()), expected.shape)
    factor = float(seen[largest] / expected[largest])
    if factor and math.isfinite(factor) and near(seen / factor, expected):
        yield f"every value is {_factor(factor)} times the right one"
    offset = float(seen[largest] - expected[largest])
    if math.isfinite(offset) and near(seen - offset, expected):
        yield f"every value is {abs(offset):.6g} too {'large' if offset > 0 else 'small'}"


def _factor(factor: float) -> str:
    """A factor in words: 3, 1/8, sqrt(8), 1/sqrt(8), else a decimal."""
    size, sign = abs(factor), "-" if factor < 0 else ""
    for value, form in (
        (size, "{}"),
        (1 / size, "1/{}"),
        (size * size, "sqrt({})"),
        (1 / size / size, "1/sqrt({})"),
    ):
        whole = round(min(value, 2.0 * _LARGEST_ROOT))
        if 1 <= whole <= _LARGEST_ROOT and math.isclose(value, whole, rel_tol=1e-4):
            return sign + form.format(whole)
    return f"{factor:.4g}"


def _normalised(seen: Array, expected: Array, near: Near) -> Iterator[str]:
    """Sums that should be one."""
    axes = [axis for axis in range(seen.ndim) if near(*_against_one(expected, axis))]
    for axis in axes:
        along = f"dimension {axis}" if seen.ndim > 1 else "the list"
        if near(seen / seen.sum(axis, keepdims=True), expected):
            yield f"the values are not divided by their sum along {along}"
        raised = np.exp(seen - seen.max(axis, keepdims=True))
        if near(raised / raised.sum(axis, keepdims=True), expected):
            yield f"no softmax is taken along {along}"
    for axis in range(seen.ndim):
        if axes and axis not in axes and near(*_against_one(seen, axis)):
            yield f"the sums are one along dimension {axis}, expected along dimension {axes[0]}"


def _against_one(array: Array, axis: int) -> tuple[Array, Array]:
    total = array.sum(axis)
    return total, np.ones_like(total)
