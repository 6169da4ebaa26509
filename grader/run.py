"""`grader run` and `grader score`: from submissions to reports and an exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from grader.assignment import Assignment
from grader.batch import Batch, Silent, execute_starter
from grader.course import Course
from grader.diffing import changed_in_words
from grader.display import Display, shown, summary
from grader.errors import InputError
from grader.executor import Executor
from grader.explain import asked_by, why_again
from grader.grades.desk import Desk
from grader.history import History, basis_of
from grader.intake.folders import Handed
from grader.judging.judge import starter_known
from grader.judging.judges import Judges
from grader.judging.process import WORKER
from grader.options import ALL_SCORED, NEEDS_PERSON, OUR_BUG, Options
from grader.plan import Plan
from grader.record import Circumstances
from grader.report.author import question
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.store import Store
from grader.symbolic import Symbolic
from grader.verdict import Score

WITH_PAGES = "grader.report.worker"
"""Runs in place of `WORKER` where pages are made."""


def run(
    course: Course,
    assignments: Sequence[tuple[str, Path]],
    place: Callable[[Console], AbstractContextManager[Executor]],
    console: Console,
    options: Options,
) -> int:
    """Execute what is new or changed, score everything, write reports; return the exit code.

    Args:
        course: Where things lie.
        assignments: Each with its folder of students.
        place: Opens what executes, here or on a cluster.
        console: Hears of progress.
        options: What the command line asked for.
    """
    code = ALL_SCORED
    store = Store(course.state, course.database)
    store.clean()
    with Symbolic(course.known) as symbolic, ExitStack() as stack:
        # All rubrics are read before anything runs: a bad one must not cost an hour first.
        opened = [
            (course.open(slug, symbolic, options.rubric), folder) for slug, folder in assignments
        ]
        executor = stack.enter_context(place(console))
        devices = [device_of(assignment, executor, console) for assignment, _ in opened]
        for (assignment, folder), device in zip(opened, devices, strict=True):
            handed = Handed(folder, assignment.slug, assignment.layout)
            plan = assignment.plan(executor.image, **(device | options.limits))
            bugs = _execute(assignment, plan, handed, executor, store, console, options)
            with _judges(course, assignment.slug, folder, options) as judges:
                found = _report(assignment, handed, store, judges, console, options.out, bugs)
            code = max(code, found)
    return code


def rescore(
    course: Course,
    assignments: Sequence[tuple[str, Path]],
    console: Console,
    options: Options,
    *,
    pages: bool = False,
) -> int:
    """Score everything from what is kept, executing nothing; return the exit code.

    With `pages`, write the report pages beside the tables.
    """
    code = ALL_SCORED
    with Symbolic(course.known) as symbolic:
        for slug, folder in assignments:
            # The processes open the assignment at the same time as this one.
            with _judges(course, slug, folder, options, pages=pages) as judges:
                assignment = course.open(slug, symbolic, options.rubric)
                handed = Handed(folder, slug, assignment.layout)
                store = Store(course.state, course.database)
                found = _report(
                    assignment, handed, store, judges, console, options.out, [], pages=pages
                )
                _say_what_runs_again(assignment, handed, store, console)
            code = max(code, found)
    return code


def _judges(
    course: Course, slug: str, folder: Path, options: Options, *, pages: bool = False
) -> Judges:
    jobs = options.judges(len(Handed(folder, slug).students))
    module = WITH_PAGES if pages else WORKER
    return Judges(course, slug, rubric=options.rubric, jobs=jobs, module=module)


def device_of(assignment: Assignment, executor: Executor, console: Console) -> dict[str, Any]:
    """Decide whether an assignment runs on a GPU, as fields of `Limits`.

    Raises:
        InputError: its rubric requires a GPU, and none will do.
    """
    limits = assignment.rubric.limits
    if not (limits.gpu or assignment.rubric.gpu_preferred):
        return {}
    why = executor.why_no_gpu(limits)
    if not why:
        return {"gpu": True}
    if limits.gpu:
        raise InputError(
            f"{assignment.slug} asks for a GPU: {why} (--gpus all, or numbers of some; "
            "`gpu: preferred` in its rubric would let it run on the CPU)"
        )
    says = f"{assignment.slug} prefers a GPU and runs on the CPU: {why}"
    console.print(f"[yellow]{shown(says)}[/]", highlight=False)
    return {"gpu": False, "gpu_mib": 0, "gpu_share": False}


def _execute(
    assignment: Assignment,
    plan: Plan,
    handed: Handed,
    executor: Executor,
    store: Store,
    console: Console,
    options: Options,
) -> list[str]:
    for stray in handed.strays:
        console.print(f"  [yellow]left out[/] {shown(stray)}: not a student's folder")
    chosen = options.students or handed.students
    for student in chosen:
        if student not in handed.students:
            says = f"expected a folder of {handed.folder}, found none for {student}"
            raise InputError(f"--student: {says}")
    workers = options.jobs or executor.at_once(plan.limits) or options.workers(plan.limits)
    console.print(f"sandbox {executor.name}, {workers} at a time", highlight=False)
    bugs: list[str] = []
    waiting = _Waiting(console)
    fault = execute_starter(assignment, plan, executor, store, bugs, waiting)
    if fault:
        says = f"the starter could not be executed, so what fails in it waits for a person: {fault}"
        console.print(f"  [yellow]{shown(says)}[/]", highlight=False)
    for says in starter_known(assignment, store).says:
        told = f"the starter cannot run here, and what it lacks for that waits for a person: {says}"
        console.print(f"  [yellow]{shown(told)}[/]", highlight=False)
    with Display(console, assignment.slug) as display:
        batch = Batch(
            assignment=assignment,
            plan=plan,
            executor=executor,
            store=store,
            jobs=workers,
            listener=display,
            load=handed.read,
        )
        batch.execute(map(handed.read, chosen), fresh=options.fresh)
    _say_who_is_stale(handed, store, batch.plan.digest, console)
    return bugs + batch.bugs


class _Waiting(Silent):
    """Says only that another grader is waited for, which may take a while."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def awaited(self, count: int) -> None:
        """Say it."""
        says = "  the starter is being executed by another grader: waiting for it"
        self._console.print(says, highlight=False)


def _say_what_runs_again(
    assignment: Assignment, handed: Handed, store: Store, console: Console
) -> None:
    """Say what evidence does not answer, because questions, limits or data are others by now."""
    entries = store.entries(assignment.slug)
    records = (store.record(entries[s].key) for s in handed.students if s in entries)
    now = Circumstances.of(assignment.plan(""), asked_by(assignment))
    either = assignment.rubric.gpu_preferred
    why = Counter(why_again(one.under, now, gpu_preferred=either) for one in records if one)
    for says, students in why.most_common():
        if says:
            told = f"grader run will execute {students} of them again: {says}"
            console.print(f"[yellow]{shown(told)}[/]", highlight=False)


def _say_who_is_stale(handed: Handed, store: Store, plan: str, console: Console) -> None:
    """Name those whose scores come from an earlier plan, as after --student with other limits."""
    entries = store.entries(handed.slug)
    stale = [s for s in handed.students if s in entries and entries[s].plan != plan]
    if stale:
        names = ", ".join(map(shown, stale[:5])) + (" …" if len(stale) > 5 else "")
        console.print(
            f"{len(stale)} were executed under other limits, data, questions or environment, and "
            f"are scored by that: {names}",
            highlight=False,
        )


def _report(
    assignment: Assignment,
    handed: Handed,
    store: Store,
    judges: Judges,
    console: Console,
    out: Path,
    bugs: list[str],
    *,
    pages: bool = False,
) -> int:
    desk = Desk(store.root, assignment.rubric, store.url)
    names = file_names(handed.students)

    def asked(score: Score) -> str:
        return question(desk.decided(score), names[score.student])

    history = History(store.database, assignment.slug)
    entries = store.entries(assignment.slug)
    records = ((name, store.record(entry.key)) for name, entry in entries.items())
    evidence = {name: record.frames for name, record in records if record}
    judged = judges.scores(assignment.rubric, handed.folders, bugs, asked if pages else None)
    scores = history.passing(desk.graded(judged), evidence)
    if pages:
        publisher = Publisher(assignment.rubric, judges.page, out)
        scores = publisher.published(scores, handed.students)
    lines = write_reports(scores, handed.students, assignment.rubric, out)
    to_grade = desk.write(out)
    before, scoring = history.keep(basis_of(assignment), desk.last)
    if desk.kept:
        says = "written.csv was filled in since it was written; it is kept as"
        console.print(f"[yellow]{says}[/] {desk.kept}: grader grades import", highlight=False)
    summary(console, f"{assignment.slug}: {assignment.rubric.title}", lines)
    _say_who_is_gone(history.gone.difference(handed.students), handed, console)
    _renamed([line.student for line in lines], console)
    if before and scoring:
        told = changed_in_words(history, before, scoring)
        told += f": grader diff {assignment.slug}"
        console.print(told, highlight=False, soft_wrap=True)
    elif before:
        console.print("no score is another than before", highlight=False)
    left_out = len(handed.students) - len(lines)
    if left_out:
        console.print(f"{left_out} submissions are new or changed and not executed: grader run")
    console.print(f"reports: [bold]{out / assignment.slug / 'scores.csv'}[/]", highlight=False)
    page = out / assignment.slug / "index.html"
    if pages:
        console.print(f"pages: [bold]{page}[/]", highlight=False)
    elif page.is_file():
        console.print("the pages are older than these tables: grader report")
    if to_grade:
        sheet = out / assignment.slug / "written.csv"
        console.print(f"{to_grade} answers wait for a person: {sheet}", highlight=False)
    if bugs:
        log = store.root / "bugs.log"
        with log.open("a", encoding="utf-8") as file:
            file.write("\n".join(bugs))
        says = f"[red]{len(bugs)} bugs of the grader[/]: please report {log}"
        console.print(says, highlight=False)
        return OUR_BUG
    waiting = sum(bool(line.needs_person) for line in lines)
    if waiting:
        console.print(f"{waiting} of {len(lines)} students need a person", highlight=False)
    return NEEDS_PERSON if waiting or left_out else ALL_SCORED


def _say_who_is_gone(gone: Set[str], handed: Handed, console: Console) -> None:
    """A folder with some of the class, such as who was late, is taken for the whole class."""
    if gone:
        names = ", ".join(map(shown, sorted(gone)[:5])) + (" …" if len(gone) > 5 else "")
        says = f"{len(gone)} students of the scoring before have no folder in {handed.folder}"
        do = "reports and current scores are of those who have one; --student picks some of a class"
        console.print(f"[yellow]{shown(says)}[/]: {names}: {do}", highlight=False)


def _renamed(students: Sequence[str], console: Console) -> None:
    for student, name in file_names(students).items():
        if student != name:
            console.print(f"  {shown(student)}: report is students/{name}.csv", highlight=False)
