"""What a command line asks for, and the exit codes that answer it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from grader.plan import Limits

#: Memory that is left to the host when submissions are counted.
SPARE_MIB = 1024
#: Fewer submissions are scored before another process that judges them has started.
WORTH_A_JUDGE = 200
#: More of them give scores faster than one process writes reports.
MOST_JUDGES = 4
#: Exit codes of every command; the README has the same table.
ALL_SCORED, NEEDS_PERSON, BAD_INPUT, OUR_BUG, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for, beside the submissions."""

    out: Path
    rubric: Path | None = None
    jobs: int = 0
    students: tuple[str, ...] = ()
    fresh: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    """Fields of `grader.plan.Limits` that replace the rubric's."""

    def workers(self, limits: Limits) -> int:
        """How many submissions run at once: as stated, else as processors and memory allow.

        Memory is counted at the limit, because a host that runs out of it kills somebody's kernel.
        """
        if self.jobs:
            return self.jobs
        mebibytes = psutil.virtual_memory().available / 2**20 - SPARE_MIB
        by_memory = int(mebibytes // limits.host_mib)
        return max(1, min(len(processors()) // max(1, limits.threads), by_memory))

    def judges(self, students: int) -> int:
        """How many processes judge: as stated, else one a processor where each has enough to do."""
        if self.jobs:
            return self.jobs
        return max(1, min(len(processors()), MOST_JUDGES, students // WORTH_A_JUDGE))


def processors() -> set[int] | range:
    """Processors that this process may use; a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)
