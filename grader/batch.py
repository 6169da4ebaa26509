"""Run a batch: the only place where effects meet decisions.

One submission never stops the others: whatever happens to it, there is evidence, or a fault of ours
with its reason, and a row in the report.
"""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from grader.assignment import Assignment
from grader.errors import EngineAway, Fault, InputError, SandboxFault, StoreFault
from grader.executor import Executor
from grader.explain import asked_by, why_executed
from grader.judging.judge import judge_of, starter_journal
from grader.plan import Plan
from grader.record import Circumstances
from grader.schedule import Next, after
from grader.store import Entry, Store, key_of
from grader.submission import Submission, Ticket
from grader.verdict import Score

#: Often enough for faults of ours and an engine that is started anew a few times.
MOST_TRIES = 6
#: Seconds between two looks at whether another grader is done.
BUSY_S = 0.5


class Listener(Protocol):
    """Hears what happens in a batch; called from several threads."""

    def planned(self, new: int, known: int, alike: int) -> None:
        """So many submissions are to be executed, and so many were; called once, first.

        So many of the new ones are identical to another, which is executed for them.
        """
        ...

    def explained(self, reasons: Mapping[str, int]) -> None:
        """Why submissions are executed, and how many for each reason; called once, after that."""
        ...

    def awaited(self, count: int) -> None:
        """Another grader is executing so many of them, which this one now waits for."""
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
    """One assignment's submissions on their way through one executor.

    Args:
        assignment: What is asked.
        plan: What a sandbox is told.
        executor: Runs code, here or elsewhere.
        store: Where evidence goes.
        jobs: How many submissions run at once.
        listener: Hears of progress.
        load: Reads a student's submission, when its turn has come.
    """

    assignment: Assignment
    plan: Plan
    executor: Executor
    store: Store
    jobs: int
    listener: Listener
    load: Callable[[str], Submission]
    journal: str = ""
    """Where decisions are noted; the assignment's own journal if left out."""
    bugs: list[str] = field(default_factory=list)
    """Tracebacks of errors of ours that nothing expected."""
    _fresh: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    def execute(self, submissions: Iterable[Submission], *, fresh: bool = False) -> None:
        """Execute what has no evidence yet; identical submissions run once.

        Args:
            submissions: May be read while this goes through them; none is kept in memory.
            fresh: Whether evidence that there is does not count.

        Raises:
            KeyboardInterrupt: after sandboxes are stopped; what is finished is kept.
            InputError: something that staff must mend, such as data that nobody may read; likewise.
            StoreFault: evidence or decisions can no longer be kept; likewise.
        """
        self._fresh = fresh
        groups: dict[str, list[Ticket]] = {}
        for submission in submissions:
            if not submission.problem:
                groups.setdefault(key_of(submission, self.plan), []).append(submission.ticket)
        todo = {key: same for key, same in groups.items() if fresh or not self.store.has(key)}
        self._note({key: same for key, same in groups.items() if key not in todo})
        new = sum(map(len, todo.values()))
        known = sum(map(len, groups.values())) - new
        self.listener.planned(new, known, alike=new - len(todo))
        self.listener.explained(self._reasons(todo))
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="grader") as pool:
            try:
                left = self._go_through(todo, pool, wait=False)
                if left:
                    self.listener.awaited(sum(map(len, left.values())))
                    self._go_through(left, pool, wait=True)
            except (
                BaseException
            ):  # Ctrl-C, what staff must mend, a full disk: it concerns everybody
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                with suppress(Fault):  # what stopped the batch is what matters
                    self.executor.close()
                raise

    def _go_through(
        self, todo: Mapping[str, list[Ticket]], pool: ThreadPoolExecutor, *, wait: bool
    ) -> dict[str, list[Ticket]]:
        """Execute; return what another grader is executing, unless this waits for it."""
        futures = {pool.submit(self._alone, key, todo[key][0].student, wait): key for key in todo}
        left = {}
        for future in as_completed(futures):
            key = futures[future]
            if not future.exception() and future.result() is None:
                left[key] = todo[key]
            else:
                self._settle(future, key, todo[key])
        return left

    def _reasons(self, todo: Mapping[str, Sequence[Ticket]]) -> Mapping[str, int]:
        """Why submissions are executed, the most frequent reason first."""
        entries = self.store.entries(self._journal) if todo else {}
        now = Circumstances.of(self.plan, asked_by(self.assignment))
        found: Counter[str] = Counter()
        for ticket in (one for same in todo.values() for one in same):
            entry = entries.get(ticket.student)
            whole = entry is not None and self.store.has(entry.key)
            record = self.store.record(entry.key) if entry and whole else None
            before = record.under if record else None
            found[why_executed(ticket, entry, before, now)] += 1
        return dict(found.most_common())

    def _alone(self, key: str, student: str, wait: bool) -> str | None:
        """As `_one`, while no other grader executes the same; None if one does and we do not wait.

        Who waits looks twice a second: a lock that one could sleep on would not let go for Ctrl-C.
        """
        while not self._stop.is_set():
            with self.store.claimed(key) as ours:
                if ours:
                    return self._one(key, student)
            if not wait:
                return None
            self._stop.wait(BUSY_S)
        raise Fault("stopped while another grader executed it")

    def _one(self, key: str, student: str) -> str:
        """Execute one submission until it is decided; return the ending, raise the last fault."""
        self.listener.began(student)
        submission = self.load(student)
        if submission.problem or key_of(submission, self.plan) != key:
            raise Fault("the submission was changed while the batch ran: grader run")
        if not self._fresh and self.store.has(key):  # another grader was first
            return str(self.store.load(key).evidence.ending)
        faults: list[str] = []
        for _ in range(MOST_TRIES):
            try:
                run = self.executor.execute(
                    submission,
                    self.plan,
                    data=self.assignment.data,
                    lib=self.assignment.lib,
                    alone=bool(faults),
                )
                if not run.reader.ended and not faults:
                    # Killed for memory: the host's lack of it, or the student's fault once more.
                    raise SandboxFault("the guest itself was killed for memory")
                self.store.keep(key, run, self.plan, asked_by(self.assignment), anew=self._fresh)
                return run.ending
            except StoreFault:  # a full disk is not mended by running this once more
                raise
            except Fault as fault:
                if not isinstance(fault, EngineAway):
                    faults.append(str(fault))
                if self._stop.is_set() or (faults and after(faults) is Next.HAND_TO_PERSON):
                    raise
                self.listener.retried(student, str(fault))
        raise SandboxFault("the engine goes away again and again")

    @property
    def _journal(self) -> str:
        return self.journal or self.assignment.slug

    def _settle(self, future: Future[str | None], key: str, same: Sequence[Ticket]) -> None:
        try:
            ending, fault = future.result() or "", ""
        except (InputError, StoreFault):
            raise
        except Fault as error:
            ending, fault = "", str(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours costs nobody points, and stops nobody else
            self.bugs.append("".join(traceback.format_exception(error)))
            ending, fault = "", f"a bug of the grader: {type(error).__name__}: {error}"
        self._note({"" if fault else key: same}, fault)
        for ticket in same:
            self.listener.finished(ticket.student, fault or ending, fault=bool(fault))

    def _note(self, groups: Mapping[str, Sequence[Ticket]], fault: str = "") -> None:
        """Note what became of submissions: by the key of their evidence, or a fault of ours."""
        entries = [
            Entry(
                student=one.student,
                submission=one.digest,
                key=key,
                plan=self.plan.digest,
                fault=fault,
            )
            for key, same in groups.items()
            for one in same
        ]
        self.store.note(self._journal, *entries)


class Silent:
    """A listener for what nobody waits for."""

    def planned(self, new: int, known: int, alike: int) -> None:
        """Nothing."""

    def explained(self, reasons: Mapping[str, int]) -> None:
        """Nothing."""

    def awaited(self, count: int) -> None:
        """Nothing."""

    def began(self, student: str) -> None:
        """Nothing."""

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        """Nothing."""

    def retried(self, student: str, why: str) -> None:
        """Nothing."""


def execute_starter(
    assignment: Assignment,
    plan: Plan,
    executor: Executor,
    store: Store,
    bugs: list[str],
    listener: Listener | None = None,
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
        executor=executor,
        store=store,
        jobs=1,
        listener=listener or Silent(),
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
