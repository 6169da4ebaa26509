"""Blanks of the kind and form of a value, for what students may have of something hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.inputs import REFERENCE, parse_call
from grader.values import Tensor, Value


def blank(value: Value, number: int = 0) -> Value:
    """The same kind and shape, holding nothing.

    Args:
        value: What must not be told.
        number: What stands for every number, 0 or 1.
    """
    match value:
        case bool():
            return bool(number)
        case int() | float() | complex():
            return number
        case str():
            return ""
        case list() | tuple():
            return [blank(item, number) for item in value]
        case dict():
            return {key: blank(item, number) for key, item in value.items()}
        case Tensor():
            array = np.full_like(value.array, number)
            return Tensor(array, value.dtype, value.origin)
    return None


def is_literal(written: Any) -> bool:
    """Whether an input of a rubric may be the same whatever the seed: the hidden one itself."""
    call = parse_call(written)
    return call is None or (not call.named and call.name in ("tensor", REFERENCE))
