"""Lines of a write-up: as the student wrote them, and what in them may name a question."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

#: Of a document; homework has a tenth of it.
MAX_CHARS = 1_000_000
#: Of a line, from its beginning, that is looked at for the name of a question.
MAX_LABEL_CHARS = 160


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    text: str
    page: int = 0
    """Page of a PDF, counted from 1; 0 where there are none."""
    labels: tuple[str, ...] = ()
    """Its beginning without markup, which may name a question; several where a list counts."""
    heading: bool = False
    """Whether markup makes it a heading."""
    counted: bool = False
    """Whether a label is no part of the text that follows it: of an item, or counted by LaTeX."""
    picture: bool = False
    """Whether it shows a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A write-up as text."""

    lines: tuple[Line, ...] = ()
    problem: str = ""
    """Why there is no text, in words that follow the file's name; empty if there is."""
    notes: tuple[str, ...] = ()
    """What was left out or could not be read, likewise."""
    partial: bool = False
    """Whether there may be more in it than its lines, such as pictures or other files."""
    hurried: bool = False
    """Whether the clock ended the reading: a machine that is less busy may read more."""


def decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a file and notes on it: UTF-8, UTF-16 with a mark, else Latin-1; capped."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if len(text) > MAX_CHARS:
        return text[:MAX_CHARS], (f"only its first {MAX_CHARS} characters were read",)
    return text, ()
