"""The value of a formula at a point: exact while it is rational, else to many digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath  # type: ignore[import-untyped]

from grader.symbolic.bounds import VALUE_BITS
from grader.symbolic.tree import Call, Constant, Name, Node, Number

DIGITS = (60, 300, 1500, 7500)
"""Precisions to try, in decimal digits: cancellation can eat up any one of them."""
#: Two inexact values this near, relative to the larger, are the same number.
RELATIVE = Fraction(1, 10**30)
#: Below this an inexact value counts as zero: what mild cancellation leaves of 60 digits.
NOTHING = Fraction(1, 10**45)
#: `floor` takes a value this near to a whole number for it: log(8)/log(2) is 3.
WHOLE = 1e-30
_PLACES = 40
_MAX_FACTORIAL = 2000
_MAX_EXPONENT = 2**20

Value: TypeAlias = Any
"""A Fraction, or a real or complex number of mpmath."""


class UndefinedHere(Exception):
    """The formula has no value at this point; the message says why."""


class TooLargeHere(UndefinedHere):
    """It may have one, but too large a one to compute."""


class Evaluator:
    """Computes with numbers of its own precision; holds nothing between calls."""

    def __init__(self, digits: int = DIGITS[0]) -> None:
        """Set the precision, in decimal digits."""
        self._mp = mpmath.MPContext()
        self._mp.dps = digits

    def value(self, node: Node, point: Mapping[str, Fraction]) -> Value:
        """Evaluate a formula.

        Raises:
            UndefinedHere: Division by zero, the logarithm of zero, or something too large.
        """
        match node:
            case Number(value):
                return value
            case Name(name):
                return point[name]
            case Constant(name):
                return +self._mp.pi if name == "pi" else +self._mp.e
            case Call("^", (Constant("e"), exponent)):
                return self._tame(self._exp(self.value(exponent, point)))
            case Call(op, args):
                return self._tame(self._call(op, [self.value(arg, point) for arg in args]))

    def same(self, one: Value, other: Value, relative: Fraction = RELATIVE) -> bool:
        """Whether two values are the same number, as far as their precision goes."""
        if isinstance(one, Fraction) and isinstance(other, Fraction) and relative == RELATIVE:
            return one == other
        one, other = self._inexact(one), self._inexact(other)
        allowed = max(abs(one), abs(other)) * self._inexact(relative)
        return bool(abs(one - other) <= max(allowed, self._inexact(NOTHING)))

    def fraction(self, value: Value) -> Fraction:
        """A real value as a fraction, rounded if it is inexact.

        Raises:
            UndefinedHere: It is complex.
        """
        if isinstance(self._real(value), Fraction):
            return Fraction(value)
        scale = 10**_PLACES
        return Fraction(int(self._mp.nint(value * scale)), scale)

    def show(self, value: Value) -> str:
        """Write a value for people: whole numbers and fractions exactly if they are short."""
        short = isinstance(value, Fraction) and value.denominator < 100
        if short and abs(value) < 10**15:
            return str(value)
        return str(self._mp.nstr(self._inexact(value), 6))

    def _tame(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > VALUE_BITS:
                raise TooLargeHere("a number in it becomes too large")
            return value
        if not self._mp.isfinite(value):
            raise UndefinedHere("it is not finite")
        if isinstance(value, self._mp.mpc) and value.imag == 0:
            return value.real
        return value

    def _inexact(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            return self._mp.mpf(value.numerator) / value.denominator
        return value

    def _call(self, op: str, args: list[Value]) -> Value:
        match op, args:
            case "+", _:
                return self._total(args)
            case "*", _:
                return self._product(args)
            case "neg", [arg]:
                return -arg
            case "inv", [arg]:
                return self._inverse(arg)
            case "abs", [arg]:
                return abs(arg)
            case "^", [base, exponent]:
                return self._power(base, exponent)
            case (("floor" | "ceil"), [arg]):
                return self._rounded(op, arg)
            case "mod", [top, bottom]:
                quotient = self._product([top, self._inverse(bottom)])
                return self._total(
                    [top, -self._product([bottom, self._rounded("floor", quotient)])]
                )
            case (("min" | "max"), _):
                ordered = sorted(args, key=lambda arg: self._inexact(self._real(arg)))
                return ordered[0] if op == "min" else ordered[-1]
            case "factorial", [arg]:
                return Fraction(math.factorial(self._count(arg)))
            case "binomial", [top, bottom]:
                return self._binomial(top, self._count(bottom))
        return self._function(op, args[0])

    def _total(self, args: list[Value]) -> Value:
        if all(isinstance(arg, Fraction) for arg in args):
            return sum(args, Fraction(0))
        return sum((self._inexact(arg) for arg in args), self._mp.mpf(0))

    def _product(self, args: list[Value]) -> Value:
        if all(isinstance(arg, Fraction) for arg in args):
            return math.prod(args, start=Fraction(1))
        if any(arg == 0 for arg in args):
            return Fraction(0)
        return math.prod((self._inexact(arg) for arg in args), start=self._mp.mpf(1))

    def _inverse(self, value: Value) -> Value:
        if self.same(value, Fraction(0)):
            raise UndefinedHere("it divides by zero")
        return 1 / value

    def _power(self, base: Value, exponent: Value) -> Value:
        if base == 0 and self._real(exponent) < 0:
            raise UndefinedHere("it divides by zero")
        if base == 0:
            return Fraction(int(exponent == 0))
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if exponent.denominator == 1 and bits * abs(exponent) <= VALUE_BITS:
                return base ** int(exponent)
        base, exponent = self._inexact(base), self._inexact(exponent)
        if abs(exponent * self._mp.log(base)) > _MAX_EXPONENT:
            raise TooLargeHere("a power in it becomes too large")
        return base**exponent

    def _exp(self, exponent: Value) -> Value:
        if exponent == 0:
            return Fraction(1)
        if abs(exponent) > _MAX_EXPONENT:
            raise TooLargeHere("a power in it becomes too large")
        return self._mp.exp(self._inexact(exponent))

    def _rounded(self, op: str, value: Value) -> Fraction:
        value = self._real(value)
        if not isinstance(value, Fraction):
            nearest = self._mp.nint(value)
            value = nearest if abs(value - nearest) < WHOLE else value
            value = self._mp.floor(value) if op == "floor" else self._mp.ceil(value)
            return Fraction(int(value))
        return Fraction(math.floor(value) if op == "floor" else math.ceil(value))

    def _real(self, value: Value) -> Value:
        if isinstance(value, self._mp.mpc):
            raise UndefinedHere("it is not a real number")
        return value

    def _count(self, value: Value) -> int:
        """A whole number that is not negative, nor large."""
        whole = self._rounded("floor", value)
        if not self.same(whole, value) or whole < 0:
            raise UndefinedHere("it counts with something that is no whole number")
        if whole > _MAX_FACTORIAL:
            raise TooLargeHere("a factorial in it becomes too large")
        return int(whole)

    def _binomial(self, top: Value, bottom: int) -> Value:
        if not isinstance(top, Fraction):
            return self._mp.binomial(top, bottom)
        steps = [(top - step) / (step + 1) for step in range(bottom)]
        return self._tame(math.prod(steps, start=Fraction(1)))

    def _function(self, op: str, arg: Value) -> Value:
        if abs(arg) > _MAX_EXPONENT and op != "log":
            raise TooLargeHere("a number in it becomes too large")
        if op == "log" and arg == 0:
            raise UndefinedHere("it takes the logarithm of zero")
        return getattr(self._mp, op)(self._inexact(arg))
