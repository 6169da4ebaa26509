"""What a kind of check is, and what it may look at.

A kind is a module with the names of the `Kind` protocol. Its question half, `requests`, says what
to ask of the student's namespace; its answer half, `judge`, says what is right. `form` needs no
answer: it says whether what was found could be an answer at all, and serves `grader check` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from grader.evidence import CellReceipt, CellStatus, Observation, ProbeStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.rubric.model import CheckParams
from grader.rubric.yaml import Place
from grader.submission import Cell
from grader.symbolic import Symbolic
from grader.values import Value
from grader.verdict import Conclusion, Finding

NOT_DEFINED = re.compile(r"name '(\w+)' is not defined")

Request = dict[str, Value]
Problem = tuple[Place, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The trusted side of one assignment, as checks need it."""

    reference: Reference
    inputs: Inputs
    symbolic: Symbolic
    template: tuple[Cell, ...] = ()
    """Cells of what students were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one check may see of one submission."""

    check_id: str
    requests: Mapping[str, Request]
    """What was asked, by local name: the inputs that the reference is given too."""
    observations: Mapping[str, Observation]
    """By the local names that `requests` gave."""
    cells: tuple[Cell, ...]
    """The notebook as handed in."""
    receipts: Mapping[int, CellReceipt]
    """What became of the code cells, by index."""

    def args(self, local: str, key: str = "") -> Any:
        """The inputs that a probe carried: those of its call, or what stands at `key`."""
        asked = self.requests[local]
        return asked[key] if key else asked.get("args", asked.get("inputs"))

    @staticmethod
    def failed(seen: Observation) -> str:
        """Say in a few words how a call failed."""
        words = {ProbeStatus.TIMEOUT: "took too long", ProbeStatus.DIED: "ended the kernel"}
        words |= {ProbeStatus.MEMORY: "ran out of memory", ProbeStatus.TOO_LARGE: "is too large"}
        return f"raised {seen.raised}" if seen.raised else words.get(seen.status, "was not run")

    def unanswered(self, of: str, local: str = "value") -> Finding | None:
        """A finding when there is nothing to judge: not defined, None, raised, too late."""
        seen = self.observations[local]
        if seen.status is ProbeStatus.OK and seen.value is not None:
            return None
        return Finding(credit=0.0, says=self.why(of, seen), answered=False)

    def why(self, of: str, seen: Observation) -> str:
        """Say in a sentence why a probe gave no value."""
        match seen.status:
            case ProbeStatus.OK:
                return f"{of} is still None."
            case ProbeStatus.MISSING:
                return f"{of} is not defined{self._culprit(of)}."
            case ProbeStatus.ERROR:
                return f"{of} raised {seen.raised or 'an exception'}."
            case ProbeStatus.TIMEOUT:
                return f"{of} took longer than {seen.wall_s:.0f} s."
            case ProbeStatus.MEMORY:
                return f"{of} ran out of memory."
            case ProbeStatus.DIED:
                return f"{of} ended the kernel."
            case ProbeStatus.TOO_LARGE:
                return f"{of} is too large to bring back."
            case ProbeStatus.SKIPPED:
                return f"{of} was not looked at, because the run had ended before."
            case ProbeStatus.MALFORMED:
                return f"{of} cannot be read as plain data."

    def _culprit(self, of: str, depth: int = 3) -> str:
        """The failed cell that would have defined a name, and why that one failed, if it did."""
        # Line by line and anchored: a pattern that may cross lines is cubic on blank ones.
        name = re.escape(of)
        defines = re.compile(
            rf"(?:(?:def|class)[ \t]+)?{name}\b[ \t]*[(=:,]|(?:from|import)\b.*\b{name}\b"
        )
        for index, receipt in sorted(self.receipts.items()):
            lines = self.cells[index].source.splitlines()
            if receipt.status is CellStatus.OK or not any(defines.match(x.strip()) for x in lines):
                continue
            raised = receipt.raised
            lacks = NOT_DEFINED.match(raised.evalue) if raised else None
            cause = self._culprit(lacks[1], depth - 1) if lacks and depth else ""
            return f": {cell_says(receipt)}{cause}"
        return ""


def cell_says(receipt: CellReceipt) -> str:
    """Say what became of a cell that did not run through, counting cells from 1."""
    cell = f"cell {receipt.index + 1}"
    match receipt.status:
        case CellStatus.ERROR:
            return f"{cell} raised {receipt.raised}"
        case CellStatus.TIMEOUT:
            return f"{cell} ran longer than {receipt.wall_s:.0f} s"
        case CellStatus.MEMORY:
            return f"{cell} ran out of memory"
        case CellStatus.DIED:
            return f"{cell} ended the kernel"
    return f"{cell} was not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a student's self-check is told of a check: no answer half of anything hidden."""

    params: dict[str, Any]
    """Settings that `form` needs, with blanks where answers stood."""
    requests: dict[str, Request]
    expected: dict[str, Value] = field(default_factory=dict)
    """Results of public cases, by local name."""
    shapes: tuple[tuple[int, ...], ...] = ()
    """Shapes of a model's outputs."""
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Names and shapes of the parameters that a model must have, as the sheet states them."""


class Kind(Protocol):
    """What every module of a kind defines."""

    @property
    def Params(self) -> type[CheckParams]:
        """The settings that a rubric may give."""
        ...

    @property
    def TESTIMONY(self) -> bool:
        """Whether a right answer is only a claim about a run, which anybody could type."""
        ...

    def asks(self, params: Any) -> str:
        """What the student must define, in words: `a function`, `a formula in n and t`."""
        ...

    def problems(self, params: Any, context: Context) -> Iterator[Problem]:
        """What is wrong with the settings that only reference and symbols can tell."""
        ...

    def requests(self, params: Any, context: Context, check_id: str) -> dict[str, Request]:
        """The question half: probes by local name. Nothing here may depend on what is right."""
        ...

    def form(self, params: Any, seen: Seen, context: Context) -> Finding | None:
        """What keeps this from being an answer at all, or None; needs no answer half."""
        ...

    def release(self, params: Any, context: Context, check_id: str) -> Released:
        """The part of the check that students may have: names, kinds, public cases."""
        ...

    def judge(self, params: Any, seen: Seen, context: Context) -> Conclusion:
        """The answer half: what was found, against what is right.

        Raises:
            ReferenceFault: the reference failed; the check is broken, nobody loses points.
        """
        ...


def no_mistakes(params: CheckParams) -> Iterator[Problem]:
    """A problem when mistakes are listed for a kind whose `judge` looks for none."""
    if params.mistakes:
        yield ("mistakes",), "unknown key: checks of this kind know no mistakes"


def no_name(name: str | None, context: Context, place: Place) -> Iterator[Problem]:
    """A problem when the reference defines no such name."""
    if name is None or name.split(".")[0] in context.reference.names:
        return
    close = get_close_matches(name, context.reference.names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    yield place, f"expected a name of {context.reference.path.name}, found {name!r}{hint}"
