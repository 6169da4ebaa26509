"""Names and numbers as spreadsheets mangle them. Pure."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from grader.report.tables import undone

#: Digits with a point, and no exponent: `1e9` is nobody's points.
NUMBER = re.compile(r"(\d{1,9}(\.\d{0,9})?|\.\d{1,9})")


def means(written: str, student: str) -> bool:
    """Whether a cell names the student that the row's key told, as spreadsheets mangle names.

    `007` may have become `7`, and a letter beyond ASCII two others, where UTF-8 was not expected.
    """
    misread = student.encode("utf-8", "replace").decode("cp1252", "replace")
    same = not forms(written).isdisjoint(forms(student) | {plain(misread)})
    return same or _number(written) == _number(student) != ""


def forms(student: str) -> set[str]:
    """A student's id as it is, and without an apostrophe that made it safe."""
    return {plain(student), plain(undone(student))}


def plain(text: str) -> str:
    """A text in one form of Unicode, with single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def same_number(first: str, second: str) -> bool:
    """Whether both are one number, as `1.10` and `1.1` are to a spreadsheet."""
    found = [text.replace(",", ".") for text in (first, second)]
    return all(map(NUMBER.fullmatch, found)) and Decimal(found[0]) == Decimal(found[1])


def _number(text: str) -> str:
    found = re.fullmatch(r"0*(\d+)(?:[.,]0+)?", text.strip())
    return found[1] if found else ""
