"""Which products of powers and logarithms outgrow others when all variables grow independently.

A term is dominated by others when a constant times their sum bounds it, however fast the variables
grow against each other. So `n t` is dominated by `n^2 + t^2` (its exponents lie under the line
between theirs), and not by `n^2` alone. A direction in which the variables grow and the term
outgrows all others shows that it is not dominated; finding one is a linear program.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import sympy
from sympy.solvers.simplex import InfeasibleLPError, linprog


class Atom(NamedTuple):
    """A variable (`x`), its logarithm (`log`), or what outgrows powers (`fast`), by its text."""

    kind: str
    name: str


Monomial: TypeAlias = tuple[tuple[Atom, Fraction], ...]
"""Atoms with their exponents, in order, none of them zero."""


def monomial(powers: Mapping[Atom, Fraction]) -> Monomial:
    """Put powers into the order that makes equal terms equal."""
    return tuple(sorted((atom, power) for atom, power in powers.items() if power))


def times(one: Monomial, other: Monomial) -> Monomial:
    """The product of two terms."""
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, Fraction(0)) + power
    return monomial(powers)


def to_the(term: Monomial, power: Fraction) -> Monomial:
    """A power of a term."""
    return monomial({atom: exponent * power for atom, exponent in term})


def maximal(terms: Iterable[Monomial]) -> list[Monomial]:
    """The terms that no others dominate."""
    kept = list(dict.fromkeys(terms))
    for term in list(kept):
        others = [other for other in kept if other != term]
        if others and dominated(term, others):
            kept = others
    return kept


def dominated(term: Monomial, others: Sequence[Monomial]) -> bool:
    """Whether a constant times the sum of the others bounds a term."""
    names = _variables([term, *others])
    rows = [_Row.of(term, other, names) for other in others]
    if not rows:
        return False
    if any(row.never_positive() for row in rows):
        return True
    everything = range(len(names))
    if not any(any(row.logs) for row in rows):
        return not _wins(rows, everything, 0)
    # Logarithms make it matter which variables grow at all while the others stay put.
    sizes = range(1, len(names) + 1)
    choices = itertools.chain.from_iterable(itertools.combinations(everything, n) for n in sizes)
    return not any(_wins(rows, growing, 1) for growing in choices)


class _Row(NamedTuple):
    """Exponents of a term less another's: of the variables, and of their logarithms."""

    powers: tuple[Fraction, ...]
    logs: tuple[Fraction, ...]

    @classmethod
    def of(cls, term: Monomial, other: Monomial, names: Sequence[Atom]) -> _Row:
        ratio = dict(times(term, to_the(other, Fraction(-1))))
        zero = Fraction(0)
        return cls(
            tuple(ratio.get(name, zero) for name in names),
            tuple(ratio.get(Atom("log", name.name), zero) for name in names),
        )

    def never_positive(self) -> bool:
        pairs = zip(self.powers, self.logs, strict=True)
        return all(power < 0 or (power == 0 and log <= 0) for power, log in pairs)


def _variables(terms: Sequence[Monomial]) -> list[Atom]:
    atoms = {atom for term in terms for atom, _ in term}
    return sorted({Atom("x", atom.name) if atom.kind == "log" else atom for atom in atoms})


def _wins(rows: Sequence[_Row], growing: Sequence[int], slowest: int) -> bool:
    """Whether a direction exists in which the term outgrows each of the others.

    The variables in `growing` grow as powers of one quantity, each power at least `slowest`. Where
    the powers of two terms balance, their logarithms decide.
    """
    matrix, bounds = [], []
    for row in rows:
        powers = [_rational(row.powers[i]) for i in growing]
        logs = sum((row.logs[i] for i in growing), Fraction(0))
        matrix.append([-power for power in powers])
        bounds.append(slowest * sum(powers) - (0 if logs > 0 else 1))
    try:
        linprog([0] * len(growing), matrix, bounds)
    except InfeasibleLPError:
        return False
    return True


def _rational(value: Fraction) -> Any:
    return sympy.Rational(value.numerator, value.denominator)
