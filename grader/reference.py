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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from grader.codec import decode, encode
from grader.errors import ProtocolViolation, ReferenceFault, ReferenceRaised
from grader.known import NOTHING, Known, folder_digest
from grader.values import Tensor, Value

#: The parts of a request that say how something is called.
CALLED = ("args", "build", "method", "repeat")
#: How many verdicts and requests are kept, so that memory stays flat however many students.
MOST_SAID = 10_000


Drawn: TypeAlias = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Parameters and statistics of a model, by name."""


@dataclass(slots=True)
class Reference:
    """One assignment's reference module; results are kept by name and arguments.

    What other processes found is known, too, for as long as no file of its folder has changed: a
    reference must read nothing that lies elsewhere.

    Args:
        path: `reference/<slug>/reference.py`.
        known: What was found before.
    """

    path: Path
    known: Known = NOTHING
    _module: ModuleType | None = None
    _results: dict[bytes, Value] = field(default_factory=dict)
    _said: dict[bytes, Value] = field(default_factory=dict)
    _same: dict[tuple[str, str, int], tuple[object, Value]] = field(default_factory=dict)
    _folder: str = ""

    @property
    def module(self) -> ModuleType:
        """The loaded module.

        Raises:
            ReferenceFault: there is none, or importing it raised.
        """
        if self._module is None:
            self._module = _load(self.path)
            if self._folder and self._folder != folder_digest(self.path.parent):
                raise ReferenceFault(f"{self.path.parent} was changed meanwhile: once more")
        return self._module

    @property
    def names(self) -> list[str]:
        """Public names that the module defines."""
        found = self._once(
            ["names", self.path.name], lambda: [n for n in vars(self.module) if n[:1] != "_"]
        )
        return list(found)

    def value(self, name: str) -> Value:
        """What a constant of the reference holds, or a function of no arguments returns."""

        def find() -> Value:
            found = self._get(name)
            return self.call(name, {}) if callable(found) else _tensors().plain(found, name)

        return self._once(["value", name], find)

    def call(self, name: str, args: Mapping[str, Value]) -> Value:
        """What a function of the reference returns.

        Args:
            name: A function of the reference.
            args: By name; passed by keyword if the function has all the names, else by position.
                Students' functions are called by the same rule.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        return self.answer(name, {"args": dict(args)}, once=True)

    def answer(self, name: str, request: Mapping[str, Value], *, once: bool = False) -> Value:
        """What the reference gives for a request of the guest's `call` operation.

        Args:
            name: A function of the reference, or a class if there is `build`.
            request: `args`, and where the rubric has them `build`, `method` and `repeat`; see
                `grader/guest/probe.py`. Nobody may change it afterwards.
            once: Whether this very object never comes again.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        asked = {part: request[part] for part in CALLED if part in request}
        return self._once(
            ["answer", name, asked],
            lambda: _tensors().answer(self._get(name), asked, name, self._get),
            None if once else request,
        )

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
        return self._verdict(
            ["holds", name, result, dict(args)],
            lambda: _tensors().holds(self._get(name), result, args, self._get),
        )

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
        return self._verdict(
            ["agrees", name, dict(args)],
            lambda: _tensors().agrees(self._get(name), args, self._get),
        )

    def weights(self, name: str, build: Mapping[str, Value], seed: int) -> Drawn:
        """Random weights for a model, by parameter name, in the reference's shapes.

        They are its own initial values plus normal noise of 0.1, so that parameters which start as
        ones or zeros (biases, norms) cannot be confused; statistics of batch norms likewise.
        """
        weights, statistics = self._once(
            ["weights", name, dict(build), seed],
            lambda: _networks().draw_weights(self._get(name), build, seed, self._get),
        )
        return weights, statistics

    def model(self, name: str, request: Mapping[str, Value]) -> dict[str, Value]:
        """What the guest's `model` operation would find of a class of the reference.

        Args:
            name: A class of the reference, or a function that makes a model.
            request: As `grader/guest/model.py` states it; the weights must be named as here.
                Nobody may change it afterwards.

        Returns:
            `parameters`, `count`, `outputs`, `gradients` and so on, as the guest gives them.

        Raises:
            ReferenceFault: it is not there, raised, or returned what is no plain value.
        """
        told = {part: given for part, given in request.items() if part not in ("op", "name")}
        result: dict[str, Value] = self._once(
            ["model", name, told],
            lambda: _networks().examine(self._get(name), told, self._get),
            request,
        )
        return result

    def _once(
        self,
        question: list[Value],
        find: Callable[[], Value],
        request: Mapping[str, Value] | None = None,
    ) -> Value:
        """What was found for a question before, or for this very request; else it is found now.

        All students' answers are compared with those to the same requests, and to write one down,
        as it takes to know it, takes longer than to compare.
        """
        same = str(question[0]), str(question[1]), id(request)
        if request is not None and same in self._same:
            return self._same[same][1]
        asked = encode(question)
        short = hashlib.sha256(asked).digest()
        if short not in self._results:
            self._results[short] = self._found(asked, question, find)
        if request is not None and len(self._same) < MOST_SAID:
            self._same[same] = request, self._results[short]  # held, so no other has its id
        return self._results[short]

    def _verdict(self, question: list[Value], find: Callable[[], Value]) -> bool | str:
        """The same for what a predicate says of a student's result: only so many are kept."""
        asked = encode(question)
        short = hashlib.sha256(asked).digest()
        said: bool | str
        if short in self._said:
            said = self._said[short]
        else:
            said = self._found(asked, question, find)
            if len(self._said) < MOST_SAID:
                self._said[short] = said
        return said

    def _found(self, asked: bytes, question: list[Value], find: Callable[[], Value]) -> Value:
        """What another process found, or `find` finds; what raises is not kept."""
        key = b""
        if self.known.remembers:
            self._folder = self._folder or folder_digest(self.path.parent)
            key = self.known.key(b"reference", self._folder.encode(), asked)
            kept = self.known.get(key)
            if kept is not None:
                return decode(kept)
        with _ours(question[1]):
            value = find()
        written = _written(value) if self.known.remembers else None
        if written is not None:
            self.known.put(key, written)
        return value

    def _get(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError as error:
            raise ReferenceFault(f"{self.path} defines no {name}") from error


def _written(value: Value) -> bytes | None:
    """A value as bytes that read back as the same; None where they would not."""
    try:
        written = encode(value)
        return written if encode(decode(written)) == written else None
    except (ProtocolViolation, TypeError, ValueError):
        return None


def _tensors() -> Any:
    from grader import tensors  # torch: only when a reference is asked

    return tensors


def _networks() -> Any:
    from grader import networks  # torch: only when a reference is asked

    return networks


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
