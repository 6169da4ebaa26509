"""The reference of an assignment: trusted code of the course, called to learn what is right.

It lives in `reference/<slug>/reference.py`, plain torch and Python. Students' code never meets it:
it is loaded here, outside every sandbox, and given the same inputs that the probes carry.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

from grader.codec import encode
from grader.errors import ReferenceFault
from grader.values import Formula, Table, Tensor, Value


@dataclass(slots=True)
class Reference:
    """One assignment's reference module; results are kept by name and arguments.

    Args:
        path: `reference/<slug>/reference.py`.
    """

    path: Path
    _module: ModuleType | None = None
    _results: dict[str, Value] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        """The loaded module.

        Raises:
            ReferenceFault: there is none, or importing it raised.
        """
        if self._module is None:
            self._module = _load(self.path)
        return self._module

    @property
    def names(self) -> list[str]:
        """Public names that the module defines."""
        return [name for name in vars(self.module) if not name.startswith("_")]

    def value(self, name: str) -> Value:
        """What a constant of the reference holds, or a function of no arguments returns."""
        found = self._get(name)
        return self.call(name, {}) if callable(found) else plain(found, name)

    def call(self, name: str, args: Mapping[str, Value]) -> Value:
        """What a function of the reference returns for arguments given by position.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        key = hashlib.sha256(encode([name, dict(args)])).hexdigest()
        if key not in self._results:
            torch.manual_seed(0)
            with _ours(name):
                returned = self._get(name)(*(live(value) for value in args.values()))
            self._results[key] = plain(returned, name)
        return self._results[key]

    def weights(self, name: str, build: Mapping[str, Value], seed: int) -> dict[str, Tensor]:
        """Random weights for a model, by parameter name, in the reference's shapes.

        They are its own initial values plus normal noise of 0.1, so that parameters which start as
        ones or zeros (biases, norms) cannot be confused.
        """
        with _ours(name), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._get(name)(*(live(value) for value in build.values()))
            return {
                key: _tensor(parameter.detach() + 0.1 * torch.randn_like(parameter))
                for key, parameter in model.named_parameters()
            }

    def model(
        self,
        name: str,
        build: Mapping[str, Value],
        weights: Mapping[str, Tensor],
        inputs: Sequence[Mapping[str, Value]],
    ) -> dict[str, Value]:
        """What a model of the reference gives: `count`, `outputs` and `gradients`.

        The gradients are those of the guest's fixed scalar: the sum, over all inputs, of each
        output times the cosine of its elements' running numbers.

        Args:
            name: A class of the reference.
            build: Arguments of the class, by position.
            weights: Value of every parameter, by name.
            inputs: Arguments of each forward pass, by position.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        told = [name, dict(build), dict(weights), [dict(one) for one in inputs]]
        key = hashlib.sha256(encode(["model", *told])).hexdigest()
        if key not in self._results:
            with _ours(name):
                self._results[key] = _observe(self._get(name), build, weights, inputs)
        result: dict[str, Value] = self._results[key]
        return result

    def source(self, name: str) -> str:
        """The source text of a function or class, for the digest of what scoring depends on."""
        return inspect.getsource(self._get(name))

    def _get(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError as error:
            raise ReferenceFault(f"{self.path} defines no {name}") from error


class _ours:
    """Turns whatever the reference raises into our own fault."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, ReferenceFault):
            said = f"the reference {self.name} raised {type(error).__name__}: {error}"
            raise ReferenceFault(said) from error


def _load(path: Path) -> ModuleType:
    name = f"reference_{path.parent.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ReferenceFault(f"expected the reference at {path}, found no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling inside the module look it up there
    with _ours(str(path)):
        spec.loader.exec_module(module)
    return module


def _observe(
    kind: Any,
    build: Mapping[str, Value],
    weights: Mapping[str, Tensor],
    inputs: Sequence[Mapping[str, Value]],
) -> dict[str, Value]:
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
