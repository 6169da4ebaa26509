"""`grader report`: pages beside the tables.

    <out>/<assignment>/index.html                the class: stays with the staff
    <out>/<assignment>/students/<student>.html   goes to the student, as their CSV does
    <out>/<assignment>/staff/<student>.html      the same with expected values: stays

What goes to a student and what does not are in folders of their own, so that nobody hands out the
wrong one. Students are shown what `students/*.csv` says to them, their own cells, and pictures of
what is not hidden. Pages are written one at a time; what remains of a student is a row of numbers.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from grader.assignment import Assignment
from grader.checks import KINDS
from grader.checks.base import Seen
from grader.errors import Fault
from grader.evidence import CellReceipt, CellStatus, Evidence
from grader.report.drawing import drawn
from grader.report.excerpts import excerpts, failed
from grader.report.pages import (
    Exhibit,
    Ran,
    Section,
    StudentPage,
    class_html,
    environment,
    student_html,
)
from grader.report.pictures import Subject, pictures
from grader.report.statistics import Tally
from grader.report.tables import file_names
from grader.rubric import Check, Question
from grader.score import seen_of
from grader.store import Entry, Store, atomically
from grader.submission import Submission
from grader.verdict import CheckScore, Pending, QuestionScore, Score, Work


@dataclass
class Publisher:
    """Writes the pages of one assignment while its scores go by.

    Args:
        assignment: What was asked.
        store: Where evidence is.
        read: Reads a student's submission.
        out: Folder of all reports.
        bugs: Gets tracebacks of errors that nothing expected; they cost a picture, and no page.
    """

    assignment: Assignment
    store: Store
    read: Callable[[str], Submission]
    out: Path
    bugs: list[str]
    _made: Environment = field(default_factory=environment)

    @property
    def folder(self) -> Path:
        """Where the pages of this assignment go."""
        return self.out / self.assignment.slug

    def published(self, scores: Iterable[Score], students: Iterable[str]) -> Iterator[Score]:
        """Hand scores on, each after its pages are written; the page of the class comes last.

        Args:
            scores: Each is written and let go before the next is made.
            students: Everybody who may have a score.

        Raises:
            StoreFault: a page could not be written.
        """
        names = file_names(students)
        keys = {entry.student: entry.key for entry in self._entries()}
        tally = Tally(self.assignment.rubric)
        for score in scores:
            evidence = self._evidence(keys.get(score.student, ""))
            file = names[score.student]
            self._write(score, file, evidence)
            wall_s, peak_mib = (evidence.wall_s, evidence.peak_mib) if evidence else (None, None)
            tally.add(score, file, wall_s, peak_mib)
            yield score
        self._put(self.folder / "index.html", class_html(self._made, tally, self.assignment.rubric))

    def _entries(self) -> Sequence[Entry]:
        return list(self.store.entries(self.assignment.slug).values())

    def _evidence(self, key: str) -> Evidence | None:
        try:
            return self.store.load(key).evidence if key else None
        except Fault:  # the score says so already
            return None

    def _write(self, score: Score, file: str, evidence: Evidence | None) -> None:
        handed = _Handed(score, file, self.read(score.student), evidence)
        rubric = self.assignment.rubric
        for folder, staff in (("students", False), ("staff", True)):
            page = self._page(handed, staff=staff)
            told = student_html(self._made, page, rubric, staff=staff)
            self._put(self.folder / folder / f"{file}.html", told)

    def _page(self, handed: _Handed, *, staff: bool) -> StudentPage:
        asked = {question.id: question for question in self.assignment.rubric.questions}
        sections = [
            self._section(question, asked[question.id], handed, staff=staff)
            for question in handed.score.questions
        ]
        return StudentPage(
            score=handed.score,
            file=handed.file,
            sections=tuple(sections),
            ran=_ran(handed.evidence, handed.submission) if handed.evidence else None,
            problem=handed.submission.problem,
        )

    def _section(
        self, question: QuestionScore, asked: Question, handed: _Handed, *, staff: bool
    ) -> Section:
        checks = _counted(question, asked)
        names = [name for check, _ in checks for name in self._names(check)]
        return Section(
            question=question,
            title=asked.title,
            exhibits=tuple(self._exhibit(c, score, handed, staff=staff) for c, score in checks),
            cells=excerpts(names, handed.submission.cells, handed.receipts),
        )

    def _names(self, check: Check) -> list[str]:
        """The names that a check asks of the namespace."""
        asked = [request.get("name") for request in self.assignment.requests[check.id].values()]
        return [name for name in asked if isinstance(name, str) and name]

    def _exhibit(self, check: Check, score: CheckScore, handed: _Handed, *, staff: bool) -> Exhibit:
        found: list[Markup] = []
        work, unknown = Work(), ""
        try:
            if handed.evidence:
                seen = handed.seen(check, self.assignment)
                opened = staff or check.reveal
                subject = Subject(check, score, seen, self.assignment.context, open=opened)
                work = _work(subject)
                found = list(map(drawn, pictures(subject)))
        except Fault as fault:
            unknown = str(fault)
        except Exception as error:  # noqa: BLE001 - a picture's bug must not cost the page
            self.bugs.append("".join(traceback.format_exception(error)))
            unknown = f"a bug of the grader: {error!r}"
        asks = KINDS[check.kind].asks(check.params)
        return Exhibit(check=score, asks=asks, work=work, pictures=tuple(found), unknown=unknown)

    @staticmethod
    def _put(path: Path, told: str) -> None:
        with atomically(path) as file:
            file.write(told)


@dataclass(frozen=True, slots=True)
class _Handed:
    """One student's score, and what it came from."""

    score: Score
    file: str
    submission: Submission
    evidence: Evidence | None
    _seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def receipts(self) -> dict[int, CellReceipt]:
        """What became of the cells, by index."""
        return {receipt.index: receipt for receipt in self.evidence.cells} if self.evidence else {}

    def seen(self, check: Check, assignment: Assignment) -> Seen:
        """What a check saw, put together once for both readers."""
        if check.id not in self._seen and self.evidence:
            self._seen[check.id] = seen_of(check, self.evidence, self.submission, assignment)
        return self._seen[check.id]


def _work(subject: Subject) -> Work:
    """What the student wrote for a person to read, also when that person has decided."""
    found, check = subject.score.conclusion, subject.check
    if check.kind == "written" and not isinstance(found, Pending):
        found = KINDS[check.kind].judge(check.params, subject.seen, subject.context)
    return found.work if isinstance(found, Pending) else Work()


def _counted(question: QuestionScore, asked: Question) -> list[tuple[Check, CheckScore]]:
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
