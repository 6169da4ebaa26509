"""Whose a database is that is not in the course's folder, so that no two courses share one.

Grades cannot be removed from a database, so a course must never come into another's by a variable
of the environment that was left set. The database keeps the course's number, and the course keeps
it in `.grader/course`.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Connection, insert, select

from grader.database.tables import COURSE
from grader.errors import InputError
from grader.locks import atomically

FILE = "course"
BYTES = 8


def is_claimed(connection: Connection, state: Path, shown: str) -> bool:
    """Whether a database is this course's; False if it is nobody's yet.

    Args:
        connection: To the database.
        state: The course's `.grader/`.
        shown: Where the database is, for messages.

    Raises:
        InputError: it is another course's.
    """
    found = connection.scalar(select(COURSE.c.id))
    if found is not None and found != _own(state):
        _refuse(shown)
    return found is not None


def claim(connection: Connection, state: Path, shown: str, *, is_ours: bool) -> None:
    """Make a database this course's, in a transaction that writes.

    Args:
        connection: To the database.
        state: The course's `.grader/`.
        shown: Where the database is, for messages.
        is_ours: Whether it was empty, or is known to be this course's. One that is nobody's may be
            a file in the folder of another course.

    Raises:
        InputError: it is another course's.
        StoreFault: the course's number cannot be kept.
    """
    if is_claimed(connection, state, shown):
        return
    if not is_ours:
        _refuse(shown)
    if not _own(state):  # kept first: a database whose course forgot its number would be nobody's
        with atomically(state / FILE) as file:
            file.write(secrets.token_hex(BYTES) + "\n")
    connection.execute(insert(COURSE), {"id": _own(state)})


def _refuse(shown: str) -> NoReturn:
    says = f"expected a database of this course's own, found another course's in {shown}"
    do = f"if it is the same course, copy {FILE} and secret from the .grader/ that began it"
    raise InputError(f"{says}: --database or GRADER_DATABASE; {do}")


def _own(state: Path) -> str:
    with suppress(FileNotFoundError):
        return (state / FILE).read_text().strip()
    return ""
