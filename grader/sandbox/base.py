"""The contract of a sandbox: one box of bytes in, one stream of frames out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from grader.frames import FrameReader
from grader.plan import Limits


class Cause(StrEnum):
    """Why the sandbox's first process is no longer running, as the host itself saw it."""

    EXITED = "exited"
    BACKSTOP = "backstop"
    """Our timer stopped it: the guest did not stop on its own clock."""
    VIOLATION = "violation"
    """We stopped it, because what it wrote broke the frame protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What the host itself saw of a finished sandbox. Nothing here was written by the student."""

    cause: Cause
    exit_code: int | None
    wall_s: float
    oom_killed: bool = False
    """Whether the kernel of the host killed a process in the box for its memory."""
    log_tail: str = ""
    """The end of the guest's standard error, for the person who looks into a fault."""
    violation: str = ""


class Sandbox(Protocol):
    """One way of running the guest. Implementations: docker, bubblewrap, process.

    A sandbox may be used by several threads at once: each `run` is a box of its own.
    """

    name: str
    image: str
    """Identity of the environment, part of the plan's digest (an image id, a Python version)."""
    watch_memory: bool
    """Whether the guest itself must hold the memory limit, because no cgroup does."""

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """Start the guest, feed it the box, pass what it writes to the reader, return at its end.

        Reads until the guest's output ends, until `reader.deadline()` passes or until
        `reader.feed` raises `ProtocolViolation`; in the latter two cases the sandbox is killed and
        the returned cause says so. Whatever happens, nothing of the box is left running.

        Args:
            box: All of the guest's standard input.
            reader: Takes the guest's standard output as it comes.
            limits: What the sandbox itself must enforce: memory, processes, scratch space, GPU.
            data: Folder to show read-only as `data/` in the working folder, or None.
            lib: Folder to show read-only as `.lib/` there, or None.

        Raises:
            SandboxFault: the machinery failed. Never raised for what the student's code did.
        """
        ...

    def close(self) -> None:
        """Let go of connections and anything kept between runs."""
        ...
