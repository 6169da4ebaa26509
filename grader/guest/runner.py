"""The whole run: cells in order, one restart, probes one by one, the end.

A kernel that dies in a cell is started once more without that cell: the cells before it that came
to an end are run again (attempt 2), then the rest. One that dies in a probe is started once more
for the probes after it; its cells are run again silently. A kernel that died twice in the cells
leaves the rest of them `skipped`, and the start that belongs to the probes then serves what the
cells before had defined. Cells that ran out of time are left out of a replay: they would again.
What a kernel takes to die and the next one to start is ours and not the student's, up to
`RESTART_S`; the host's own timer allows as much for every `restart` that it hears of.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from .answer import Answer, failure, read_reply
from .box import Box, Cell, Probe
from .child import Child
from .files import LIB, lay_out
from .memory import Watcher, oom_kills, own_limit_reached, peak_mib
from .session import KernelGone, Outcome, Session, request
from .wire import FrameWriter, encode_texts

VERSION = "1"
BOOT_S = 120.0
RESTART_S = 10.0
"""Time of our own for one kernel's end and the next one's start; the same as the host's."""
MIB = 1 << 20
RESERVE_BYTES = MIB
"""Room in the evidence that no value may take: receipts and the end must still fit."""


class HostStarved(Exception):
    """The host killed for memory in a box that had not met its own limit: nothing is learned."""


class NotReady(Exception):
    """The machine or the kernel did not do its part before any student code ran."""


class GpuFailed(NotReady):
    """There is a GPU, and it failed its self-test."""


class Run:
    """One run of one box."""

    def __init__(
        self, box: Box, stdout: BinaryIO, child: Child, start: Callable[[], Child]
    ) -> None:
        """Begin with a child that boots already."""
        self.box, self.child, self.start = box, child, start
        self.frames = FrameWriter(stdout, box.key)
        self.folder = Path.cwd()
        self.session: Session
        self.lost = False
        self.status: dict[int, str] = {}
        self.attempts: Counter[int] = Counter()
        self.deaths: list[str] = []
        self.late = False
        self.deadline = float("inf")
        self.ours_s = 0.0
        self.own_group = True

    @property
    def left_s(self) -> float:
        """Seconds left of the student's time."""
        return self.deadline - time.monotonic()

    def died(self, status: str) -> None:
        """Note a kernel's death; what it took once it was killed is not the student's time."""
        self.deaths.append(status)
        self.ours_s = RESTART_S
        self.give_back(self.session.dying_s)

    def give_back(self, seconds: float) -> None:
        """Add time that was ours to the student's, as long as there is any."""
        given = min(seconds, self.ours_s)
        self.ours_s -= given
        self.deadline += given

    @property
    def dead(self) -> bool:
        """Whether there is no kernel to talk to."""
        return self.lost or self.session.dead

    async def everything(self, started: float) -> None:
        """Boot, run all cells, put all probes, write the end."""
        about = await self.boot()
        self.lay_out()
        watcher = self.watch()
        kills = oom_kills()
        begun = time.monotonic()
        self.deadline = begun + self.box.limits.total_s
        self.frames.write(
            "ready",
            guest=VERSION,
            **about,
            cpus=self.box.threads,
            platform=platform.platform(),
            started_s=round(begun - started, 3),
        )
        await self.run_cells()
        await self.run_probes()
        if oom_kills() > kills:
            if not own_limit_reached():
                raise HostStarved("the host ran out of memory, and killed processes of this box")
            self.deaths.append("memory")
        self.frames.end(
            ending=self.ending(),
            peak_mib=watcher.peak_mib if watcher else self.peak_mib(),
            student_s=round(time.monotonic() - begun, 3),
        )

    def peak_mib(self) -> float:
        """Highest memory use, as far as the operating system knows it."""
        return peak_mib(self.child.process.pid, own_group=self.own_group)

    def lay_out(self) -> None:
        """Put the files beside the notebook, and let go of them here.

        Raises:
            NotReady: there is no room.
        """
        try:
            lay_out(self.box.files, self.folder)
        except OSError as error:
            raise NotReady(f"the files cannot be laid out: {error}") from error
        self.box = replace(self.box, files=())

    def watch(self) -> Watcher | None:
        """Watch memory if no control group does."""
        if not self.box.watch_memory:
            return None
        return Watcher(self.box.limits.memory_mib, lambda: self.child)

    def ending(self) -> str:
        """How it ended, the most telling first."""
        if "memory" in self.deaths:
            return "memory_limit"
        if "died" in self.deaths:
            return "kernel_died"
        return "time_limit" if self.late else "complete"

    async def boot(self) -> dict[str, Any]:
        """Wait for the present child to be ready.

        Raises:
            NotReady: it never was.
        """
        limits = self.box.limits
        text_chars = int(limits.text_kib * 1024)
        settings = {
            "seed": self.box.seed,
            "threads": self.box.threads,
            "gpu": self.box.gpu,
            "gpu_mib": self.box.gpu_mib,
            "text_chars": text_chars,
            "lib": str(self.folder / LIB) if self.box.lib else "",
        }
        self.session = Session(self.child, text_chars)
        try:
            within = min(BOOT_S, max(self.left_s + self.ours_s, 0.1))
            about = await asyncio.wait_for(self.session.boot(settings), within)
        except (KernelGone, TimeoutError) as error:
            log = self.child.log_tail.decode(errors="replace").strip()
            raise NotReady(f"the kernel never became ready: {error}\n{log}") from error
        if "problem" in about:
            failed = GpuFailed if about.get("gpu_failed") is True else NotReady
            raise failed(str(about["problem"]))
        if not self.box.watch_memory:  # else there is no control group, and all the host goes first
            self.child.step_back()
        return about

    async def restart(self, phase: str) -> bool:
        """Replace the dead kernel, and say so; returns whether there is one again.

        There may be none: the student may have filled or removed what a start needs, or little
        time is left. What came before stands all the same, so this is no fault of ours.
        """
        begun = time.monotonic()
        replayed = {cell.index for cell in self.replayable()}
        without = [index for index in self.attempts if index not in replayed]
        self.frames.write("restart", reason=self.deaths[-1], phase=phase, without=without)
        self.session.close()
        try:
            self.child = self.start()
            await self.boot()
        except GpuFailed:
            raise  # what a student can break by filling or removing it is no GPU
        except (OSError, NotReady):
            self.child.kill()
            self.lost = True
        else:
            self.lost = False
        self.give_back(time.monotonic() - begun)
        return not self.lost

    def replayable(self) -> list[Cell]:
        """The cells that ran to an end, in order."""
        return [c for c in self.box.cells if self.status.get(c.index) in ("ok", "error")]

    async def run_cells(self) -> None:
        """Run every cell; see the top of this module for what happens when the kernel dies."""
        pending = list(self.box.cells)
        while pending and self.left_s > 0:
            cell = pending.pop(0)
            if cell.left_out:
                self.pass_over(cell)
                continue
            outcome = await self.run_cell(cell)
            self.report(cell, outcome)
            if not outcome.dead:
                continue
            if len(self.deaths) > 1 or not (pending or self.box.probes) or self.left_s <= 0:
                break
            pending = self.replayable() + [c for c in pending if not self.attempts[c.index]]
            if not await self.restart("cells"):
                break
        for cell in pending:
            if not self.attempts[cell.index]:
                self.late |= self.left_s <= 0
                self.pass_over(cell)

    def pass_over(self, cell: Cell) -> None:
        """Write the receipt of a cell that is not run."""
        status = "left_out" if cell.left_out else "skipped"
        self.frames.write("cell", index=cell.index, attempt=1, status=status, wall_s=0.0)

    async def run_cell(self, cell: Cell) -> Outcome:
        """Run one cell within its limit and what is left of the total."""
        source = cell.source
        if cell.module:
            source = request("module", {"path": cell.module, "folder": str(self.folder)})
        outcome = await self.session.run_cell(source, min(self.box.limits.cell_s, self.left_s))
        self.status[cell.index] = outcome.status
        if outcome.dead:
            self.died(outcome.status)
        return outcome

    def report(self, cell: Cell, outcome: Outcome) -> None:
        """Write a cell's receipt."""
        self.late |= outcome.status == "timeout"
        self.attempts[cell.index] += 1
        payload = encode_texts(outcome.texts)
        if self.room < len(payload):
            payload = b""
        self.frames.write(
            "cell",
            payload,
            index=cell.index,
            attempt=self.attempts[cell.index],
            status=outcome.status,
            wall_s=outcome.wall_s,
        )

    @property
    def room(self) -> int:
        """Bytes that payloads may still take."""
        limit = int(self.box.limits.evidence_mib * MIB)
        return limit - RESERVE_BYTES - self.frames.bytes_written

    async def run_probes(self) -> None:
        """Put every probe to the namespace, in order."""
        restarted = False
        for probe in self.box.probes:
            if self.dead and not restarted and self.left_s > 0:
                restarted = True
                alive = await self.restart("probes")
                for cell in self.replayable() if alive else ():
                    if self.dead or self.left_s <= 0:
                        break
                    await self.run_cell(cell)
            status, payload, wall_s = "skipped", b"", 0.0
            if self.left_s <= 0:
                self.late = True
            elif not self.dead:
                begun = time.monotonic()
                status, payload = await self.put(probe)
                wall_s = round(time.monotonic() - begun, 3)
            if len(payload) > self.room:
                status, payload = "too_large" if status == "ok" else status, b""
            self.frames.write("probe", payload, id=probe.id, status=status, wall_s=wall_s)

    async def put(self, probe: Probe) -> Answer:
        """Put one probe; returns status and payload."""
        ask = self.child.folder / f"{secrets.token_hex(8)}.ask"
        reply = ask.with_suffix(".reply")
        try:
            ask.write_bytes(probe.request)
        except OSError as error:  # the student filled the disk, or removed the folder
            return failure("NoRoom", f"the probe could not be written: {error.strerror}")
        told = {"ask": str(ask), "reply": str(reply), "seed": self.box.seed}
        told["value_bytes"] = int(self.box.limits.value_mib * MIB)
        time_s = min(probe.time_s, self.left_s)
        work = self.session.ask("probe", told | {"time_s": time_s})
        late, _ = await self.session.bounded(work, time_s)
        answer = read_reply(reply, min(int(self.box.limits.value_mib * MIB), self.room))
        with contextlib.suppress(OSError):
            ask.unlink()
        if late:
            answer = Answer("timeout", b"")
        elif self.session.dead:
            answer = Answer(self.session.cause_of_death(), b"")
        if self.session.dead:
            self.died(answer.status)
        return answer
