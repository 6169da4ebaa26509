"""Values as JSON that a person can read, for the self-check file that students get."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.errors import InputError
from grader.values import Formula, Tensor, Value


def to_json(value: Value) -> Any:
    """Write a value with plain JSON; tensors become nested lists with their dtype.

    Raises:
        TypeError: it holds what no public case should hold.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [to_json(item) for item in value]
        case dict():
            return {str(key): to_json(item) for key, item in value.items()}
        case Tensor():
            data = value.array.tolist()
            return {"tensor": data, "dtype": value.dtype, "shape": list(value.shape)}
        case Formula():
            return value.text
    raise TypeError(f"a {type(value).__name__} cannot be released to students")


def from_json(written: Any) -> Value:
    """Read what `to_json` wrote.

    Raises:
        InputError: it is something else.
    """
    match written:
        case {"tensor": data, "dtype": str(dtype), "shape": list(shape)}:
            try:
                held = "float32" if dtype == "bfloat16" else dtype
                return Tensor(np.asarray(data, dtype=held).reshape(shape), dtype, "torch")
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"a tensor of the self-check file is malformed: {error}"
                ) from error
        case list():
            return [from_json(item) for item in written]
        case dict():
            return {key: from_json(item) for key, item in written.items()}
    return written
