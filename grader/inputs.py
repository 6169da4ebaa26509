"""Inputs that probes hand to students' functions and models, written in the rubric.

An input is a plain value, or text that calls something:

* one of the generators below, by position: `normal(2, 7, 16)`;
* a function of torch, by its name: `torch('relu')`;
* a function of the reference, which gets a seed first: `reference('sentences', 3)`;
* a class of the student's, by keyword alone: `GPTConfig(vocab_size=256)`. The object is made anew
  for each call, of the student's class in a sandbox, and of the reference's class outside.

Everything random is drawn from a seed made of the course's secret, the assignment, the round and
the place of the input: the same for all students, unknown to them.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.errors import UnknownGenerator
from grader.values import Made, Opaque, Tensor, Value

Generator = Callable[..., Any]
#: Calls a function of the reference: its name, a seed, and further arguments.
Draw = Callable[[str, int, Sequence[Any]], Value]


def _mask(rng: np.random.Generator, n: int) -> Any:
    """Half of all pairs, and always the diagonal: no row is empty, and no row says which it is."""
    return (rng.random((n, n)) < 0.5) | np.eye(n, dtype=bool)


def _orthonormal(rng: np.random.Generator, rows: int, dim: int) -> Any:
    """Rows of length one at right angles to each other."""
    if rows > dim:
        raise ValueError(f"there are no {rows} orthonormal rows in {dim} dimensions")
    return np.linalg.qr(rng.standard_normal((dim, rows)))[0].T.astype(np.float32)


def _text(rng: np.random.Generator, chars: int) -> str:
    """Lower-case words of one to eight letters, with a space between them."""
    letters = [chr(code) for code in rng.integers(ord("a"), ord("z") + 1, chars)]
    at = int(rng.integers(1, 9))
    while at < chars - 1:
        letters[at] = " "
        at += int(rng.integers(2, 10))
    return "".join(letters)


def _as_torch(array: Any) -> Any:
    """Floating numbers in the dtype that `torch.tensor` gives them."""
    return array.astype(np.float32) if array.dtype.kind == "f" else array


#: What a rubric may call; each draws an array or text. Sizes are positional, in a shape's order.
GENERATORS: dict[str, Generator] = {
    "normal": lambda rng, *shape: rng.standard_normal(shape).astype(np.float32),
    "uniform": lambda rng, *shape: rng.random(shape).astype(np.float32),
    "positive": lambda rng, *shape: (rng.random(shape) + 0.1).astype(np.float32),
    "integers": lambda rng, low, high, *shape: rng.integers(low, high, shape),
    "mask": _mask,
    "zeros": lambda rng, *shape: np.zeros(shape, np.float32),
    "ones": lambda rng, *shape: np.ones(shape, np.float32),
    "tensor": lambda rng, rows: _as_torch(np.asarray(rows)),
    "orthonormal": _orthonormal,
    "text": _text,
}


#: How a rubric passes a function, such as an activation, by its name in torch: `torch('relu')`.
FUNCTION = "torch"
#: Those that the guest knows, too (`grader/guest/wire.py`).
FUNCTIONS = ("relu", "sigmoid", "tanh", "sin", "exp")
#: How a rubric passes what a function of the reference draws: `reference('sentences', 3)`.
REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a rubric writes it; with `named` arguments it makes an object of a class."""

    name: str
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


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

    def case(self, written: Mapping[str, Any], place: str, draw: Draw) -> dict[str, Value]:
        """Make the arguments of one call from how the rubric writes them.

        Args:
            written: Name to plain value or to text that calls something.
            place: Where the case stands; the same place gives the same values.
            draw: Calls a function of the reference.

        Raises:
            UnknownGenerator: a text calls something that there is not.
            ReferenceFault: the reference failed to give an input.
        """
        return {
            name: self._value(value, f"{place}/{number}", draw)
            for number, (name, value) in enumerate(written.items())
        }

    def _value(self, written: Any, place: str, draw: Draw) -> Value:
        call = parse_call(written)
        if call is None:
            return written
        if call.named:
            return Made(call.name, dict(call.named))
        if call.name == FUNCTION:
            return Opaque("function", f"torch.{call.args[0]}")
        if call.name == REFERENCE:
            return draw(call.args[0], self.seed(place) % 2**31, call.args[1:])
        rng = np.random.default_rng(self.seed(place))
        try:
            drawn = GENERATORS[call.name](rng, *call.args)
        except (TypeError, ValueError) as error:
            raise UnknownGenerator(f"{written} cannot be drawn: {error}") from error
        if isinstance(drawn, str):
            return drawn
        array = np.asarray(drawn)
        return Tensor(array, str(array.dtype), "torch")


def parse_call(written: Any) -> Call | None:
    """Read `normal(2, 3)` or `GPTConfig(n_layer=4)`; None for what is no call.

    Raises:
        UnknownGenerator: it is written like a call, but of nothing that there is.
    """
    if not isinstance(written, str):
        return None
    try:
        node = ast.parse(written.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return None
        args = tuple(ast.literal_eval(arg) for arg in node.args)
        named = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords if word.arg}
    except (SyntaxError, ValueError):
        return None
    if len(named) < len(node.keywords) or (args and named):
        return None
    call = Call(node.func.id, args, named)
    problem = "" if named else _unknown(call, written)
    if problem:
        raise UnknownGenerator(problem)
    return call


def _unknown(call: Call, written: str) -> str:
    """What is wrong with a call by position; empty when nothing is."""
    if call.name == FUNCTION:
        known = call.args[:1] and call.args[0] in FUNCTIONS
        return "" if known else f"expected {FUNCTION}('...') of one of {', '.join(FUNCTIONS)}"
    if call.name == REFERENCE:
        named = call.args and isinstance(call.args[0], str)
        return "" if named else f"expected {REFERENCE}('name', ...), found {written!r}"
    if call.name in GENERATORS:
        return ""
    known_names = ", ".join([*GENERATORS, FUNCTION, REFERENCE])
    return f"expected a plain value or one of {known_names}, found {written!r}"
