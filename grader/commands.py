"""The commands beside `run` and `score`: one function each, which returns an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from grader.course import Course, find_course
from grader.display import Display, shown
from grader.doctor import Check, examine
from grader.errors import InputError, SubmissionError
from grader.executor import local
from grader.intake.folders import Handed
from grader.options import ALL_SCORED, BAD_INPUT, NEEDS_PERSON, OUR_BUG, Options
from grader.release import release, self_check
from grader.run import device_of
from grader.sandbox.base import Sandbox
from grader.sandbox.choose import Wish, choose
from grader.sandbox.lending import quarantined
from grader.selfcheck import Line, check, read_self_check
from grader.store import Store
from grader.symbolic import Symbolic
from grader.verify import Proof, verify

MARKS = {"ok": "[green]ok[/]  ", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def check_notebook(
    notebook: Path, slug: str | None, course: Path | None, console: Console, *, as_json: bool
) -> int:
    """`grader check`: run a student's notebook or folder here and look at every asked name."""
    slug = slug or _slug_of(notebook)
    with Symbolic() as symbolic:
        told = _self_check_of(notebook, slug, course, symbolic)
        quiet = Console(stderr=True)
        with choose(Wish(name="process", trusted=True, quiet=True), quiet) as sandbox:
            try:
                lines = check(notebook, told, sandbox, symbolic)
            except SubmissionError as error:
                name = notebook.resolve().name
                lines = [Line(question="", name=name, ok=False, says=f"{error}.")]
    if as_json:
        result = {"assignment": told["assignment"], "ok": all(line.ok for line in lines)}
        console.print_json(json.dumps({**result, "lines": [asdict(line) for line in lines]}))
    else:
        _show_lines(told, lines, console)
    return ALL_SCORED if all(line.ok for line in lines) else NEEDS_PERSON


def _slug_of(path: Path) -> str:
    """The assignment that a notebook or folder is named like, or whose self-check it holds."""
    if not path.is_dir():
        return path.name.removesuffix(".ipynb")
    told = [found.name.removesuffix(".check.json") for found in path.glob("*.check.json")]
    return told[0] if len(told) == 1 else path.resolve().name


def _self_check_of(
    notebook: Path, slug: str, course: Path | None, symbolic: Symbolic
) -> dict[str, Any]:
    if not notebook.exists():
        raise InputError(f"expected a notebook, found no file {notebook}")
    folder = notebook if notebook.is_dir() else notebook.parent
    beside = folder / f"{slug}.check.json"
    if beside.is_file():
        return read_self_check(beside)
    try:
        found = find_course(folder, course)
        return self_check(found.open(slug, symbolic))
    except InputError as error:
        says = f"expected {beside.name} beside the notebook, as it came with the assignment"
        raise InputError(f"{says}; --assignment SLUG if the notebook has another name") from error


def _show_lines(told: dict[str, Any], lines: Sequence[Line], console: Console) -> None:
    console.print(f"[bold]{shown(told['assignment'])}[/]: {shown(told['title'])}")
    for line in lines:
        mark = MARKS["ok"] if line.ok else MARKS["fail"]
        name = f"{line.question} {line.name}".strip()
        indent = "    " if line.cause else "  "
        console.print(f"{indent}{mark} [bold]{shown(name)}[/]: {shown(line.says)}", highlight=False)
    wrong = sum(not line.ok for line in lines)
    follow = sum(bool(line.cause) for line in lines)
    if wrong:
        more = f", {follow} of them because of a cell above" if follow else ""
        console.print(f"{wrong} of {len(lines)} lines need your attention{more}.")
    else:
        console.print("Everything that is asked is there. Whether it is right, grading will tell.")


def release_assignment(slug: str, out: Path, course: Path | None, console: Console) -> int:
    """`grader release`: write what students get."""
    found = find_course(Path(), course)
    with Symbolic(found.known) as symbolic:
        files = release(found, found.open(slug, symbolic), out)
    for path in files:
        console.print(f"wrote {path}", highlight=False)
    return ALL_SCORED


def verify_rubrics(
    slugs: Sequence[str], course: Path | None, wish: Wish, jobs: int, console: Console
) -> int:
    """`grader verify`: let rubrics prove themselves."""
    found = find_course(Path(), course)
    code = ALL_SCORED
    with Symbolic(found.known) as symbolic:
        opened = [found.open(slug, symbolic) for slug in slugs or found.slugs]
        with local(wish, found.state, console) as executor:
            for assignment in opened:
                limits = device_of(assignment, executor, console)
                plan = assignment.plan(executor.image, **limits)
                with Display(console, f"verify {assignment.slug}") as show:
                    workers = Options(out=Path(), jobs=jobs).workers(plan.limits)
                    proof = verify(
                        found, assignment, executor.sandbox, plan=plan, jobs=workers, listener=show
                    )
                code = max(code, _show_proof(proof, found, executor.sandbox, console))
    return code


def _show_proof(proof: Proof, course: Course, sandbox: Sandbox, console: Console) -> int:
    for problem in proof.problems:
        console.print(f"  {MARKS['fail']} {shown(problem)}", highlight=False)
    for claim in proof.testimony:
        console.print(f"  testimony alone: {shown(claim)}", highlight=False)
    if proof.bugs:
        log = course.state / "bugs.log"
        log.write_text("\n".join(proof.bugs), encoding="utf-8")
        console.print(f"[red]{len(proof.bugs)} bugs of the grader[/]: please report {log}")
        return OUR_BUG
    if proof.problems:
        console.print(f"[red]{proof.slug}: {len(proof.problems)} disagreements[/]")
        return NEEDS_PERSON
    says = f"{proof.verified} notebooks earn exactly what they must"
    console.print(f"[green]{proof.slug}[/]: {says} (sandbox {sandbox.name})", highlight=False)
    return ALL_SCORED


def examine_machine(course: Path | None, console: Console) -> int:
    """`grader doctor`: what this machine can do, tested live."""
    try:
        state = find_course(Path(), course).state
    except InputError:
        state = Path(".grader")
    worst: Check | None = None
    for found in examine(state):
        console.print(
            f"{MARKS[found.state]} [bold]{found.name}[/]: {shown(found.says)}", highlight=False
        )
        if found.do:
            console.print(f"       {shown(found.do)}", highlight=False)
        worst = found if found.state == "fail" else worst
    return BAD_INPUT if worst else ALL_SCORED


def show_status(submissions: Path, course: Path | None, console: Console) -> int:
    """`grader status`: what is executed, what is not, what met a fault of ours."""
    found = find_course(submissions, course)
    store = Store(found.state, found.database)
    code = ALL_SCORED
    for slug, folder in found.handed_in(submissions):
        entries = store.entries(slug)
        table = Table(title=slug, title_justify="left", title_style="bold", box=None)
        for column in ("student", "state"):
            table.add_column(column)
        for submission in Handed(folder, slug, found.layout(slug)):
            entry = entries.get(submission.student)
            if submission.problem:
                state = f"not executed: {submission.problem}"
            elif entry is None or entry.submission != submission.digest:
                state = "new" if entry is None else "changed since it was executed"
            elif entry.fault:
                state = f"needs a person: {entry.fault}"
                code = NEEDS_PERSON
            else:
                gone = "its evidence is gone or damaged: grader run"
                state = "executed" if store.has(entry.key) else gone
            table.add_row(shown(submission.student), shown(state))
        console.print(table)
    for gpu, why in quarantined(found.state / "gpus").items():
        console.print(f"quarantined: {shown(gpu)}: {shown(why)}: grader doctor", highlight=False)
    return code


def show_rubric(slug: str, course: Path | None, rubric: Path | None, console: Console) -> int:
    """`grader rubric show`: the resolved points of every check."""
    found = find_course(Path(), course)
    with Symbolic(found.known) as symbolic:
        assignment = found.open(slug, symbolic, rubric)
    title = f"{slug}: {assignment.rubric.title}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for column in ("question", "check", "kind"):
        table.add_column(column)
    for column in ("points", "mistakes"):
        table.add_column(column, justify="right")
    for question in assignment.rubric.questions:
        notes = ["bonus"] * question.bonus + ["all or nothing"] * question.all_or_nothing
        for check_ in question.checks:
            known = str(len(check_.params.mistakes) or "")
            points = f"{check_.max_points:.4g}"
            told = [f"or {check_.alternative}"] * bool(check_.alternative) + notes
            where = question.id + (f" ({', '.join(told)})" if told else "")
            table.add_row(where, check_.name, check_.kind, points, known)
    whole = sum(q.points for q in assignment.rubric.questions if not q.bonus)
    bonus = sum(q.points for q in assignment.rubric.questions if q.bonus)
    table.add_row("", "", "all", f"{whole:g}", "")
    if bonus:
        table.add_row("", "", "bonus on top", f"{bonus:g}", "")
    if assignment.rubric.cap is not None:
        table.add_row("", "", "at most", f"{assignment.rubric.cap:g}", "")
    console.print(table)
    return ALL_SCORED
