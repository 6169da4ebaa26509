"""One assignment's judge: a submission beside what is kept of its run gives a score."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace

from grader.assignment import Assignment
from grader.errors import Fault
from grader.score import score, unexecuted
from grader.starter import NO_STARTER, Starter, learn
from grader.store import Entry, Store
from grader.submission import Submission
from grader.verdict import Score


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores submissions from what is kept; nothing is executed.

    Args:
        assignment: What is asked, and what is right.
        store: Where evidence is.
        entries: The last decision about every student.
        starter: What is known of the starter's own run.
    """

    assignment: Assignment
    store: Store
    entries: Mapping[str, Entry]
    starter: Starter

    def score(self, submission: Submission, bugs: list[str]) -> Score | None:
        """Score a submission; None if it was never executed, or was handed in anew since.

        Args:
            submission: What was handed in.
            bugs: Gets the tracebacks of errors of ours that nothing expected.

        Raises:
            MemoryError: which says nothing about the student.
        """
        entry = self.entries.get(submission.student)
        if submission.problem:
            return unexecuted(submission, self.assignment.rubric)
        if entry is None or entry.submission != submission.digest:
            return None
        if entry.fault:
            return unexecuted(submission, self.assignment.rubric, entry.fault)
        try:
            return self._scored(submission, entry, bugs)
        except Fault as fault:
            return unexecuted(submission, self.assignment.rubric, str(fault))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not cost the class its report
            bugs.append("".join(traceback.format_exception(error)))
            reason = f"a bug of the grader: {error!r}"
            return unexecuted(submission, self.assignment.rubric, reason)

    def _scored(self, submission: Submission, entry: Entry, bugs: list[str]) -> Score:
        kept = self.store.load(entry.key)
        if kept.data != self.assignment.data_digest:
            old = "data/ has changed since this was executed: grader run"
            submission = replace(submission, notes=(old, *submission.notes))
        told = kept.evidence, submission, self.assignment, kept.asked, bugs
        return score(*told, starter=self.starter)


def judge_of(assignment: Assignment, store: Store, journal: str = "") -> Judge:
    """The judge of an assignment, with the decisions of a journal: its own if left out."""
    entries = store.entries(journal or assignment.slug)
    return Judge(assignment, store, entries, starter_known(assignment, store))


def starter_known(assignment: Assignment, store: Store) -> Starter:
    """What is known of the starter's own run; where nothing is, its cells and why."""
    starter = assignment.starter
    if starter is None or starter.problem:
        return NO_STARTER
    entry = store.entries(starter_journal(assignment)).get(starter.student)
    if entry is None or entry.submission != starter.digest:
        return Starter(cells=starter.cells, unknown="it was not executed: grader run")
    if entry.fault:
        return Starter(cells=starter.cells, unknown=entry.fault)
    try:
        return learn(starter.cells, store.load(entry.key).evidence.cells)
    except Fault as fault:
        return Starter(cells=starter.cells, unknown=str(fault))


def starter_journal(assignment: Assignment) -> str:
    """Where the decision about the starter is noted."""
    return f"{assignment.slug}.starter"
