"""What a name in a formula stands for: a declared symbol, a function, or several of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from grader.symbolic.tree import Call, Constant, Node, Number, key_of

#: Spelling -> function; spellings are compared in lower case.
FUNCTIONS = {
    **{name: name for name in ("sqrt", "exp", "log", "log2", "log10", "sigmoid")},
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{
        name: name
        for name in ("floor", "ceil", "abs", "min", "max", "factorial", "binomial", "mod")
    },
    **{"ln": "log", "lg": "log2", "ceiling": "ceil", "comb": "binomial", "binom": "binomial"},
}
_CONSTANTS = {"pi": "pi", "e": "e", "E": "e"}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a name: a `symbol`, `function`, `constant` or `number`, and its proper spelling."""

    kind: str
    text: str


def split_name(text: str, keys: Mapping[str, str]) -> list[Piece] | None:
    """Read a name as one thing, or else as a product such as `nt` or `nlogn`.

    Args:
        text: The name as written, Greek letters spelt out.
        keys: Declared names by `key_of`.

    Returns:
        The pieces, or `None` if there is no way to read it, or more than one.
    """
    key = key_of(text)
    if key in keys:
        return [Piece("symbol", keys[key])]
    if text in _CONSTANTS:
        return [Piece("constant", _CONSTANTS[text])]
    if key.lower() in FUNCTIONS:
        return [Piece("function", FUNCTIONS[key.lower()])]
    if len(key) > _LONGEST:
        return None
    return _fewest(key, _joints(text), keys)


def _joints(text: str) -> set[int]:
    """Places in the key where an underscore stood: `n_t` is one name, never n times t."""
    joints, length = set(), 0
    for char in text:
        if char == "_":
            joints.add(length)
        else:
            length += 1
    return joints


def _fewest(key: str, joints: set[int], keys: Mapping[str, str]) -> list[Piece] | None:
    """The reading with the fewest pieces, if it is the only one up to order."""
    readings: list[list[list[Piece]]] = [[[]], *([] for _ in key)]
    for end in range(1, len(key) + 1):
        found: dict[tuple[str, ...], list[Piece]] = {}
        for start in range(end):
            if (start and start in joints) or not readings[start]:
                continue
            for head in readings[start]:
                for piece in _pieces(key[start:end], head, keys):
                    new = [*head, piece]
                    found.setdefault(tuple(sorted(p.text for p in new)), new)
        shortest = min((len(new) for new in found.values()), default=0)
        readings[end] = [new for new in found.values() if len(new) == shortest][:20]
    return readings[-1][0] if len(readings[-1]) == 1 else None


def _pieces(part: str, before: list[Piece], keys: Mapping[str, str]) -> Iterator[Piece]:
    if part in keys:
        yield Piece("symbol", keys[part])
    elif part == "pi":
        yield Piece("constant", "pi")
    elif part in FUNCTIONS:
        yield Piece("function", FUNCTIONS[part])
    elif part.isdecimal() and before and before[-1].kind == "function":
        yield Piece("number", part)


def arity(name: str) -> tuple[int, int]:
    """Fewest and most arguments of a function."""
    return {"log": (1, 2), "max": (1, 20), "min": (1, 20), "binomial": (2, 2), "mod": (2, 2)}.get(
        name, (1, 1)
    )


def apply(name: str, args: Sequence[Node], index: Node | None = None) -> Node:
    """A function of its arguments, in the operations that a tree knows.

    Args:
        name: A value of `FUNCTIONS`.
        args: As many as `arity` allows.
        index: Which root `sqrt` takes, if not the square root.
    """
    match name:
        case "sqrt":
            half = Number(Fraction(1, 2))
            return Call("^", (args[0], Call("inv", (index,)) if index else half))
        case "exp":
            return Call("^", (Constant("e"), args[0]))
        case "sigmoid":
            power = Call("^", (Constant("e"), Call("neg", (args[0],))))
            return Call("inv", (Call("+", (Number(Fraction(1)), power)),))
        case "log2" | "log10":
            return _logarithm(args[0], Number(Fraction(int(name[3:]))))
        case "log" if len(args) == 2:
            return _logarithm(args[0], args[1])
    return Call(name, tuple(args))


def _logarithm(of: Node, base: Node) -> Node:
    return Call("*", (Call("log", (of,)), Call("inv", (Call("log", (base,)),))))
