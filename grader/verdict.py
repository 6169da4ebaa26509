"""What scoring says: findings, scores of checks and questions, and a student's score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

#: What is said of a right check whose question earns nothing for another's sake.
ALL_OR_NOTHING = (
    "It earns nothing, because this question earns points only when all of it is right."
)
#: What is said of a check that nobody needs to decide any more.
SETTLED = (
    "Nobody looks at this: another part is not right, and this question earns points only when "
    "all of it is right."
)


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
class Work:
    """What a person reads who decides a check, and what the machine proposes."""

    text: str = ""
    """What the student gave: words, or a formula that could not be compared."""
    own: str = ""
    """The lines of it that students were not given; empty if nobody looked for them."""
    source: str = ""
    """Where it stands, such as `writeup.pdf, page 2`."""
    unplaced: str = ""
    """What stands in the write-up under no question."""
    proposed: float | None = None
    """Share of the points that what was read would earn, 0 to 1; scores nothing by itself."""
    read: str = ""
    """What the machine read in the text, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A person decides."""

    reason: str
    """Written to the student."""
    detail: str = ""
    """Written to the course staff."""
    work: Work = Work()
    """For the person who decides."""


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
    alternative: str = ""
    """Which of the question's alternatives it belongs to, if it has any."""
    withheld: bool = False
    """Whether it earns nothing because another check of an all-or-nothing question is not right."""

    @property
    def points(self) -> float | None:
        """Points earned, or None while nothing is decided: unknown is not zero."""
        if self.withheld:
            return 0.0
        if isinstance(self.conclusion, Finding):
            return self.max_points * self.conclusion.credit
        return None

    @property
    def possible(self) -> float:
        """Points that it has earned, or may still earn while nothing is decided."""
        return self.max_points if self.points is None else self.points

    @property
    def outcome(self) -> Outcome:
        """The one word for what became of it."""
        match self.conclusion:
            case Finding(answered=False):
                return Outcome.NOT_RUN
            case _ if self.withheld:
                return Outcome.NONE
            case Pending():
                return Outcome.PENDING
            case Broken():
                return Outcome.BROKEN
            case Finding(credit=credit):
                return {0.0: Outcome.NONE, 1.0: Outcome.FULL}.get(credit, Outcome.PARTIAL)

    @property
    def feedback(self) -> str:
        """What the student reads about it: nothing of ours, no expected value that is hidden."""
        match self.conclusion:
            case Finding(says=says, detail=detail):
                lost = ALL_OR_NOTHING if self.withheld and self.conclusion.credit else ""
                if self.reveal and detail.startswith(says.rstrip(".")):
                    says = ""  # the detail says it again, and more
                told = (says, detail if self.reveal else "", lost)
                return " ".join(part for part in told if part)
            case _ if self.withheld:
                return SETTLED
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
    """One question: the sum of the checks that count, unknown while any of them is."""

    id: str
    max_points: float
    checks: tuple[CheckScore, ...]
    """All checks, of every alternative."""
    bonus: bool = False
    all_or_nothing: bool = False
    """Whether its checks earn points only together."""

    @property
    def counted(self) -> tuple[CheckScore, ...]:
        """The checks that count: those of the best alternative, the first of equals.

        An alternative that is not decided counts as long as it may still earn more than the others.
        """
        names = dict.fromkeys(check.alternative for check in self.checks)
        tried = [self._together([c for c in self.checks if c.alternative == n]) for n in names]
        return max(tried, key=_promise, default=())

    def _together(self, checks: list[CheckScore]) -> tuple[CheckScore, ...]:
        """Checks of one alternative; those of an all-or-nothing question stand or fall together."""
        if self.all_or_nothing and any(check.possible < check.max_points for check in checks):
            return tuple(replace(check, withheld=True) for check in checks)
        return tuple(checks)

    @property
    def points(self) -> float | None:
        """Points earned, or None while a check is pending or broken."""
        earned = [check.points for check in self.counted]
        decided = [points for points in earned if points is not None]
        return sum(decided) if len(decided) == len(earned) else None


def _promise(checks: tuple[CheckScore, ...]) -> tuple[float, float]:
    """What checks may earn, then what they have earned."""
    return sum(check.possible for check in checks), sum(check.points or 0 for check in checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One student's score for one assignment; the questions stand in the rubric's order."""

    student: str
    assignment: str
    status: Status
    questions: tuple[QuestionScore, ...]
    note: str = ""
    cap: float | None = None
    """The most that the total can be, bonus included."""
    submission: str = ""
    """Digest of what was handed in."""

    @property
    def total(self) -> float | None:
        """Sum of the questions that are decided, at most the cap; None when none is."""
        decided = [q.points for q in self.questions if q.points is not None]
        if not decided:
            return None
        return sum(decided) if self.cap is None else min(sum(decided), self.cap)

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
