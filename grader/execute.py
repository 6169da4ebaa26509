"""Execute a submission under a plan in a sandbox: evidence, or a fault of ours instead of it.

Whose doing the end of a run was is read off receipts and off what the host counted, never off the
wording of a message:

| `ready` | `end` | host saw           | conclusion                                            |
|---------|-------|--------------------|-------------------------------------------------------|
| no      | -     | anything           | `SandboxFault`                                        |
| yes     | yes   | -                  | the ending that the guest wrote, if no probe is left out |
| yes     | no    | the guest was OOM-killed | memory limit, with the evidence that came before |
| yes     | no    | anything else      | `SandboxFault`, or `ProtocolViolation`                |
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Container, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader.codec import encode
from grader.errors import ProtocolViolation, SandboxFault
from grader.evidence import Ending, Evidence, probe_receipts, read_cells, read_observations
from grader.frames import FrameReader
from grader.plan import Plan
from grader.sandbox.base import Cause, Sandbox, Stopped
from grader.submission import CellKind, Submission

#: Exit code of a first process that was killed (128 + SIGKILL), as engines and shells count.
KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run; what its probes answered is not decoded before somebody asks for it."""

    ending: Ending
    reader: FrameReader
    stopped: Stopped
    asked: frozenset[str]
    """Ids of the probes that were put."""
    sandbox: str
    """Name of the sandbox that ran it."""

    def evidence(self) -> Evidence:
        """Decode what the run showed."""
        return conclude(self.reader, self.stopped, self.asked, self.sandbox)


def execute(
    submission: Submission,
    plan: Plan,
    sandbox: Sandbox,
    data: Path | None,
    lib: Path | None = None,
    *,
    alone: bool = False,
) -> Run:
    """Run one submission and put the plan's probes to it.

    Args:
        submission: What to run; its code goes into the sandbox, its author's name does not.
        plan: Probes and limits.
        sandbox: Where to run it.
        data: Folder of the course's data, shown read-only as `data/`, or None.
        lib: Folder of packages that stand in for what is not installed, or None.
        alone: Whether it shares no GPU, whatever the plan says: for what failed once.

    Raises:
        SandboxFault: the machinery failed; nothing was learned about the student.
        ProtocolViolation: what came out is not what our guest writes.
    """
    key = secrets.token_bytes(32)
    reader = FrameReader(key, plan.limits)
    box = build_box(submission, plan, key, watch_memory=sandbox.watch_memory)
    limits = replace(plan.limits, gpu_share=plan.limits.gpu_share and not alone)
    stopped = sandbox.run(box, reader, limits=limits, data=data, lib=lib)
    asked = frozenset(probe.id for probe in plan.probes)
    ending = ending_of(reader, stopped)
    cells = read_cells(reader.frames)
    probes = probe_receipts(reader.frames, asked)
    if reader.ended:
        _check_complete({cell.index for cell in cells}, asked - probes.keys(), submission)
    return Run(ending=ending, reader=reader, stopped=stopped, asked=asked, sandbox=sandbox.name)


def _check_complete(told: Set[int], unanswered: Set[str], submission: Submission) -> None:
    """Refuse an end without all receipts: the guest writes one even for what it skips.

    Raises:
        ProtocolViolation: one is missing, or there is one of a cell that was not sent.
    """
    sent = {cell["index"] for cell in _cells(submission)}
    missing = [f"cell {index}" for index in sorted(sent - told)] + sorted(unanswered)
    if missing:
        raise ProtocolViolation(f"the guest ended without a receipt for {', '.join(missing)}")
    if told != sent:
        raise ProtocolViolation(f"a receipt for cells that were not sent: {sorted(told - sent)}")


def build_box(submission: Submission, plan: Plan, key: bytes, *, watch_memory: bool) -> bytes:
    """Pack all that the guest reads from its standard input."""
    blobs: list[bytes] = []
    limits = plan.limits
    told = {
        "protocol": 1,
        "cells": _cells(submission),
        "probes": [
            {"id": probe.id, "time_s": probe.time_s, **_place(encode(probe.request), blobs)}
            for probe in plan.probes
        ],
        "files": [{"path": f.path, **_place(f.data, blobs)} for f in submission.carried],
        "lib": bool(plan.lib_digest),
        "limits": {
            "cell_s": limits.cell_s,
            "total_s": limits.total_s,
            "memory_mib": limits.memory_mib,
            "value_mib": limits.value_mib,
            "evidence_mib": limits.evidence_mib,
            "text_kib": limits.text_kib,
        },
        "seed": plan.seed,
        "threads": limits.threads,
        "gpu": limits.gpu,
        "gpu_mib": limits.gpu_mib,
        "watch_memory": watch_memory,
    }
    head = json.dumps(told).encode("ascii")
    lengths = struct.pack(">Q", len(head)), struct.pack(">Q", sum(map(len, blobs)))
    return b"".join([key, lengths[0], head, lengths[1], *blobs])


def _cells(submission: Submission) -> list[dict[str, Any]]:
    """The code cells; of modules only the path, of what is left out only the number."""
    return [
        {
            "index": index,
            "source": "" if cell.module or cell.left_out else cell.source,
            "module": cell.module,
            "left_out": bool(cell.left_out),
        }
        for index, cell in enumerate(submission.cells)
        if cell.kind is CellKind.CODE
    ]


def _place(blob: bytes, blobs: list[bytes]) -> dict[str, int]:
    """Append a blob, and say where it lies among all."""
    offset = sum(map(len, blobs))
    blobs.append(blob)
    return {"offset": offset, "size": len(blob)}


def conclude(
    reader: FrameReader, stopped: Stopped, asked: Container[str], sandbox: str
) -> Evidence:
    """Read the evidence of a run that taught us something.

    Args:
        reader: Holds the frames that came.
        stopped: What the host saw.
        asked: Ids of the probes that were put.
        sandbox: Name of the sandbox that ran it.

    Raises:
        SandboxFault: nothing was learned about the student.
        ProtocolViolation: the guest was ready, and then something else spoke in its place.
    """
    ending = ending_of(reader, stopped)
    end = reader.frames[-1].header if reader.ended else {}
    return Evidence(
        sandbox=sandbox,
        ending=ending,
        cells=read_cells(reader.frames),
        observations=read_observations(reader.frames, asked),
        environment=dict(reader.frames[0].header),
        wall_s=stopped.wall_s,
        peak_mib=float(end.get("peak_mib") or 0.0),
    )


def ending_of(reader: FrameReader, stopped: Stopped) -> Ending:
    """Decide whose doing the end was, by the table at the top.

    Raises:
        SandboxFault: nothing was learned about the student.
        ProtocolViolation: the guest was ready, and then something else spoke in its place, or the
            last receipt names no ending that we know.
    """
    if reader.ready_at is None:
        raise SandboxFault(f"the guest never became ready ({_seen(stopped)})")
    if stopped.cause is Cause.VIOLATION:
        raise ProtocolViolation(stopped.violation)
    killed = stopped.oom_killed and stopped.cause is Cause.EXITED and stopped.exit_code == KILLED
    if not reader.ended and not killed:
        raise SandboxFault(f"the guest left no last receipt ({_seen(stopped)})")
    if stopped.oom_killed:
        return Ending.MEMORY_LIMIT
    try:
        return Ending(str(reader.frames[-1].header.get("ending")))
    except ValueError as error:
        raise ProtocolViolation("the end frame names no ending that we know") from error


def _seen(stopped: Stopped) -> str:
    facts = [str(stopped.cause), f"exit {stopped.exit_code}", f"after {stopped.wall_s:.1f} s"]
    tail = stopped.log_tail.strip().splitlines()[-3:]
    return ", ".join(facts) + (f": {' / '.join(tail)}" if tail else "")
