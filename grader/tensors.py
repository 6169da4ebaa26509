"""Between plain values and torch: what a reference is given, and what it gives back.

This module imports torch, which takes more than a second; `grader/reference.py` imports it when a
reference is first called.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from grader.errors import ReferenceFault
from grader.values import Formula, Opaque, Table, Tensor, Value


def draw_weights(kind: Any, build: Mapping[str, Value], seed: int) -> dict[str, Tensor]:
    """Initial values of a model's parameters plus normal noise of 0.1, by name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _invoke(kind, build)
        return {
            key: _tensor(parameter.detach() + 0.1 * torch.randn_like(parameter))
            for key, parameter in model.named_parameters()
        }


def call(function: Any, args: Mapping[str, Value], name: str) -> Value:
    """What a function returns for arguments by name, with torch's seed at zero."""
    torch.manual_seed(0)
    return plain(_invoke(function, args), name)


def observe(
    kind: Any,
    build: Mapping[str, Value],
    weights: Mapping[str, Tensor],
    inputs: Sequence[Mapping[str, Value]],
    *,
    gradients: bool,
) -> dict[str, Value]:
    """Build a model, set its parameters, run it in eval mode; see `Reference.model`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _invoke(kind, build)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for key, weight in weights.items():
            parameters[key].copy_(live(weight))
    model.eval()
    with torch.set_grad_enabled(gradients):
        outputs = [_invoke(model, one) for one in inputs]
    return {
        "count": sum(p.numel() for p in parameters.values()),
        "outputs": [plain(output, "forward") for output in outputs],
        "gradients": _gradients(parameters, outputs) if gradients else None,
    }


def _gradients(parameters: Mapping[str, Any], outputs: list[Any]) -> dict[str, Tensor]:
    """Gradients of the scalar that `grader/guest/model.py` states, which this must mirror."""
    losses = [_weighted(tensor) for tensor in _floating(outputs)]
    if not losses:
        raise ReferenceFault("expected outputs with a floating-point tensor to differentiate")
    torch.stack([loss.to(losses[0]) for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
    return {
        key: _tensor(torch.zeros_like(p) if p.grad is None else p.grad)
        for key, p in parameters.items()
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


def _invoke(target: Any, arguments: Mapping[str, Value]) -> Any:
    """Call by keyword if the callable has all these names, else by position, as the guest does."""
    given = {name: live(value) for name, value in arguments.items()}
    asked = target.forward if isinstance(target, torch.nn.Module) else target
    try:
        parameters = inspect.signature(asked).parameters
    except (TypeError, ValueError):  # some of what is written in C has no signature
        return target(*given.values())
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if all(name in parameters and parameters[name].kind in by_keyword for name in given):
        return target(**given)
    return target(*given.values())


def live(value: Value) -> Any:
    """Turn a plain value into what Python code works with: torch tensors, numpy arrays."""
    match value:
        case Tensor(origin="torch"):
            array = torch.from_numpy(np.array(value.array))
            return array.to(torch.bfloat16) if value.dtype == "bfloat16" else array
        case Tensor():
            return np.array(value.array)
        case Opaque(kind="function", name=name) if name.startswith("torch."):
            return getattr(torch, name.removeprefix("torch."))
        case list() | tuple() | set():
            return type(value)(live(item) for item in value)
        case dict():
            return {key: live(item) for key, item in value.items()}
    return value


def plain(found: Any, name: str) -> Value:
    """Turn what the reference returned into a plain value.

    Raises:
        ReferenceFault: it is of a type that does not cross the border of a sandbox.
    """
    match found:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return found
        case torch.Tensor():
            return _tensor(found)
        case np.ndarray() | np.generic():
            return Tensor(np.asarray(found), str(found.dtype), "numpy")
        case list() | tuple() | set():
            kind = list if isinstance(found, list) else set if isinstance(found, set) else tuple
            return kind(plain(item, name) for item in found)
        case dict():
            return {key: plain(item, name) for key, item in found.items()}
        case pd.DataFrame():
            columns = [plain(found[column].to_list(), name) for column in found.columns]
            return Table(list(found.columns), columns, plain(found.index.to_list(), name))
    if type(found).__module__.startswith("sympy."):
        return Formula(str(found))
    raise ReferenceFault(f"the reference {name} gave a {type(found).__name__}, no plain value")


def _tensor(tensor: torch.Tensor) -> Tensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach().cpu()
    array = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
    return Tensor(array, dtype, "torch")
