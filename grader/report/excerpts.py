"""The executed cells that matter for a question: those that define what it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.checks.culprit import name_of
from grader.evidence import CellReceipt, CellStatus
from grader.submission import Cell, CellKind

#: Cells that a question may show.
MOST = 4
#: Lines of a source from which on it is shown from the definition on that matters.
LONG = 60
#: What is no failure of the student's.
NO_FAILURE = (CellStatus.OK, CellStatus.SKIPPED, CellStatus.LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """One executed cell: what stood in it and what came of it."""

    name: str
    """What messages call it: its number from 1, or its place in a file."""
    source: str
    text: str
    """What it printed."""
    raised: str
    """The exception that ended it, in one line; empty if none did."""
    trace: str
    status: CellStatus

    @property
    def title(self) -> str:
        """Its name at the start of a line; a file keeps its own letters."""
        return (
            self.name.replace("cell ", "Cell ", 1) if self.name.startswith("cell ") else self.name
        )


def excerpts(
    names: Iterable[str], cells: Sequence[Cell], receipts: Mapping[int, CellReceipt]
) -> tuple[Excerpt, ...]:
    """The cells that define names, in the notebook's order.

    Args:
        names: What a question asks for; of `Model.sample` the class counts.
        cells: The notebook as handed in.
        receipts: What became of its code cells, by index.
    """
    roots = dict.fromkeys(name.partition(".")[0] for name in names)
    found: dict[int, int] = {}
    for name in roots:
        place = _defining(name, cells)
        if place is not None:
            found[place.index] = min(place.line, found.get(place.index, place.line))
    chosen = sorted(found)[:MOST]
    return tuple(_excerpt(index, cells, receipts, found[index]) for index in chosen)


def failed(cells: Sequence[Cell], receipts: Mapping[int, CellReceipt]) -> tuple[Excerpt, ...]:
    """The cells that did not run through, the first few of them."""
    bad = [i for i, receipt in sorted(receipts.items()) if receipt.status not in NO_FAILURE]
    known = [index for index in bad if index < len(cells)]
    return tuple(_excerpt(index, cells, receipts) for index in known[:MOST])


@dataclass(frozen=True, slots=True)
class _Place:
    index: int
    line: int


def _defining(name: str, cells: Sequence[Cell]) -> _Place | None:
    """The last cell that defines a name at the margin, or else somewhere in it."""
    # Anchored, of one line and bounded: time grows with the length of the source, not faster.
    word = re.escape(name)
    defines = re.compile(
        rf"(?:async )?(?:def|class)[ \t]+{word}\b"
        rf"|(?:\w{{1,60}}[ \t]*,[ \t]*){{0,8}}{word}[ \t]*(?:,|[:=](?!=))"
        rf"|(?:from|import)\b.{{0,200}}\b{word}\b"
    )
    for indented in (False, True):
        for index in reversed(range(len(cells))):
            if cells[index].kind is not CellKind.CODE:
                continue
            lines = cells[index].source.splitlines()
            for number, one in enumerate(lines):
                if defines.match(one.lstrip() if indented else one):
                    return _Place(index, number)
    return None


def _excerpt(
    index: int, cells: Sequence[Cell], receipts: Mapping[int, CellReceipt], line: int = 0
) -> Excerpt:
    receipt = receipts.get(index)
    raised = receipt.raised if receipt else None
    return Excerpt(
        name=name_of(index, cells),
        source=_from(cells[index].source, line),
        text=receipt.text if receipt else "",
        raised=str(raised or ""),
        trace=raised.where if raised else "",
        status=receipt.status if receipt else CellStatus.SKIPPED,
    )


def _from(source: str, line: int) -> str:
    """A long source from a line on."""
    lines = source.splitlines()
    if len(lines) <= LONG or not line:
        return source
    return f"[lines 1 to {line} are left out]\n" + "\n".join(lines[line:])
