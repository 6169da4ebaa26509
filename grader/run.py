"""`grader run` and `grader score`: from submissions to reports and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from grader.assignment import Assignment
from grader.batch import Batch, score_all
from grader.course import Course
from grader.display import Display, shown, summary
from grader.errors import InputError
from grader.intake.folders import read_submission, strays_in, students_in
from grader.options import ALL_SCORED, NEEDS_PERSON, OUR_BUG, Options
from grader.report.tables import file_names, write_reports
from grader.sandbox.base import Sandbox
from grader.store import Store, key_of
from grader.submission import Submission
from grader.symbolic import Symbolic
from grader.verdict import Score


def run(
    course: Course,
    assignments: Sequence[tuple[str, Path]],
    sandbox: Sandbox,
    console: Console,
    options: Options,
) -> int:
    """Execute what is new or changed, score everything, write reports; return the exit code."""
    code = ALL_SCORED
    store = Store(course.state)
    store.clean()
    with Symbolic() as symbolic:
        # All rubrics are read before anything runs: a bad one must not cost an hour first.
        opened = [
            (course.open(slug, symbolic, options.rubric), folder) for slug, folder in assignments
        ]
        for assignment, folder in opened:
            submissions = _read(folder, assignment.slug, console)
            bugs = _execute(assignment, submissions, sandbox, store, console, options)
            code = max(code, _report(assignment, submissions, store, console, options.out, bugs))
    return code


def rescore(
    course: Course, assignments: Sequence[tuple[str, Path]], console: Console, options: Options
) -> int:
    """Score everything from what is kept, executing nothing; return the exit code."""
    code = ALL_SCORED
    with Symbolic() as symbolic:
        for slug, folder in assignments:
            assignment = course.open(slug, symbolic, options.rubric)
            submissions = _read(folder, slug, console)
            store = Store(course.state)
            code = max(code, _report(assignment, submissions, store, console, options.out, []))
    return code


def _read(folder: Path, slug: str, console: Console) -> list[Submission]:
    for stray in strays_in(folder):
        console.print(f"  [yellow]left out[/] {shown(stray)}: not a student's folder")
    return [read_submission(folder / student, slug) for student in students_in(folder)]


def _execute(
    assignment: Assignment,
    submissions: Sequence[Submission],
    sandbox: Sandbox,
    store: Store,
    console: Console,
    options: Options,
) -> list[str]:
    chosen = _chosen(submissions, options.students)
    plan = assignment.plan(sandbox.image, **options.limits)
    readable = [submission for submission in chosen if not submission.problem]
    keys = {key_of(submission, plan) for submission in readable}
    if options.fresh:
        for key in keys:
            store.forget(key)
    new = sum(not store.has(key_of(submission, plan)) for submission in readable)
    known = len(readable) - new
    says = f"[bold]{assignment.slug}[/]: {len(submissions)} submissions, {new} to execute"
    says += f", {known} known from before" if known else ""
    console.print(f"{says}; sandbox {sandbox.name}, {options.workers} at a time", highlight=False)
    with Display(console, assignment.slug) as display:
        batch = Batch(
            assignment=assignment,
            plan=plan,
            sandbox=sandbox,
            store=store,
            jobs=options.workers,
            listener=display,
        )
        batch.execute(chosen)
    return batch.bugs


def _chosen(submissions: Sequence[Submission], students: Sequence[str]) -> list[Submission]:
    known = {submission.student for submission in submissions}
    unknown = [student for student in students if student not in known]
    if unknown:
        raise InputError(
            f"--student: expected a folder of submissions, found none for {unknown[0]}"
        )
    return [one for one in submissions if not students or one.student in students]


def _report(
    assignment: Assignment,
    submissions: Sequence[Submission],
    store: Store,
    console: Console,
    out: Path,
    bugs: list[str],
) -> int:
    scores = score_all(assignment, submissions, store, bugs)
    written = write_reports(scores, assignment.rubric, out)
    title = f"{assignment.slug}: {assignment.rubric.title}"
    summary(console, title, written)
    _renamed(written, console)
    left_out = len(submissions) - len(written)
    if left_out:
        console.print(f"{left_out} submissions are new or changed and not executed: grader run")
    console.print(f"reports: [bold]{out / assignment.slug / 'scores.csv'}[/]", highlight=False)
    if bugs:
        log = store.root / "bugs.log"
        with log.open("a", encoding="utf-8") as file:
            file.write("\n".join(bugs))
        console.print(
            f"[red]{len(bugs)} bugs of the grader[/]: please report {log}", highlight=False
        )
        return OUR_BUG
    waiting = sum(bool(score.needs_person) for score in written)
    if waiting:
        console.print(f"{waiting} of {len(written)} students need a person", highlight=False)
    return NEEDS_PERSON if waiting or left_out else ALL_SCORED


def _renamed(scores: Sequence[Score], console: Console) -> None:
    for student, name in file_names([score.student for score in scores]).items():
        if student != name:
            console.print(f"  {shown(student)}: report is students/{name}.csv", highlight=False)
