"""The tables of a course, as `steps` makes them.

    decisions  what became of executing a submission; the last of a journal for a student counts
    grades     every grade that a person gave, in order; the last for a row counts
    expected   what the last scoring left to people, which an import is checked against
    scorings   when scores were made, under which rubric and reference
    scores     a student's score, kept with the first scoring in which it was so
    course     whose all this is, where several courses could come to it
    version    one number: how many of `STEPS` the database has been through

Grades are only ever added, which triggers see to. Points that people gave are kept as the text of
a decimal number.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Column, Dialect, Float, ForeignKey, Integer, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

#: Begins a text that is kept as JSON, because no database takes it as it is.
ESCAPED = "\N{SUBSTITUTE}"
META = MetaData()


class Text(TypeDecorator[str]):
    """Any text of Python's: also names of files that are no UTF-8, and NUL, which SQL refuses."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """As it is kept."""
        if value is None or (_is_plain(value) and not value.startswith(ESCAPED)):
            return value
        return ESCAPED + json.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """As it was given."""
        if isinstance(value, str) and value.startswith(ESCAPED):
            return str(json.loads(value[len(ESCAPED) :]))
        return None if value is None else str(value)


def _is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _texts(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False) for name in names]


ROW = ("assignment", "student", "question", "check", "kind")
DIGESTS = ("text", "submission")

DECISIONS = Table(
    "decisions",
    META,
    Column("number", Integer, primary_key=True),
    *_texts("journal", "student", "submission", "key", "plan", "fault", "at"),
)
GRADES = Table(
    "grades",
    META,
    Column("number", Integer, primary_key=True),
    *_texts("row", *ROW, *DIGESTS, "points", "comment", "by", "at"),
    Column("max_points", Float, nullable=False),
)
EXPECTED = Table(
    "expected",
    META,
    Column("row", Text, primary_key=True),
    *_texts(*ROW, *DIGESTS),
    Column("max_points", Float, nullable=False),
)
SCORINGS = Table(
    "scorings",
    META,
    Column("number", Integer, primary_key=True),
    *_texts("assignment", "at", "grader", "rubric", "questions", "reference", "data"),
    Column("last_grade", Integer, nullable=False),
)
SCORES = Table(
    "scores",
    META,
    Column("scoring", ForeignKey(SCORINGS.c.number), primary_key=True),
    Column("student", Text, primary_key=True),
    *_texts("submission", "evidence", "status"),
    Column("total", Float),
    *_texts("score"),
)
VERSION = Table("version", META, Column("number", Integer, nullable=False))
COURSE = Table("course", META, Column("id", Text, primary_key=True))
