"""The kinds of picture on a report page, as numbers; `grader/report/drawing.py` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One matrix of a picture."""

    title: str
    values: Array
    """(rows, columns), truth values or real numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Matrices side by side, on one scale."""

    caption: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Every number that was seen against the one that was expected."""

    caption: str
    seen: Floats
    """(points,), as `expected`."""
    expected: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers in order."""

    label: str
    values: Floats
    """(steps,), finite or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Numbers over their place in a list."""

    caption: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a call took at growing sizes, beside the growth that is asked."""

    caption: str
    unit: str
    points: tuple[tuple[int, float], ...]
    """(size, amount), all above zero."""
    exponent: float
    """The largest exponent that is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers2D:
    """A table of numbers, for what needs no drawing."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Picture = Grid | Cloud | Curves | Growth | Numbers2D
