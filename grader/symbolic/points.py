"""Points at which two formulas are compared: small readable ones first, then random ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from grader.errors import InputError
from grader.symbolic.evaluate import Evaluator, UndefinedHere
from grader.symbolic.parse import parse
from grader.symbolic.tree import Node, Symbol, Symbols, Unreadable, names_in

Point: TypeAlias = dict[str, Fraction]
_RELATIONS = ("divides", "<=", ">=", "!=", "<", ">")
_SMALL = (1, 2, 3, 0, -1, 4, -2, 5, -3, 6)
#: Agreement at fewer points says nothing.
FEWEST = 12
_MOST_SMALL = 12
_RANDOM_TRIES = 600
_SPREAD = (12, 40, 200)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a question presumes of its symbols, such as `n > t` or `w divides n`."""

    relation: str
    left: Node
    right: Node

    def holds(self, point: Point, evaluator: Evaluator) -> bool:
        """Whether it is so at a point."""
        try:
            left, right = evaluator.value(self.left, point), evaluator.value(self.right, point)
            match self.relation:
                case "divides":
                    return bool(left != 0 and (right / left) % 1 == 0)
                case "!=":
                    return not evaluator.same(left, right)
                case "<" | "<=":
                    return bool(left < right or (self.relation == "<=" and left == right))
            return bool(left > right or (self.relation == ">=" and left == right))
        except UndefinedHere:
            return False


def read_condition(text: str, symbols: Symbols) -> Condition:
    """Read what a rubric presumes.

    Raises:
        InputError: It is not `left <relation> right` with formulas on both sides.
    """
    relation = next((word for word in _RELATIONS if word in text), None)
    if relation is None:
        wanted = ", ".join(_RELATIONS)
        raise InputError(f"expected a condition such as n > t, with {wanted}; found {text!r}")
    sides = [parse(side, symbols) for side in text.split(relation, 1)]
    for side in sides:
        if isinstance(side, Unreadable):
            raise InputError(f"the condition {text!r} cannot be read: {side.reason}")
    left, right = (side.root for side in sides if not isinstance(side, Unreadable))
    return Condition(relation, left, right)


def check_conditions(where: Sequence[str], formula: str, symbols: Symbols) -> None:
    """Make sure that enough points fulfil what a question presumes.

    Args:
        where: The conditions, all of which must hold.
        formula: What is compared at the points.
        symbols: The names that all may use.

    Raises:
        InputError: A condition cannot be read, or fewer than `FEWEST` points fulfil them.
    """
    conditions = [read_condition(text, symbols) for text in where]
    read = parse(formula, symbols, growth=True)
    used = names_in(*(side for c in conditions for side in (c.left, c.right)))
    used |= set() if isinstance(read, Unreadable) else names_in(read.root)
    drawn = points({name: s for name, s in symbols.items() if name in used}, conditions)
    count = len(list(itertools.islice(drawn, FEWEST)))
    if used and count < FEWEST:
        raise InputError(
            f"expected conditions that at least {FEWEST} points fulfil, found {count} "
            f"for {', '.join(where)}"
        )


def points(symbols: Symbols, conditions: Sequence[Condition], seed: int = 0) -> Iterator[Point]:
    """Points that the assumptions and conditions allow; no more than some hundreds."""
    if not symbols:
        yield {}
        return
    evaluator = Evaluator()
    candidates = itertools.chain(
        itertools.islice(_allowed(_small(symbols), symbols, conditions, evaluator), _MOST_SMALL),
        _allowed(_random(symbols, random.Random(seed)), symbols, conditions, evaluator),  # noqa: S311
    )
    tried: set[tuple[Fraction, ...]] = set()
    for point in candidates:
        place = tuple(point.values())
        if place not in tried:
            tried.add(place)
            yield point


def _allowed(
    candidates: Iterator[Point],
    symbols: Symbols,
    conditions: Sequence[Condition],
    evaluator: Evaluator,
) -> Iterator[Point]:
    for point in candidates:
        if all(symbols[name].allows(value) for name, value in point.items()) and all(
            condition.holds(point, evaluator) for condition in conditions
        ):
            yield point


def _small(symbols: Symbols) -> Iterator[Point]:
    """Small whole numbers: near ones first, different ones for different symbols before equal."""
    sizes = {1: 10, 2: 10, 3: 8}
    values = _SMALL[: sizes.get(len(symbols), 3)]
    rows = itertools.product(values, repeat=min(len(symbols), 6))
    ordered = sorted(rows, key=lambda row: (_reach(row), -len(set(row)), sum(map(_cost, row))))
    for row in ordered:
        padded = itertools.chain(row, itertools.cycle(values))
        yield {name: Fraction(value) for name, value in zip(symbols, padded, strict=False)}


def _reach(row: Sequence[int]) -> int:
    return max(map(_cost, row))


def _cost(value: int) -> int:
    """Zero and negative numbers are tried after the first positive ones."""
    return value if value > 0 else 2 - value


def _random(symbols: Symbols, source: random.Random) -> Iterator[Point]:
    for number in range(_RANDOM_TRIES):
        spread = _SPREAD[number % len(_SPREAD)]
        yield {name: _draw(symbol, spread, source) for name, symbol in symbols.items()}


def _draw(symbol: Symbol, spread: int, source: random.Random) -> Fraction:
    low = 1 if "positive" in symbol.words else 0 if "nonnegative" in symbol.words else -spread
    high = -1 if "negative" in symbol.words else spread
    bottom = 1 if symbol.integer else source.randint(1, 12)
    return Fraction(source.randint(low, high), bottom)
