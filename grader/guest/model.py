"""The `model` operation: build a class, load given weights, run it, differentiate.

Weights are placed by name if every given name is there with the same shape; else by the rubric's
`rename` (their name -> ours; a name also renames what stands below it); else by shape, only where
every shape occurs once. A way counts only if it places all given weights and leaves no parameter of
theirs without; buffers of theirs (masks, position codes) may keep what they hold.

The model runs in evaluation mode. Gradients are those of one fixed scalar, which the host can
compute for the reference alike:

    loss = sum over inputs, and over the floating-point tensors of each output in order, of
           (output * weight).sum(),  weight = cos(arange(output.numel(), dtype=float64))
                                               .reshape(output.shape).to(output.dtype)

A parameter that the loss does not depend on has a gradient of zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from .calling import describe, device_of, invoke, moved, seed_all

Named = dict[str, Any]
"""Tensors by name."""


class Mismatch(Exception):
    """There is no way to place the given weights."""


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
        names = {name: renamed(name, request["rename"]) for name, _ in module.named_parameters()}
        if request["weights"] is not None:
            found["unloaded"] = list(request["weights"])
            found["loaded"], names = load(module, request["weights"], request["rename"])
            found["unloaded"] = []
        stage = "forward"
        seed_all(request["seed"])
        module.eval()
        outputs = found["outputs"]
        with torch.set_grad_enabled(bool(request["gradients"])):
            for inputs in request["inputs"]:
                outputs.append(invoke(module, moved(inputs, device_of(module))))
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
        inputs = moved(copy.deepcopy(request["inputs"][0]), device_of(module))
        with torch.no_grad():
            invoke(module, inputs)
    return module


def load(module: torch.nn.Module, weights: Named, rename: Mapping[str, str]) -> tuple[str, Named]:
    """Copy weights into a model.

    Returns:
        How they were placed, and for each of their parameters our name of it.

    Raises:
        Mismatch: says which names found no place.
    """
    theirs = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers()),
    }
    ways = {
        "by name": {name: name for name in theirs},
        "by rename": {name: renamed(name, rename) for name in theirs},
        "by shape": by_shape(dict(module.named_parameters()), weights),
    }
    for way, mapping in ways.items():
        names = {their: our for their, our in mapping.items() if our in weights}
        if not problems(module, theirs, weights, names):
            with torch.no_grad():
                for their, our in names.items():
                    theirs[their].copy_(weights[our])
            return way, names
    raise Mismatch("; ".join(problems(module, theirs, weights, ways["by rename"])))


def problems(
    module: torch.nn.Module, theirs: Named, weights: Named, names: Mapping[str, str]
) -> list[str]:
    """Why weights cannot be placed so, in words; empty if they can.

    Args:
        module: The student's model.
        theirs: Its parameters and buffers.
        weights: Ours.
        names: Their name -> ours.
    """
    said = []
    placed = {our: their for their, our in names.items()}
    if missing := [our for our in weights if our not in placed]:
        said.append(f"no parameter for {_some(missing)}")
    for our, their in placed.items():
        if our in weights and theirs[their].shape != weights[our].shape:
            expected, seen = tuple(weights[our].shape), tuple(theirs[their].shape)
            said.append(f"{their} has shape {seen}, expected {expected}")
    given = {id(theirs[their]) for their, our in names.items() if our in weights}
    if extra := [name for name, p in module.named_parameters() if id(p) not in given]:
        said.append(f"no weights for {_some(extra)}")
    return said


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def renamed(name: str, rename: Mapping[str, str]) -> str:
    """Our name for theirs: renamed itself, or below the longest renamed name."""
    for prefix in sorted(rename, key=len, reverse=True):
        if name == prefix or name.startswith(prefix + "."):
            return rename[prefix] + name[len(prefix) :]
    return name


def by_shape(parameters: Named, weights: Named) -> dict[str, str]:
    """Pair names of equal shape, or nothing if any shape occurs twice."""
    theirs = {tuple(tensor.shape): name for name, tensor in parameters.items()}
    ours = {tuple(tensor.shape): name for name, tensor in weights.items()}
    if len(theirs) != len(parameters) or len(ours) != len(weights):
        return {}
    return {theirs[shape]: ours[shape] for shape in theirs if shape in ours}


def gradients(module: torch.nn.Module, outputs: list[Any], names: Mapping[str, str]) -> Named:
    """Gradients of the fixed scalar, by our names."""
    module.zero_grad()
    losses = [weighted(tensor) for tensor in floating(outputs)]
    if not losses:
        raise TypeError("expected outputs that hold a floating-point tensor, found none")
    torch.stack([loss.to(losses[0]) for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
    parameters = dict(module.named_parameters())
    return {
        names[name]: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
        for name, p in parameters.items()
        if name in names
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
