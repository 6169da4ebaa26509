"""Values as JSON that a person can read, for the self-check file that students get."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.codec import ITEM_BYTES
from grader.errors import InputError
from grader.values import Formula, Made, Opaque, Tensor, Value, describe

#: What marks an object as more than a dict; a dict that has one of them is written as pairs.
WORDS = {"set", "pairs", "tensor", "formula", "made", "function"}


def to_json(value: Value) -> Any:
    """Write a value with plain JSON; what JSON lacks is an object with a word for its kind.

    Raises:
        InputError: it holds what no public case can hold, such as a function.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [to_json(item) for item in value]
        case set():
            return {"set": sorted(map(to_json, value), key=str)}
        case dict() if all(isinstance(key, str) and key not in WORDS for key in value):
            return {key: to_json(item) for key, item in value.items()}
        case dict():
            return {"pairs": [[to_json(key), to_json(item)] for key, item in value.items()]}
        case Tensor():
            data = value.array.tolist()
            return {"tensor": data, "dtype": value.dtype, "shape": list(value.shape)}
        case Formula():
            return {"formula": value.text}
        case Made():
            return {"made": value.of, "with": to_json(value.args)}
        case Opaque(kind="function", name=name) if name.startswith("torch."):
            return {"function": name}
    raise InputError(f"{describe(value)} cannot be given to students as a public result")


def from_json(written: Any) -> Value:
    """Read what `to_json` wrote.

    Raises:
        InputError: it is something else.
    """
    try:
        return _value(written)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"a public result of the self-check is malformed: {error}") from error


def _value(written: Any) -> Value:
    match written:
        case {"tensor": data, "dtype": str(dtype), "shape": list(shape)}:
            return _tensor(data, dtype, shape)
        case {"pairs": list(pairs)}:
            return {_key(key): _value(item) for key, item in pairs}
        case {"set": list(items)}:
            return {_key(item) for item in items}
        case {"formula": str(text)}:
            return Formula(text)
        case {"made": str(of), "with": dict(args)}:
            return Made(of, dict(_value(args)))
        case {"function": str(name)}:
            return Opaque("function", name)
        case list():
            return [_value(item) for item in written]
        case dict():
            return {key: _value(item) for key, item in written.items()}
    return written


def _tensor(data: Any, dtype: str, shape: list[Any]) -> Tensor:
    try:
        if dtype not in ITEM_BYTES:
            raise ValueError(f"{dtype[:20]!r} is no dtype that crosses")
        held = "float32" if dtype == "bfloat16" else dtype
        return Tensor(np.asarray(data, dtype=held).reshape(shape), dtype, "torch")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a tensor of the self-check is malformed: {error}") from error


def _key(written: Any) -> Any:
    """A dict's key or a set's member: a list stood for a tuple there."""
    value = _value(written)
    return tuple(value) if isinstance(value, list) else value
