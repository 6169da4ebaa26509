"""What several commands of the `grader` command line have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from grader.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
#: As `grader.course` reads it, which takes a while to import.
DATABASE = "GRADER_DATABASE"

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


def _remember(context: click.Context, parameter: click.Parameter, url: str | None) -> None:
    """Hand a URL on where `find_course` looks; a command line of ours would show its password."""
    if url:
        os.environ[DATABASE] = url


_of_course = click.option(
    "--course",
    type=click.Path(path_type=Path),
    help="Folder with rubrics/ and reference/, if it is not at or above where you are.",
)
_of_database = click.option(
    "--database",
    metavar="URL",
    expose_value=False,
    callback=_remember,
    help=f"The course's database, if it is not in .grader/: postgresql://user@host/name; {DATABASE}"
    " in the environment says the same.",
)


def course_option(command: Command) -> Command:
    """`--course` and `--database`."""
    return _of_course(_of_database(command))


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
    help="Processes that judge at a time; if left out, one a processor for large classes.",
)
gpus_option = click.option(
    "--gpus",
    default="none",
    show_default=True,
    help="GPUs for rubrics that ask for one: all, none, or numbers such as 0,1.",
)
trust_option = click.option(
    "--trust-students",
    is_flag=True,
    help="Let --sandbox process run several students, though it isolates nothing.",
)
tls_option = click.option(
    "--tls",
    type=click.Path(path_type=Path),
    envvar="GRADER_TLS",
    help="Folder with the cluster's cert.pem and key.pem; or set GRADER_TLS.",
)


@contextmanager
def cluster_installed() -> Iterator[None]:
    """Say what to install if what is imported for a cluster is not there.

    Raises:
        InputError: something is missing.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"a cluster needs more: pip install 'grader[cluster]' ({error})"
        ) from error
