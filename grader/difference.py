"""Whose points changed between two scorings, by question, and what may have changed them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from grader.history import Basis, Scored, Scoring

#: Names of questions in one sentence.
MOST = 8
#: What is said where nothing changed that a scoring keeps.
UNKNOWN = "nothing that is recorded: the grader's own code, a library or the machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A question whose points are others for a student."""

    student: str
    question: str
    before: float | None
    """Points; None where nobody had decided, or there was no score or no such question."""
    after: float | None
    why: tuple[str, ...]
    """All that changed and concerns this question; the points may be due to any of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A scoring with everybody's score."""

    scoring: Scoring
    scores: Mapping[str, Scored]


def changes(
    before: Moment, after: Moment, graded: Mapping[tuple[str, str], str]
) -> Iterator[Change]:
    """Every question whose points changed, student by student.

    Args:
        before: The earlier scoring.
        after: The later one.
        graded: Who graded since, by student and question.
    """
    for student in sorted({*before.scores, *after.scores}):
        then, now = before.scores.get(student), after.scores.get(student)
        points_then, points_now = _points(then), _points(now)
        for question in dict.fromkeys((*points_now, *points_then)):
            was, is_ = points_then.get(question), points_now.get(question)
            if was != is_:
                grader = graded.get((student, question), "")
                told = (*_of_student(then, now), *([f"graded by {grader}"] if grader else []))
                told += tuple(_of_basis(before.scoring.basis, after.scoring.basis, question))
                yield Change(
                    student=student,
                    question=question,
                    before=was,
                    after=is_,
                    why=told or (UNKNOWN,),
                )


def basis_changes(before: Basis, after: Basis) -> Iterator[str]:
    """What is judged by other rules, in words."""
    asked = [q for q, digest in after.questions.items() if before.questions.get(q) != digest]
    gone = [q for q in before.questions if q not in after.questions]
    if asked:
        yield f"the rubric says something else of {_listed(asked)}"
    if gone:
        yield f"the rubric asks {_listed(gone)} no more"
    if not asked and not gone and before.rubric != after.rubric:
        yield "the rubric changed, but no question of it"
    if before.reference != after.reference:
        yield "the reference changed"
    if before.data != after.data:
        yield "data/ changed"
    if before.grader != after.grader:
        yield f"grader {before.grader} became {after.grader}"


def _points(scored: Scored | None) -> dict[str, float | None]:
    found = scored.score if scored else None
    return {question.id: question.points for question in found.questions} if found else {}


def _of_student(then: Scored | None, now: Scored | None) -> tuple[str, ...]:
    if then is None:
        return ("scored for the first time",)
    if now is None:
        return ("has no score now: new or changed, and not executed",)
    if then.submission != now.submission:
        return ("handed in anew",)
    if then.evidence != now.evidence:
        return ("executed anew" if then.evidence and now.evidence else "executed",)
    return ()


def _of_basis(before: Basis, after: Basis, question: str) -> Iterator[str]:
    if before.questions.get(question) != after.questions.get(question):
        yield "rubric"
    if before.reference != after.reference:
        yield "reference"
    if before.data != after.data:
        yield "data/"
    if before.grader != after.grader:
        yield f"grader {before.grader} became {after.grader}"


def _listed(questions: list[str]) -> str:
    shown = questions[:MOST] + ["…"] * (len(questions) > MOST)
    return ", ".join(shown)
