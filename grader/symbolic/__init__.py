"""Formulas that students wrote, compared as mathematics and never evaluated as code.

    text -> tokens -> grammar -> tree (bounded)          in any process, plain Python
            tree -> sympy, exact points, growth classes  in a worker process that can be killed

`Symbolic` is the way in. Covered: time, memory and recursion of what a formula costs to compare, on
Linux; elsewhere the time alone. Not covered: telling apart formulas that agree at all points tried.
"""

from grader.symbolic.answer import Equality, Verdict
from grader.symbolic.client import Symbolic
from grader.symbolic.tree import Expression, Symbol, Unreadable, declare

__all__ = ["Equality", "Expression", "Symbol", "Symbolic", "Unreadable", "Verdict", "declare"]
