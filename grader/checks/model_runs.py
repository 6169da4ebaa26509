"""Inputs that are changed on purpose, to see what a model's outputs depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.checks.model_settings import Params
from grader.errors import ReferenceFault
from grader.values import Tensor, Value

Given = dict[str, Value]
"""Arguments of one forward pass, by name."""
Draw = Callable[[str], np.random.Generator]
"""Random numbers for a purpose, always the same for the same words."""
#: How often an input is repeated in training mode: two passes may drop alike by chance.
PASSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A changed input, and what it was made of."""

    part: str
    """What it is for: `causal`, `batch`, `permutes`, `ignores_order` or `deterministic`."""
    base: int
    """Number of the input that it was made of."""
    given: Given
    at: int = 0
    """The place from which on it was changed, or the item of the batch that was kept."""
    order: tuple[int, ...] = ()
    """Places of the base, in their new order."""
    items: int = 0
    """Size of the batch."""
    places: int = 0
    """Length of the changed input along dimension 1."""


def changes(params: Params, inputs: Sequence[Given], draw: Draw) -> list[Change]:
    """All changed inputs that a check needs.

    Raises:
        ReferenceFault: nothing in the inputs can be changed so.
    """
    found = [
        change
        for number, given in enumerate(inputs)
        for change in _changes(params, number, given, draw)
    ]
    made = {change.part for change in found}
    for part in ("causal", "batch", "permutes", "ignores_order"):
        if getattr(params, part) and part not in made:
            needs = "two items" if part == "batch" else "two places in dimension 1"
            raise ReferenceFault(f"{part}: expected an input with at least {needs}")
    return found


def _changes(params: Params, base: int, given: Given, draw: Draw) -> Iterator[Change]:
    places = _places(given.get(params.causal)) if params.causal else 0
    for at in sorted({places // 2, places - 1}) if places > 1 else ():
        held = given[str(params.causal)]
        changed = held.array.copy()
        changed[:, at:] = _others(held.array, draw(f"causal{base}"))[:, at:]
        inner = given | {str(params.causal): _like(held, changed)}
        yield Change(part="causal", base=base, given=inner, at=at, places=places)
    items = _items(given)
    for at in (0, items - 1) if params.batch and items > 1 else ():
        inner = _alone(given, at, draw(f"batch{base}"))
        yield Change(part="batch", base=base, given=inner, at=at, items=items)
    for part, name in (("permutes", params.permutes), ("ignores_order", params.ignores_order)):
        length = _places(given.get(name)) if name else 0
        if name and length > 1:
            order = _order(length, draw(f"{part}{base}"))
            inner = given | {name: _like(given[name], given[name].array[:, order])}
            place = tuple(order)
            yield Change(part=part, base=base, given=inner, order=place, places=length)
    if params.deterministic:
        yield Change(part="deterministic", base=base, given=given)


def for_training(params: Params, inputs: Sequence[Given]) -> list[Given]:
    """The same input several times, of several items if there is one: batch norms need them."""
    if not params.dropout or not inputs:
        return []
    return [max(inputs, key=_items)] * PASSES


def _places(held: Value) -> int:
    """Length of an input along dimension 1."""
    return held.shape[1] if isinstance(held, Tensor) and len(held.shape) > 1 else 0


def _items(given: Given) -> int:
    """Size of the batch: dimension 0 of the first input that has more dimensions."""
    sizes = (held.shape[0] for held in given.values() if _places(held))
    return next(sizes, 0)


def _alone(given: Given, kept: int, rng: np.random.Generator) -> Given:
    """The same input, with every item of the batch but one changed; masks stay."""
    changed = dict(given)
    for name, held in given.items():
        if _places(held) and held.shape[0] == _items(given) and held.array.dtype.kind != "b":
            array = _others(held.array, rng)
            array[kept] = held.array[kept]
            changed[name] = _like(held, array)
    return changed


def _others(array: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """An array that differs everywhere, of values that stand in it elsewhere where it has any."""
    if array.dtype.kind == "b":
        return ~array
    values, places = np.unique(array, return_inverse=True)
    if len(values) < 2:
        return np.where(array > 0, array - 1, array + 1).astype(array.dtype)
    shift = rng.integers(1, len(values), size=array.shape)
    return np.asarray(values[(places.reshape(array.shape) + shift) % len(values)])


def _order(count: int, rng: np.random.Generator) -> list[int]:
    order = [int(place) for place in rng.permutation(count)]
    return order if order != sorted(order) else [*order[1:], order[0]]


def _like(held: Tensor, array: npt.NDArray[Any]) -> Tensor:
    return Tensor(np.ascontiguousarray(array), held.dtype, held.origin)
