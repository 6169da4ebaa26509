"""Rows that wait for a person, and grades put in their place. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from grader.verdict import Broken, CheckScore, Finding, Pending, QuestionScore, Score

#: Hexadecimal digits kept of a digest. Each gets a letter in front, or a spreadsheet that meets
#: `12345` or `1e5` makes a number of it.
DIGITS = 16
BROKEN = "The grader could not judge this."


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a grade was given for: it holds while the text is the same.

    The submission's digest stands in where there is no text to compare.
    """

    text: str
    """Empty where there is no text to grade."""
    submission: str

    @classmethod
    def of(cls, text: str, submission: str) -> Version:
        """The version of a text, in which blanks do not count, within a submission."""
        squeezed = " ".join(unicodedata.normalize("NFC", text).split())
        return cls(text="t" + _short(squeezed) if squeezed else "", submission=_short(submission))

    def __str__(self) -> str:
        """As a sheet writes it."""
        return f"{self.text or 't'}s{self.submission}"

    @classmethod
    def parse(cls, written: str) -> Version:
        """Read what `str` wrote; anything else is a version that equals no other."""
        text, _, submission = written.strip().partition("s")
        return cls(text=text if len(text) > 1 else "", submission=submission)

    def holds(self, other: Version) -> bool:
        """Whether what was said of one may be said of the other."""
        if self.text and other.text:
            return self.text == other.text
        return bool(self.submission) and self.submission == other.submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check of one student that a person decides."""

    assignment: str
    student: str
    question: str
    check: str
    """Its name, unique within the question."""
    kind: str
    max_points: float
    version: Version

    @property
    def id(self) -> str:
        """A key that spreadsheets leave alone, unlike `007` or `1-2`."""
        told = (self.assignment, self.student, self.question, self.check)
        return "r" + _short("\0".join(told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What a person decided about a row."""

    row: Row
    """As it was when it was graded."""
    points: str
    """A decimal number as it was typed: binary fractions would turn 0.1 into something else.

    Empty when the grade was withdrawn.
    """
    comment: str
    by: str
    at: str
    """When it was imported: ISO 8601, UTC."""

    @property
    def credit(self) -> float:
        """Share of the points; a maximum that sheets show rounded is the whole."""
        most = self.row.max_points
        given = Decimal(self.points)
        if given == Decimal(f"{round(most, 4):g}"):
            return 1.0
        return min(1.0, float(given) / most)

    @property
    def says(self) -> str:
        """The points in words."""
        if not self.points:
            return "withdrawn"
        return f"{self.points} of {round(self.row.max_points, 4):g}"

    def points_of(self, most: float) -> str:
        """The points as sheets show them when the check is worth `most` points by now."""
        if most == self.row.max_points:
            return self.points
        return f"{round(self.credit * most, 4):g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row with what a person needs to decide it, and what was decided."""

    row: Row
    pending: Pending
    grade: Grade | None
    """The last grade for it, which may be out of date."""

    @property
    def holds(self) -> Grade | None:
        """The grade that counts, if there is one."""
        if self.grade and self.grade.row.version.holds(self.row.version):
            return self.grade
        return None


def waiting(score: Score, grades: Mapping[str, Grade]) -> Iterator[Waiting]:
    """Everything in a score that a person decides, decided or not.

    What cannot change a question's points is left out, such as a poorer alternative.

    Args:
        score: As the machine made it, before `graded`.
        grades: The last grade by row id.
    """
    for question in score.questions:
        for label, check in _labelled(question) if question.points is None else ():
            if isinstance(check.conclusion, (Pending, Broken)):
                yield _waiting(score, question, check, label, grades)


def graded(score: Score, grades: Mapping[str, Grade]) -> Score:
    """Put grades in the place of what waits for a person.

    A grade for a text that has changed since then stays out, and the report says so. What the
    machine has decided by now stays as the machine decided it.
    """
    return replace(
        score,
        questions=tuple(
            replace(
                question,
                checks=tuple(
                    _graded(score, question, check, label, grades)
                    for label, check in _labelled(question)
                ),
            )
            for question in score.questions
        ),
    )


def called(name: str, alternative: str) -> str:
    """A check's name beside those of other alternatives."""
    return f"{alternative}/{name}" if alternative else name


def labels(names: Iterable[str]) -> list[str]:
    """Names of a question's checks, each only once: `written`, `written #2`, `rotary/written`."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _labelled(question: QuestionScore) -> Iterator[tuple[str, CheckScore]]:
    names = labels(called(check.check, check.alternative) for check in question.checks)
    return zip(names, question.checks, strict=True)


def _graded(
    score: Score,
    question: QuestionScore,
    check: CheckScore,
    label: str,
    grades: Mapping[str, Grade],
) -> CheckScore:
    if isinstance(check.conclusion, Finding):
        return check
    found = _waiting(score, question, check, label, grades)
    grade, given = found.holds, found.grade
    if grade is not None:
        says = grade.comment or "A person graded this."
        return replace(check, conclusion=Finding(credit=grade.credit, says=says))
    if given is None or isinstance(check.conclusion, Broken):
        return check
    reason = f"This was graded {given.says} before the text changed; a person looks again."
    told = [f"Graded by {given.by}: {given.comment}".strip(" :"), found.pending.detail]
    pending = replace(found.pending, reason=reason, detail=" ".join(filter(None, told)))
    return replace(check, conclusion=pending)


def _waiting(
    score: Score,
    question: QuestionScore,
    check: CheckScore,
    label: str,
    grades: Mapping[str, Grade],
) -> Waiting:
    pending = _asked(check)
    row = Row(
        assignment=score.assignment,
        student=score.student,
        question=question.id,
        check=label,
        kind=check.kind,
        max_points=check.max_points,
        version=Version.of(pending.work.text, score.submission),
    )
    return Waiting(row=row, pending=pending, grade=grades.get(row.id))


def _asked(check: CheckScore) -> Pending:
    """What a person is asked; a fault of ours leaves them nothing to read but its reason."""
    found = check.conclusion
    return found if isinstance(found, Pending) else Pending(reason=BROKEN, detail=check.for_staff)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
