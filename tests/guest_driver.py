"""Runs the guest as a real process with the host's own box, and reads it with the host's reader.

So every test that uses it is a test of the contract between the two sides as well.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.codec import encode
from grader.evidence import CellReceipt, read_cells, read_observations
from grader.execute import build_box
from grader.frames import Frame, FrameReader
from grader.guest import answer as replies
from grader.guest import probe
from grader.plan import Limits, Plan, Probe
from grader.submission import Cell, CellKind, File, Submission
from grader.values import Tensor, Value

MAIN = Path(__file__).resolve().parent.parent / "grader" / "guest" / "main.py"
ROOM = 1 << 20
LIMITS = Limits(cell_s=30, total_s=120, threads=2)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came out of one run of the guest."""

    plan: Plan
    frames: list[Frame]
    exit_code: int
    log: str
    peak_mib: float = field(default=0.0, compare=False)

    @property
    def kinds(self) -> list[str]:
        """The kinds of all frames, in order."""
        return [frame.kind for frame in self.frames]

    @property
    def end(self) -> dict[str, Any]:
        """Header of the last frame."""
        return self.frames[-1].header

    @property
    def receipts(self) -> tuple[CellReceipt, ...]:
        """The last word on every cell."""
        return read_cells(self.frames)

    @property
    def statuses(self) -> list[str]:
        """The last status of every cell."""
        return [cell.status.value for cell in read_cells(self.frames)]

    @property
    def texts(self) -> list[str]:
        """What every cell printed."""
        return [cell.text for cell in read_cells(self.frames)]

    @property
    def restarts(self) -> list[dict[str, Any]]:
        """What the restart frames say."""
        return [
            {key: frame.header[key] for key in ("reason", "phase", "without")}
            for frame in self.frames
            if frame.kind == "restart"
        ]

    @property
    def attempts(self) -> list[tuple[int, int, str]]:
        """Index, attempt and status of every cell frame."""
        heads = [frame.header for frame in self.frames if frame.kind == "cell"]
        return [(head["index"], head["attempt"], head["status"]) for head in heads]

    def raw(self, probe_id: str) -> bytes:
        """The payload of a probe's frame."""
        return next(f.payload for f in self.frames if f.header.get("id") == probe_id)

    def seen(self) -> dict[str, Any]:
        """For each probe its value if it went well, else its status, and what was raised."""
        observed = read_observations(self.frames, {probe.id for probe in self.plan.probes})
        return {
            name: o.value if o.status == "ok" else (o.status.value, str(o.raised or ""))
            for name, o in observed.items()
        }


def capture(*names: str) -> list[Probe]:
    """A probe for what each name holds, with the name as its id."""
    return [Probe(id=name, request={"op": "capture", "name": name}, time_s=10) for name in names]


def ask(op: str, name: str, *, time_s: float = 20, id: str = "", **rest: Value) -> Probe:
    """One probe of another operation."""
    return Probe(id=id or name, request={"op": op, "name": name, **rest}, time_s=time_s)


def tensor(array: Any, dtype: str = "float32", origin: str = "torch") -> Tensor:
    """A tensor as the host sends it."""
    return Tensor(np.asarray(array, dtype=dtype), dtype, origin)


def module(path: str) -> Cell:
    """A handed-in file that is loaded as a module."""
    return Cell(CellKind.CODE, "", place=path, module=path)


def submission_of(*cells: str | Cell, files: Mapping[str, str | bytes] | None = None) -> Submission:
    """A submission of code cells, given as sources or whole, and of files."""
    return Submission(
        student="s",
        assignment="t",
        cells=tuple(c if isinstance(c, Cell) else Cell(CellKind.CODE, c) for c in cells),
        files=tuple(
            File(path, data.encode() if isinstance(data, str) else data)
            for path, data in (files or {}).items()
        ),
    )


def run_guest(
    *cells: str | Cell,
    files: Mapping[str, str | bytes] | None = None,
    probes: list[Probe] | None = None,
    cwd: Path | None = None,
    watch_memory: bool = False,
    prefix: tuple[str, ...] = (),
    **limits: Any,
) -> Ran:
    """Run the guest over code cells and probes.

    Args:
        cells: Sources of code cells, or whole cells.
        files: What lies beside the notebook, by path.
        probes: Questions after the last cell.
        cwd: Working folder of the run.
        watch_memory: Whether the guest holds the memory limit itself.
        prefix: A command that starts the guest in some other way.
        limits: Changes to `LIMITS`.
    """
    plan = Plan(
        assignment="t", limits=replace(LIMITS, **limits), probes=tuple(probes or ()), seed=7
    )
    submission = submission_of(*cells, files=files)
    key = secrets.token_bytes(32)
    box = build_box(submission, plan, key, watch_memory=watch_memory)
    # ipykernel behaves differently when it believes that pytest runs in the same process.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    environment |= {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [*prefix, sys.executable, "-I", "-P", str(MAIN)],
        input=box,
        capture_output=True,
        cwd=cwd,
        env=environment,
        timeout=plan.limits.total_s + 60,
        check=False,
    )
    reader = FrameReader(key, plan.limits)
    reader.feed(done.stdout)
    reader.close()
    return Ran(
        plan=plan,
        frames=reader.frames,
        exit_code=done.returncode,
        log=done.stderr.decode(errors="replace"),
    )


class Put:
    """Puts probes to a namespace in this process, through the files that the guest uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, namespace: dict[str, Any], request: dict[str, Value]) -> Any:
        ask, reply = self.folder / "a.ask", self.folder / "a.reply"
        ask.write_bytes(encode(request))
        probe.answer(namespace, ask=str(ask), reply=str(reply), seed=3, value_bytes=ROOM)
        status, payload = replies.read_reply(reply, ROOM)
        assert not reply.exists()
        frame = Frame({"kind": "probe", "id": "p", "status": status}, payload)
        seen = read_observations([frame], {"p"})["p"]
        return seen.value if status == "ok" else (status, str(seen.raised or ""))
