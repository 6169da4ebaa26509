"""Placing given weights in a student's model, whose parameters may have other names.

Weights are placed by name if every given name is there with the same shape; else by one of the
rubric's `rename` maps (their name -> ours; a name also renames what stands below it); else by
shape, only where every shape occurs once on either side and there are as many; else by order, only
where the shapes are the same from first to last. What else theirs has keeps what it holds: buffers
(masks, position codes), and parameters, which are told as `extra`. One that counts for something
shows in the outputs.

Statistics (of a batch norm) go beside the weights of the same layer, where theirs has some.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

MAX_REASONS = 16
Named = dict[str, Any]
"""Tensors by name."""


class Mismatch(Exception):
    """There is no way to place the given weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where given weights went.

    `way` is empty if they found no place; then `unfit` says for which of our names, and why.
    `names` are ours -> theirs; `extra` are their parameters that are none of ours.
    """

    way: str = ""
    names: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    extra: list[str]

    def check(self) -> None:
        """Look whether everything was placed.

        Raises:
            Mismatch: it was not, with the reasons.
        """
        if self.unfit:
            raise Mismatch("; ".join(list(self.unfit.values())[:MAX_REASONS]))


def load(module: torch.nn.Module, weights: Named, renames: Sequence[Mapping[str, str]]) -> Placed:
    """Copy weights into a model if there is a way to place all of them."""
    theirs = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers()),
    }
    nearest: dict[str, str] = {}
    worst = len(weights) + 1
    for way, found in _ways(module, theirs, weights, renames):
        places = {our: their for our, their in found.items() if our in weights}
        wrong = unfit(theirs, weights, places)
        if not wrong:
            _copy(theirs, weights, places)
            return Placed(way=way, names=places, extra=left_over(module, theirs, places))
        if way in ("by name", "by rename") and len(wrong) < worst:
            nearest, worst = places, len(wrong)
    reasons = unfit(theirs, weights, nearest)
    return Placed(unfit=reasons, extra=left_over(module, theirs, nearest))


def _ways(
    module: torch.nn.Module,
    theirs: Named,
    weights: Named,
    renames: Sequence[Mapping[str, str]],
) -> Iterator[tuple[str, dict[str, str]]]:
    """Ways to place weights, the surest first: our names -> theirs."""
    parameters = dict(module.named_parameters())
    yield "by name", {name: name for name in theirs}
    for rename in renames:
        yield "by rename", by_rename(theirs, rename)
    yield "by shape", by_shape(parameters, weights)
    yield "by order", by_order(parameters, weights)


def load_statistics(
    module: torch.nn.Module,
    statistics: Named,
    names: Mapping[str, str],
    renames: Sequence[Mapping[str, str]],
) -> None:
    """Copy running means and variances to where theirs keeps them; what it has not, it has not.

    Args:
        module: Their model.
        statistics: Ours, by name.
        names: Our parameters -> theirs, as they were placed.
        renames: Maps of their names to ours.
    """
    theirs = dict(module.named_buffers())
    layers = {our.rpartition(".")[0]: their.rpartition(".")[0] for our, their in names.items()}
    found: dict[str, str] = {name: name for name in theirs}
    for rename in renames:
        found |= by_rename(theirs, rename)
    places = {}
    for our in statistics:
        layer, _, last = our.rpartition(".")
        beside = ".".join(filter(None, (layers[layer], last))) if layer in layers else ""
        their = beside if beside in theirs else found.get(our, "")
        if their in theirs and theirs[their].shape == statistics[our].shape:
            places[our] = their
    _copy(theirs, statistics, places)


def _copy(theirs: Named, ours: Named, places: Mapping[str, str]) -> None:
    with torch.no_grad():
        for our, their in places.items():
            theirs[their].copy_(ours[our])


def unfit(theirs: Named, weights: Named, places: Mapping[str, str]) -> dict[str, str]:
    """Which of our names cannot be placed so, and why, in words.

    Args:
        theirs: Parameters and buffers of the student's model.
        weights: Ours.
        places: Our names -> theirs.
    """
    said = {}
    for our, weight in weights.items():
        their = places.get(our)
        if their is None:
            said[our] = f"no parameter for {our}"
        elif theirs[their].shape != weight.shape:
            expected, seen = tuple(weight.shape), tuple(theirs[their].shape)
            said[our] = f"{their} has shape {seen}, expected {expected}"
    return said


def left_over(module: torch.nn.Module, theirs: Named, places: Mapping[str, str]) -> list[str]:
    """Their parameters that are none of ours under any of their names."""
    ours = {id(theirs[their]) for their in places.values()}
    return [name for name, parameter in module.named_parameters() if id(parameter) not in ours]


def by_rename(theirs: Iterable[str], rename: Mapping[str, str]) -> dict[str, str]:
    """Our names -> theirs; one that is renamed to ours goes before one that has it by itself."""
    pairs = [(renamed(name, rename), name) for name in theirs]
    return dict(sorted(pairs, key=lambda pair: pair[0] != pair[1]))


def renamed(name: str, rename: Mapping[str, str]) -> str:
    """Our name for theirs: renamed itself, or below the longest renamed name."""
    for prefix in sorted(rename, key=len, reverse=True):
        if name == prefix or name.startswith(prefix + "."):
            return rename[prefix] + name[len(prefix) :]
    return name


def by_shape(parameters: Named, weights: Named) -> dict[str, str]:
    """Our names -> theirs of equal shape; none if a shape occurs twice, or the counts differ."""
    theirs = {tuple(tensor.shape): name for name, tensor in parameters.items()}
    ours = {tuple(tensor.shape): name for name, tensor in weights.items()}
    if not len(theirs) == len(parameters) == len(ours) == len(weights):
        return {}
    return {ours[shape]: theirs[shape] for shape in ours if shape in theirs}


def by_order(parameters: Named, weights: Named) -> dict[str, str]:
    """Our names -> theirs in order; none unless all shapes agree in that order."""
    theirs, ours = ([tuple(t.shape) for t in found.values()] for found in (parameters, weights))
    return dict(zip(weights, parameters, strict=True)) if theirs == ours else {}
