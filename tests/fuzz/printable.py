"""Text of students in tables, on pages and in names of files."""

from __future__ import annotations

import csv
import io
import json
import re

from fuzz.target import Target, decoded, encoded, nasty
from grader.report.inert import MAX_CHARS, block, line, visible
from grader.report.tables import FORMULA_STARTS, MAX_CELL_CHARS, Table, file_names, one_line, undone


def run(data: bytes) -> None:
    """Make a text printable in every way that we have."""
    text = decoded(data)
    for shown in (visible(text), line(text), block(text), block(text, 3, last=True)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        shown.encode()
    assert len(line(text)) <= 401
    assert len(block(text)) <= MAX_CHARS + 100
    _table(text)
    names = file_names([text, text.upper(), "s01"])
    assert all(re.fullmatch(r"[A-Za-z0-9._@-]{1,100}", name) for name in names.values())
    assert json.loads(json.dumps(text)) == text


def _table(text: str) -> None:
    """A row with it has as many cells, none of which a spreadsheet takes for a formula."""
    file = io.StringIO()
    Table(file).row(text, 1.5, text, None)
    (cells,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert len(cells) == 4
    assert not any(cell.startswith(FORMULA_STARTS) for cell in cells)
    assert len(cells[0]) <= 2 * MAX_CELL_CHARS + 2  # an apostrophe before each formula
    assert cells[0].isprintable()
    assert undone(cells[0]) == one_line(text)
    assert not re.search(r"; *[=+@\uff1d-]", cells[0])


TARGET = Target(
    name="printable",
    reads="text of students that reports show",
    run=run,
    seeds=[b"plain text", "a\x1b[31mred\x1b[0m =cmd(), \u202eleft\r\nZoë".encode()],
    made=nasty().map(encoded),
    tokens=[b"\x1b[", b"\x1b]", b"\xe2\x80\xae", b"=", b"\r\n", b"\xcc\x81"],
)
