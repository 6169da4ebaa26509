"""What comes of comparing two formulas, as plain data that crosses a pipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from grader.symbolic.tree import Unreadable


class Verdict(StrEnum):
    """How a formula stands to the expected one."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    """It is no formula; that is the writer's doing."""
    UNDECIDED = "undecided"
    """We could not tell: too large, too slow, or of a form we do not know. A person decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """The verdict on a formula, and why."""

    verdict: Verdict
    says: str = ""
    """For the student: nothing in it tells what was expected."""
    detail: str = ""
    """For staff, or where the rubric reveals it: with what was expected."""
    point: dict[str, str] = field(default_factory=dict)
    """Where the formulas differ: a number for each symbol."""
    seen: str = ""
    """What the student's formula gives at that point; of a growth class, the class."""
    expected: str = ""
    """What was expected there."""
    missing: tuple[str, ...] = ()
    """Terms of the expected growth class that the seen one lacks."""
    extra: tuple[str, ...] = ()
    """Terms of the seen growth class that outgrow the expected one."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Equality:
        """Read back what `to_json` gave."""
        given = {**given, "verdict": Verdict(given["verdict"])}
        return cls(**{**given, "missing": tuple(given["missing"]), "extra": tuple(given["extra"])})


def not_read(why: Unreadable) -> Equality:
    """The verdict on a formula that could not be read; one too large is not the writer's fault."""
    if why.too_complex:
        says = f"The formula is too complex to compare: {why.reason}."
        return Equality(verdict=Verdict.UNDECIDED, says=says)
    return Equality(verdict=Verdict.UNREADABLE, says=f"Cannot read the formula: {why.reason}.")
