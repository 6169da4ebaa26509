"""A network of the reference, examined as `grader/guest/model.py` examines a student's.

What is stated there (the fixed scalar, the noise, which layers are told) this module must mirror:
the guest stands alone, and so does what knows the answers. It imports torch, as `tensors.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from grader.errors import ReferenceFault
from grader.tensors import Find, invoke, plain
from grader.tensors import live as made_live
from grader.values import Tensor, Value

_LOUD = 0.1
"""Size of the noise on weights."""
_PLAIN = (bool, int, float, str, type(None))


def draw_weights(
    kind: Any, build: Mapping[str, Value], seed: int, find: Find
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Initial values plus normal noise, by name: of parameters, and of batch norms' statistics."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = invoke(kind, build, find)
        parameters = {
            name: plain(parameter + _LOUD * torch.randn_like(parameter), name)
            for name, parameter in model.named_parameters()
        }
        # A variance must stay positive; a mean may as well.
        statistics = {
            name: plain(buffer + _LOUD * torch.randn_like(buffer).abs(), name)
            for name, buffer in model.named_buffers()
            if name.rpartition(".")[2] in ("running_mean", "running_var")
        }
    return parameters, statistics


def examine(kind: Any, request: Mapping[str, Value], find: Find) -> dict[str, Value]:
    """Build a model, set its weights, run it; see `Reference.model`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request["seed"])
        model = invoke(kind, request["build"], find)
        _set_weights(model, request, find)
        found = _describe(model) | {"modules": _layers(model) if request["layers"] else {}}
        torch.manual_seed(request["seed"])
        model.train(request["mode"] == "train")
        with torch.set_grad_enabled(bool(request["gradients"])):
            outputs = _run(model, request, "inputs", find)
        found["outputs"] = [plain(output, "forward") for output in outputs]
        with torch.no_grad():
            again = _run(model, request, "again", find)
        found["again"] = [plain(output, "forward") for output in again]
        asked = request["gradients"]
        found["gradients"] = _gradients(model, outputs, request["loss"]) if asked else None
        with torch.no_grad():
            training = _run(model.train(), request, "training", find)
        found["training"] = [plain(output, "forward") for output in training]
    return found


def _set_weights(model: torch.nn.Module, request: Mapping[str, Value], find: Find) -> None:
    with torch.no_grad():
        if request["weights"] is None:
            _shake(model, request["shake"], request["seed"])
            return
        theirs = dict(model.named_parameters(remove_duplicate=False))
        for name, weight in request["weights"].items():
            theirs[name].copy_(made_live(weight, find))
        buffers = dict(model.named_buffers())
        for name, statistic in request["statistics"].items():
            if name in buffers:  # a wrong model may lack the layer
                buffers[name].copy_(made_live(statistic, find))


def _shake(model: torch.nn.Module, size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters() if size else ():
        if parameter.is_floating_point():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def _describe(model: torch.nn.Module) -> dict[str, Value]:
    listed = {id(parameter): name for name, parameter in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    return {
        "parameters": {name: list(p.shape) for name, p in model.named_parameters()},
        "aliases": {name: listed[id(p)] for name, p in every if listed[id(p)] != name},
        "count": sum(parameter.numel() for parameter in model.parameters()),
    }


def _layers(model: torch.nn.Module) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for path, layer in model.named_modules(remove_duplicate=False):
        names = [one.__name__ for one in type(layer).__mro__]
        attributes: dict[str, Value] = {n: p is not None for n, p in layer._parameters.items()}
        for name, value in vars(layer).items():
            if not name.startswith("_") and _is_plain(value):
                attributes[name] = list(value) if isinstance(value, torch.Size) else value
        found[path] = {"classes": names[: names.index("Module")], "attributes": attributes}
    return found


def _is_plain(value: Any) -> bool:
    items = value if isinstance(value, tuple | list) else [value]
    return all(type(item) in _PLAIN for item in items)


def _run(model: Any, request: Mapping[str, Value], which: str, find: Find) -> list[Any]:
    method = request["method"]
    called = getattr(model, method) if method else model
    return [invoke(called, one, find) for one in request[which]]


def _gradients(
    model: torch.nn.Module, outputs: Sequence[Any], loss: int | None
) -> dict[str, Tensor]:
    """Gradients of the loss, or of the scalar that `grader/guest/model.py` states."""
    if loss is None:
        losses = [_weighted(tensor) for tensor in _floating(outputs)]
    else:
        losses = [output[loss].sum() for output in outputs if output[loss] is not None]
    if not losses:
        raise ReferenceFault("expected outputs with a floating-point tensor to differentiate")
    torch.stack([one.to(losses[0]) for one in losses]).sum().backward()  # type: ignore[no-untyped-call]
    return {
        name: plain(torch.zeros_like(p) if p.grad is None else p.grad, name)
        for name, p in model.named_parameters()
    }


def _weighted(output: torch.Tensor) -> torch.Tensor:
    pattern = torch.cos(torch.arange(output.numel(), dtype=torch.float64)).reshape(output.shape)
    return (output * pattern.to(output)).sum()


def _floating(item: Any) -> Iterator[torch.Tensor]:
    if isinstance(item, torch.Tensor):
        if item.is_floating_point():
            yield item
    elif isinstance(item, Mapping | list | tuple):
        for value in item.values() if isinstance(item, Mapping) else item:
            yield from _floating(value)
