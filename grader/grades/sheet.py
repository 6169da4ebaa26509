"""Read a sheet as spreadsheets save it: any of their separators, encodings and line ends.

Excel saves `;` and decimal commas in half of the world, tabs and UTF-16 as "Unicode text", and
Latin-1 where it is asked for plain CSV. Columns are found by name; further columns are ignored.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import InputError

MAX_BYTES = 64 << 20
SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a sheet."""

    number: int
    """Where it begins in the file, counted from 1."""
    cells: Mapping[str, str]
    """By the column's name; a cell that is not there is empty."""

    def __getitem__(self, column: str) -> str:
        """The text of a cell without blanks at its ends."""
        return self.cells.get(column, "").strip()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was read."""

    shown: str
    """How messages name the file."""
    columns: tuple[str, ...]
    header: int
    """The line of the header."""
    lines: tuple[Line, ...]
    """Those that hold anything."""


def read_sheet(path: Path, shown: str, known: Sequence[str]) -> Sheet:
    """Read a sheet.

    Args:
        path: The file.
        shown: How messages name it.
        known: Names of columns, by which the separator is told.

    Raises:
        InputError: it is no sheet, or lacks its header.
    """
    text = _decoded(_bytes(path, shown), shown)
    declared, text, skipped = _declared(text)
    tries = [declared] if declared else list(SEPARATORS)
    read = [_records(text, separator, shown) for separator in tries]
    records = max(read, key=lambda found: _known(found, known))
    if not records:
        raise InputError(f"{shown}:1: expected a header with the columns of a sheet, found nothing")
    (header, names), *rest = records
    columns = tuple(map(_column, names))
    for number, cells in rest:
        if any(cell.strip() for cell in cells[len(columns) :]):
            says = f"expected {len(columns)} cells, found {len(cells)}"
            hint = "is a decimal comma not in quotes?"
            raise InputError(f"{shown}:{number + skipped}: {says}: {hint}")
    lines = (
        Line(number + skipped, dict(zip(columns, cells, strict=False))) for number, cells in rest
    )
    return Sheet(shown, columns, header + skipped, tuple(lines))


def _bytes(path: Path, shown: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: expected a sheet (CSV), found: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{shown}: expected at most {MAX_BYTES >> 20} MiB, found more")
    if data.startswith(b"PK\x03\x04") or data.startswith(b"\xd0\xcf\x11\xe0"):
        says = "expected a sheet saved as CSV (UTF-8), found a workbook"
        raise InputError(f"{shown}: {says}: save it as CSV first")
    return data


def _decoded(data: bytes, shown: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")  # what Excel writes as plain CSV
    if "\0" in text:
        raise InputError(f"{shown}: expected a sheet saved as CSV (UTF-8), found no text")
    return text


def _declared(text: str) -> tuple[str, str, int]:
    """The separator that a first line `sep=;` declares, the rest, and how many lines that took."""
    first, end, rest = text.partition("\n")
    stated = first.strip().strip('"')
    if stated[:4].lower() == "sep=" and len(stated) == 5:
        return stated[4], rest, 1
    return ("\t", rest, 1) if end and first.rstrip("\r") == "sep=\t" else ("", text, 0)


def _records(text: str, separator: str, shown: str) -> list[tuple[int, list[str]]]:
    """Records that hold anything, each with its first line."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    return list(_read(text, separator, shown))


def _read(text: str, separator: str, shown: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        raise InputError(f"{shown}:{reader.line_num}: expected CSV, found: {error}") from error


def _known(records: list[tuple[int, list[str]]], known: Sequence[str]) -> int:
    return sum(_column(name) in known for name in records[0][1]) if records else 0


def _column(name: str) -> str:
    """`Max points` and `max_points` are one column."""
    return "_".join(name.casefold().replace("_", " ").split())
