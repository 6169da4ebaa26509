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
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grader.codec import encode
from grader.errors import ProtocolViolation, SandboxFault
from grader.evidence import Ending, Evidence, read_cells, read_observations
from grader.frames import FrameReader
from grader.plan import Plan
from grader.sandbox.base import Cause, Sandbox, Stopped
from grader.submission import CellKind, Submission

#: Exit code of a first process that was killed (128 + SIGKILL), as engines and shells count.
KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run: its evidence, and the raw receipts for the store."""

    evidence: Evidence
    key: bytes
    raw: bytes
    stopped: Stopped


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
    asked = [probe.id for probe in plan.probes]
    evidence = conclude(reader, stopped, asked, sandbox.name)
    unanswered = [probe for probe in asked if probe not in evidence.observations]
    if reader.ended and unanswered:  # the guest writes a receipt even for what it skips
        raise ProtocolViolation(f"the guest ended without a receipt for {', '.join(unanswered)}")
    return Run(evidence=evidence, key=key, raw=bytes(reader.raw), stopped=stopped)


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
    """Decide whose doing the end was, by the table at the top, and read the evidence.

    Args:
        reader: Holds the frames that came.
        stopped: What the host saw.
        asked: Ids of the probes that were put.
        sandbox: Name of the sandbox that ran it.

    Raises:
        SandboxFault: nothing was learned about the student.
        ProtocolViolation: the guest was ready, and then something else spoke in its place.
    """
    if reader.ready_at is None:
        raise SandboxFault(f"the guest never became ready ({_seen(stopped)})")
    if stopped.cause is Cause.VIOLATION:
        raise ProtocolViolation(stopped.violation)
    killed = stopped.oom_killed and stopped.cause is Cause.EXITED and stopped.exit_code == KILLED
    if not reader.ended and not killed:
        raise SandboxFault(f"the guest left no last receipt ({_seen(stopped)})")
    end = reader.frames[-1].header if reader.ended else {}
    return Evidence(
        sandbox=sandbox,
        ending=Ending.MEMORY_LIMIT if stopped.oom_killed else ending_of(end),
        cells=read_cells(reader.frames),
        observations=read_observations(reader.frames, asked),
        environment=dict(reader.frames[0].header),
        wall_s=stopped.wall_s,
        peak_mib=float(end.get("peak_mib") or 0.0),
    )


def ending_of(end: dict[str, Any]) -> Ending:
    """The ending that the guest wrote into its last receipt.

    Raises:
        ProtocolViolation: it wrote none that we know.
    """
    try:
        return Ending(str(end.get("ending")))
    except ValueError as error:
        raise ProtocolViolation("the end frame names no ending that we know") from error


def _seen(stopped: Stopped) -> str:
    facts = [str(stopped.cause), f"exit {stopped.exit_code}", f"after {stopped.wall_s:.1f} s"]
    tail = stopped.log_tail.strip().splitlines()[-3:]
    return ", ".join(facts) + (f": {' / '.join(tail)}" if tail else "")
