"""Between plain values and torch: what a reference is given, and what it gives back.

This module imports torch, which takes more than a second; `grader/reference.py` imports it when a
reference is first called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from grader.errors import ReferenceFault
from grader.values import Formula, Table, Tensor, Value


def draw_weights(kind: Any, build: Mapping[str, Value], seed: int) -> dict[str, Tensor]:
    """Initial values of a model's parameters plus normal noise of 0.1, by name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(*(live(value) for value in build.values()))
        return {
            key: _tensor(parameter.detach() + 0.1 * torch.randn_like(parameter))
            for key, parameter in model.named_parameters()
        }


def call(function: Any, args: Mapping[str, Value], name: str) -> Value:
    """What a function returns for arguments given by position, with torch's seed at zero."""
    torch.manual_seed(0)
    return plain(function(*(live(value) for value in args.values())), name)


def observe(
    kind: Any,
    build: Mapping[str, Value],
    weights: Mapping[str, Tensor],
    inputs: Sequence[Mapping[str, Value]],
) -> dict[str, Value]:
    """Build a model, set its parameters, run it in eval mode; see `Reference.model`."""
    model = kind(*(live(value) for value in build.values()))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for key, weight in weights.items():
            parameters[key].copy_(live(weight))
    model.eval()
    outputs = [model(*(live(value) for value in one.values())) for one in inputs]
    loss = sum(fixed_scalar(output) for output in outputs)
    if isinstance(loss, torch.Tensor):
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = {
        key: _tensor(torch.zeros_like(p) if p.grad is None else p.grad)
        for key, p in parameters.items()
    }
    return {
        "count": sum(p.numel() for p in parameters.values()),
        "outputs": [plain(output, "forward") for output in outputs],
        "gradients": gradients,
    }


def fixed_scalar(output: Any) -> torch.Tensor:
    """The scalar whose gradients are compared: sum of output x cos(0, 1, 2, ...)."""
    if isinstance(output, tuple | list):
        return torch.stack([fixed_scalar(part) for part in output]).sum()
    weights = torch.cos(torch.arange(output.numel(), dtype=torch.float64))
    total: torch.Tensor = (output.double().reshape(-1) * weights).sum()
    return total


def live(value: Value) -> Any:
    """Turn a plain value into what Python code works with: torch tensors, numpy arrays."""
    match value:
        case Tensor(origin="torch"):
            array = torch.from_numpy(np.array(value.array))
            return array.to(torch.bfloat16) if value.dtype == "bfloat16" else array
        case Tensor():
            return np.array(value.array)
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
