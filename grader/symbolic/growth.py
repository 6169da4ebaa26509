"""The growth class (Theta) of a formula in several variables that grow independently.

A formula becomes a sum of products of powers and logarithms; constants and dominated terms drop.
What is of no such form (a quotient by a sum, a sine) is undecided, and left to a person.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from grader.symbolic.answer import Equality, Verdict, not_read
from grader.symbolic.equal import read_expected
from grader.symbolic.evaluate import Evaluator, UndefinedHere
from grader.symbolic.order import Atom, Monomial, dominated, maximal, times, to_the
from grader.symbolic.parse import parse
from grader.symbolic.tree import Call, Name, Node, Symbols, Unreadable, names_in, show

_MOST_TERMS = 300
_LARGEST_EXPANSION = 6
_ONE: Monomial = ()

_NOTHING = Fraction(1, 10**30)

Terms: TypeAlias = dict[Monomial, Fraction]
"""Terms with their coefficients, none of them zero."""


class UnknownForm(Exception):
    """We cannot tell how a formula grows; the message says why."""


def growth(seen: str, expected: str | Sequence[str], symbols: Symbols) -> Equality:
    """Compare the growth of a formula with one or several right classes.

    Args:
        seen: What the student wrote; `O(...)` or `Theta(...)` may stand around it.
        expected: A right class, or several of which one must match.
        symbols: The names that both may use.

    Raises:
        InputError: A right class cannot be read.
    """
    texts = [expected] if isinstance(expected, str) else list(expected)
    wanted = [read_expected(text, symbols, growth=True).root for text in texts]
    given = parse(seen, symbols, growth=True)
    if isinstance(given, Unreadable):
        return not_read(given)
    order = list(symbols)
    try:
        mine = growth_class(given.root)
        results = [_compared(mine, growth_class(root), order) for root in wanted]
    except UnknownForm as why:
        return Equality(verdict=Verdict.UNDECIDED, says=f"How the formula grows is unclear: {why}.")
    rank = list(Verdict)
    return min(results, key=lambda r: (rank.index(r.verdict), len(r.missing) + len(r.extra)))


def growth_class(root: Node) -> list[Monomial]:
    """The terms of a formula that no others dominate.

    Raises:
        UnknownForm: It is no sum of products of powers and logarithms, or it becomes negative.
    """
    return _leading(_Growth().terms(root))


def _compared(seen: list[Monomial], expected: list[Monomial], order: Sequence[str]) -> Equality:
    missing = [term for term in expected if not (seen and dominated_by(term, seen))]
    extra = [term for term in seen if not (expected and dominated_by(term, expected))]
    if not missing and not extra:
        return Equality(verdict=Verdict.EQUAL)
    if _has_fast(seen) and _has_fast(expected):
        raise UnknownForm("it grows faster than any power")
    mine, theirs = show_class(seen, order), show_class(expected, order)
    parts = [f"it lacks {show_class(missing, order)}"] if missing else []
    parts += [f"{show_class(extra, order)} is too much"] if extra else []
    return Equality(
        verdict=Verdict.DIFFERENT,
        says=f"Yours grows like {mine}.",
        detail=f"Yours grows like {mine}, expected {theirs}: {' and '.join(parts)}.",
        seen=mine,
        expected=theirs,
        missing=tuple(show_term(term, order) for term in missing),
        extra=tuple(show_term(term, order) for term in extra),
    )


def dominated_by(term: Monomial, others: Sequence[Monomial]) -> bool:
    """Whether a term is one of others, or dominated by them."""
    return term in others or dominated(term, others)


def _has_fast(terms: Sequence[Monomial]) -> bool:
    return any(atom.kind == "fast" for term in terms for atom, _ in term)


def show_class(terms: Sequence[Monomial], order: Sequence[str]) -> str:
    """Write a growth class, such as `n^2 c h + n^2 h^2`."""
    return " + ".join(show_term(term, order) for term in terms) or "0"


def show_term(term: Monomial, order: Sequence[str]) -> str:
    """Write a term with its factors in the order of the declared symbols."""

    def place(factor: tuple[Atom, Fraction]) -> tuple[int, bool]:
        kind, name = factor[0]
        return (order.index(name) if name in order else len(order), kind == "log")

    return " ".join(_show_power(atom, power) for atom, power in sorted(term, key=place)) or "1"


def _show_power(atom: Atom, power: Fraction) -> str:
    text = f"log({atom.name})" if atom.kind == "log" else atom.name
    if power == 1:
        return text
    return f"{text}^{power}" if power.denominator == 1 and power > 0 else f"{text}^({power})"


def _leading(terms: Terms) -> list[Monomial]:
    leading = maximal(terms)
    for term in leading:
        if terms[term] < 0:
            raise UnknownForm("it becomes negative when the variables grow")
    return leading


class _Growth:
    """Expands a tree into terms."""

    def __init__(self) -> None:
        self.evaluator = Evaluator()
        #: Whether coefficients are only right up to a factor by now.
        self.rough = False

    def constant(self, node: Node) -> Fraction:
        """The value of a tree without symbols."""
        try:
            return self.evaluator.fraction(self.evaluator.value(node, {}))
        except UndefinedHere as why:
            raise UnknownForm(str(why)) from why

    def terms(self, node: Node) -> Terms:
        if not names_in(node):
            return self.sum([(_ONE, self.constant(node))])
        match node:
            case Name(name):
                return _single("x", name)
            case Call("+", args):
                return self.sum([item for arg in args for item in self.terms(arg).items()])
            case Call("*", args):
                return self.product([self.terms(arg) for arg in args])
            case Call("neg", (arg,)):
                return {term: -factor for term, factor in self.terms(arg).items()}
            case Call("inv", (arg,)):
                return self.power(self.terms(arg), Fraction(-1))
            case Call("^", (base, exponent)) if not names_in(exponent):
                return self.power(self.terms(base), self.constant(exponent))
            case Call("binomial", (top, bottom)) if not names_in(bottom):
                return self.power(self.terms(top), self.constant(bottom))
            case Call(("^" | "factorial"), _):
                return self.exponential(node)
            case Call("log", (arg,)):
                return self.logarithm(arg)
            case Call(("floor" | "ceil" | "abs"), (arg,)):
                return self.rounded(self.terms(arg))
            case Call("max", args):
                return self.roughly([t for arg in args for t in _leading(self.terms(arg))])
            case Call("min", args):
                return self.smallest([_leading(self.terms(arg)) for arg in args])
        raise UnknownForm(f"{show(node)} is in it")

    def sum(self, items: Sequence[tuple[Monomial, Fraction]]) -> Terms:
        found: Terms = {}
        for term, factor in items:
            found[term] = found.get(term, Fraction(0)) + factor
        left = {term: factor for term, factor in found.items() if abs(factor) > _NOTHING}
        if self.rough and len(left) < len(found):
            raise UnknownForm("parts of it cancel")
        return left

    def roughly(self, terms: Sequence[Monomial]) -> Terms:
        """A sum of terms of which only the growth is known."""
        self.rough = True
        return dict.fromkeys(maximal(terms), Fraction(1))

    def product(self, factors: Sequence[Terms]) -> Terms:
        found: Terms = {_ONE: Fraction(1)}
        for factor in factors:
            if len(found) * len(factor) > _MOST_TERMS:
                raise UnknownForm("it has too many terms")
            pairs = itertools.product(found.items(), factor.items())
            found = self.sum([(times(a, b), c * d) for (a, c), (b, d) in pairs])
        return found

    def power(self, terms: Terms, power: Fraction) -> Terms:
        if not terms:
            raise UnknownForm("a power of zero is in it")
        small = power.denominator == 1 and 0 <= power <= _LARGEST_EXPANSION
        if small and len(terms) ** int(power) <= _MOST_TERMS:
            return self.product([terms] * int(power))
        leading = _leading(terms)
        if power < 0 and len(leading) > 1:
            raise UnknownForm("it divides by a sum of which no term outgrows the others")
        if len(terms) == 1 and power == -1:
            return {to_the(term, power): 1 / factor for term, factor in terms.items()}
        # Theta((a + b)^p) is Theta(a^p + b^p) for positive a, b and p.
        return self.roughly([to_the(term, power) for term in leading])

    def exponential(self, node: Call) -> Terms:
        """What outgrows every power: a base above one to something that grows, a factorial."""
        base, exponent = node.args if node.op == "^" else (node.args[0], node.args[0])
        grows = _leading(self.terms(exponent))
        up = grows != [_ONE] and all(power > 0 for term in grows for _, power in term)
        if not up or (not names_in(base) and self.constant(base) <= 1):
            raise UnknownForm("a variable is in an exponent")
        text = show(node)
        return _single("fast", text[1:-1] if node.op == "^" else text)

    def logarithm(self, node: Node) -> Terms:
        match node:
            case Call("^", (base, exponent)):
                return self.product([self.terms(exponent), self.terms(Call("log", (base,)))])
            case Call("factorial", (arg,)):  # Stirling
                return self.product([self.terms(arg), self.logarithm(arg)])
        terms = self.terms(node)
        found: list[tuple[Monomial, Fraction]] = [(_ONE, Fraction(1))]
        for term in _leading(terms):
            grown = {atom.name: power for atom, power in term if atom.kind == "x"}
            if not grown or any(atom.name not in grown for atom, _ in term):
                raise UnknownForm("it takes the logarithm of something that grows too slowly")
            if len(terms) > 1 and min(grown.values()) < 0:
                raise UnknownForm("it takes the logarithm of a quotient")
            self.rough |= len(terms) > 1
            found += [(((Atom("log", name), Fraction(1)),), power) for name, power in grown.items()]
        return self.sum(found)

    def smallest(self, classes: Sequence[list[Monomial]]) -> Terms:
        for one in classes:
            if all(dominated_by(term, other) for other in classes for term in one):
                return self.roughly(one)
        raise UnknownForm("which side of the minimum is smaller depends on the variables")

    def rounded(self, terms: Terms) -> Terms:
        leading = _leading(terms)
        if any(power < 0 for term in leading if len(term) == 1 for _, power in term):
            raise UnknownForm("it rounds something that does not grow")
        return self.roughly(leading)


def _single(kind: str, name: str) -> Terms:
    return {((Atom(kind, name), Fraction(1)),): Fraction(1)}
