"""`figure`: what the notebook draws with matplotlib: data, images, labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainValidator, ValidationError

from grader.checks.base import Context, Problem, Released, Request, Seen, no_name
from grader.compare import compare
from grader.rubric.model import CheckParams, Identifier, Strict
from grader.values import Tensor, Value
from grader.verdict import Finding

#: The guest's own name for all figures (`grader/guest/figures.py`).
FIGURES = "\0figures"
Drawn = Literal["lines", "points", "bars", "images"]
DRAWN: tuple[Drawn, ...] = ("lines", "points", "bars", "images")
WORDS = {"lines": "a line", "points": "points", "bars": "bars", "images": "an image"}
Label = Literal["x", "y", "title", "legend"]
LABELS = {"x": "a label of the x axis", "y": "a label of the y axis", "title": "a title"}
LABELS |= {"legend": "a legend"}


class Data(Strict):
    """Where the right data are: a name of the reference, or a variable of the student's own."""

    reference: Identifier | None = None
    variable: Identifier | None = None


def _data_written(written: Any) -> Data | tuple[Any, ...] | None:
    """Right data as a rubric writes them.

    Raises:
        ValueError: they are neither numbers nor the name of some.
    """
    if written is None or isinstance(written, Data):
        return written
    if isinstance(written, list | tuple):
        if _numbers(written) is None:
            raise ValueError("numbers, or {variable: name} without the brackets")
        return tuple(written)
    try:
        return Data.model_validate(written)
    except ValidationError as error:
        raise ValueError("a list of numbers, {reference: name} or {variable: name}") from error


Written = Annotated[Data | tuple[Any, ...] | None, PlainValidator(_data_written)]


class Params(CheckParams):
    """`figure: loss`."""

    of: Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1)]
    """Words in the title, a label or the legend of the axes; or the figure's number, from 1."""
    lines: Written = None
    """Data of one of the lines: its heights, or a dict of x and y."""
    points: Written = None
    """Data of one cloud of points, (n, 2)."""
    bars: Written = None
    """Heights of one group of bars."""
    images: Written = None
    """Data of one of the images."""
    labels: tuple[Label, ...] = ()
    """What must not be empty."""
    at_least_points: Annotated[int, Field(ge=1)] | None = None
    """How many points the longest line must have at least."""
    rtol: Annotated[float, Field(ge=0)] = 1e-4
    atol: Annotated[float, Field(ge=0)] = 1e-6


def testimony(params: Params, asked: Mapping[str, Request]) -> bool:
    """Always: a picture can be drawn of numbers that nothing computed."""
    return True


def asks(params: Params) -> str:
    """What the notebook must draw."""
    if isinstance(params.of, int):
        return f"figure {params.of} of the notebook"
    return f"a figure with {params.of!r} in its title, labels or legend"


def problems(params: Params, context: Context) -> Iterator[Problem]:
    """Nothing to look at, or data that are nowhere."""
    for key in DRAWN:
        data = getattr(params, key)
        if isinstance(data, Data):
            if (data.reference is None) == (data.variable is None):
                yield (key,), "expected either reference or variable"
            yield from no_name(data.reference, context, (key, "reference"))
    asked = [getattr(params, key) for key in DRAWN]
    if not params.labels and params.at_least_points is None and not any(asked):
        yield (), "expected something to look at: lines, points, bars, images, labels"
    if params.mistakes:
        yield ("mistakes",), "unknown key: checks of this kind know no mistakes"


def requests(params: Params, context: Context, check_id: str) -> dict[str, Request]:
    """All figures, and the student's own variables that they are compared with."""
    asked: dict[str, Request] = {"figures": {"op": "figures", "name": FIGURES}}
    for key in DRAWN:
        data = getattr(params, key)
        if isinstance(data, Data) and data.variable:
            asked[key] = {"op": "capture", "name": data.variable}
    return asked


def form(params: Params, seen: Seen, context: Context) -> Finding | None:
    """Whether there is such a figure."""
    nothing = seen.unanswered("The figures", "figures")
    if nothing:
        return nothing
    if _axes(params, seen.observations["figures"].value):
        return None
    return Finding(credit=0.0, says=f"Nothing draws {asks(params)}.", answered=False)


def release(params: Params, context: Context, check_id: str) -> Released:
    """Which figure is asked, and what must be labelled."""
    told = {"of": params.of, "labels": list(params.labels) or ["title"]}
    return Released(params=told, requests={"figures": {"op": "figures", "name": FIGURES}})


def answers(params: Params, asked: Mapping[str, Request], context: Context, check_id: str) -> None:
    """None: no reference draws anything."""


def judge(params: Params, seen: Seen, context: Context) -> Finding:
    """Give full credit when one of the axes that are meant shows all that is asked."""
    expected: dict[str, Value] = {key: _expected(params, key, context) for key in DRAWN}
    wrong_form = form(params, seen, context)
    if wrong_form:
        return wrong_form
    for key in DRAWN:
        data = getattr(params, key)
        if isinstance(data, Data) and data.variable:
            nothing = seen.unanswered(data.variable, key)
            if nothing:
                return nothing
            expected[key] = seen.observations[key].value
    axes = _axes(params, seen.observations["figures"].value)
    lacks = [list(_lacks(params, one, expected)) for one in axes]
    fewest = min(lacks, key=len)
    if not fewest:
        return Finding(credit=1.0, says="The figure shows what is asked.")
    return Finding(credit=0.0, says=f"The figure lacks {' and '.join(fewest)}.")


def _expected(params: Params, key: Drawn, context: Context) -> Value:
    data = getattr(params, key)
    if not isinstance(data, Data):
        return None if data is None else list(data)
    return context.reference.value(data.reference) if data.reference else None


def _axes(params: Params, figures: Value) -> list[dict[str, Any]]:
    """The axes that are meant; what a student's code put in their place is left out."""
    if not isinstance(figures, list):
        return []
    chosen = figures[params.of - 1 : params.of] if isinstance(params.of, int) else figures
    found = []
    for figure in chosen:
        match figure:
            case {"title": str() as title, "axes": list() as many}:
                found += [one for one in many if _is_meant(params, one, title)]
    return found


def _is_meant(params: Params, axes: Value, title: str) -> bool:
    match axes:
        case {
            "title": str() as own,
            "x": str() as x,
            "y": str() as y,
            "legend": list() as legend,
            "lines": list() as lines,
            "points": list() as points,
            "bars": list() as bars,
            "images": list(),
        }:
            drawn = [one.get("label") for one in (*lines, *points, *bars) if isinstance(one, dict)]
            words = [title, own, x, y, *legend, *drawn]
            said = "\n".join(word for word in words if isinstance(word, str)).casefold()
            return isinstance(params.of, int) or params.of.casefold() in said
    return False


def _lacks(params: Params, axes: dict[str, Any], expected: Mapping[str, Value]) -> Iterator[str]:
    """What a pair of axes lacks, in words."""
    for label in params.labels:
        if not axes[label] or not "".join(map(str, axes[label])).strip():
            yield LABELS[label]
    longest = max((_length(line) for line in axes["lines"]), default=0)
    if params.at_least_points is not None and longest < params.at_least_points:
        yield f"a line of at least {params.at_least_points} points (the longest has {longest})"
    for key in DRAWN:
        right = expected[key]
        if right is not None and not any(_same(params, one, right) for one in _data(axes, key)):
            yield f"{WORDS[key]} with the right data"


def _length(line: Value) -> int:
    match line:
        case {"y": Tensor() as y}:
            return int(y.array.size)
    return 0


def _data(axes: dict[str, Any], key: Drawn) -> Iterator[Value]:
    """What was drawn of a kind, in every form in which right data may be written."""
    for one in axes[key]:
        match key, one:
            case "images", Tensor():
                yield one
            case "lines", {"x": Tensor() as x, "y": Tensor() as y}:
                yield from (y, {"x": x, "y": y})
            case "points", {"x": Tensor() as x, "y": Tensor() as y} if x.shape == y.shape:
                pairs = np.stack([x.array, y.array], axis=-1)
                yield from (Tensor(pairs, "float64", "numpy"), {"x": x, "y": y})
            case "bars", {"heights": Tensor() as heights}:
                yield heights


def _same(params: Params, seen: Value, expected: Value) -> bool:
    """Whether drawn data are the right ones; their dtype is matplotlib's business."""
    if isinstance(seen, dict) and isinstance(expected, dict):
        return seen.keys() == expected.keys() and all(
            _same(params, seen[key], expected[key]) for key in seen
        )
    wanted = _numbers(expected)
    if not isinstance(seen, Tensor) or wanted is None or seen.array.size != wanted.size:
        return False
    shape = _squeezed(seen.shape)
    if shape != _squeezed(wanted.shape):
        return False
    given = Tensor(seen.array.reshape(shape), "float64", "numpy")
    right = Tensor(wanted.reshape(shape), "float64", "numpy")
    return compare(given, right, rtol=params.rtol, atol=params.atol, equal_nan=True) is None


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _numbers(value: Value) -> Any:
    """Numbers as an array of float64; None when they are none."""
    if isinstance(value, Tensor):
        return value.array.astype(np.float64) if value.array.dtype.kind in "biuf" else None
    if isinstance(value, list | tuple):
        parts = [_numbers(item) for item in value]
        if any(part is None for part in parts) or len({part.shape for part in parts}) > 1:
            return None
        return np.stack(parts) if parts else np.zeros(0)
    try:
        return np.float64(value) if isinstance(value, bool | int | float) else None
    except OverflowError:  # an integer beyond all floats
        return None
