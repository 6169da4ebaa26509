"""One student's report page: what stands on it, from the score, the submission and the evidence.

Everything that is read and drawn here may be hostile, so it is made in the process that judged the
submission (`grader/report/worker.py`), within the same limits. Where that process failed there is a
page made of the score alone (`plain`).
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.checks.base import Seen
from grader.errors import Fault
from grader.evidence import CellReceipt, CellStatus, Evidence
from grader.judging.judge import Judge
from grader.judging.page import Page
from grader.report.drawing import drawn
from grader.report.excerpts import excerpts, failed
from grader.report.pages import Exhibit, Ran, Section, StudentPage, environment, student_html
from grader.report.pictures import Subject, pictures
from grader.rubric import Check, Question, Rubric
from grader.score import seen_in, seen_of
from grader.submission import Submission
from grader.verdict import CheckScore, Pending, QuestionScore, Score, Work
from grader.verdict_json import from_json, to_json


def question(score: Score, file: str) -> str:
    """What the process that judges is told to make a page, in one line.

    Args:
        score: With what people have decided.
        file: Name of the page, without an ending.
    """
    return json.dumps({"score": to_json(score), "file": file})


def plain(score: Score, file: str, rubric: Rubric, why: str) -> StudentPage:
    """A page of the score alone, without pictures and cells.

    Args:
        score: With what people have decided.
        file: Name of the page, without an ending.
        rubric: What was asked.
        why: Why there is nothing else.
    """
    sections = []
    for asked, scored in _asked(score, rubric):
        exhibits = [
            Exhibit(check=one, asks=_asks(check), work=_pending(one), pictures=())
            for check, one in _counted(scored, asked)
        ]
        sections.append(
            Section(question=scored, title=asked.title, exhibits=tuple(exhibits), cells=())
        )
    return StudentPage(score=score, file=file, sections=tuple(sections), ran=None, plain=why)


class PageAuthor:
    """Makes the pages of one assignment, one after the other.

    Args:
        judge: Knows the assignment and where evidence is.
    """

    def __init__(self, judge: Judge) -> None:
        """Read the templates."""
        self._judge, self._made = judge, environment()

    def page(self, question: Mapping[str, Any], submission: Submission) -> Page:
        """Make both pages of a student.

        Args:
            question: What `question` wrote.
            submission: What was handed in.

        Raises:
            MemoryError: which says nothing about the student.
        """
        evidence, bugs = self._evidence(submission), list[str]()
        score = from_json(question["score"])
        handed = _Handed(score, submission, evidence, self._judge.assignment, bugs)
        rubric, file = self._judge.assignment.rubric, question["file"]
        student, staff = (
            student_html(self._made, handed.page(file, staff=opened), rubric, staff=opened)
            for opened in (False, True)
        )
        wall_s, peak_mib = (evidence.wall_s, evidence.peak_mib) if evidence else (None, None)
        return Page(
            student=student, staff=staff, wall_s=wall_s, peak_mib=peak_mib, bugs=tuple(bugs)
        )

    def _evidence(self, submission: Submission) -> Evidence | None:
        entry = self._judge.entries.get(submission.student)
        if entry is None or entry.submission != submission.digest or not entry.key:
            return None
        try:
            return self._judge.store.load(entry.key).evidence
        except Fault:  # the score says so already
            return None


@dataclass(frozen=True, slots=True)
class _Handed:
    """One student's score, and what it came from."""

    score: Score
    submission: Submission
    evidence: Evidence | None
    assignment: Assignment
    bugs: list[str]
    """Gets tracebacks of errors that nothing expected; they cost a picture, and no page."""
    _seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def receipts(self) -> dict[int, CellReceipt]:
        """What became of the cells, by index."""
        return {receipt.index: receipt for receipt in self.evidence.cells} if self.evidence else {}

    def page(self, file: str, *, staff: bool) -> StudentPage:
        """What stands on the page for one reader."""
        sections = [
            self._section(scored, asked, staff=staff)
            for asked, scored in _asked(self.score, self.assignment.rubric)
        ]
        return StudentPage(
            score=self.score,
            file=file,
            sections=tuple(sections),
            ran=_ran(self.evidence, self.submission) if self.evidence else None,
            problem=self.submission.problem,
        )

    def _section(self, scored: QuestionScore, asked: Question, *, staff: bool) -> Section:
        checks = _counted(scored, asked)
        names = [name for check, _ in checks for name in self._names(check)]
        return Section(
            question=scored,
            title=asked.title,
            exhibits=tuple(self._exhibit(check, score, staff=staff) for check, score in checks),
            cells=excerpts(names, self.submission.cells, self.receipts),
        )

    def _names(self, check: Check) -> list[str]:
        """The names that a check asks of the namespace."""
        asked = [request.get("name") for request in self.assignment.requests[check.id].values()]
        return [name for name in asked if isinstance(name, str) and name]

    def _exhibit(self, check: Check, score: CheckScore, *, staff: bool) -> Exhibit:
        found: list[Markup] = []
        work, unknown = Work(), ""
        try:
            if self.evidence:
                opened = staff or check.reveal
                seen = self._seen_of(check, self.evidence)
                subject = Subject(check, score, seen, self.assignment.context, open=opened)
                work = _work(subject)
                found = list(map(drawn, pictures(subject)))
        except Fault as fault:
            unknown = str(fault)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a picture's bug must not cost the page
            self.bugs.append("".join(traceback.format_exception(error)))
            unknown = f"a bug of the grader: {error!r}"
        asks = _asks(check)
        return Exhibit(check=score, asks=asks, work=work, pictures=tuple(found), unknown=unknown)

    def _seen_of(self, check: Check, evidence: Evidence) -> Seen:
        """What a check saw, put together once for both readers."""
        if check.id not in self._seen:
            run = seen_in(evidence, self.submission, self.assignment)
            self._seen[check.id] = seen_of(check, run, evidence, self.assignment)
        return self._seen[check.id]


def _asked(score: Score, rubric: Rubric) -> Iterator[tuple[Question, QuestionScore]]:
    asked = {question.id: question for question in rubric.questions}
    return ((asked[scored.id], scored) for scored in score.questions)


def _asks(check: Check) -> str:
    return KINDS[check.kind].asks(check.params)


def _work(subject: Subject) -> Work:
    """What the student wrote for a person to read, also when that person has decided."""
    check = subject.check
    if check.kind == "written" and not isinstance(subject.score.conclusion, Pending):
        found = KINDS[check.kind].judge(check.params, subject.seen, subject.context)
        return found.work if isinstance(found, Pending) else Work()
    return _pending(subject.score)


def _pending(score: CheckScore) -> Work:
    return score.conclusion.work if isinstance(score.conclusion, Pending) else Work()


def _counted(question: QuestionScore, asked: Question) -> Sequence[tuple[Check, CheckScore]]:
    """The checks that count, each as it was asked and as it was scored."""
    counted = question.counted
    name = counted[0].alternative if counted else ""
    mine = [check for check in asked.checks if check.alternative == name]
    return list(zip(mine, counted, strict=True))


def _ran(evidence: Evidence, submission: Submission) -> Ran:
    receipts = {receipt.index: receipt for receipt in evidence.cells}
    never = (CellStatus.SKIPPED, CellStatus.LEFT_OUT)
    return Ran(
        wall_s=evidence.wall_s,
        peak_mib=evidence.peak_mib,
        sandbox=evidence.sandbox,
        failed=failed(submission.cells, receipts),
        executed=sum(receipt.status not in never for receipt in evidence.cells),
    )
