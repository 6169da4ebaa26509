"""Grades in `.grader/grades.db`, an SQLite file: only ever added, never changed or removed.

    grades     every grade that was imported, in order; the last for a row counts
    expected   what the last `grader run` or `grader score` left to people, which an import is
               checked against

Points are kept as the text of a decimal number. The file's `user_version` says how many of
`STEPS` it has been through; a new file goes through all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from grader.errors import InputError, StoreFault
from grader.grades.rows import Grade, Row, Version

#: SQL that brings a file from each version to the next; never change one that was released.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE grades (
            number INTEGER PRIMARY KEY, row TEXT NOT NULL, assignment TEXT NOT NULL,
            student TEXT NOT NULL, question TEXT NOT NULL, "check" TEXT NOT NULL,
            kind TEXT NOT NULL, points TEXT NOT NULL, max_points REAL NOT NULL,
            comment TEXT NOT NULL, "by" TEXT NOT NULL, at TEXT NOT NULL,
            text TEXT NOT NULL, submission TEXT NOT NULL)""",
        "CREATE INDEX grades_of ON grades (assignment, student)",
        """CREATE TRIGGER grades_stay BEFORE UPDATE ON grades
            BEGIN SELECT RAISE(ABORT, 'a grade is never changed'); END""",
        """CREATE TRIGGER grades_remain BEFORE DELETE ON grades
            BEGIN SELECT RAISE(ABORT, 'a grade is never removed'); END""",
        """CREATE TABLE expected (
            row TEXT PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL,
            question TEXT NOT NULL, "check" TEXT NOT NULL, kind TEXT NOT NULL,
            max_points REAL NOT NULL, text TEXT NOT NULL, submission TEXT NOT NULL)""",
    ),
)

_META = MetaData()
_ROW = ("assignment", "student", "question", "check", "kind")
_DIGESTS = ("text", "submission")


def _columns(*names: str) -> list[Column[Any]]:
    return [Column(name, String, nullable=False) for name in names]


GRADES = Table(
    "grades",
    _META,
    Column("number", Integer, primary_key=True),
    *_columns("row", *_ROW, *_DIGESTS, "points", "comment", "by", "at"),
    Column("max_points", Float, nullable=False),
)
EXPECTED = Table(
    "expected",
    _META,
    Column("row", String, primary_key=True),
    *_columns(*_ROW, *_DIGESTS),
    Column("max_points", Float, nullable=False),
)


class Grades:
    """The grades of a course within one transaction; see `open_grades`."""

    def __init__(self, connection: Connection) -> None:
        """Work on an open transaction."""
        self._connection = connection

    def current(self, assignment: str) -> dict[str, Grade]:
        """The last grade of every row of an assignment that was not withdrawn, by row id."""
        last = {grade.row.id: grade for grade in self.history(assignment)}
        return {row: grade for row, grade in last.items() if grade.points}

    def history(self, assignment: str) -> list[Grade]:
        """Every grade that was ever given, in order."""
        asked = select(GRADES).where(GRADES.c.assignment == assignment).order_by(GRADES.c.number)
        return [
            Grade(row=_row(told), points=told["points"], comment=told["comment"], **_who(told))
            for told in self._connection.execute(asked).mappings()
        ]

    def add(self, grades: Iterable[Grade]) -> None:
        """Add grades; what was given before stays in the history."""
        told = [
            {
                **_fields(grade.row),
                "points": grade.points,
                "comment": grade.comment,
                "by": grade.by,
                "at": grade.at,
            }
            for grade in grades
        ]
        if told:
            self._connection.execute(insert(GRADES), told)

    def expected(self, assignment: str) -> dict[str, Row]:
        """What waits for a person since the last scoring, graded or not, by row id."""
        asked = select(EXPECTED).where(EXPECTED.c.assignment == assignment)
        rows = map(_row, self._connection.execute(asked).mappings())
        return {row.id: row for row in rows}

    def expect(self, assignment: str, rows: Iterable[Row]) -> None:
        """Replace what waits for a person."""
        self._connection.execute(delete(EXPECTED).where(EXPECTED.c.assignment == assignment))
        told = [_fields(row) for row in rows]
        if told:
            self._connection.execute(insert(EXPECTED), told)

    def assignments(self) -> list[str]:
        """Names of the assignments that have grades or wait for some."""
        found: set[str] = set()
        for table in (GRADES, EXPECTED):
            found |= set(self._connection.scalars(select(table.c.assignment).distinct()))
        return sorted(found)


@contextmanager
def open_grades(state: Path, *, reading: bool = False) -> Iterator[Grades]:
    """Open a course's grades for one transaction: kept at the end, undone when something is raised.

    Args:
        state: The course's `.grader/`.
        reading: Whether nothing will be written, so that nobody has to wait for anybody.

    Raises:
        InputError: a newer version of the grader wrote the file.
        StoreFault: it cannot be read or written.
    """
    path = state / "grades.db"
    reading = reading and path.is_file()
    try:
        state.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        _begin(engine, reading=reading)
        with engine.begin() as connection:
            _migrate(connection, path)
            yield Grades(connection)
    except (SQLAlchemyError, OSError) as error:
        said = getattr(error, "orig", None) or error
        raise StoreFault(f"{path} cannot be used: {said}") from error


def _begin(engine: Engine, *, reading: bool) -> None:
    """Take the write lock first, so that two imports cannot both find a row without a grade.

    The journal is one that network file systems bear: SQLite's `WAL` needs shared memory.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # else the driver begins by itself, and later
        connection.execute("PRAGMA busy_timeout = 20000")
        if not reading:
            connection.execute("PRAGMA journal_mode = DELETE")

    @event.listens_for(engine, "begin")
    def _start(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection, path: Path) -> None:
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version > len(STEPS):
        says = f"expected version {len(STEPS)} or older, found {version}"
        raise InputError(f"{path}: {says}: use the newer grader that wrote it")
    for step in STEPS[version:]:
        for statement in step:
            connection.exec_driver_sql(statement)
    if version < len(STEPS):
        connection.exec_driver_sql(f"PRAGMA user_version = {len(STEPS)}")


def _fields(row: Row) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in (*_ROW, "max_points")}
    version = row.version
    return {**told, "row": row.id, "text": version.text, "submission": version.submission}


def _row(told: Any) -> Row:
    version = Version(text=told["text"], submission=told["submission"])
    fields = {name: told[name] for name in (*_ROW, "max_points")}
    return Row(version=version, **fields)


def _who(told: Any) -> dict[str, str]:
    return {"by": told["by"], "at": told["at"]}
