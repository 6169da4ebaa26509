"""Values of a student's beside the right ones, as numbers to draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.compare import compare
from grader.compare.numbers import Numbers, to_numbers
from grader.report.picture import Array, Cloud, Curves, Grid, Panel, Picture, Series
from grader.values import Tensor, Value

#: Rows and columns of a tensor that are drawn; of a larger one, those around the worst place.
MOST_SIDE = 40
#: Numbers of a value that are looked at, and points of a cloud that are drawn.
MOST_NUMBERS = 1_000_000
MOST_POINTS = 1200


def beside(seen: Value, expected: Value, told: str, params: Any) -> Picture | None:
    """A wrong array beside the right one; None if it is right, or nothing to draw."""
    given, wanted = numbers_of(seen), numbers_of(expected)
    if given is None or wanted is None or not given.ndim or not wanted.ndim:
        return None
    if compare(seen, expected, rtol=params.rtol, atol=params.atol) is None:
        return None
    if given.shape != wanted.shape:
        given, wanted = _matrix(given), _matrix(wanted)
        return Grid(
            caption=f"{told}: the shapes differ",
            panels=(_panel("Result", given), _panel("Expected", wanted)),
        )
    if wanted.ndim == 1 and wanted.dtype.kind != "b" and wanted.size > 2:
        series = (series_of("result", given), series_of("expected", wanted))
        return Curves(caption=told, series=series)
    return _side_by_side(given, wanted, told)


def _side_by_side(seen: Array, expected: Array, told: str) -> Picture:
    """Matrices of one shape: the one with the worst place, if there are several."""
    masks = expected.dtype.kind == "b" and seen.dtype.kind == "b"
    off = (seen != expected) if masks else np.abs(seen.astype(float) - expected.astype(float))
    off = np.nan_to_num(off.astype(float), nan=np.inf, posinf=np.inf)
    worst = np.unravel_index(int(off.argmax()), off.shape)
    if expected.ndim > 2:
        told += f", at {list(map(int, worst[:-2]))}"
        seen, expected, off = (a[worst[:-2]] for a in (seen, expected, off))
        worst = worst[-2:]
    seen, expected, off = (_window(_matrix(a), worst) for a in (seen, expected, off))
    last = "Where they differ" if masks else "Size of the error"
    panels = (
        _panel("Result", seen),
        _panel("Expected", expected),
        _panel(last, off > 0 if masks else off),
    )
    return Grid(caption=told, panels=panels)


def _panel(title: str, values: Array) -> Panel:
    return Panel(title=title, values=values[:MOST_SIDE, :MOST_SIDE])


def _matrix(array: Array) -> Array:
    """A matrix of an array: the first one, where there are several."""
    array = array.reshape(1, -1) if array.ndim < 2 else array
    while array.ndim > 2:
        array = array[0] if array.shape[0] else array.reshape(0, array.shape[-1])
    return array


def _window(matrix: Array, worst: tuple[Any, ...]) -> Array:
    """The part of a large matrix around a place."""
    place = (0, *worst)[-2:]
    starts = [
        max(0, min(int(at) - MOST_SIDE // 2, size - MOST_SIDE))
        for at, size in zip(place, matrix.shape, strict=True)
    ]
    rows, columns = (slice(start, start + MOST_SIDE) for start in starts)
    return matrix[rows, columns]


def cloud_of(caption: str, seen: Array, expected: Array) -> Cloud:
    """At most so many pairs, evenly taken, the worst among them; what is not finite is left out."""
    seen, expected = seen.astype(float), expected.astype(float)
    finite = np.isfinite(seen) & np.isfinite(expected)
    seen, expected = seen[finite], expected[finite]
    if seen.size > MOST_POINTS:
        even = np.linspace(0, seen.size - 1, MOST_POINTS).astype(int)
        worst = np.argsort(np.abs(seen - expected))[-20:]
        chosen = np.unique(np.concatenate([even, worst]))
        seen, expected = seen[chosen], expected[chosen]
    return Cloud(caption=caption, seen=seen, expected=expected)


def series_of(label: str, values: Array) -> Series:
    """At most so many steps, evenly taken."""
    if values.size > MOST_POINTS:
        values = values[np.linspace(0, values.size - 1, MOST_POINTS).astype(int)]
    return Series(label=label, values=values.astype(float))


def numbers_of(value: Value) -> Array | None:
    """A value as an array of real numbers of a size to draw; None if it is none."""
    if isinstance(value, list | tuple) and len(value) > MOST_NUMBERS:
        return None
    found = to_numbers(value) if isinstance(value, Tensor | list | tuple) else None
    if not isinstance(found, Numbers) or not 0 < found.array.size <= MOST_NUMBERS:
        return None
    return found.array if found.array.dtype.kind in "biuf" else None


def leaves_of(value: Value, depth: int = 0) -> list[Array]:
    """The arrays in a nested value, in order."""
    array = numbers_of(value)
    if array is not None:
        return [array]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple) or depth > 8 or len(value) > MOST_NUMBERS:
        return []
    return [array for item in value for array in leaves_of(item, depth + 1)]
