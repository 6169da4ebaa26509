"""The `model` operation: build a class, load given weights, run it, differentiate.

Weights are placed as `placing.py` says. Without any the model keeps what it starts with, plus
normal noise of the size `shake`: what legitimately starts at zero would hide what it does.

The model runs in the asked mode, with gradients whatever the notebook left switched off, and on
inputs of its own precision: first the asked `inputs`; then, without gradients, those of `again`;
last, in training mode, those of `training`. Gradients are those of the output at place `loss`,
which is a scalar or None, summed over the inputs; or else of one fixed scalar, which the host can
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

from .calling import describe, invoke, kept, seed_all, suited
from .layers import aliases, layers
from .placing import Mismatch, Named, by_rename, load, load_statistics


class NoMethod(Exception):
    """The model lacks the method that is asked for."""


def examine(target: Any, fresh: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Build, load, run forward and backward; what raises ends it and is said with its stage.

    Args:
        target: A class, a function that builds a model, or a model (which is copied).
        fresh: Makes the request: `build`, `weights` or None, `statistics`, `rename` (maps),
            `shake`, `method` (empty for the forward pass), `mode`, `inputs`, `again`, `training`,
            `gradients`, `loss`, `layers` (whether to tell them), `seed`.
    """
    examination = Examination(target, fresh())
    try:
        examination.run()
    except Mismatch as error:
        said = {"ename": "", "evalue": str(error)}
    except Exception as error:  # noqa: BLE001  the student's code may raise anything
        described = describe(error)
        said = {name: described[name] for name in ("ename", "evalue", "code")}
    else:
        return examination.found
    return examination.found | {"error": {"stage": examination.stage, **said}}


class Examination:
    """What is found of one model, stage by stage."""

    def __init__(self, target: Any, request: dict[str, Any]) -> None:
        """Examine `target` as `request` asks."""
        self.target, self.request = target, request
        self.stage = "build"
        self.names: Mapping[str, str] = {}
        self.found: dict[str, Any] = {
            "parameters": {},
            "aliases": {},
            "count": 0,
            "modules": {},
            "loaded": "",
            "unloaded": [],
            "extra": [],
            "outputs": [],
            "again": [],
            "training": [],
            "gradients": None,
            "error": None,
        }

    def run(self) -> None:
        """Go through all stages."""
        request, found = self.request, self.found
        seed_all(request["seed"])
        module = build(self.target, request)
        self._describe(module)
        self.stage = "load"
        self._load(module)
        self.stage = "method"
        if not callable(getattr(module, request["method"] or "forward", None)):
            raise NoMethod(request["method"])
        self.stage = "forward"
        seed_all(request["seed"])
        module.train(request["mode"] == "train")
        with torch.set_grad_enabled(bool(request["gradients"])):
            for inputs in request["inputs"]:
                found["outputs"].append(self._called(module, inputs))
        self.stage = "again"
        self._without_gradients(module, "again")
        if request["gradients"]:
            self.stage = "backward"
            found["gradients"] = gradients(module, found["outputs"], self.names, request["loss"])
        if request["training"]:
            self.stage = "train"
            module.train()
            self._without_gradients(module, "training")

    def _describe(self, module: torch.nn.Module) -> None:
        shapes = {name: list(p.shape) for name, p in module.named_parameters()}
        self.found |= {"parameters": shapes, "aliases": aliases(module)}
        self.found["count"] = sum(parameter.numel() for parameter in module.parameters())
        if self.request["layers"]:
            self.found["modules"] = layers(module)

    def _load(self, module: torch.nn.Module) -> None:
        request = self.request
        renames = request["rename"]
        if request["weights"] is None:
            self.names = by_rename(self.found["parameters"], renames[0] if renames else {})
            shake(module, request["shake"], request["seed"])
            return
        placed = load(module, request["weights"], renames)
        self.names = placed.names
        told = {"loaded": placed.way, "extra": placed.extra, "unloaded": list(placed.unfit)}
        self.found |= told
        placed.check()
        load_statistics(module, request["statistics"], placed.names, renames)

    def _without_gradients(self, module: torch.nn.Module, which: str) -> None:
        with torch.no_grad():
            for inputs in self.request[which]:
                self.found[which].append(kept(self._called(module, inputs)))

    def _called(self, module: torch.nn.Module, inputs: dict[str, Any]) -> Any:
        return call(module, inputs, self.request["method"])


def call(module: torch.nn.Module, inputs: dict[str, Any], method: str) -> Any:
    """Call a model, or a method of it, on inputs of its own precision."""
    return invoke(getattr(module, method) if method else module, suited(inputs, module))


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
        with torch.no_grad():
            call(module, copy.deepcopy(request["inputs"][0]), request["method"])
    return module


def shake(module: torch.nn.Module, size: float, seed: int) -> None:
    """Add normal noise of a size to every floating-point parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters() if size else ():
            if parameter.is_floating_point():
                noise = size * torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter))


def gradients(
    module: torch.nn.Module, outputs: list[Any], names: Mapping[str, str], loss: int | None
) -> Named:
    """Gradients of the loss, for our names -> theirs, by our names."""
    module.zero_grad()
    if loss is None:
        losses = [weighted(tensor) for tensor in floating(outputs)]
    else:
        losses = [output[loss].sum() for output in outputs if output[loss] is not None]
    if not losses:
        raise TypeError("expected outputs that hold a floating-point tensor, found none")
    torch.stack([one.to(losses[0]) for one in losses]).sum().backward()  # type: ignore[no-untyped-call]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    placed = {our: parameters[their] for our, their in names.items() if their in parameters}
    return {
        our: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
        for our, p in placed.items()
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
