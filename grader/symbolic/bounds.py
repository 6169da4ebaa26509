"""Limits that a formula must keep before anybody computes with it.

They keep `9**9**9**9`, `factorial(10**8)` and their kin out; what they let through can still be
slow, which is why the worker can be killed.
"""

from __future__ import annotations

import math

from grader.symbolic.tree import Call, Constant, Name, Node, Number

MAX_LENGTH = 2000
MAX_NODES = 500
MAX_DEPTH = 50
#: Operations inside each other; a pair of parentheses can hold a few.
MAX_TREE_DEPTH = 200
MAX_DIGITS = 30
MAX_DECIMAL_EXPONENT = 100
#: A constant exponent, or the argument of a constant factorial, is at most 2 to this power.
EXPONENT_BITS = 10
#: A constant has at most this many bits.
VALUE_BITS = 20_000


class TooLarge(Exception):
    """A constant part of a formula is too large to compute; the message says which."""


def check_shape(root: Node) -> None:
    """Count the nodes of a tree and how deep they lie.

    Raises:
        TooLarge: There are too many.
    """
    count, rows = 0, [root]
    for _ in range(MAX_TREE_DEPTH):
        count += len(rows)
        if count > MAX_NODES:
            raise TooLarge(f"it has more than {MAX_NODES} parts")
        rows = [arg for node in rows if isinstance(node, Call) for arg in node.args]
    if rows:
        raise TooLarge("it is nested too deep")


def check_size(node: Node) -> float | None:
    """Bound the constants in a tree.

    Returns:
        An upper bound for the bits of a constant's numerator and denominator, `None` where the
        tree holds a symbol.

    Raises:
        TooLarge: A constant, an exponent or the argument of a factorial is out of bounds.
    """
    match node:
        case Name():
            return None
        case Constant():
            return 2.0
        case Number(value):
            return float(max(value.numerator.bit_length(), value.denominator.bit_length()))
        case Call(op, args):
            bits = _bits(op, [check_size(arg) for arg in args])
    if bits is not None and bits > VALUE_BITS:
        raise TooLarge("a number in it is too large")
    return bits


def _bits(op: str, args: list[float | None]) -> float | None:
    last = args[-1]
    if op == "^" and last is not None and last > EXPONENT_BITS:
        raise TooLarge("an exponent in it is too large")
    known = [bits for bits in args if bits is not None]
    if len(known) < len(args):
        return None
    if op == "^":
        return known[0] * math.pow(2, known[1])
    if op in ("factorial", "binomial"):
        if max(known) > EXPONENT_BITS:
            raise TooLarge(f"the {op} of a number so large is too large")
        return math.pow(2, max(known)) * max(known)
    if op in ("sinh", "cosh"):
        return math.pow(2, min(known[0], 2 * math.log2(VALUE_BITS)))
    return sum(known) if op in ("+", "*") else max(known)
