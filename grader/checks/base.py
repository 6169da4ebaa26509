"""What a kind of check is, and what it may look at.

A kind is a module with the names of the `Kind` protocol. Its question half, `requests`, says what
to ask of the student's namespace; its answer half, `judge`, says what is right. `form` needs no
answer: it says whether what was found could be an answer at all, and serves `grader check` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from grader.checks.culprit import NOT_DEFINED, chain, name_of, near_name, reset_by
from grader.checks.culprit import cell_says as cell_says
from grader.evidence import CellReceipt, Observation, ProbeStatus
from grader.inputs import Inputs
from grader.reference import Reference
from grader.rubric.model import CheckParams
from grader.rubric.yaml import Place
from grader.submission import Cell
from grader.symbolic import Symbolic
from grader.values import Value, made_in
from grader.verdict import Conclusion, Finding
from grader.writeup.read import WriteUp, WriteUps

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
    writeups: WriteUps = field(default_factory=WriteUps)
    """Reads what was written beside the notebook."""

    def case(self, written: Mapping[str, Any], place: str) -> dict[str, Value]:
        """Arguments of one call, made from how the rubric writes them; see `grader/inputs.py`.

        Args:
            written: Name to plain value or to text that calls something.
            place: Where the case stands; the same place gives the same values.

        Raises:
            UnknownGenerator: a text calls something that there is not.
            ReferenceFault: the reference failed to give an input.
        """
        return self.inputs.case(written, place, self.reference.draw)


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
    environment: frozenset[int] = frozenset()
    """Cells that are the starter's own and fail there too: not the student's doing."""
    taken: frozenset[str] = frozenset()
    """Names that no other name is meant for: asked for, or the starter's own."""
    absent: tuple[str, ...] = ()
    """Files that are asked for and were not handed in."""
    writeup: WriteUp | None = None
    """What was written beside the notebook, by question."""
    given_writeup: WriteUp | None = None
    """What students were given to write in."""

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
                return self._none(of)
            case ProbeStatus.MISSING:
                lacking = self._lacking(of, seen)
                return f"{lacking} is not defined{self._because(lacking)}"
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

    def _lacking(self, of: str, seen: Observation) -> str:
        """What is not defined: the asked name itself, or a class that our inputs are made of."""
        if not seen.raised:
            return of
        ours = (made.of for request in self.requests.values() for made in made_in(request))
        return seen.raised.evalue if seen.raised.evalue in ours else of

    def _because(self, name: str) -> str:
        """Why a name is not what it should be, as the end of a sentence."""
        found = chain(name, self.cells, self.receipts)
        if found:
            return "".join(f": {cell_says(self.receipts[n], self.cells)}" for n in found) + "."
        near = near_name(name, self.cells, self.taken)
        if near:
            return f", but {near} is: did you mean {name}?"
        lacks = f": {', '.join(self.absent[:3])} was not handed in" if self.absent else ""
        return f"{lacks}."

    def _none(self, name: str) -> str:
        """Say why an answer is None, if the cells tell."""
        again = reset_by(name, self.cells)
        if again is not None:
            return f"{name} is None: {name_of(again, self.cells)} sets it to None again."
        failed = chain(name, self.cells, self.receipts)
        return f"{name} is still None{self._because(name) if failed else '.'}"

    def cause(self) -> int | None:
        """The cell whose failure is the first cause of what is missing; None if there is none."""
        for local, seen in self.observations.items():
            name = self._lacks(str(self.requests[local].get("name", "")), seen)
            found = chain(name, self.cells, self.receipts) if name else ()
            if found:
                return found[-1]
        return None

    def blameless(self) -> str:
        """Why nothing is there to judge, if a cell that fails in the starter too is the cause."""
        for local, seen in self.observations.items():
            name = self._lacks(str(self.requests[local].get("name", "")), seen)
            found = chain(name, self.cells, self.receipts) if name else ()
            if self.environment.intersection(found):
                return (
                    f"{name} is not there{self._because(name)} "
                    "That cell is the starter's own, so a person will look."
                )
        return ""

    def _lacks(self, of: str, seen: Observation) -> str:
        """The name whose absence an observation shows; empty if it shows none."""
        match seen.status:
            case ProbeStatus.MISSING:
                return self._lacking(of, seen)
            case ProbeStatus.OK if seen.value is None:
                return of
            case ProbeStatus.ERROR if seen.raised:
                lacks = NOT_DEFINED.match(seen.raised.evalue)
                return lacks[1] if lacks else ""
        return ""


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

    def testimony(self, params: Any, asked: Mapping[str, Request]) -> bool:
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

    def answers(
        self, params: Any, asked: Mapping[str, Request], context: Context, check_id: str
    ) -> dict[str, Value] | None:
        """What a student would give who answers as the reference does, by local name.

        None where the reference has nothing to say: of claims, source text and words.

        Raises:
            ReferenceFault: the reference failed.
        """
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
