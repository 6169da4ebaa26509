"""What the starter's own run teaches: which failures are the environment's and not the student's.

The notebook that students were given is executed once, under the same plan. A cell of it that fails
because something is not installed, not reachable or too slow fails for every student too, and is
nobody's doing. One that fails because an answer is still missing, as in a test after the place for
the answer, says nothing: students are to mend that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.checks.culprit import because, cell_says
from grader.evidence import CellReceipt, CellStatus
from grader.submission import Cell, CellKind

FAILED = (CellStatus.ERROR, CellStatus.TIMEOUT, CellStatus.MEMORY, CellStatus.DIED)
#: What calling the place for an answer leads to: `return None`, `...` and the like.
BLANKS = ("NoneType", "ellipsis", "is still None")
GPU = ("cuda", "nvidia", "gpu")
#: Where a module failed, at the end of what it says.
PLACE = re.compile(r" \([^()]*line \d+\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What students were given, and how it failed where submissions are executed."""

    cells: tuple[Cell, ...] = ()
    failures: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """How cells failed through the environment, by what they are known by."""
    says: tuple[str, ...] = ()
    """A sentence for staff about each of these cells."""
    unknown: str = ""
    """Why it is not known how they failed, through no act of a student; empty if it is."""

    def blameless(self, cells: tuple[Cell, ...], receipts: Iterable[CellReceipt]) -> frozenset[int]:
        """The failed cells of a submission that are the starter's and fail there in the same way.

        Of a starter that nobody has worked on there are none: nothing in it is an answer. Where the
        starter's own run is not known, they are all that may fail there in the same way.
        """
        if self.untouched(cells):
            return frozenset()
        if self.unknown:
            return frozenset(_environments(cells, receipts, self.cells))
        return frozenset(
            receipt.index
            for receipt in receipts
            if receipt.index < len(cells)
            and _kind(receipt, cells) in self.failures.get(_known_by(cells[receipt.index]), ())
        )

    def untouched(self, cells: tuple[Cell, ...]) -> bool:
        """Whether all code is the starter's, unchanged."""
        return bool(self.cells) and _code(cells) == _code(self.cells)

    def note(self, cells: tuple[Cell, ...]) -> str:
        """What to say of a submission whose code is the starter's; empty if it is not."""
        if not self.untouched(cells):
            return ""
        same = [squeezed(c.source) for c in cells] == [squeezed(c.source) for c in self.cells]
        return "the untouched starter" if same else "the code is that of the untouched starter"

    @property
    def likeness(self) -> str:
        """What to say of a failure that is blameless, behind what became of the cell."""
        return f"{'perhaps ' if self.unknown else ''}as in the starter"


NO_STARTER = Starter()


def learn(cells: tuple[Cell, ...], receipts: Iterable[CellReceipt]) -> Starter:
    """Read off the starter's run which of its cells cannot run where it was executed."""
    failures: dict[str, set[str]] = {}
    by_index = {receipt.index: receipt for receipt in receipts}
    ours = _environments(cells, by_index.values(), cells)
    for index in ours:
        kind = _kind(by_index[index], cells)
        failures.setdefault(_known_by(cells[index]), set()).add(kind)
    return Starter(
        cells=cells,
        failures={known_by: frozenset(kinds) for known_by, kinds in failures.items()},
        says=tuple(cell_says(by_index[index], cells) for index in ours),
    )


def squeezed(source: str) -> str:
    """A source without what only spaces it."""
    return " ".join(source.split())


def _environments(
    cells: Sequence[Cell], receipts: Iterable[CellReceipt], starter: Iterable[Cell]
) -> list[int]:
    """The starter's cells that fail, or whose first cause fails, as an environment makes them."""
    by_index = {receipt.index: receipt for receipt in receipts if receipt.index < len(cells)}
    given = {_known_by(cell) for cell in starter if cell.kind is CellKind.CODE}
    found: list[int] = []
    for index, receipt in sorted(by_index.items()):
        caused = set(found).intersection(because(receipt, cells, by_index))
        if (caused or _is_environments(receipt)) and _known_by(cells[index]) in given:
            found.append(index)
    return found


def _is_environments(receipt: CellReceipt) -> bool:
    if receipt.status is not CellStatus.ERROR:
        return receipt.status in FAILED
    raised = receipt.raised
    if raised is None:
        return False
    if raised.ename == "AssertionError":
        return any(word in raised.evalue.casefold() for word in GPU)
    blank = any(word in raised.evalue for word in BLANKS)
    return raised.ename not in ("NotImplementedError", "NameError") and not blank


def _known_by(cell: Cell) -> str:
    """What makes a cell the starter's: its source; of a module, which is filled in, its name."""
    return cell.module.rpartition("/")[2] if cell.module else squeezed(cell.source)


def _kind(receipt: CellReceipt, cells: Sequence[Cell]) -> str:
    """How a cell failed: its status, or what it raised; empty if it did not fail.

    A module is the student's, so it has to say the very same, wherever in the file.
    """
    if receipt.status is CellStatus.ERROR and receipt.raised:
        said = PLACE.sub("", receipt.raised.evalue) if cells[receipt.index].module else ""
        return f"{receipt.raised.ename} {said}"
    return receipt.status.value if receipt.status in FAILED else ""


def _code(cells: Iterable[Cell]) -> list[str]:
    sources = (squeezed(cell.source) for cell in cells if cell.kind is CellKind.CODE)
    return [source for source in sources if source]
