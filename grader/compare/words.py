"""Words for values: their kind, their keys, how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from grader.values import Formula, Opaque, Table, Tensor, Value

_LONGEST = 60
_MOST_SHOWN = 5


def listed(values: Sequence[Value]) -> str:
    """The first few of some keys."""
    shown = [key(value) for value in values[:_MOST_SHOWN]]
    return ", ".join(shown + ["..."] * (len(values) > _MOST_SHOWN))


def noun(value: Value) -> str:
    """The kind of a value, without what it holds."""
    match value:
        case None:
            return "None"
        case bool():
            return "True or False"
        case int() | float() | complex():
            return "a number"
        case str():
            return "text"
        case Formula():
            return "a formula"
        case Table():
            return "a table"
        case Tensor():
            return f"a {'tensor' if value.origin == 'torch' else 'array'} of shape {value.shape}"
        case Opaque(kind="object"):
            return f"an object of type {value.name}"
        case Opaque():
            return f"the {value.kind} {value.name}"
    return f"a {type(value).__name__}"


def key(value: Value) -> str:
    """A key or short text as Python writes it, cut where it is long."""
    if type(value) is int and abs(value) >= 10**_LONGEST:
        return "a very large number"
    if isinstance(value, tuple):
        return f"({', '.join(map(key, value[:5]))})"
    if not isinstance(value, str | bytes | bool | int | float | None):
        return noun(value)
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def count(number: int, thing: str) -> str:
    """How many of a thing, in the plural where it is due."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
