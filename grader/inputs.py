"""Inputs that probes hand to students' functions and models, written in the rubric.

An input is a plain value, or text that calls one of the generators below, such as
`normal(2, 7, 16)`. Everything random is drawn from a seed made of the course's secret, the
assignment, the round and the place of the input: the same for all students, unknown to them.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.errors import UnknownGenerator
from grader.values import Opaque, Tensor, Value

Generator = Callable[..., "np.typing.NDArray[Any]"]


def _mask(rng: np.random.Generator, n: int) -> Any:
    """Half of all pairs, and always the diagonal: no row is empty, and no row says which it is."""
    return (rng.random((n, n)) < 0.5) | np.eye(n, dtype=bool)


#: What a rubric may call; each draws an array. Sizes are positional, in the order of the shape.
GENERATORS: dict[str, Generator] = {
    "normal": lambda rng, *shape: rng.standard_normal(shape).astype(np.float32),
    "uniform": lambda rng, *shape: rng.random(shape).astype(np.float32),
    "positive": lambda rng, *shape: (rng.random(shape) + 0.1).astype(np.float32),
    "integers": lambda rng, low, high, *shape: rng.integers(low, high, shape),
    "mask": _mask,
    "zeros": lambda rng, *shape: np.zeros(shape, np.float32),
    "ones": lambda rng, *shape: np.ones(shape, np.float32),
    "tensor": lambda rng, rows: np.asarray(rows),
}


#: How a rubric passes a function, such as an activation, by its name in torch: `torch('relu')`.
FUNCTION = "torch"
#: Those that the guest knows, too (`grader/guest/wire.py`).
FUNCTIONS = ("relu", "sigmoid", "tanh", "sin", "exp")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Makes the inputs of one round of one assignment.

    Args:
        secret: The course's secret; students never see it.
        assignment: Slug of the assignment.
        round: The rubric's round; another one draws other inputs.
    """

    secret: bytes
    assignment: str
    round: int

    def seed(self, place: str) -> int:
        """A 63-bit seed for a place, such as `3/1/weights`."""
        told = f"{self.assignment}\0{self.round}\0{place}".encode()
        digest = hmac.new(self.secret, told, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def case(self, written: Mapping[str, Any], place: str) -> dict[str, Value]:
        """Make the arguments of one call from how the rubric writes them.

        Args:
            written: Name to plain value or generator text.
            place: Where the case stands; the same place gives the same values.

        Raises:
            UnknownGenerator: a text calls something that is no generator.
        """
        return {
            name: self._value(value, f"{place}/{number}")
            for number, (name, value) in enumerate(written.items())
        }

    def _value(self, written: Any, place: str) -> Value:
        call = parse_call(written)
        if call is None:
            return written
        name, args = call
        if name == FUNCTION:
            return Opaque("function", f"torch.{args[0]}")
        rng = np.random.default_rng(self.seed(place))
        try:
            array = np.asarray(GENERATORS[name](rng, *args))
        except (TypeError, ValueError) as error:
            raise UnknownGenerator(f"{written} cannot be drawn: {error}") from error
        return Tensor(array, str(array.dtype), "torch")


def parse_call(written: Any) -> tuple[str, list[Any]] | None:
    """Read `normal(2, 3)` as its name and arguments; None for what is no call.

    Raises:
        UnknownGenerator: it is written like a call, but nothing has this name.
    """
    if not isinstance(written, str):
        return None
    try:
        node = ast.parse(written.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
            return None
        args = [ast.literal_eval(arg) for arg in node.args]
    except (SyntaxError, ValueError):
        return None
    if node.func.id == FUNCTION:
        if args and args[0] in FUNCTIONS:
            return FUNCTION, args[:1]
        raise UnknownGenerator(f"expected {FUNCTION}('...') of one of {', '.join(FUNCTIONS)}")
    if node.func.id not in GENERATORS:
        known = ", ".join([*GENERATORS, FUNCTION])
        raise UnknownGenerator(f"expected a plain value or one of {known}, found {written!r}")
    return node.func.id, args
