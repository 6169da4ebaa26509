"""Lines of a write-up: as the student wrote them, and what in them may name a question."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

#: Of a document; homework has a tenth of it.
MAX_CHARS = 1_000_000
MAX_LINES = 20_000
#: A character takes four bytes at most, and a mark may stand before the first.
MAX_BYTES = 4 * MAX_CHARS + 8
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
    decoder = codecs.getincrementaldecoder("utf-16" if marked else "utf-8-sig")()
    try:
        text = decoder.decode(data[:MAX_BYTES], final=len(data) <= MAX_BYTES)
    except UnicodeDecodeError:
        text = data[:MAX_BYTES].decode("cp1252", "replace")
    notes = []
    if len(text) > MAX_CHARS:
        text = text[:MAX_CHARS]
        notes.append(f"only its first {MAX_CHARS} characters were read")
    lines = text.splitlines(keepends=True)
    if len(lines) > MAX_LINES:
        text = "".join(lines[:MAX_LINES])
        notes.append(f"only its first {MAX_LINES} lines were read")
    return text, tuple(notes)
