"""Why an answer is not there: the cell that would have defined it, and the first cause of that.

All of it is read off receipts and the text of the cells, so it is a hint and decides no points but
one thing: who is told of what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from grader.evidence import CellReceipt, CellStatus
from grader.submission import Cell, CellKind

NOT_DEFINED = re.compile(r"name '(\w+)' is not defined")
#: A name that a line at the left margin defines.
AT_TOP = re.compile(r"(?:(?:def|class)[ \t]+)?([A-Za-z_]\w*)[ \t]*(?:[(:]|=(?!=))")
STATEMENTS = frozenset(
    ("if", "elif", "else", "for", "while", "with", "try", "except", "finally", "return", "print")
)
#: How alike two names are that may be meant for each other.
ALIKE = 0.8
#: Causes of causes that are told.
DEPTH = 4


def cell_says(receipt: CellReceipt, cells: Sequence[Cell] = ()) -> str:
    """Say what became of a cell that did not run through.

    Args:
        receipt: Its receipt.
        cells: The submission's cells, which know their places; without, they are counted from 1.
    """
    cell = name_of(receipt.index, cells)
    match receipt.status:
        case CellStatus.ERROR:
            return f"{cell} raised {receipt.raised or 'an exception'}"
        case CellStatus.TIMEOUT:
            return f"{cell} ran longer than {receipt.wall_s:.0f} s"
        case CellStatus.MEMORY:
            return f"{cell} ran out of memory"
        case CellStatus.DIED:
            return f"{cell} ended the kernel"
        case CellStatus.LEFT_OUT:
            why = cells[receipt.index].left_out if receipt.index < len(cells) else ""
            return f"{cell} was not run at grading" + (f": {why}" if why else "")
    return f"{cell} was not run"


def name_of(index: int, cells: Sequence[Cell]) -> str:
    """What messages call a cell: its place in a file, or its number."""
    place = cells[index].place if index < len(cells) else ""
    return place or f"cell {index + 1}"


def chain(
    name: str, cells: Sequence[Cell], receipts: Mapping[int, CellReceipt], depth: int = DEPTH
) -> tuple[int, ...]:
    """The failed cell that would have defined a name, the one that made that one fail, and so on.

    Returns:
        Indices of cells, the first cause last; nothing if no failed cell would have defined it.
    """
    defines = _defining(name)
    for index, receipt in sorted(receipts.items()):
        if receipt.status is CellStatus.OK or index >= len(cells):
            continue
        if any(defines.match(line.strip()) for line in cells[index].source.splitlines()):
            return (index, *(because(receipt, cells, receipts, depth - 1) if depth else ()))
    return ()


def because(
    receipt: CellReceipt,
    cells: Sequence[Cell],
    receipts: Mapping[int, CellReceipt],
    depth: int = DEPTH,
) -> tuple[int, ...]:
    """The failed cells before it for whose sake a cell lacked a name; nothing without any."""
    lacks = NOT_DEFINED.match(receipt.raised.evalue) if receipt.raised else None
    before = {index: r for index, r in receipts.items() if index < receipt.index}
    return chain(lacks[1], cells, before, depth) if lacks else ()


def defined_names(cells: Iterable[Cell]) -> frozenset[str]:
    """The names that lines at the left margin of the code define."""
    return frozenset(name for cell in cells for name, _ in _definitions(cell))


def near_name(name: str, cells: Iterable[Cell], taken: Iterable[str]) -> str:
    """A name in the code that may be meant for another; empty if there is none.

    Args:
        name: What was asked for.
        cells: The student's.
        taken: Names that mean something else.
    """
    folded = {found.casefold(): found for found in defined_names(cells) - set(taken)}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=ALIKE)
    return folded[close[0]] if close else ""


def reset_by(name: str, cells: Sequence[Cell]) -> int | None:
    """The cell that sets a name to None after it had been something else; None if there is none."""
    given = False
    last: int | None = None
    for index, cell in enumerate(cells):
        for found, line in _definitions(cell):
            if found != name:
                continue
            emptied = re.fullmatch(r"\w+[ \t]*=[ \t]*None[ \t]*(?:#.*)?", line) is not None
            last = index if emptied and given else None
            given |= not emptied
    return last


def _definitions(cell: Cell) -> Iterator[tuple[str, str]]:
    """Names that a cell defines at its left margin, each with its line."""
    if cell.kind is not CellKind.CODE or cell.left_out:
        return
    for line in cell.source.splitlines():
        found = AT_TOP.match(line)
        if found and found[1] not in STATEMENTS and _assigns(line, found):
            yield found[1], line.rstrip()


def _assigns(line: str, found: re.Match[str]) -> bool:
    """A bare call, such as `fit(x)`, defines nothing."""
    return line.startswith(("def ", "class ")) or not found[0].endswith("(")


def _defining(name: str) -> re.Pattern[str]:
    """What a line looks like that defines a name."""
    # Line by line and anchored: a pattern that may cross lines is cubic on blank ones.
    name = re.escape(name)
    return re.compile(
        rf"(?:(?:def|class)[ \t]+)?{name}\b[ \t]*[(=:,]|(?:from|import)\b.*\b{name}\b"
    )
