"""Evidence: what a run of one submission showed, as plain data.

Evidence exists only if the sandbox did its part. It holds no verdict: which cells ran, what the
asked names held, what functions and models returned. It is read from the guest's frames, when they
arrive and again whenever the store is read, by the same code.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from grader.codec import decode
from grader.errors import ProtocolViolation
from grader.frames import Frame
from grader.values import Value

S = TypeVar("S", bound=StrEnum)


class Ending(StrEnum):
    """How a run that taught us something about the student ended."""

    COMPLETE = "complete"
    TIME_LIMIT = "time_limit"
    KERNEL_DIED = "kernel_died"
    MEMORY_LIMIT = "memory_limit"


class CellStatus(StrEnum):
    """What became of one code cell."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    DIED = "died"
    MEMORY = "memory"
    SKIPPED = "skipped"
    LEFT_OUT = "left_out"
    """The assignment or a tag says that it is not run at grading."""


class ProbeStatus(StrEnum):
    """What became of one probe."""

    OK = "ok"
    MISSING = "missing"
    """The name is not defined."""
    ERROR = "error"
    """The student's code raised."""
    TIMEOUT = "timeout"
    DIED = "died"
    MEMORY = "memory"
    TOO_LARGE = "too_large"
    SKIPPED = "skipped"
    """The run had ended before this probe's turn."""
    MALFORMED = "malformed"
    """The kernel, which is the student's, answered with what is no value. Never sent as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception of the student's code."""

    ename: str
    evalue: str
    where: str = ""
    """Their line, or the whole traceback for a cell."""
    code: str = ""
    """CUDA's number of the error, if torch noted one; the kernel's word like the rest."""

    @property
    def of_gpu_memory(self) -> bool:
        """Whether the memory of a GPU was used up.

        Source: torch raises `torch.OutOfMemoryError` where its own allocator finds no room, and
        notes the number 2, cudaErrorMemoryAllocation, where a library beside it does.
        """
        return self.ename == "OutOfMemoryError" or self.code == "2"

    def __str__(self) -> str:
        """`ValueError: what it said`, cut to a length that a person reads."""
        if self.of_gpu_memory:  # what it said is about the machine
            return f"{self.ename}: the memory of the GPU was used up"
        said = f"{self.ename}: {self.evalue}" if self.evalue else self.ename
        return said if len(said) <= 300 else said[:300] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReceipt:
    """What became of one code cell, by its index in the notebook."""

    index: int
    status: CellStatus
    wall_s: float
    text: str = ""
    raised: Raised | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The answer to one probe."""

    status: ProbeStatus
    value: Value = None
    raised: Raised | None = None
    wall_s: float = 0.0
    on_gpu: bool = False
    """Whether the kernel that answered had a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that one run of one submission under one plan showed."""

    sandbox: str
    """Which sandbox ran it, as a record of the guarantees it ran under."""
    ending: Ending
    cells: tuple[CellReceipt, ...]
    observations: dict[str, Observation]
    """By probe id; a probe without a receipt counts as skipped."""
    environment: dict[str, Any] = field(default_factory=dict)
    """What the guest said of the machine in `ready`: versions, GPU."""
    wall_s: float = 0.0
    peak_mib: float = 0.0

    def observed(self, probe_id: str) -> Observation:
        """The observation of a probe, `skipped` when the run ended before its turn."""
        return self.observations.get(probe_id, Observation(status=ProbeStatus.SKIPPED))


def read_cells(frames: Iterable[Frame]) -> tuple[CellReceipt, ...]:
    """Read the receipts of the cells; a later attempt at a cell replaces an earlier success.

    Raises:
        ProtocolViolation: a receipt is not what our guest writes.
    """
    cells: dict[int, CellReceipt] = {}
    for frame in frames:
        if frame.kind != "cell":
            continue
        receipt = _cell(frame)
        before = cells.get(receipt.index)
        # A replay after a restart leaves out the cell that killed the kernel: keep its first word.
        if before is None or receipt.status is not CellStatus.SKIPPED:
            cells[receipt.index] = receipt
    return tuple(cells[index] for index in sorted(cells))


def read_observations(frames: Sequence[Frame], asked: Container[str]) -> dict[str, Observation]:
    """Read the answers to the probes.

    Args:
        frames: Everything that the guest wrote.
        asked: Ids of the plan's probes.

    Raises:
        ProtocolViolation: a receipt is malformed, unasked for, or there twice.
    """
    receipts = probe_receipts(frames, asked)
    on_gpu = any(frame.kind == "ready" and frame.header.get("gpu") for frame in frames)
    return {
        probe_id: replace(_observation(frame), on_gpu=on_gpu)
        for probe_id, frame in receipts.items()
    }


def probe_receipts(frames: Iterable[Frame], asked: Container[str]) -> dict[str, Frame]:
    """The receipts of the probes by id, nothing of their payloads decoded; see above."""
    receipts: dict[str, Frame] = {}
    for frame in frames:
        if frame.kind != "probe":
            continue
        probe_id = str(frame.header.get("id"))
        if probe_id not in asked or probe_id in receipts:
            raise ProtocolViolation("a receipt for a probe that was not asked, or asked once only")
        _status(ProbeStatus, frame)
        receipts[probe_id] = frame
    return receipts


def _cell(frame: Frame) -> CellReceipt:
    index = frame.header.get("index")
    if type(index) is not int or index < 0:
        raise ProtocolViolation("a cell receipt without an index")
    said = _payload_dict(frame)
    return CellReceipt(
        index=index,
        status=_status(CellStatus, frame),
        wall_s=_seconds(frame),
        text=str(said.get("text", "")),
        raised=_raised(said, where="traceback"),
    )


def _observation(frame: Frame) -> Observation:
    status = _status(ProbeStatus, frame)
    if status is ProbeStatus.OK:
        try:
            value = decode(frame.payload)
        except ProtocolViolation:  # the payload is the kernel's word, not the guest's
            return Observation(status=ProbeStatus.MALFORMED, wall_s=_seconds(frame))
        return Observation(status=status, value=value, wall_s=_seconds(frame))
    raised = _raised(_payload_dict(frame), where="where")
    return Observation(status=status, raised=raised, wall_s=_seconds(frame))


def _status(kind: type[S], frame: Frame) -> S:
    try:
        return kind(str(frame.header.get("status")))
    except ValueError as error:
        raise ProtocolViolation(f"a {frame.kind} receipt with an unknown status") from error


def _seconds(frame: Frame) -> float:
    wall_s = frame.header.get("wall_s", 0.0)
    return float(wall_s) if isinstance(wall_s, int | float) else 0.0


def _payload_dict(frame: Frame) -> dict[Any, Any]:
    said = decode(frame.payload) if frame.payload else {}
    if not isinstance(said, dict):
        raise ProtocolViolation(f"a {frame.kind} receipt whose payload is no dict")
    return said


def _raised(said: dict[Any, Any], *, where: str) -> Raised | None:
    if not said.get("ename"):
        return None
    ename, evalue = str(said["ename"]), str(said.get("evalue", ""))
    code = str(said.get("code", ""))
    return Raised(ename=ename, evalue=evalue, where=str(said.get(where, "")), code=code)
