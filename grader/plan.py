"""What enters a sandbox besides the notebook: questions, inputs and limits, never answers."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property

from grader.codec import encode
from grader.values import Value

#: Memory in MiB that a sandbox's own processes may take beside a submission: a warm worker's.
OWN_MIB = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings for one run. Seconds and mebibytes, always."""

    cell_s: float = 60.0
    """Time for one cell."""
    total_s: float = 600.0
    """Time for all cells and probes, counted from the guest's `ready`."""
    probe_s: float = 20.0
    """Time for one probe, inside the total."""
    memory_mib: int = 2048
    scratch_mib: int = 512
    """Size of the working folder, which is memory too."""
    processes: int = 256
    threads: int = 1
    """Threads that numeric libraries may use; the share of CPU a sandbox gets."""
    gpu: bool = False
    """Whether it runs on a GPU."""
    gpu_mib: int = 0
    """Memory of the GPU that it may use; 0 for all."""
    gpu_share: bool = False
    """Whether others may use the rest of the GPU meanwhile."""
    value_mib: int = 64
    """Size of one captured value."""
    evidence_mib: int = 512
    text_kib: int = 64
    """Printed text that is kept of a cell."""
    start_s: float = 120.0
    """Our own time until `ready`; exceeding it is our fault, never the student's."""
    slack_s: float = 10.0
    """How much later than the guest's own clock the backstop stops a sandbox."""

    @property
    def host_mib(self) -> int:
        """What a host must have for it: the limit, and what a sandbox has beside a submission."""
        return self.memory_mib + OWN_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question put to the student's namespace after the last cell."""

    id: str
    request: dict[str, Value]
    """What to do: see the `op`s in `grader/guest/probe.py`."""
    time_s: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a sandbox is told; derived from the question halves of a rubric."""

    assignment: str
    limits: Limits
    probes: tuple[Probe, ...]
    seed: int
    data_digest: str = ""
    """Digest of the files mounted at `data/`."""
    lib_digest: str = ""
    """Digest of the packages that stand in for what is not installed; empty without any."""
    image: str = ""
    """Identity of the environment that runs the notebook."""

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of everything that could change what a notebook does or is asked."""
        probes = [[probe.id, probe.time_s, probe.request] for probe in self.probes]
        told = [self.assignment, asdict(self.limits), probes, self.seed, self.data_digest]
        return hashlib.sha256(encode([*told, self.lib_digest, self.image])).hexdigest()
