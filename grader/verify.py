"""`grader verify`: a rubric proves itself with notebooks whose scores are known.

The solution earns everything that a machine grades, the untouched template nothing, and every
sample submission exactly what `submissions/<slug>/expected.yaml` says:

    s01: {status: complete, points: {1a: 1, 2c: pending}}

Where a person grades a part of a question, the rest may be stated by check:
`{2c: pending, 2c ratio: 0.5}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.assignment import Assignment
from grader.batch import Batch, Listener, execute_starter
from grader.checks import KINDS
from grader.course import STARTER, Course
from grader.errors import InputError
from grader.executor import Local
from grader.intake.folders import Handed
from grader.judging.judges import Judges
from grader.plan import Plan
from grader.rubric.yaml import Document
from grader.sandbox.base import Sandbox
from grader.store import Store
from grader.submission import Submission
from grader.verdict import Outcome, QuestionScore, Score, Status

SOLUTION, TEMPLATE = "(solution)", STARTER
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What verifying one assignment showed."""

    slug: str
    problems: tuple[str, ...]
    """Every disagreement, one line each; none means that the rubric holds."""
    verified: int
    """How many notebooks were scored."""
    testimony: tuple[str, ...]
    """Checks whose points rest on what a student could simply type, with their points."""
    bugs: tuple[str, ...] = ()


def verify(
    course: Course,
    assignment: Assignment,
    sandbox: Sandbox,
    *,
    jobs: int,
    listener: Listener,
    plan: Plan | None = None,
) -> Proof:
    """Execute solution, template and samples, and compare their scores with what they must be.

    Args:
        course: Where the samples are.
        assignment: What is verified.
        sandbox: Where code runs.
        jobs: How many notebooks run at once.
        listener: Hears of progress.
        plan: What the sandbox is told; the rubric's own if left out.

    Raises:
        InputError: there is no solution or template, or `expected.yaml` is malformed.
    """
    store = Store(course.state, course.database)
    slug = assignment.slug
    samples = course.root / "submissions" / slug
    expected = _expected(course, samples / "expected.yaml")
    known = {
        SOLUTION: _known(SOLUTION, assignment, course.solution(slug), course),
        TEMPLATE: _known(TEMPLATE, assignment, course.template(slug), course),
    }
    handed = Handed(samples, slug, assignment.layout) if samples.is_dir() else None
    students = [*known, *(handed.students if handed else ())]

    def load(student: str) -> Submission:
        return handed.read(student) if handed and student not in known else known[student]

    executor = Local(sandbox)
    plan, journal = plan or assignment.plan(executor.image), f"{slug}.verify"
    batch = Batch(
        assignment=assignment,
        plan=plan,
        executor=executor,
        store=store,
        jobs=jobs,
        listener=listener,
        load=load,
        journal=journal,
    )
    batch.execute(map(load, students))
    execute_starter(assignment, plan, executor, store, batch.bugs)  # known by now: the template's
    scores = _judged(course, assignment, handed, journal, batch.bugs)
    return Proof(
        slug=assignment.slug,
        problems=tuple(_problems(scores, expected)),
        verified=len(scores),
        testimony=tuple(_testimony(assignment)),
        bugs=tuple(batch.bugs),
    )


def _judged(
    course: Course, assignment: Assignment, handed: Handed | None, journal: str, bugs: list[str]
) -> list[Score]:
    slug = assignment.slug
    folders = {SOLUTION: course.solution(slug).parent, TEMPLATE: course.template(slug).parent}
    folders |= handed.folders if handed else {}
    with Judges(course, slug, journal=journal) as judges:
        return list(judges.scores(assignment.rubric, folders, bugs))


def _known(name: str, assignment: Assignment, path: Path, course: Course) -> Submission:
    found = course.read(path.parent, assignment.slug, assignment.layout, name)
    files = [f"{one}.ipynb" for one in assignment.layout.notebooks] or [path.name]
    files = [*assignment.layout.files, *(files if not assignment.layout.files else ())]
    if found.problem or found.absent or found.unread:
        where = ", ".join(course.shown(path.parent / one) for one in found.absent or files)
        wrong = "; ".join(found.unread.values()) or found.problem
        why = wrong if wrong and not found.missing else "none"
        raise InputError(f"expected a notebook at {where}, found {why}")
    return found


def _expected(course: Course, path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    document = Document(path, course.shown(path))
    for student, told in document.data.items():
        fits = isinstance(told, dict) and isinstance(told.get("points"), dict) and "status" in told
        if not fits:
            says = "expected {status: ..., points: {<question>: <number or pending>}}"
            raise InputError(document.problem((str(student),), says))
    return dict(document.data)


def _problems(scores: Iterable[Score], expected: dict[str, Any]) -> Iterable[str]:
    samples = dict(expected)
    unseen = {SOLUTION, TEMPLATE}
    for score in scores:
        unseen.discard(score.student)
        if score.student == SOLUTION:
            yield from _all_earned(score)
        elif score.student == TEMPLATE:
            yield from _nothing_earned(score)
        elif score.student in samples:
            yield from _as_expected(score, samples.pop(score.student))
        else:
            yield f"{score.student}: expected.yaml does not say what it must earn"
    for student in sorted(unseen):
        yield f"{student} was not scored"
    for student in samples:
        yield f"{student}: expected.yaml names it, but there is no such submission"


def _all_earned(score: Score) -> Iterable[str]:
    yield from _complete("the solution", score)
    for question in score.questions:
        for check in question.counted:
            if check.outcome is not (Outcome.PENDING if check.kind == "written" else Outcome.FULL):
                got = f"{check.outcome}: {check.feedback} {check.for_staff}".rstrip()
                yield f"the solution, {question.id} {check.check}: expected full, found {got}"


def _complete(name: str, score: Score) -> Iterable[str]:
    if score.status is not Status.COMPLETE:
        yield f"{name}: expected status complete, found {score.status} ({score.note})"


def _nothing_earned(score: Score) -> Iterable[str]:
    yield from _complete("the template", score)
    for question in score.questions:
        for check in question.counted:
            if check.points != 0:
                got = f"{check.outcome}: {check.feedback}"
                yield f"the template, {question.id} {check.check}: expected 0 points, found {got}"


def _as_expected(score: Score, told: dict[str, Any]) -> Iterable[str]:
    if score.status != told["status"]:
        says = f"expected status {told['status']}, found {score.status}"
        yield f"{score.student}: {says} ({score.note})"
    by_id = {question.id: question for question in score.questions}
    points = {str(key): value for key, value in told["points"].items()}
    unscored = told["status"] in (Status.UNREADABLE, Status.NEEDS_PERSON)
    yield from _checks_as_expected(score, points)
    for question_id in sorted({*by_id, *(key for key in points if " " not in key)}):
        wanted = points.get(question_id, "pending" if unscored else None)
        question = by_id.get(question_id)
        found = _shown(question)
        if question is None or wanted is None or not _equal(wanted, question):
            why = "; ".join(c.feedback for c in question.counted) if question else ""
            yield f"{score.student}, {question_id}: expected {wanted}, found {found} ({why})"


def _checks_as_expected(score: Score, points: dict[str, Any]) -> Iterable[str]:
    checks = {f"{q.id} {check.check}": check for q in score.questions for check in q.counted}
    for key, wanted in points.items():
        if " " not in key:
            continue
        check = checks.get(key)
        earned = check.points if check else None
        if earned is None or abs(earned - wanted) > TOLERANCE:
            found = "no such check" if check is None else f"{earned} ({check.feedback})"
            yield f"{score.student}, {key}: expected {wanted}, found {found}"


def _equal(wanted: Any, question: QuestionScore) -> bool:
    if question.points is None or not isinstance(wanted, int | float):
        return _shown(question) == str(wanted)
    return abs(question.points - wanted) <= TOLERANCE


def _shown(question: QuestionScore | None) -> str:
    if question is None:
        return "no such question"
    if question.points is not None:
        return f"{question.points:g}"
    broken = any(check.outcome is Outcome.BROKEN for check in question.counted)
    return "broken" if broken else "pending"


def _testimony(assignment: Assignment) -> Iterable[str]:
    for question in assignment.rubric.questions:
        for check in question.checks:
            if KINDS[check.kind].testimony(check.params, assignment.requests[check.id]):
                yield f"{question.id} {check.name} ({check.kind}): {check.max_points:g} points"
