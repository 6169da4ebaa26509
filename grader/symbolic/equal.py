"""Whether two formulas are equal as mathematics, with a counterexample where they are not.

First sympy puts both into its own order; if that makes them one, they are equal. Else they are
evaluated at small points and at random ones. Two different formulas of the kinds read here agree
at a random point only by a rare accident, so agreement at all of them counts as equality.

Source: the argument is that of Schwartz and Zippel for polynomials (JACM 27, 1980).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from grader.errors import InputError
from grader.symbolic.answer import Equality, Verdict, not_read
from grader.symbolic.build import build
from grader.symbolic.evaluate import DIGITS, RELATIVE, Evaluator, TooLargeHere, UndefinedHere, Value
from grader.symbolic.parse import parse
from grader.symbolic.points import FEWEST, Condition, Point, points, read_condition
from grader.symbolic.tree import Expression, Number, Symbols, Unreadable, names_in, walk

#: Agreement at this many points counts as equality; fewer do where no more exist, see `FEWEST`.
ENOUGH = 30
#: A decimal with so many digits stands for a number that a float cannot hold exactly.
FLOAT_DIGITS = 12
FLOAT_RELATIVE = Fraction(1, 10**10)


def equal(seen: str, expected: str, symbols: Symbols, where: Sequence[str] = ()) -> Equality:
    """Compare two formulas.

    Args:
        seen: What the student wrote.
        expected: What the rubric says.
        symbols: The names that both may use.
        where: What the question presumes, such as `n > t` or `w divides n`.

    Raises:
        InputError: The rubric's formula or condition cannot be read.
    """
    conditions = [read_condition(text, symbols) for text in where]
    wanted = read_expected(expected, symbols)
    given = parse(seen, symbols)
    if isinstance(given, Unreadable):
        return not_read(given)
    if build(given.root, symbols) == build(wanted.root, symbols):
        return Equality(verdict=Verdict.EQUAL)
    return _Comparison(given, wanted, symbols, conditions).verdict()


def read_expected(text: str, symbols: Symbols, *, growth: bool = False) -> Expression:
    """Read a formula of the rubric.

    Raises:
        InputError: It cannot be read.
    """
    read = parse(text, symbols, growth=growth)
    if isinstance(read, Unreadable):
        raise InputError(f"the expected formula {text!r} cannot be read: {read.reason}")
    return read


@dataclass(frozen=True, slots=True)
class _NoValue:
    """The student's formula has no value where the expected one has."""

    point: Point
    why: str
    too_large: bool


class _Comparison:
    """Two formulas that are compared point by point."""

    def __init__(
        self,
        seen: Expression,
        expected: Expression,
        symbols: Symbols,
        conditions: Sequence[Condition],
    ) -> None:
        self.seen = seen.root
        self.expected = expected.root
        self.shown = names_in(seen.root, expected.root)
        used = self.shown | names_in(*(side for c in conditions for side in (c.left, c.right)))
        self.symbols = {name: symbol for name, symbol in symbols.items() if name in used}
        self.conditions = conditions
        self.evaluators = [Evaluator(digits) for digits in DIGITS]
        rounded = any(isinstance(n, Number) and n.digits >= FLOAT_DIGITS for n in walk(seen.root))
        self.relative = FLOAT_RELATIVE if rounded else RELATIVE

    def verdict(self) -> Equality:
        agreed = 0
        undefined: list[_NoValue] = []
        for point in points(self.symbols, self.conditions):
            try:
                found = self.at(point)
            except UndefinedHere:
                continue
            match found:
                case Equality():
                    return found
                case _NoValue():
                    undefined.append(found)
                case True:
                    agreed += 1
            if agreed == ENOUGH:
                break
        # A formula without a value at most places must not pass for its agreement at the rest.
        if agreed >= (FEWEST if self.symbols else 1) and len(undefined) <= agreed:
            return Equality(verdict=Verdict.EQUAL)
        return self.without_points(undefined)

    def at(self, point: Point) -> Equality | _NoValue | bool:
        """The verdict at one point: different, no value of the student's, or whether they agree.

        Precision is raised until the formulas agree, or differ by values that a higher precision
        confirms.
        """
        before: tuple[Value, Value] | None = None
        for evaluator in self.evaluators:
            wanted = evaluator.value(self.expected, point)
            try:
                given = evaluator.value(self.seen, point)
            except UndefinedHere as why:
                return _NoValue(point, str(why), isinstance(why, TooLargeHere))
            if evaluator.same(given, wanted, self.relative):
                return True
            last = evaluator is self.evaluators[-1]
            if _exact(given, wanted) or (
                before and _confirms(evaluator, before, given, wanted, last)
            ):
                return self.different(point, evaluator.show(given), evaluator.show(wanted))
            before = given, wanted
        return False

    def different(self, point: Point, seen: str, expected: str) -> Equality:
        at = self.place(point)
        return Equality(
            verdict=Verdict.DIFFERENT,
            says=f"{at} yours gives {seen}.",
            detail=f"{at} yours gives {seen}, expected {expected}.",
            point={name: str(value) for name, value in point.items()},
            seen=seen,
            expected=expected,
        )

    def without_points(self, undefined: list[_NoValue]) -> Equality:
        """The verdict when too few points had a value on both sides."""
        if not undefined or any(case.too_large for case in undefined):
            says = "The formula could not be evaluated at enough points."
            return Equality(verdict=Verdict.UNDECIDED, says=says)
        first = undefined[0]
        says = f"{self.place(first.point)} yours has no value: {first.why}."
        at = {name: str(value) for name, value in first.point.items()}
        return Equality(verdict=Verdict.DIFFERENT, says=says, detail=says, point=at)

    def place(self, point: Point) -> str:
        at = ", ".join(f"{name} = {value}" for name, value in point.items() if name in self.shown)
        return f"At {at}" if at else "Worked out,"


def _exact(*values: Value) -> bool:
    return all(isinstance(value, Fraction) for value in values)


def _confirms(
    evaluator: Evaluator, before: tuple[Value, Value], given: Value, wanted: Value, last: bool
) -> bool:
    """Whether a higher precision gives the values again.

    An inexact zero can be all that cancellation left, so it counts at the highest precision only.
    """
    if not last and any(value == 0 and not _exact(value) for value in (given, wanted)):
        return False
    return evaluator.same(before[0], given) and evaluator.same(before[1], wanted)
