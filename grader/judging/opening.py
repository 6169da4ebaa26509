"""What a process is told that judges: which assignment, and what one submission may take."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

#: Exit status of a process that ran out of memory.
OUT_OF_MEMORY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings for judging one submission.

    The samples of four assignments need at most 0.7 s and 80 MiB beyond what an opened assignment
    takes (0.9 to 1.1 GiB of address space with torch for the CPU). Evidence may have 512 MiB, of
    which a comparison makes several copies.
    """

    cpu_s: int = 60
    """Processor time; the system kills the process that takes more."""
    wall_s: float = 300.0
    """Time by the grader's clock: five PDFs of 40 s and some formulas of 2 s may be waited for."""
    memory_mib: int = 4096
    """Address space beyond what the opened assignment takes; held on Linux only."""
    start_s: float = 300.0
    """Time for opening the assignment, in which nothing of a student's is read."""


LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which assignment is judged, and within what limits."""

    root: str
    """The course's folder."""
    slug: str
    rubric: str
    """Another rubric than the course's own; empty for that."""
    journal: str
    """Where the decisions about students are noted."""
    database: str = ""
    """Where the course's database is; in its folder if empty."""
    limits: Limits = LIMITS

    def to_json(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Opening:
        """Read what `to_json` wrote; it comes from the grader itself."""
        told = json.loads(line)
        return cls(**{**told, "limits": Limits(**told["limits"])})
