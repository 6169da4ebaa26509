"""Run a batch: the only place where effects meet decisions.

One submission never stops the others: whatever happens to it, there is evidence, or a fault of ours
with its reason, and a row in the report.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from grader.assignment import Assignment
from grader.errors import Fault, InputError, StoreFault
from grader.execute import execute
from grader.judging.judge import judge_of, starter_journal
from grader.plan import Plan
from grader.sandbox.base import Sandbox
from grader.schedule import Next, after
from grader.store import Entry, Store, key_of
from grader.submission import Submission, Ticket
from grader.verdict import Score


class Listener(Protocol):
    """Hears what happens in a batch; called from several threads."""

    def planned(self, new: int, known: int) -> None:
        """So many submissions are to be executed, and so many were; called once, first."""
        ...

    def began(self, student: str) -> None:
        """A submission went into a sandbox."""
        ...

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        """A submission is done: its ending, or the fault that a person must look at."""
        ...

    def retried(self, student: str, why: str) -> None:
        """A fault of ours; the submission is tried once more."""
        ...


@dataclass(slots=True)
class Batch:
    """One assignment's submissions on their way through one sandbox.

    Args:
        assignment: What is asked.
        plan: What the sandbox is told.
        sandbox: Where code runs.
        store: Where evidence goes.
        jobs: How many submissions run at once.
        listener: Hears of progress.
        load: Reads a student's submission, when its turn has come.
    """

    assignment: Assignment
    plan: Plan
    sandbox: Sandbox
    store: Store
    jobs: int
    listener: Listener
    load: Callable[[str], Submission]
    journal: str = ""
    """Where decisions are noted; the assignment's own journal if left out."""
    bugs: list[str] = field(default_factory=list)
    """Tracebacks of errors of ours that nothing expected."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def execute(self, submissions: Iterable[Submission], *, fresh: bool = False) -> None:
        """Execute what has no evidence yet; identical submissions run once.

        Args:
            submissions: May be read while this goes through them; none is kept in memory.
            fresh: Whether evidence that there is does not count.

        Raises:
            KeyboardInterrupt: after sandboxes are stopped; what is finished is kept.
            InputError: something that staff must mend, such as data that nobody may read; likewise.
            StoreFault: decisions can no longer be noted; likewise.
        """
        groups: dict[str, list[Ticket]] = {}
        for submission in submissions:
            if not submission.problem:
                groups.setdefault(key_of(submission, self.plan), []).append(submission.ticket)
        todo = {key: same for key, same in groups.items() if fresh or not self.store.has(key)}
        for key, same in groups.items():
            if key not in todo:
                self._note(same, key=key)
        new = sum(map(len, todo.values()))
        self.listener.planned(new, sum(map(len, groups.values())) - new)
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="grader") as pool:
            futures: dict[Future[str], tuple[str, list[Ticket]]] = {}
            try:
                for key, same in todo.items():
                    futures[pool.submit(self._one, key, same[0].student)] = (key, same)
                for future in as_completed(futures):
                    key, same = futures[future]
                    self._settle(future, key, same)
            # What staff must mend, or a store that takes nothing more, concerns everybody.
            except (KeyboardInterrupt, InputError, StoreFault):
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                with suppress(Fault):  # what stopped the batch is what matters
                    self.sandbox.close()
                raise

    def _one(self, key: str, student: str) -> str:
        """Execute one submission until it is decided; return the ending, raise the last fault."""
        self.listener.began(student)
        submission = self.load(student)
        if submission.problem or key_of(submission, self.plan) != key:
            raise StoreFault("the submission was changed while the batch ran: grader run")
        faults: list[str] = []
        while True:
            try:
                run = execute(
                    submission,
                    self.plan,
                    self.sandbox,
                    self.assignment.data,
                    self.assignment.lib,
                    alone=bool(faults),
                )
                self.store.keep(key, run, self.plan, self._asked())
                return run.evidence.ending
            except Fault as fault:
                faults.append(str(fault))
                if self._stop.is_set() or after(faults) is Next.HAND_TO_PERSON:
                    raise
                self.listener.retried(student, str(fault))

    def _asked(self) -> dict[str, str]:
        asked: dict[str, str] = {}
        for check in self.assignment.rubric.checks:
            asked |= self.assignment.asked(check)
        return asked

    def _settle(self, future: Future[str], key: str, same: Sequence[Ticket]) -> None:
        try:
            ending, fault = future.result(), ""
        except Fault as error:
            ending, fault = "", str(error)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours costs nobody points, and stops nobody else
            self.bugs.append("".join(traceback.format_exception(error)))
            ending, fault = "", f"a bug of the grader: {type(error).__name__}: {error}"
        self._note(same, key="" if fault else key, fault=fault)
        for ticket in same:
            self.listener.finished(ticket.student, fault or ending, fault=bool(fault))

    def _note(self, same: Sequence[Ticket], *, key: str = "", fault: str = "") -> None:
        for one in same:
            entry = Entry(
                student=one.student,
                submission=one.digest,
                key=key,
                plan=self.plan.digest,
                fault=fault,
            )
            self.store.note(self.journal or self.assignment.slug, entry)


class Silent:
    """A listener for what nobody waits for."""

    def planned(self, new: int, known: int) -> None:
        """Nothing."""

    def began(self, student: str) -> None:
        """Nothing."""

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        """Nothing."""

    def retried(self, student: str, why: str) -> None:
        """Nothing."""


def execute_starter(
    assignment: Assignment, plan: Plan, sandbox: Sandbox, store: Store, bugs: list[str]
) -> str:
    """Execute what students were given, if that is not known yet.

    Returns:
        Why nothing is known of it, through a fault of ours; empty if all is well.
    """
    starter = assignment.starter
    if starter is None or starter.problem:
        return ""
    journal = starter_journal(assignment)
    batch = Batch(
        assignment=assignment,
        plan=plan,
        sandbox=sandbox,
        store=store,
        jobs=1,
        listener=Silent(),
        load=lambda _: starter,
        journal=journal,
    )
    batch.execute([starter])
    bugs += batch.bugs
    return store.entries(journal)[starter.student].fault


def score_all(
    assignment: Assignment, submissions: Iterable[Submission], store: Store, bugs: list[str]
) -> Iterator[Score]:
    """Score every submission in this very process, which must trust it; `grader.judging` need not.

    What was never executed, or was handed in anew since, is left out.
    """
    judge = judge_of(assignment, store)
    for submission in submissions:
        score = judge.score(submission, bugs)
        if score:
            yield score
