"""The reference of an assignment: trusted code of the course, called to learn what is right.

It lives in `reference/<slug>/reference.py`, plain torch and Python. Students' code never meets it:
it is loaded here, outside every sandbox, and given the same inputs that the probes carry.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from grader.codec import encode
from grader.errors import ReferenceFault, ReferenceRaised
from grader.values import Tensor, Value

#: The parts of a request that say how something is called.
CALLED = ("args", "build", "method", "repeat")


Drawn: TypeAlias = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Parameters and statistics of a model, by name."""


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
        return self.answer(name, {"args": dict(args)})

    def answer(self, name: str, request: Mapping[str, Value]) -> Value:
        """What the reference gives for a request of the guest's `call` operation.

        Args:
            name: A function of the reference, or a class if there is `build`.
            request: `args`, and where the rubric has them `build`, `method` and `repeat`; see
                `grader/guest/probe.py`.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        asked = {part: request[part] for part in CALLED if part in request}
        key = hashlib.sha256(encode([name, asked])).hexdigest()
        if key not in self._results:
            from grader import tensors  # torch: only when a reference is asked

            with _ours(name):
                self._results[key] = tensors.answer(self._get(name), asked, name, self._get)
        return self._results[key]

    def holds(self, name: str, result: Value, args: Mapping[str, Value]) -> bool | str:
        """What a predicate of the reference says of a result: True, False, or what does not hold.

        Args:
            name: A function of the reference: (result, ...) -> bool or str.
            result: What is judged.
            args: The arguments that led to it; passed by keyword, those that the predicate takes.

        Raises:
            ReferenceRaised: the predicate raised.
            ReferenceFault: it is not there, or returned something else.
        """
        from grader import tensors  # torch: only when a reference is asked

        with _ours(name):
            return tensors.holds(self._get(name), result, args, self._get)

    def draw(self, name: str, seed: int, args: Sequence[Value]) -> Value:
        """An input that a function of the reference draws; it gets a seed, then `args`."""
        numbered = {str(number): value for number, value in enumerate((seed, *args))}
        return self.call(name, numbered)

    def agrees(self, name: str, args: Mapping[str, Value]) -> bool | str:
        """What a predicate of the reference says that takes all it needs by name.

        Args:
            name: A function of the reference: (...) -> bool or str.
            args: What it may take.

        Raises:
            ReferenceRaised: the predicate raised.
            ReferenceFault: it is not there, or returned something else.
        """
        from grader import tensors  # torch: only when a reference is asked

        with _ours(name):
            return tensors.agrees(self._get(name), args, self._get)

    def weights(self, name: str, build: Mapping[str, Value], seed: int) -> Drawn:
        """Random weights for a model, by parameter name, in the reference's shapes.

        They are its own initial values plus normal noise of 0.1, so that parameters which start as
        ones or zeros (biases, norms) cannot be confused; statistics of batch norms likewise.
        """
        from grader import networks  # torch: only when a reference is asked

        with _ours(name):
            return networks.draw_weights(self._get(name), build, seed, self._get)

    def model(self, name: str, request: Mapping[str, Value]) -> dict[str, Value]:
        """What the guest's `model` operation would find of a class of the reference.

        Args:
            name: A class of the reference, or a function that makes a model.
            request: As `grader/guest/model.py` states it; the weights must be named as here.

        Returns:
            `parameters`, `count`, `outputs`, `gradients` and so on, as the guest gives them.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        told = {part: given for part, given in request.items() if part not in ("op", "name")}
        key = hashlib.sha256(encode(["model", name, told])).hexdigest()
        if key not in self._results:
            from grader import networks  # torch: only when a reference is asked

            with _ours(name):
                self._results[key] = networks.examine(self._get(name), told, self._get)
        result: dict[str, Value] = self._results[key]
        return result

    def _get(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError as error:
            raise ReferenceFault(f"{self.path} defines no {name}") from error


class _ours:
    """Turns whatever the reference raises into our own fault; what it warns of is not shown."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.silence = warnings.catch_warnings()

    def __enter__(self) -> None:
        self.silence.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        self.silence.__exit__(kind, error, trace)
        if _is_out_of_memory(error):
            # A limit on memory must not look like a value that cannot be judged.
            raise MemoryError(f"the reference {self.name} needs more memory") from error
        if isinstance(error, Exception) and not isinstance(error, ReferenceFault):
            said = f"the reference {self.name} raised {type(error).__name__}: {error}"
            raise ReferenceRaised(said) from error


def _is_out_of_memory(error: BaseException | None) -> bool:
    torch_says = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return torch_says or isinstance(error, MemoryError)


def _load(path: Path) -> ModuleType:
    name = f"reference_{path.parent.name}"
    # A package, so that a long reference may have other files: `from .mistakes import strict_mask`.
    spec = importlib.util.spec_from_file_location(  # noqa: TID251 - the course's own reference
        name, path, submodule_search_locations=[str(path.parent)]
    )
    if spec is None or spec.loader is None or not path.is_file():
        raise ReferenceFault(f"expected the reference at {path}, found no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling inside the module look it up there
    with _ours(str(path)), _nothing_written():
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _nothing_written() -> Iterator[None]:
    """Have Python write no bytecode: on a full disk it leaves half of it, and later reads that."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
