"""Numbers about a class: how hard each question was, and which of them look broken.

Kept of every student is a row of numbers; sentences are counted as they come.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from grader.report.inert import line
from grader.rubric import Rubric
from grader.verdict import CheckScore, Finding, Outcome, QuestionScore, Score, Status

#: Statuses of those who handed in something that could be executed.
RAN = (Status.COMPLETE, Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.KERNEL_DIED)
#: Below these numbers of students nothing is said of a question, or of who gets it right.
FEW, FEW_TO_CORRELATE = 5, 10
#: Bars of a distribution, and sentences of a class.
BINS, MOST_SENTENCES = 10, 20
#: Students who are named beside a sentence.
MOST_NAMED = 5
NUMBER = re.compile(r"(?<![A-Za-z_])-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is kept of a student."""

    student: str
    file: str
    """Name of their pages, without an ending."""
    status: Status
    total: float | None
    max_points: float
    points: tuple[float | None, ...]
    """By question; None while a person has to decide."""
    needs: tuple[str, ...]
    wall_s: float | None
    peak_mib: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question in numbers."""

    id: str
    title: str
    max_points: float
    decided: int
    """Students whose points are known, of those whose work ran."""
    mean: float | None
    """Mean share of the points, 0 to 1: the question's difficulty, or ease rather."""
    full: int
    nothing: int
    discrimination: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What several students were told."""

    question: str
    check: str
    says: str
    count: int
    students: tuple[Row, ...]
    """The first few of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a quantity is spread over students."""

    count: int
    low: float
    quarter: float
    median: float
    mean: float
    three_quarters: float
    high: float


@dataclass(slots=True)
class Tally:
    """Counts a class, one score after the other.

    Args:
        rubric: For the order and the titles of the questions.
    """

    rubric: Rubric
    rows: list[Row] = field(default_factory=list)
    _broken: Counter[str] = field(default_factory=Counter)
    """Students by question in which the grader could not judge something."""
    _empty: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Students by question and check for which there was nothing to judge."""
    _said: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _words: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    _who: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)

    def add(self, score: Score, file: str, wall_s: float | None, peak_mib: float | None) -> None:
        """Count one student."""
        row = Row(
            student=score.student,
            file=file,
            status=score.status,
            total=score.total,
            max_points=score.max_points,
            points=tuple(question.points for question in score.questions),
            needs=score.needs_person,
            wall_s=wall_s,
            peak_mib=peak_mib,
            note=line(score.note, 200),
        )
        self.rows.append(row)
        if score.status in RAN:
            for question in score.questions:
                self._count(question, row)

    def _count(self, question: QuestionScore, row: Row) -> None:
        outcomes = [check.outcome for check in question.counted]
        self._broken[question.id] += Outcome.BROKEN in outcomes
        empty = (c.check for c in question.counted if c.outcome is Outcome.NOT_RUN)
        self._empty[question.id].update(set(empty))
        for check in question.counted:
            if not isinstance(check.conclusion, Finding) or check.conclusion.credit == 1:
                continue
            says = line(check.conclusion.says, 240)
            key = (question.id, check.check, NUMBER.sub("…", says))
            self._said[key] += 1
            words = self._words.setdefault(key, set())
            if len(words) < 2:
                words.add(says)
            named = self._who.setdefault(key, [])
            if len(named) < MOST_NAMED:
                named.append(row)

    @property
    def statuses(self) -> list[tuple[Status, int]]:
        """How many students have each status, the commonest first."""
        return Counter(row.status for row in self.rows).most_common()

    @property
    def ran(self) -> list[Row]:
        """Those whose work was executed."""
        return [row for row in self.rows if row.status in RAN]

    def sentences(self) -> list[Sentence]:
        """What most were told who lost points; sentences that differ in numbers alone are one."""
        return [
            Sentence(
                question=key[0],
                check=key[1],
                says=next(iter(self._words[key])) if len(self._words[key]) == 1 else key[2],
                count=count,
                students=tuple(self._who[key]),
            )
            for key, count in self._said.most_common(MOST_SENTENCES)
        ]

    def items(self) -> list[Item]:
        """Every question in numbers, in the rubric's order."""
        points = np.array([row.points for row in self.ran], dtype=float)
        points = points.reshape(len(self.ran), len(self.rubric.questions))
        most = np.array([question.points for question in self.rubric.questions])
        return [
            self._item(number, points, discrimination(points / most, number))
            for number in range(len(self.rubric.questions))
        ]

    def _item(self, number: int, points: np.ndarray, found: float | None) -> Item:
        question = self.rubric.questions[number]
        shares = points[:, number] / question.points
        shares = shares[~np.isnan(shares)]
        item = Item(
            id=question.id,
            title=question.title,
            max_points=question.points,
            decided=int(shares.size),
            # Where most wait for a person, those who are decided are those who wrote nothing.
            mean=float(shares.mean()) if 2 * shares.size > len(points) else None,
            full=int((shares >= 1 - 1e-9).sum()),
            nothing=int((shares <= 1e-9).sum()),
            discrimination=found,
            remarks=(),
        )
        empty = max(self._empty[question.id].values(), default=0)
        remarks = _remarks(item, len(points), self._broken[question.id], empty)
        return Item(**{f: getattr(item, f) for f in item.__slots__} | {"remarks": remarks})


def discrimination(shares: np.ndarray, number: int) -> float | None:
    """Whether those who do well elsewhere do well here: -1 to 1, None if it cannot be said.

    Pearson's correlation between the share of a question's points and the mean share of the other
    questions, over the students for whom both are known: the corrected item-total correlation,
    which for a question that is either right or wrong is the point-biserial one.

    Args:
        shares: (students, questions), NaN where nothing is decided.
        number: Column of the question.

    Source: S. Henrysson, Correction of item-total correlations in item analysis, Psychometrika 28
    (1963), 211-218.
    """
    others = np.delete(shares, number, axis=1)
    known = ~np.isnan(others)
    count = known.sum(axis=1)
    rest = np.where(known, others, 0).sum(axis=1) / np.maximum(count, 1)
    both = ~np.isnan(shares[:, number]) & (count > 0)
    x, y = shares[both, number], rest[both]
    if x.size < FEW_TO_CORRELATE or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _remarks(item: Item, ran: int, broken: int, empty: int) -> tuple[str, ...]:
    """What a person should look at.

    Args:
        item: The question.
        ran: Students whose work ran.
        broken: Those of them whose answers the grader could not judge.
        empty: Those who gave one and the same check nothing to judge.
    """
    remarks = []
    if broken:
        judged = f"the answers of {broken} of {ran} students"
        remarks.append(f"The grader could not judge {judged}: mend it, then score again.")
    if item.decided >= FEW and item.nothing == item.decided:
        remarks.append("Nobody earns a point: is the question clear, and is the check right?")
    elif item.decided >= FEW and not item.full:
        remarks.append("Nobody earns all points.")
    if item.decided >= FEW and item.full == item.decided:
        remarks.append("Everybody earns all points.")
    if item.decided >= FEW and 2 * empty >= ran:
        remarks.append("For half of the students there was nothing to judge: do names agree?")
    if item.discrimination is not None and item.discrimination < 0:
        remarks.append("Those who do well elsewhere do worse here: is the check right?")
    return tuple(remarks)


def spread(values: Sequence[float]) -> Spread | None:
    """Quartiles, mean and ends of a quantity; None of nothing."""
    if not values:
        return None
    low, quarter, median, three, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return Spread(
        count=len(values),
        low=float(low),
        quarter=float(quarter),
        median=float(median),
        mean=float(np.mean(values)),
        three_quarters=float(three),
        high=float(high),
    )


def binned(values: Sequence[float], most: float) -> tuple[list[str], list[int]]:
    """Count values in ten equal bins from 0 to `most`; more than that counts in the last.

    Returns:
        The lower end of each bin as a label, and the counts.
    """
    width = (most or 1.0) / BINS
    places = [min(BINS - 1, max(0, int(value / width + 1e-9))) for value in values]
    counts = Counter(places)
    return [f"{width * n:.3g}" for n in range(BINS)], [counts[n] for n in range(BINS)]


def is_lost(check: CheckScore) -> bool:
    """Whether a check has cost points."""
    return check.points is not None and check.points < check.max_points
