"""Compare plain values, and say in a sentence or two how they differ.

    share     how much is right, for credit by the entry
    walk      value against value: kinds, dicts, lists, tables, text
    numbers   array against array: shape, kind of dtype, finiteness, tolerance
    plain     numbers that sympy holds, and whole numbers that no array holds exactly
    relation  the simple relation that explains a difference, if there is one

A tensor, an array, a nested list or tuple of numbers and a plain number are one kind. The rule of
numbers is torch's: `|seen - expected| <= atol + rtol * |expected|`, written so that NaN fails. What
is expected sets the tolerance; a float32 may stand where more digits are expected, and what a GPU
computed may be further off.
"""

from grader.compare.numbers import Difference
from grader.compare.plain import holds_finite
from grader.compare.share import share_right
from grader.compare.walk import compare

__all__ = ["Difference", "compare", "holds_finite", "share_right"]
