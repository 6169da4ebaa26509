"""The `grader grades` commands: parse, one call, show."""

from __future__ import annotations

from pathlib import Path

import click

from grader.cli_options import course_option
from grader.display import console

by_option = click.option("--by", help="Who graded; your user name if left out.")
replace_option = click.option("--replace", is_flag=True, help="Overrule what somebody else graded.")
of_sheet_option = click.option(
    "--assignment", help="The slug, if the sheet is not in a folder of this name."
)
assignment_option = click.option(
    "--assignment", help="Only this assignment, by its slug; all of them if left out."
)


@click.group()
def grades() -> None:
    """Bring in and look at what people decided: written answers, undecided formulas.

    \b
      grader run submissions/                      writes reports/<slug>/written.csv
      (fill in points and comment)
      grader grades import reports/hw2/written.csv --by ann
      grader score submissions/                    the grades count
    """  # noqa: D301 - click reads the backspace character as "leave these lines alone"


@grades.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@by_option
@replace_option
@click.option(
    "--skip-changed",
    is_flag=True,
    help="Leave out rows whose text has changed since the sheet was written, or that wait no more.",
)
@of_sheet_option
@course_option
def import_(
    file: Path,
    by: str | None,
    replace: bool,
    skip_changed: bool,
    assignment: str | None,
    course: Path | None,
) -> int:
    """Bring in FILE, a written.csv that people filled in: all of it, or nothing and every problem.

    A row without points is not graded yet. Excel, LibreOffice and Google Sheets may have saved it
    with any separator, decimal commas, other columns, other order.
    """
    from grader.grading import import_grades

    return import_grades(
        file, assignment, course, by, console(), replace=replace, skip_changed=skip_changed
    )


@grades.command()
@click.argument("slug")
@click.argument("student")
@click.argument("question")
@click.option("--check", help="Which check of the question, if several were graded.")
@by_option
@replace_option
@course_option
def withdraw(
    slug: str,
    student: str,
    question: str,
    check: str | None,
    by: str | None,
    replace: bool,
    course: Path | None,
) -> int:
    """Take back STUDENT's grade for QUESTION of SLUG: it waits for a person again.

    The grade stays in the history, and so does who took it back. Nobody is asked again where the
    machine decides by now.
    """
    from grader.grading import withdraw_grade

    return withdraw_grade((slug, student, question, check), course, by, console(), replace=replace)


@grades.command(name="list")
@click.argument("slug", required=False)
@course_option
def list_(slug: str | None, course: Path | None) -> int:
    """List the last grade of every answer, of SLUG or of all assignments."""
    from grader.grading import list_grades

    return list_grades(slug, course, console())


@grades.command()
@click.argument("student")
@assignment_option
@course_option
def show(student: str, assignment: str | None, course: Path | None) -> int:
    """Show every grade that STUDENT was ever given: who, when, what, and what replaced it."""
    from grader.grading import show_grades

    return show_grades(student, assignment, course, console())
