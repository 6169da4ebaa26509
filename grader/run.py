"""`grader run` and `grader score`: from submissions to reports and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from grader.assignment import Assignment
from grader.batch import Batch, execute_starter
from grader.course import Course
from grader.display import Display, shown, summary
from grader.errors import InputError
from grader.grades.desk import Desk
from grader.intake.folders import Handed
from grader.judging.judge import starter_known
from grader.judging.judges import Judges
from grader.options import ALL_SCORED, NEEDS_PERSON, OUR_BUG, Options
from grader.plan import Plan
from grader.report.publish import Publisher
from grader.report.tables import file_names, write_reports
from grader.sandbox.base import Sandbox
from grader.sandbox.choose import Wish, choose, lending
from grader.sandbox.graphics import need_of
from grader.sandbox.lending import Gpus
from grader.store import Store
from grader.symbolic import Symbolic


def run(
    course: Course,
    assignments: Sequence[tuple[str, Path]],
    wish: Wish,
    console: Console,
    options: Options,
) -> int:
    """Execute what is new or changed, score everything, write reports; return the exit code."""
    code = ALL_SCORED
    store = Store(course.state)
    store.clean()
    with Symbolic() as symbolic, ExitStack() as stack:
        # All rubrics are read before anything runs: a bad one must not cost an hour first.
        opened = [
            (course.open(slug, symbolic, options.rubric), folder) for slug, folder in assignments
        ]
        gpus = stack.enter_context(lending(wish, course.state, console))
        devices = [device_of(assignment, gpus, console) for assignment, _ in opened]
        sandbox = stack.enter_context(choose(wish, console, gpus))
        for (assignment, folder), device in zip(opened, devices, strict=True):
            handed = Handed(folder, assignment.slug, assignment.layout)
            limits = device | options.limits
            plan = assignment.plan(sandbox.image, **limits)
            bugs = _execute(assignment, plan, handed, sandbox, store, console, options)
            with _judges(course, assignment.slug, options) as judges:
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
    with Symbolic() as symbolic:
        for slug, folder in assignments:
            with _judges(course, slug, options) as judges:  # it opens the assignment at once, too
                assignment = course.open(slug, symbolic, options.rubric)
                handed, store = Handed(folder, slug, assignment.layout), Store(course.state)
                found = _report(
                    assignment, handed, store, judges, console, options.out, [], pages=pages
                )
            code = max(code, found)
    return code


def _judges(course: Course, slug: str, options: Options) -> Judges:
    return Judges(course, slug, rubric=options.rubric, jobs=options.jobs or 1)


def device_of(assignment: Assignment, gpus: Gpus | None, console: Console) -> dict[str, Any]:
    """Decide whether an assignment runs on a GPU, as fields of `Limits`.

    Raises:
        InputError: its rubric requires a GPU, and none will do.
    """
    limits = assignment.rubric.limits
    if not (limits.gpu or assignment.rubric.gpu_preferred):
        return {}
    why = gpus.why_never(need_of(limits)) if gpus else "--gpus names none"
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
    sandbox: Sandbox,
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
    workers = options.workers(plan.limits)
    console.print(f"sandbox {sandbox.name}, {workers} at a time", highlight=False)
    bugs: list[str] = []
    fault = execute_starter(assignment, plan, sandbox, store, bugs)
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
            sandbox=sandbox,
            store=store,
            jobs=workers,
            listener=display,
            load=handed.read,
        )
        batch.execute(map(handed.read, chosen), fresh=options.fresh)
    _say_who_is_stale(handed, store, batch.plan.digest, console)
    return bugs + batch.bugs


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
    desk = Desk(store.root, assignment.rubric)
    scores = desk.graded(judges.scores(assignment.rubric, handed.folders, bugs))
    if pages:
        publisher = Publisher(assignment, store, handed.read, out, bugs)
        scores = publisher.published(scores, handed.students)
    lines = write_reports(scores, handed.students, assignment.rubric, out)
    to_grade = desk.write(out)
    if desk.kept:
        says = "written.csv was filled in since it was written; it is kept as"
        console.print(f"[yellow]{says}[/] {desk.kept}: grader grades import", highlight=False)
    summary(console, f"{assignment.slug}: {assignment.rubric.title}", lines)
    _renamed([line.student for line in lines], console)
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


def _renamed(students: Sequence[str], console: Console) -> None:
    for student, name in file_names(students).items():
        if student != name:
            console.print(f"  {shown(student)}: report is students/{name}.csv", highlight=False)
