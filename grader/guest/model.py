"""The `model` operation: build a class, load given weights, run it, differentiate.

Weights are placed by name if every given name is there with the same shape; else by the rubric's
`rename` (their name -> ours; a name also renames what stands below it); else by shape, only where
every shape occurs once on either side and there are as many. What else theirs has keeps what it
holds: buffers (masks, position codes), and parameters, which are told as `extra`. One that counts
for something shows in the outputs.

The model runs in evaluation mode, with gradients whatever the notebook left switched off, and on
inputs of its own precision. Gradients are those of one fixed scalar, which the host can compute for
the reference alike:

    loss = sum over inputs, and over the floating-point tensors of each output in order, of
           (output * weight).sum(),  weight = cos(arange(output.numel(), dtype=float64))
                                               .reshape(output.shape).to(output.dtype)

A parameter that the loss does not depend on has a gradient of zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .calling import describe, invoke, seed_all, suited

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


def examine(target: Any, fresh: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Build, load, run forward and backward; what raises ends it and is said with its stage.

    Args:
        target: A class, a function that builds a model, or a model (which is copied).
        fresh: Makes the request: `build`, `weights`, `rename`, `inputs`, `gradients`, `seed`.
    """
    request = fresh()
    found: dict[str, Any] = {
        "parameters": {},
        "count": 0,
        "loaded": "",
        "unloaded": [],
        "extra": [],
        "outputs": [],
        "gradients": None,
        "error": None,
    }
    stage = "build"
    try:
        seed_all(request["seed"])
        module = build(target, request)
        found["parameters"] = {name: list(p.shape) for name, p in module.named_parameters()}
        found["count"] = sum(parameter.numel() for parameter in module.parameters())
        stage = "load"
        names = by_rename(found["parameters"], request["rename"])
        if request["weights"] is not None:
            placed = load(module, request["weights"], request["rename"])
            names = placed.names
            found |= {"loaded": placed.way, "extra": placed.extra, "unloaded": list(placed.unfit)}
            if placed.unfit:
                raise Mismatch("; ".join(list(placed.unfit.values())[:MAX_REASONS]))
        stage = "forward"
        seed_all(request["seed"])
        module.eval()
        outputs = found["outputs"]
        with torch.set_grad_enabled(bool(request["gradients"])):
            for inputs in request["inputs"]:
                outputs.append(invoke(module, suited(inputs, module)))
        if request["gradients"]:
            stage = "backward"
            found["gradients"] = gradients(module, outputs, names)
    except Mismatch as error:
        found["error"] = {"stage": stage, "ename": "", "evalue": str(error)}
    except Exception as error:  # noqa: BLE001  the student's code may raise anything
        said = describe(error)
        found["error"] = {"stage": stage, "ename": said["ename"], "evalue": said["evalue"]}
    return found


def build(target: Any, request: Mapping[str, Any]) -> torch.nn.Module:
    """Make the model, and let lazy layers find their shapes.

    Raises:
        TypeError: what came out is no model.
    """
    made = isinstance(target, torch.nn.Module)
    module = copy.deepcopy(target) if made else invoke(target, request["build"])
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(module).__name__}")
    lazy = torch.nn.parameter.UninitializedParameter
    if request["inputs"] and any(isinstance(p, lazy) for p in module.parameters()):
        inputs = suited(copy.deepcopy(request["inputs"][0]), module)
        with torch.no_grad():
            invoke(module, inputs)
    return module


def load(module: torch.nn.Module, weights: Named, rename: Mapping[str, str]) -> Placed:
    """Copy weights into a model if there is a way to place all of them."""
    theirs = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers()),
    }
    ways = {
        "by name": {name: name for name in theirs},
        "by rename": by_rename(theirs, rename),
        "by shape": by_shape(dict(module.named_parameters()), weights),
    }
    for way, found in ways.items():
        places = {our: their for our, their in found.items() if our in weights}
        if not unfit(theirs, weights, places):
            with torch.no_grad():
                for our, their in places.items():
                    theirs[their].copy_(weights[our])
            return Placed(way=way, names=places, extra=left_over(module, theirs, places))
    places = {our: their for our, their in ways["by rename"].items() if our in weights}
    return Placed(unfit=unfit(theirs, weights, places), extra=left_over(module, theirs, places))


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


def gradients(module: torch.nn.Module, outputs: list[Any], names: Mapping[str, str]) -> Named:
    """Gradients of the fixed scalar, for our names -> theirs, by our names."""
    module.zero_grad()
    losses = [weighted(tensor) for tensor in floating(outputs)]
    if not losses:
        raise TypeError("expected outputs that hold a floating-point tensor, found none")
    torch.stack([loss.to(losses[0]) for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    kept = {our: parameters[their] for our, their in names.items() if their in parameters}
    return {
        our: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
        for our, p in kept.items()
    }


def weighted(output: torch.Tensor) -> torch.Tensor:
    """One output's part of the fixed scalar."""
    pattern = torch.cos(torch.arange(output.numel(), dtype=torch.float64)).reshape(output.shape)
    return (output * pattern.to(output)).sum()


def floating(item: Any) -> Iterator[torch.Tensor]:
    """The floating-point tensors of a value, in order."""
    if isinstance(item, torch.Tensor):
        if item.is_floating_point():
            yield item
    elif isinstance(item, Mapping):
        for value in item.values():
            yield from floating(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from floating(value)
