"""Scorings of an assignment: when scores were made, from what, and whose score was new then.

A score is kept with the first scoring in which it was so; a scoring that changes nothing is not
kept. What a person reads to grade by (`Work`) is no part of it: that is in the submission.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from grader import __version__
from grader.assignment import Assignment
from grader.database.opening import Database
from grader.database.tables import GRADES, SCORES, SCORINGS
from grader.errors import StoreFault
from grader.known import folder_digest
from grader.verdict import Pending, Score, Work
from grader.verdict_json import from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What scores are made from, beside submissions, evidence and grades: digests."""

    rubric: str
    questions: Mapping[str, str]
    """What the rubric says of each question, by id."""
    reference: str
    data: str
    grader: str = __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """One scoring that made something new."""

    number: int
    at: str
    """ISO 8601, UTC."""
    basis: Basis
    last_grade: int
    """Number of the last grade of a person's that was known to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A student's score as it was kept, or that there was none."""

    student: str
    submission: str = ""
    """Digest of all that was handed in."""
    evidence: str = ""
    """Digest of what its run showed."""
    score: Score | None = None


def basis_of(assignment: Assignment) -> Basis:
    """What an assignment's scores are made from as it stands."""
    folder = assignment.context.reference.path.parent
    return Basis(
        rubric=_digest(assignment.rubric.source),
        questions={
            question.id: _digest(repr(question)) for question in assignment.rubric.questions
        },
        reference=folder_digest(folder, without=("student", "solution")),
        data=assignment.data_digest,
    )


class History:
    """What is kept of one assignment's scores.

    Args:
        database: The course's.
        assignment: Its slug.
    """

    def __init__(self, database: Database, assignment: str) -> None:
        """Read nothing yet."""
        self._database, self._assignment = database, assignment
        self._new: list[Scored] = []
        self.gone: set[str] = set()
        """Who had a score in the scoring before and, since `keep`, has none."""

    def passing(self, scores: Iterable[Score], evidence: Mapping[str, str]) -> Iterator[Score]:
        """Hand scores on, and remember them until `keep`.

        Args:
            scores: Of everybody who has one, grades of people in them.
            evidence: Digest of what each student's run showed, where there is one.
        """
        for score in scores:
            self._new.append(
                Scored(
                    student=score.student,
                    submission=score.submission,
                    evidence=evidence.get(score.student, ""),
                    score=_without_work(score),
                )
            )
            yield score

    def keep(self, basis: Basis, last_grade: int) -> tuple[Scoring | None, Scoring | None]:
        """Keep what was handed on, where it is new.

        Args:
            basis: What the scores were made from.
            last_grade: Number of the last grade of a person's that was known to them.

        Returns:
            The scoring before, and this one; None where there was none, or nothing was new.

        Raises:
            StoreFault: it could not be kept; nothing of it was.
        """
        with self._database.writing() as connection:
            before = self._last(connection)
            known = _texts(connection, self._assignment)
            now = {one.student: _fields(one) for one in self._new}
            self.gone = {name for name, told in known.items() if told["score"]} - set(now)
            now |= {name: _fields(Scored(student=name)) for name in self.gone}
            new = [told for name, told in now.items() if known.get(name) != told]
            if not new and before and before.basis == basis:
                return before, None
            scoring = self._add(connection, basis, last_grade)
            if new:
                rows = [{**told, "scoring": scoring.number} for told in new]
                connection.execute(insert(SCORES), rows)
        return before, scoring

    def scorings(self) -> list[Scoring]:
        """All scorings, the first one first."""
        with self._database.reading() as connection:
            asked = select(SCORINGS).where(SCORINGS.c.assignment == self._assignment)
            rows = connection.execute(asked.order_by(SCORINGS.c.number)).mappings()
            return [_scoring(row) for row in rows]

    def changed(self, after: Scoring, until: Scoring) -> set[str]:
        """The students whose score is another, or came or went, in any scoring after one."""
        asked = select(SCORES.c.student).join(SCORINGS, SCORINGS.c.number == SCORES.c.scoring)
        of = SCORINGS.c.assignment == self._assignment
        between = SCORES.c.scoring.between(after.number + 1, until.number)
        with self._database.reading() as connection:
            return set(connection.scalars(asked.where(of, between)))

    def at(self, scoring: Scoring, students: Set[str] | None = None) -> dict[str, Scored]:
        """Scores as they were after a scoring, by student: of some, or of everybody.

        Raises:
            StoreFault: it cannot be read.
        """
        with self._database.reading() as connection:
            told = _texts(connection, self._assignment, scoring.number)
        wanted = told.keys() if students is None else told.keys() & students
        return {name: _scored(told[name], scoring) for name in wanted if told[name]["score"]}

    def graded(self, after: Scoring, until: Scoring) -> dict[tuple[str, str], str]:
        """Who gave or took back a grade between two scorings, by student and question."""
        first, last = after.last_grade, until.last_grade
        asked = select(GRADES.c.student, GRADES.c.question, GRADES.c.by).where(
            GRADES.c.assignment == self._assignment, GRADES.c.number.between(first + 1, last)
        )
        with self._database.reading() as connection:
            rows = connection.execute(asked.order_by(GRADES.c.number)).mappings()
            return {(row["student"], row["question"]): row["by"] for row in rows}

    def _last(self, connection: Connection) -> Scoring | None:
        asked = select(SCORINGS).where(SCORINGS.c.assignment == self._assignment)
        last = connection.execute(asked.order_by(SCORINGS.c.number.desc()).limit(1)).mappings()
        row = last.one_or_none()
        return _scoring(row) if row else None

    def _add(self, connection: Connection, basis: Basis, last_grade: int) -> Scoring:
        told = {
            "assignment": self._assignment,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "grader": basis.grader,
            "rubric": basis.rubric,
            "questions": json.dumps(dict(basis.questions)),
            "reference": basis.reference,
            "data": basis.data,
            "last_grade": last_grade,
        }
        number = connection.execute(insert(SCORINGS), told).inserted_primary_key
        return _scoring({**told, "number": number[0] if number else 0})


def _texts(connection: Connection, assignment: str, until: int = 0) -> dict[str, dict[str, Any]]:
    """The last rows of `scores`, up to a scoring or at all, by student."""
    of = (SCORINGS.c.assignment == assignment, SCORINGS.c.number == SCORES.c.scoring)
    until_then = (SCORES.c.scoring <= until,) if until else ()
    last = (
        select(SCORES.c.student, func.max(SCORES.c.scoring).label("scoring"))
        .where(*of, *until_then)
        .group_by(SCORES.c.student)
        .subquery()
    )
    asked = select(SCORES).join(
        last, (SCORES.c.student == last.c.student) & (SCORES.c.scoring == last.c.scoring)
    )
    rows = connection.execute(asked.order_by(SCORES.c.student)).mappings()
    return {row["student"]: {k: v for k, v in row.items() if k != "scoring"} for row in rows}


def _fields(scored: Scored) -> dict[str, Any]:
    score = scored.score
    return {
        "student": scored.student,
        "submission": scored.submission,
        "evidence": scored.evidence,
        "status": str(score.status) if score else "",
        "total": score.total if score else None,
        "score": to_json(score) if score else "",
    }


def _scored(told: Mapping[str, Any], scoring: Scoring) -> Scored:
    names = ("student", "submission", "evidence")
    try:
        score = from_json(told["score"])
    except ValueError as error:
        says = f"scoring {scoring.number}: the score of {told['student']} cannot be read"
        raise StoreFault(f"{says}: {error}") from error
    return Scored(**{name: told[name] for name in names}, score=score)


def _scoring(told: Mapping[str, Any] | RowMapping) -> Scoring:
    digests = {name: told[name] for name in ("rubric", "reference", "data", "grader")}
    return Scoring(
        number=told["number"],
        at=told["at"],
        basis=Basis(questions=json.loads(told["questions"]), **digests),
        last_grade=told["last_grade"],
    )


def _without_work(score: Score) -> Score:
    def bare(check: Any) -> Any:
        found = check.conclusion
        if isinstance(found, Pending):
            return replace(check, conclusion=replace(found, work=Work()))
        return check

    questions = (replace(q, checks=tuple(map(bare, q.checks))) for q in score.questions)
    return replace(score, questions=tuple(questions))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
