"""What a machine can read in words that a person grades: it proposes points, and gives none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from grader.checks.base import Context, Problem
from grader.errors import InputError
from grader.rubric.model import Strict, Text
from grader.rubric.yaml import Place
from grader.symbolic import Symbolic, Unreadable, Verdict
from grader.verdict import Work
from grader.writeup.formulas import propose_formulas
from grader.writeup.numbers import Proposal, propose_numbers

Numbers = Annotated[tuple[float, ...], Field(min_length=3)]


class Reads(Strict):
    """`reads: {table: {q: [1, 2, 1]}}`: numbers by name, or formulas by the words of a key."""

    table: dict[str, Numbers] = Field(default_factory=dict)
    """Right numbers, by the name that stands before or above them."""
    formulas: dict[str, Text | tuple[Text, ...]] = Field(default_factory=dict)
    """Right formulas, or several for one, by key such as `rnn, time, train`."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """Symbols of the formulas, as in `expression`."""
    growth: bool = False
    """Whether the formulas are growth classes."""

    def problems(self, context: Context, place: Place) -> Iterator[Problem]:
        """Nothing to read, or right formulas that are none."""
        if not (self.table or self.formulas):
            yield place, "expected table or formulas, found neither"
        for key, several in self.right.items():
            for text in several:
                try:
                    read = context.symbolic.read(text, self.symbols, growth=self.growth)
                except InputError as error:
                    yield (*place, "symbols"), str(error).removeprefix("symbols.")
                    return
                if isinstance(read, Unreadable):
                    says = f"expected a formula, found {text!r}: {read.reason}"
                    yield (*place, "formulas", key), says

    @property
    def right(self) -> dict[str, tuple[str, ...]]:
        """Right formulas by key, each with its alternatives."""
        several = self.formulas.items()
        return {key: one if isinstance(one, tuple) else (one,) for key, one in several}

    def proposal(self, text: str, symbolic: Symbolic) -> Work:
        """What was read in a text and what it would earn; nothing where nothing was."""
        found = [propose_numbers(text, self.table) if self.table else None]
        if self.formulas:
            found.append(
                read_formulas(text, self.right, self.symbols, symbolic, growth=self.growth)
            )
        return combined(found)


def read_formulas(
    text: str,
    right: Mapping[str, Sequence[str]],
    symbols: Mapping[str, str],
    symbolic: Symbolic,
    *,
    growth: bool,
) -> Proposal | None:
    """Look for formulas in a text and compare those that are found.

    Raises:
        Fault: the process that compares formulas cannot be started.
    """

    def readable(written: str) -> bool:
        if not any(symbol in written for symbol in symbols):
            return False  # a number is no formula that anybody asked for
        return not isinstance(symbolic.read(written, symbols, growth=growth), Unreadable)

    def fits(written: str, expected: str) -> bool:
        compare = symbolic.growth if growth else symbolic.equal
        return compare(written, expected, symbols).verdict is Verdict.EQUAL

    return propose_formulas(text, right, readable, fits)


def combined(found: Sequence[Proposal | None]) -> Work:
    """Several proposals as one: what was not found earns nothing."""
    told = [one for one in found if one is not None]
    if not told:
        return Work()
    share = sum(one.share for one in told) / len(found)
    return Work(proposed=share, read="; ".join(one.says for one in told))
