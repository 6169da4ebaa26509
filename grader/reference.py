"""The reference of an assignment: trusted code of the course, called to learn what is right.

It lives in `reference/<slug>/reference.py`, plain torch and Python. Students' code never meets it:
it is loaded here, outside every sandbox, and given the same inputs that the probes carry.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.codec import encode
from grader.errors import ReferenceFault
from grader.values import Tensor, Value


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
        from grader import tensors  # torch: only when a reference is asked

        found = self._get(name)
        return self.call(name, {}) if callable(found) else tensors.plain(found, name)

    def call(self, name: str, args: Mapping[str, Value]) -> Value:
        """What a function of the reference returns.

        Args:
            name: A function of the reference.
            args: By name; passed by keyword if the function has all the names, else by position.
                Students' functions are called by the same rule.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        key = hashlib.sha256(encode([name, dict(args)])).hexdigest()
        if key not in self._results:
            from grader import tensors  # torch: only when a reference is asked

            with _ours(name):
                self._results[key] = tensors.call(self._get(name), args, name)
        return self._results[key]

    def weights(self, name: str, build: Mapping[str, Value], seed: int) -> dict[str, Tensor]:
        """Random weights for a model, by parameter name, in the reference's shapes.

        They are its own initial values plus normal noise of 0.1, so that parameters which start as
        ones or zeros (biases, norms) cannot be confused.
        """
        from grader import tensors  # torch: only when a reference is asked

        with _ours(name):
            return tensors.draw_weights(self._get(name), build, seed)

    def model(
        self,
        name: str,
        build: Mapping[str, Value],
        weights: Mapping[str, Tensor],
        inputs: Sequence[Mapping[str, Value]],
        *,
        gradients: bool,
    ) -> dict[str, Value]:
        """What a model of the reference gives: `count`, `outputs` and `gradients`.

        The gradients are those of the guest's fixed scalar: the sum, over all inputs, of each
        output times the cosine of its elements' running numbers.

        Args:
            name: A class of the reference.
            build: Arguments of the class, passed as `call` passes them.
            weights: Value of every parameter, by name.
            inputs: Arguments of each forward pass, likewise.
            gradients: Whether to differentiate; without, `gradients` is None and outputs need hold
                no floating-point tensor.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        told = [name, dict(build), dict(weights), [dict(one) for one in inputs], gradients]
        key = hashlib.sha256(encode(["model", *told])).hexdigest()
        if key not in self._results:
            from grader import tensors  # torch: only when a reference is asked

            with _ours(name):
                self._results[key] = tensors.observe(
                    self._get(name), build, weights, inputs, gradients=gradients
                )
        result: dict[str, Value] = self._results[key]
        return result

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
    # A package, so that a long reference may have other files: `from .mistakes import strict_mask`.
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)]
    )
    if spec is None or spec.loader is None or not path.is_file():
        raise ReferenceFault(f"expected the reference at {path}, found no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling inside the module look it up there
    with _ours(str(path)):
        spec.loader.exec_module(module)
    return module
