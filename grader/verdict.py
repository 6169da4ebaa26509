"""What scoring says: findings, scores of checks and questions, and a student's score."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a submission ended, for `scores.csv`."""

    COMPLETE = "complete"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    KERNEL_DIED = "kernel_died"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    NEEDS_PERSON = "needs_person"


class Outcome(StrEnum):
    """What became of one check."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"
    PENDING = "pending"
    """A person's turn."""
    BROKEN = "broken"
    """Our reference or rubric failed: no score, never a zero."""
    NOT_RUN = "not_run"
    """Nothing to judge, through the student's own doing: their cell failed or nothing is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check concluded about what was seen."""

    credit: float
    """Share of the check's weight, 0 to 1."""
    says: str
    """One sentence to the student; holds no expected value of a hidden check."""
    detail: str = ""
    """Numbers and places, expected values among them: for staff, and for students if revealed."""
    answered: bool = True
    """False when there was nothing to judge: the name is missing, the call raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A person decides."""

    reason: str
    """Written to the student."""
    detail: str = ""
    """Written to the course staff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A check that could not conclude, through no act of the student."""

    reason: str
    """Written to the course staff."""


Conclusion = Finding | Pending | Broken


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckScore:
    """One check: what it was worth and what was concluded."""

    check: str
    """The name a student knows it by, such as `causal_mask`."""
    kind: str
    max_points: float
    conclusion: Conclusion
    reveal: bool
    """Whether the student may read `detail`."""

    @property
    def points(self) -> float | None:
        """Points earned, or None while nothing is decided: unknown is not zero."""
        if isinstance(self.conclusion, Finding):
            return self.max_points * self.conclusion.credit
        return None

    @property
    def outcome(self) -> Outcome:
        """The one word for what became of it."""
        match self.conclusion:
            case Pending():
                return Outcome.PENDING
            case Broken():
                return Outcome.BROKEN
            case Finding(answered=False):
                return Outcome.NOT_RUN
            case Finding(credit=credit):
                return {0.0: Outcome.NONE, 1.0: Outcome.FULL}.get(credit, Outcome.PARTIAL)

    @property
    def feedback(self) -> str:
        """What the student reads about it: nothing of ours, no expected value that is hidden."""
        match self.conclusion:
            case Finding(says=says, detail=detail):
                return " ".join(part for part in (says, detail if self.reveal else "") if part)
            case Pending(reason=reason):
                return reason
        return "The grader could not judge this; a person will."

    @property
    def for_staff(self) -> str:
        """What only the course staff reads about it."""
        found = self.conclusion
        return found.reason if isinstance(found, Broken) else found.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionScore:
    """One question: the sum of its checks, unknown while any of them is."""

    id: str
    max_points: float
    checks: tuple[CheckScore, ...]
    bonus: bool = False

    @property
    def points(self) -> float | None:
        """Points earned, or None while a check is pending or broken."""
        earned = [check.points for check in self.checks]
        decided = [points for points in earned if points is not None]
        return sum(decided) if len(decided) == len(earned) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One student's score for one assignment; the questions stand in the rubric's order."""

    student: str
    assignment: str
    status: Status
    questions: tuple[QuestionScore, ...]
    note: str = ""

    @property
    def total(self) -> float | None:
        """Sum of the questions that are decided; None when none is."""
        decided = [q.points for q in self.questions if q.points is not None]
        return sum(decided) if decided else None

    @property
    def max_points(self) -> float:
        """Points of all questions that are no bonus."""
        return sum(q.max_points for q in self.questions if not q.bonus)

    @property
    def percent(self) -> float | None:
        """Share of the points in percent, or None until every question is decided."""
        if self.needs_person or self.total is None:
            return None
        return 100 * self.total / self.max_points if self.max_points else None

    @property
    def needs_person(self) -> tuple[str, ...]:
        """Ids of the questions that a person has to look at."""
        return tuple(q.id for q in self.questions if q.points is None)
