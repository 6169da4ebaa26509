"""Processes that judge, seen from the grader: one that dies or is late costs nobody else."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from grader.course import Course
from grader.errors import Fault
from grader.judging.opening import LIMITS, Limits, Opening
from grader.judging.page import Page
from grader.judging.process import WORKER, Failed, Process, Told
from grader.rubric import Rubric
from grader.score import unexecuted
from grader.submission import Submission
from grader.verdict import Broken, Score, Status

#: How often a submission is judged whose process dies; the second time in a fresh one.
TRIES = 2
#: Submissions that are asked for before their turn in the report, for each process.
AHEAD = 4


class Judges:
    """Judges an assignment's submissions in processes of their own; use it in a `with` block.

    Nothing is unpickled: a submission's folder goes in, a score in JSON comes out. A process that
    dies or takes too much is replaced; its submission is tried once more, then left to a person.
    """

    def __init__(
        self,
        course: Course,
        slug: str,
        *,
        rubric: Path | None = None,
        journal: str = "",
        jobs: int = 1,
        limits: Limits = LIMITS,
        module: str = WORKER,
    ) -> None:
        """Start nothing yet.

        Args:
            course: Where the assignment is; the processes open it themselves.
            slug: The assignment.
            rubric: Another rubric than the course's own.
            journal: Where decisions were noted; the assignment's own journal if left out.
            jobs: How many processes judge at once.
            limits: What one submission may take.
            module: What the processes run: one that also makes pages, perhaps.
        """
        self._module, self._pages = module, dict[str, Page]()
        self._opening = Opening(
            root=str(course.root.resolve()),
            slug=slug,
            rubric=str(rubric.resolve()) if rubric else "",
            journal=journal,
            database=course.database,
            limits=limits,
        )
        self._jobs = jobs
        self._free: queue.SimpleQueue[Process | None] = queue.SimpleQueue()
        self._running: set[Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        """Start one process, which opens the assignment meanwhile; others start when needed.

        Raises:
            Fault: it cannot be started.
        """
        self._free.put(self._start())
        for _ in range(self._jobs - 1):
            self._free.put(None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill all processes, whatever they are at."""
        self._kill()
        for process in list(self._running):  # threads that still wait for one let go of it
            process.stop()

    def scores(
        self,
        rubric: Rubric,
        folders: Mapping[str, Path],
        bugs: list[str],
        asked: Callable[[Score], str] | None = None,
    ) -> Generator[Score]:
        """Score every submission, in order; what was not executed is left out.

        Args:
            rubric: What scores must fit.
            folders: Where a student's submission lies, by student.
            bugs: Gets the tracebacks of errors of ours that nothing expected.
            asked: What a process is told to make the page of a score; None makes no pages.

        Raises:
            Fault: a process cannot open the assignment.
        """
        waiting: deque[Future[Told]] = deque()
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="judge") as pool:
            try:
                for student, folder in folders.items():
                    waiting.append(pool.submit(self._judge, rubric, student, folder, asked))
                    if len(waiting) > AHEAD * self._jobs:
                        yield from self._taken(waiting.popleft().result(), bugs)
                while waiting:
                    yield from self._taken(waiting.popleft().result(), bugs)
            except BaseException:  # Ctrl-C, or nobody wants the rest: threads must not wait for it
                for future in waiting:
                    future.cancel()
                self._kill()
                raise

    def page(self, score: Score) -> Page:
        """The page of a score that was just given; it is handed over once."""
        return self._pages.pop(score.student)

    def _taken(self, told: Told, bugs: list[str]) -> Iterator[Score]:
        bugs += told.bugs
        if told.score and told.page:
            bugs += told.page.bugs
            self._pages[told.score.student] = told.page
        if told.score:
            yield told.score

    def _judge(
        self,
        rubric: Rubric,
        student: str,
        folder: Path,
        asked: Callable[[Score], str] | None,
    ) -> Told:
        """Judge one submission until it is decided, and have its page made."""
        nobody = Submission(student=student, assignment=self._opening.slug)
        failed, process = Failed(""), self._free.get()
        try:
            for _ in range(TRIES):
                process = process or self._start()
                told = process.judge(student, folder)
                if isinstance(told, Told):
                    told = _fitting(told, unexecuted(nobody, rubric))
                    if not told.score or not asked:
                        return told
                    page = process.page(asked(told.score))
                    if isinstance(page, Failed):  # not tried again: a page is no score
                        self._stop(process)
                        process, page = None, Page(why=page.why)
                    return replace(told, page=page)
                failed = Failed(told.why, told.digest or failed.digest)
                self._stop(process)
                process = None
        finally:
            self._free.put(process)
        given_up = unexecuted(nobody, rubric, failed.why)
        score = replace(given_up, submission=failed.digest)
        return Told(score, page=Page(why=failed.why) if asked else None)

    def _start(self) -> Process:
        process = Process(self._opening, self._module)
        with self._lock:
            if not self._closed:
                self._running.add(process)
                return process
        process.stop()
        raise Fault("judging was stopped")

    def _stop(self, process: Process) -> None:
        with self._lock:
            self._running.discard(process)
        process.stop()

    def _kill(self) -> None:
        """Kill all processes; no thread waits for one any more, and none is started."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()


def _fitting(told: Told, blank: Score) -> Told:
    """An answer, if its score is this student's under this rubric.

    Raises:
        Fault: it is not; the rubric was changed meanwhile.
    """
    if told.score and _shape(told.score) != _shape(blank):
        raise Fault("the rubric was changed while submissions were judged: grader score")
    return told


def _shape(score: Score) -> Score:
    """A score without what was concluded."""
    questions = (
        replace(q, checks=tuple(replace(c, conclusion=Broken(reason="")) for c in q.checks))
        for q in score.questions
    )
    return replace(
        score, questions=tuple(questions), status=Status.COMPLETE, note="", submission=""
    )
