"""The `grader` command: parse, one call, show."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from grader import __version__
from grader.cli_cluster import cluster
from grader.cli_grades import grades
from grader.cli_options import (
    EXIT_CODES,
    cluster_installed,
    course_option,
    gpus_option,
    jobs_option,
    judges_option,
    out_option,
    rubric_option,
    sandbox_option,
    tls_option,
    trust_option,
)
from grader.display import console
from grader.errors import InputError
from grader.options import Options


@click.group(epilog=EXIT_CODES)
@click.version_option(__version__)
def grader() -> None:
    """Grade deep-learning notebooks against a rubric, in sandboxes that know no answers.

    \b
    A TA's first hour:
      grader doctor                 what this machine can do
      grader verify nyu_hw4         prove a rubric with its sample submissions
      grader run submissions/       execute, score, write reports/
      grader score submissions/     after a change of points or tolerances
      grader report submissions/    pages for the class and every student
      grader diff nyu_hw4           whose points changed, and why

    \b
    A student's:
      grader check nyu_hw4.ipynb    before uploading
    """  # noqa: D301 - click reads the backspace character as "leave these lines alone"


@grader.command(epilog=EXIT_CODES)
@click.argument("submissions", type=click.Path(path_type=Path))
@out_option
@rubric_option
@course_option
@sandbox_option
@jobs_option
@trust_option
@click.option("--student", "students", multiple=True, help="Only this student; may be repeated.")
@gpus_option
@click.option("--cell-time", type=click.FloatRange(0.1), help="Seconds a cell may take.")
@click.option("--time-limit", type=click.FloatRange(1), help="Seconds a notebook may take.")
@click.option("--memory", type=click.IntRange(256), help="MiB a submission may use.")
@click.option("--runtime", help="Docker runtime, such as runsc for gVisor.")
@click.option(
    "--cluster", "address", help="Execute on the workers of this scheduler: tls://HOST:8786."
)
@tls_option
@click.option("--fresh", is_flag=True, help="Execute anew what is already known.")
def run(
    submissions: Path,
    course: Path | None,
    sandbox: str,
    runtime: str | None,
    gpus: str,
    trust_students: bool,
    address: str | None,
    tls: Path | None,
    **given: Any,
) -> int:
    """Execute what is new or changed in SUBMISSIONS, score it, write reports.

    SUBMISSIONS is a folder of assignments, one assignment's folder of students, or an assignment's
    name, for submissions/<name>. A second run executes only what is new or changed.
    """
    from grader import run as running
    from grader.course import find_course
    from grader.executor import local
    from grader.intake.folders import Handed
    from grader.sandbox.choose import Wish

    found = find_course(submissions, course)
    assignments = found.handed_in(submissions)
    _one_rubric(given["rubric"], assignments)
    options = _options(given)
    students = options.students or [
        s for slug, at in assignments for s in Handed(at, slug).students
    ]
    wish = Wish(
        name=sandbox, gpus=gpus, runtime=runtime, trusted=trust_students or len(set(students)) < 2
    )
    if address is None:
        here = partial(local, wish, found.state)
        return running.run(found, assignments, here, console(), options)
    if (sandbox, gpus, runtime) != ("auto", "none", None):
        says = "--sandbox, --gpus and --runtime are said to `grader cluster worker`"
        raise InputError(f"--cluster {address}: {says}")
    with cluster_installed():
        from grader.cluster.far import cluster as far
    return running.run(found, assignments, partial(far, address, tls), console(), options)


@grader.command(epilog=EXIT_CODES)
@click.argument("submissions", type=click.Path(path_type=Path), default=Path("submissions"))
@out_option
@rubric_option
@course_option
@judges_option
def score(submissions: Path, course: Path | None, **given: Any) -> int:
    """Score again from what was executed before, executing nothing.

    For a change of points, tolerances, mistakes or the reference. A question that asks something
    else than before is left unscored, and the report says so. SUBMISSIONS as for `grader run`:
    `grader score nyu_hw4` will do.
    """
    from grader import run as running
    from grader.course import find_course

    found = find_course(submissions, course)
    assignments = found.handed_in(submissions)
    _one_rubric(given["rubric"], assignments)
    return running.rescore(found, assignments, console(), _options(given))


@grader.command(epilog=EXIT_CODES)
@click.argument("submissions", type=click.Path(path_type=Path), default=Path("submissions"))
@out_option
@rubric_option
@course_option
@judges_option
def report(submissions: Path, course: Path | None, **given: Any) -> int:
    """Write pages to read beside the tables, executing nothing.

    Scores again from what was executed, as `grader score` does. One page for the class, and two for
    each student: students/ has what they may read, staff/ has expected values as well.
    """
    from grader import run as running
    from grader.course import find_course

    found = find_course(submissions, course)
    assignments = found.handed_in(submissions)
    _one_rubric(given["rubric"], assignments)
    return running.rescore(found, assignments, console(), _options(given), pages=True)


@grader.command(epilog=EXIT_CODES)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--assignment", help="Its slug, if the notebook is not named like it.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@course_option
def check(notebook: Path, assignment: str | None, as_json: bool, course: Path | None) -> int:
    """Check your own NOTEBOOK, or the folder of what you hand in, before you upload it.

    Runs it from top to bottom in a fresh kernel on this machine and looks at every asked name. It
    reads <slug>.check.json, which came with the assignment, from beside the notebook.
    """
    from grader.commands import check_notebook

    return check_notebook(notebook, assignment, course, console(), as_json=as_json)


@grader.command(epilog=EXIT_CODES)
@click.argument("slug")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("release"),
    show_default=True,
    help="Folder that gets a folder named like the assignment.",
)
@course_option
def release(slug: str, out: Path, course: Path | None) -> int:
    """Write what students get for SLUG: template, data, self-check file."""
    from grader.commands import release_assignment

    return release_assignment(slug, out, course, console())


@grader.command(epilog=EXIT_CODES)
@click.argument("slugs", nargs=-1)
@course_option
@sandbox_option
@jobs_option
@trust_option
@gpus_option
def verify(slugs: tuple[str, ...], course: Path | None, sandbox: str, **given: Any) -> int:
    """Prove rubrics: the solution earns everything, the template nothing, samples what they must.

    Without SLUG all rubrics of the course are verified.
    """
    from grader.commands import verify_rubrics
    from grader.sandbox.choose import Wish

    wish = Wish(name=sandbox, gpus=given["gpus"], trusted=given["trust_students"])
    return verify_rubrics(slugs, course, wish, given["jobs"] or 0, console())


@grader.command(epilog=EXIT_CODES)
@course_option
def doctor(course: Path | None) -> int:
    """Say what this machine can do: engine, image, limits that really hold, GPU."""
    from grader.commands import examine_machine

    return examine_machine(course, console())


@grader.command(epilog=EXIT_CODES)
@click.argument("submissions", type=click.Path(path_type=Path), default=Path("submissions"))
@course_option
def status(submissions: Path, course: Path | None) -> int:
    """Say what is executed, what is new or changed, and what needs a person because of a fault."""
    from grader.commands import show_status

    return show_status(submissions, course, console())


@grader.command(epilog=EXIT_CODES)
@click.argument("slug", required=False)
@click.option("--from", "first", type=int, metavar="N", help="The earlier scoring, by its number.")
@click.option("--to", "last", type=int, metavar="N", help="The later one; the last if left out.")
@click.option("--list", "listed", is_flag=True, help="List the scorings there were, and no points.")
@course_option
def diff(
    slug: str | None, first: int | None, last: int | None, listed: bool, course: Path | None
) -> int:
    """Show whose points changed between two scorings of SLUG, by question, and why.

    Without numbers the last two are compared. A scoring that changes nothing is not counted.
    """
    from grader.diffing import list_scorings, show_differences

    if listed:
        return list_scorings(slug, course, console())
    return show_differences(slug, course, console(), first=first, last=last)


grader.add_command(grades)
grader.add_command(cluster)


@grader.group()
def rubric() -> None:
    """Look at rubrics."""


@rubric.command(name="show", epilog=EXIT_CODES)
@click.argument("slug")
@rubric_option
@course_option
def rubric_show(slug: str, course: Path | None, rubric: Path | None) -> int:
    """Read SLUG's rubric, say every problem, or print its resolved points."""
    from grader.commands import show_rubric

    return show_rubric(slug, course, rubric, console())


def _options(given: dict[str, Any]) -> Options:
    named = {"cell_time": "cell_s", "time_limit": "total_s", "memory": "memory_mib"}
    limits = {field: given[key] for key, field in named.items() if given.get(key) is not None}
    return Options(
        out=given["out"],
        rubric=given["rubric"],
        jobs=given.get("jobs") or 0,
        students=tuple(given.get("students", ())),
        fresh=bool(given.get("fresh")),
        limits=limits,
    )


def _one_rubric(rubric: Path | None, assignments: list[tuple[str, Path]]) -> None:
    if rubric is not None and len(assignments) != 1:
        names = ", ".join(slug for slug, _ in assignments)
        raise InputError(f"--rubric: expected one assignment's folder, found {names}")
