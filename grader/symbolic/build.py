"""A checked tree -> a sympy expression, node by node; no text ever reaches sympy."""

from __future__ import annotations

from typing import Any

import sympy

from grader.symbolic.tree import Call, Constant, Name, Node, Number, Symbols

#: What sympy may be told of a symbol: all our words are also its own, but `real` is implied.
_OPERATIONS = {
    "+": sympy.Add,
    "*": sympy.Mul,
    "neg": lambda arg: -arg,
    "inv": lambda arg: 1 / arg,
    "^": sympy.Pow,
    "mod": sympy.Mod,
    "log": sympy.log,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "abs": sympy.Abs,
    "min": sympy.Min,
    "max": sympy.Max,
    "factorial": sympy.factorial,
    "binomial": sympy.binomial,
}


def build(node: Node, symbols: Symbols) -> Any:
    """Build the sympy expression of a tree; sympy orders and collects terms on the way."""
    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Name(name):
            known = dict.fromkeys(symbols[name].words, True)
            return sympy.Symbol(name, **{"real": True, **known})
        case Constant(name):
            return sympy.pi if name == "pi" else sympy.E
        case Call(op, args):
            return _OPERATIONS[op](*(build(arg, symbols) for arg in args))
