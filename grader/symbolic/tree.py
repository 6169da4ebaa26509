"""What a formula is made of: numbers, declared names, two constants, and calls of known operations.

A tree is data: building one runs nothing of what a student wrote.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from grader.errors import InputError

#: Words a rubric may use to declare a symbol, and what each says of its value.
ASSUMPTIONS = ("real", "integer", "positive", "negative", "nonnegative", "nonzero", "even", "odd")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number; `digits` counts the significant digits of one written as a decimal."""

    value: Fraction
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    """A declared symbol, by the name it was declared under."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """`pi` or `e`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on formulas: `+ * neg inv ^`, or a function such as `log`, `floor`, `max`."""

    op: str
    args: tuple[Node, ...]


Node: TypeAlias = Number | Name | Constant | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula that was read."""

    text: str
    root: Node

    def __str__(self) -> str:
        """Write the tree out in full."""
        return show(self.root)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a formula was not read: a sentence for whoever wrote it, and where (from 0)."""

    reason: str
    position: int
    too_complex: bool = False


@dataclass(frozen=True, slots=True)
class Symbol:
    """A declared name and the assumptions about its value."""

    name: str
    words: tuple[str, ...]

    @property
    def integer(self) -> bool:
        """Only whole numbers are allowed."""
        return not {"integer", "even", "odd"}.isdisjoint(self.words)

    def allows(self, value: Fraction) -> bool:
        """Whether the symbol may have this value."""
        whole = value.denominator == 1
        rules = {
            "real": True,
            "integer": whole,
            "positive": value > 0,
            "negative": value < 0,
            "nonnegative": value >= 0,
            "nonzero": value != 0,
            "even": whole and value % 2 == 0,
            "odd": whole and value % 2 == 1,
        }
        return all(rules[word] for word in self.words)


Symbols: TypeAlias = Mapping[str, Symbol]


def key_of(name: str) -> str:
    """The spelling under which names are compared: `x_1`, `x_{1}` and `x1` are one name."""
    return re.sub(r"[_{}, ]", "", name)


def declare(mapping: Mapping[str, str | None]) -> dict[str, Symbol]:
    """Declare symbols as a rubric writes them, such as `{n: positive integer, p: real}`.

    Raises:
        InputError: A name or a word cannot be used; the message says which.
    """
    symbols: dict[str, Symbol] = {}
    keys: dict[str, str] = {}
    for name, text in mapping.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise InputError(f"symbols: expected a name such as n or x_1, found {name!r}")
        if (other := keys.setdefault(key_of(name), name)) != name:
            raise InputError(f"symbols: {name} and {other} are the same name")
        symbols[name] = Symbol(name, tuple(_words(name, text or "")))
        if not any(symbols[name].allows(Fraction(value)) for value in range(-2, 3)):
            raise InputError(f"symbols.{name}: no number is {text}")
    return symbols


def _words(name: str, text: str) -> Iterator[str]:
    for word in text.replace(",", " ").lower().split():
        if word not in ASSUMPTIONS:
            near = difflib.get_close_matches(word, ASSUMPTIONS, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise InputError(
                f"symbols.{name}: expected words out of {', '.join(ASSUMPTIONS)}, "
                f"found {word!r}{hint}"
            )
        yield word


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree."""
    yield node
    if isinstance(node, Call):
        for arg in node.args:
            yield from walk(arg)


def names_in(*nodes: Node) -> set[str]:
    """The symbols that occur in trees."""
    return {part.name for node in nodes for part in walk(node) if isinstance(part, Name)}


def show(node: Node) -> str:
    """Write a tree as text that the parser reads back."""
    match node:
        case Number(value):
            return str(value) if value.denominator == 1 else f"({value})"
        case Name(name) | Constant(name):
            return name
        case Call("+", args):
            return "(" + " + ".join(map(show, args)) + ")"
        case Call("*", args):
            return "(" + "*".join(map(show, args)) + ")"
        case Call("neg", (arg,)):
            return f"(-{show(arg)})"
        case Call("inv", (arg,)):
            return f"(1/{show(arg)})"
        case Call("^", (base, exponent)):
            return f"({show(base)}^{show(exponent)})"
        case Call(op, args):
            return f"{op}({', '.join(map(show, args))})"
