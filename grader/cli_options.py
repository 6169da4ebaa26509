"""What several commands of the `grader` command line have in common."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_CODES = """\b
Exit codes: 0 all scored; 1 some need a person (check: problems found);
2 bad input; 3 a bug of the grader or a fault of the machine; 130 interrupted.
"""
SANDBOXES = ("auto", "docker", "docker-warm", "bubblewrap", "process")

sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(SANDBOXES),
    default="auto",
    show_default=True,
    help="Where student code runs. auto: docker if an engine answers, else bubblewrap. "
    "docker-warm: containers that serve several submissions, one after another; "
    "docs/security.md says what these share.",
)
course_option = click.option(
    "--course",
    type=click.Path(path_type=Path),
    help="Folder with rubrics/ and reference/, if it is not at or above where you are.",
)
rubric_option = click.option(
    "--rubric", type=click.Path(path_type=Path), help="Use this rubric instead of the course's."
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder of the reports.",
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(1), help="Submissions at a time; one a processor if left out."
)
judges_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that judge at a time; worth it for more than a few hundred submissions.",
)
trust_option = click.option(
    "--trust-students",
    is_flag=True,
    help="Let --sandbox process run several students, though it isolates nothing.",
)
