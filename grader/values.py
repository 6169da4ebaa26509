"""Plain values that cross the border of a sandbox.

A value is a Python scalar or container of exactly these types, or one of the classes below: a
tensor, a table, a formula, or a note that something cannot cross as data. `grader/codec.py` turns
values into bytes and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A torch tensor or numpy array; `bfloat16` is held as float32, which loses nothing."""

    array: npt.NDArray[Any]
    dtype: str
    origin: str = "numpy"  # "torch" or "numpy": the library it came from

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.array.shape

    def __eq__(self, other: object) -> bool:
        """Same dtype, shape and bits; where it came from does not matter."""
        return (
            isinstance(other, Tensor)
            and self.dtype == other.dtype
            and self.shape == other.shape
            and self.array.tobytes() == other.array.tobytes()
        )

    def __hash__(self) -> int:
        """Agree with `__eq__`."""
        return hash((self.dtype, self.shape, self.array.tobytes()))


@dataclass(frozen=True, slots=True)
class Table:
    """A DataFrame: column names, one list or Tensor a column, and the index."""

    columns: list[Any]
    data: list[Any]
    index: Any


@dataclass(frozen=True, slots=True)
class Formula:
    """A sympy expression, as the text sympy prints for it; never evaluated as code."""

    text: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something that cannot cross as data: a function, a class, an object of some type."""

    kind: str  # "function", "class", "module" or "object"
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An input that is made where it is used, of a class of this name: the student's, or ours.

    Args:
        of: Name of the class.
        args: Arguments by name, plain values.
    """

    of: str
    args: dict[str, Any]


Value: TypeAlias = Any
"""None, a Python scalar, str, bytes, list, tuple, set, dict, or a class of this module."""


def made_in(value: Value) -> Iterator[Made]:
    """Every object to be made that stands in a value."""
    match value:
        case Made():
            yield value
        case dict():
            for item in value.values():
                yield from made_in(item)
        case list() | tuple():
            for item in value:
                yield from made_in(item)


def describe(value: Value) -> str:
    """Name a value's kind in words that a student understands, such as `a (3, 3) bool tensor`."""
    match value:
        case None:
            return "None"
        case Tensor():
            noun = "tensor" if value.origin == "torch" else "array"
            return f"a {value.dtype} {noun} of shape {value.shape}"
        case Table():
            return f"a table of {len(value.data)} columns"
        case Formula():
            return "a sympy expression"
        case Made():
            return f"an object of the class {value.of}"
        case Opaque(kind="object"):
            return f"an object of type {value.name}" + (
                f" ({value.detail})" if value.detail else ""
            )
        case Opaque():
            return f"the {value.kind} {value.name}"
        case bool():
            return f"the truth value {value}"
        case str():
            return "text"
        case int() | float() | complex():
            return f"the number {value:.6g}" if isinstance(value, float) else f"the number {value}"
        case list() | tuple() | dict() | set():
            plural = "" if len(value) == 1 else "s"
            return f"a {type(value).__name__} of {len(value)} item{plural}"
    return f"a {type(value).__name__}"
