"""Layers that weights may have been swapped between, where they were placed by order alone.

A student who defines the query before the key, under names that are not ours, has layers of equal
shapes in another order. Weights by order then go to the wrong ones, and a right model gives what
the reference gives under weights that are swapped alike. So the reference is asked again, in each
order in turn. A layer keeps its weights together.

Where there are too many orders the likeliest are tried: that names which are ours mean what ours
do, and that layers of the same name in numbered blocks are swapped alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, permutations, product
from typing import TypeVar

from grader.checks.base import Request
from grader.checks.model_reply import Reply
from grader.values import Tensor, Value

#: How many orders are tried: those of four layers.
MOST = 24

Order = dict[str, str]
"""Our name that a weight was placed by -> our name for what it was placed at, if this is right."""
Weights = Mapping[str, Tensor]
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Orders that a student's layers may have; the first is ours."""

    tried: Sequence[Order]
    all: bool
    """Whether there are no others."""

    @property
    def ambiguous(self) -> bool:
        """Whether there is another than ours."""
        return len(self.tried) > 1 or not self.all


def orders(reply: Reply, weights: Weights | None) -> Orders:
    """The orders to try: ours alone, unless weights were placed by order.

    Args:
        reply: What came of the student's model.
        weights: What was placed, by our names.
    """
    weights = weights or {}
    ours = {name: name for name in weights}
    if reply.loaded != "by order" or len(weights) != len(reply.parameters):
        return Orders(tried=[ours], all=True)
    theirs = dict(zip(weights, reply.parameters, strict=True))
    known, unknown = _within_layers(weights, theirs)
    every = _orders(weights, known, unknown, _layer)
    likely = _orders(weights, known, [], _kind) or [] if every is None else every
    different = {tuple(one.values()): one for one in (ours, _by_names(weights, theirs), *likely)}
    whole = every is not None and not _may_trade(weights)
    return Orders(tried=[*different.values()], all=whole)


def _may_trade(weights: Weights) -> bool:
    """Whether layers of unlike shapes hold matrices of one shape, which may be swapped alone.

    A bias serves as well in the other of two layers whose outputs are added up.
    """
    layers = _grouped(weights, _layer)
    shapes = {
        name: tuple(weights[one].shape for one in names)
        for names in layers.values()
        for name in names
    }
    matrices = [name for name in weights if len(weights[name].shape) > 1]
    alike = _grouped(matrices, lambda name: weights[name].shape)
    return any(len({shapes[name] for name in names}) > 1 for names in alike.values())


def asked_in(request: Request, order: Order) -> Request:
    """A request with the weights and statistics that the student's layers have in an order."""
    if request["weights"] is None:
        return request
    layers = {_layer(our): _layer(true) for our, true in order.items()}
    weights = {order[name]: held for name, held in request["weights"].items()}
    statistics = {
        _join(layers.get(_layer(name), _layer(name)), _last(name)): held
        for name, held in request["statistics"].items()
    }
    return {**request, "weights": weights, "statistics": statistics}


def told_in(found: dict[str, Value], order: Order) -> dict[str, Value]:
    """What the reference gave in an order, with gradients by the names that weights had."""
    if found["gradients"] is None:
        return found
    ours = {true: our for our, true in order.items()}
    named = {ours.get(name, name): held for name, held in found["gradients"].items()}
    return {**found, "gradients": named}


def _orders(
    weights: Weights, known: Order, unknown: list[list[str]], unit: Callable[[str], str]
) -> list[Order] | None:
    """Every order in which units of equal shapes are swapped; None if there are too many."""
    units = _grouped(weights, unit)
    alike = _grouped(units, lambda key: tuple(weights[name].shape for name in units[key]))
    free = [*alike.values(), *unknown]
    if math.prod(math.factorial(len(group)) for group in free) > MOST:
        return None
    return [
        _order(weights, units, known, dict(zip(chain(*free), chain(*chosen), strict=True)))
        for chosen in product(*(permutations(group) for group in free))
    ]


def _order(
    weights: Weights, units: Mapping[str, list[str]], known: Order, swaps: Mapping[str, str]
) -> Order:
    """The order in which units, and weights within a layer, are swapped so."""
    to = {
        name: true
        for key, names in units.items()
        for name, true in zip(names, units[swaps[key]], strict=True)
    }
    return {name: to[swaps.get(name, known[name])] for name in weights}


def _within_layers(weights: Weights, theirs: Mapping[str, str]) -> tuple[Order, list[list[str]]]:
    """Which weight of its layer each is, by its last name; and those of which that is not known."""
    known: Order = {}
    unknown: list[list[str]] = []
    for layer, names in _grouped(weights, _layer).items():
        said = {our: _join(layer, _last(theirs[our])) for our in names}
        fits = all(o in names and weights[o].shape == weights[n].shape for n, o in said.items())
        if fits and len({*said.values()}) == len(names):
            known |= said
        else:
            known |= {name: name for name in names}
            unknown += _grouped(names, lambda name: weights[name].shape).values()
    return known, unknown


def _by_names(weights: Weights, theirs: Mapping[str, str]) -> Order:
    """The order in which names that are ours mean what ours do; the others follow each other."""
    known = {
        our: name
        for our, name in theirs.items()
        if name in weights and weights[name].shape == weights[our].shape
    }
    taken = {*known.values()}
    left = _grouped((n for n in weights if n not in taken), lambda name: weights[name].shape)
    rest = {shape: iter(names) for shape, names in left.items()}
    return {our: known.get(our) or next(rest[weights[our].shape]) for our in weights}


def _grouped(items: Iterable[str], key: Callable[[str], _Key]) -> dict[_Key, list[str]]:
    groups: dict[_Key, list[str]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _join(layer: str, last: str) -> str:
    return f"{layer}.{last}" if layer else last


def _kind(name: str) -> str:
    """The name of a layer with all its numbers alike: `blocks.0.query` as `blocks.#.query`."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "#", _layer(name))
