"""Sheets of grades, as spreadsheets and other people save them."""

from __future__ import annotations

import contextlib

from hypothesis import strategies as st

from fuzz.target import Made, Target, encoded, nasty, scratch
from grader.errors import InputError
from grader.grades.importing import KNOWN, check_sheet
from grader.grades.rows import Grade, Row, Version
from grader.grades.sheet import read_sheet

FOLDER = scratch("sheets")
TEXT = Version.of("Because.", "s1")
ROWS = tuple(
    Row(
        assignment="hw",
        student=student,
        question=question,
        check="written",
        kind="written",
        max_points=2,
        version=TEXT,
    )
    for student in ("ann", "007", "=cmd()", "Zoë")
    for question in ("2c", "3")
)
EXPECTED = {row.id: row for row in ROWS}
BEFORE = Grade(row=ROWS[0], points="1", comment="", by="tom", at="2026-01-02T03:04:05+00:00")


def run(data: bytes) -> None:
    """Read a sheet and check it; what is taken is a number of points that the row can have."""
    path = FOLDER / "w.csv"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        sheet = read_sheet(path, "w.csv", KNOWN)
        done = check_sheet(
            sheet,
            EXPECTED,
            {BEFORE.row.id: BEFORE},
            by="kim",
            at="2026-01-02T03:04:05+00:00",
            replace=False,
        )
        assert all(0 <= float(grade.points) <= 2 for grade in done.new)
        assert all(grade.row in ROWS for grade in done.new)


SEEDS = (
    b"student,question,points,comment\nann,2c,0.5,so so\n",
    b"\xef\xbb\xbfstudent;question;points;comment\r\nann;2c;0,5;so so\r\n",
    "student\tquestion\tpoints\nann\t2c\t0,5\r\n".encode("utf-16"),
    b"sep=;\r\nstudent;question;points\r\n'=cmd();2c;0,50\r\n",
    b'"row","points"\n"' + ROWS[3].id.encode() + b'","1"\n',
)
CELLS = (
    *("ann", "007", "7", "Zoë", "'=cmd()", "2c", "3", "0,5", ".5", "1e3", "-1", "nan", "٣", "2"),
    *(row.id for row in ROWS[:2]),
)


def _made() -> Made:
    cells = st.one_of(st.sampled_from(CELLS), nasty())
    head = st.lists(st.one_of(st.sampled_from(KNOWN), nasty()), min_size=1, max_size=5)
    rows = st.lists(st.lists(cells, max_size=6), max_size=4)
    between = st.sampled_from((",", ";", "\t"))
    first = st.sampled_from(
        ("", "", "sep=;\n", 'sep="\n', "sep=\\\n", "sep=é\n", "sep= \n", "\ufeff")
    )
    ends = st.sampled_from(("\n", "\r\n", "\r"))
    text = st.builds(
        lambda start, head, rows, between, end: (
            start + end.join(between.join(cells) for cells in [head, *rows])
        ),
        *(first, head, rows, between, ends),
    )
    utf_16 = text.map(lambda found: found.encode("utf-16", "surrogatepass"))
    return st.one_of(text.map(encoded), utf_16)


TARGET = Target(
    name="sheet",
    reads="sheets of grades that people filled in",
    run=run,
    seeds=SEEDS,
    made=_made(),
    tokens=[word.encode() for word in (*KNOWN, *CELLS, "sep=;", '"', "\r\n")],
)
