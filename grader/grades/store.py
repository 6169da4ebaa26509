"""Grades of a course in its database: only ever added, never changed or removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from grader.database.opening import Database
from grader.database.tables import EXPECTED, GRADES, ROW
from grader.grades.rows import Grade, Row, Version


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

    @property
    def last(self) -> int:
        """Number of the last grade that was given to anybody; 0 before the first."""
        return int(self._connection.scalar(select(func.max(GRADES.c.number))) or 0)

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
def open_grades(state: Path, url: str = "", *, reading: bool = False) -> Iterator[Grades]:
    """Open a course's grades for one transaction: kept at the end, undone when something is raised.

    Args:
        state: The course's `.grader/`.
        url: Where its database is; in `state` if empty.
        reading: Whether nothing will be written, so that nobody has to wait for anybody.

    Raises:
        InputError: a newer version of the grader wrote the database.
        StoreFault: it cannot be read or written.
    """
    database = Database(state, url)
    with database.reading() if reading else database.writing() as connection:
        yield Grades(connection)


def _fields(row: Row) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in (*ROW, "max_points")}
    version = row.version
    return {**told, "row": row.id, "text": version.text, "submission": version.submission}


def _row(told: Any) -> Row:
    version = Version(text=told["text"], submission=told["submission"])
    fields = {name: told[name] for name in (*ROW, "max_points")}
    return Row(version=version, **fields)


def _who(told: Any) -> dict[str, str]:
    return {"by": told["by"], "at": told["at"]}
