"""What a course has from before its database, taken over once, when the database is made.

    .grader/grades.db            grades of version 1, an SQLite file
    .grader/runs/<slug>.jsonl    decisions, one a line; the last for a student counts
    .grader/grader.db            the whole database, of a course that moves to a server

All of it stays where it is, as a copy that nobody reads any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Table,
    create_engine,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.pool import NullPool

from grader.database.tables import COURSE, DECISIONS, EXPECTED, GRADES, META, VERSION
from grader.errors import InputError

#: Fields of a line of a journal.
FIELDS = ("student", "submission", "key", "plan", "fault")
OF_GRADES = 1
"""The only version of `grades.db` that there was."""
AT_ONCE = 1000


def take_over(connection: Connection, state: Path, whole: str = "") -> None:
    """Copy what there is into a new database, in its first transaction.

    Args:
        connection: The new one, whose tables are empty.
        state: The course's `.grader/`.
        whole: Name of the file there that is copied whole, if it exists.

    Raises:
        InputError: it is of a version that cannot be taken over.
    """
    if whole and (state / whole).is_file():
        _copy_whole(state / whole, connection)
    else:
        _copy_grades(state / "grades.db", connection)
        _copy_journals(state / "runs", connection)
    _count_on(connection)


def _copy_whole(path: Path, connection: Connection) -> None:
    with _opened(path) as old:
        here, there = (one.scalar(select(VERSION.c.number)) for one in (connection, old))
        if here != there:
            says = f"expected version {here} before it moves, found {there}"
            raise InputError(f"{path}: {says}: bring it up to date by grader status")
        for table in META.sorted_tables:
            if table not in (VERSION, COURSE):
                _copy(table, old, connection)


def _copy_grades(path: Path, connection: Connection) -> None:
    if not path.is_file():
        return
    with _opened(path) as old:
        version = old.execute(text("PRAGMA user_version")).scalar_one()
        if version not in (0, OF_GRADES):
            says = f"expected version {OF_GRADES}, found {version}"
            raise InputError(f"{path}: {says}: use the newer grader that wrote it")
        for table in (GRADES, EXPECTED):
            if inspect(old).has_table(table.name):
                _copy(table, old, connection)


def _copy(table: Table, old: Connection, connection: Connection) -> None:
    found = old.execute(select(table).order_by(*table.primary_key)).mappings()
    for rows in found.partitions(AT_ONCE):
        connection.execute(insert(table), [dict(row) for row in rows])


def _copy_journals(folder: Path, connection: Connection) -> None:
    for path in sorted(folder.glob("*.jsonl")):
        told = [{"journal": path.stem, "at": "", **entry} for entry in _entries(path)]
        if told:
            connection.execute(insert(DECISIONS), told)


def _entries(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            # The last line may be torn when the machine went down while it was written.
            with suppress(ValueError, TypeError, KeyError):
                told: dict[str, Any] = json.loads(line)
                yield {name: str(told[name]) for name in FIELDS}


def _opened(path: Path) -> Connection:
    url = URL.create("sqlite", database=str(path))
    return create_engine(url, poolclass=NullPool).connect()


def _count_on(connection: Connection) -> None:
    """Let new numbers follow those that were copied; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in META.sorted_tables:
        last = connection.scalar(select(func.max(table.c.number))) if "number" in table.c else None
        if last and table is not VERSION:
            told = f'ALTER TABLE {table.name} ALTER COLUMN "number" RESTART WITH {int(last) + 1}'
            connection.exec_driver_sql(told)
