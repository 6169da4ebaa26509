"""Memory: kills that the operating system counted, and a watcher where no cgroup sets a limit."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .child import Child

PERIOD_S = 0.1
GROUP = "/sys/fs/cgroup"
"""Where a container sees its own control group."""
#: Files in it: version 1 of control groups, then version 2.
EVENTS = "memory.events"
OOM_FILES = ("memory/memory.oom_control", EVENTS)
#: The highest use of a group of version 1, and its limit.
LIMIT_FILES = ("memory/memory.max_usage_in_bytes", "memory/memory.limit_in_bytes")
TASK_FILES = ("pids/pids.current", "pids.current")
REFUSED_FILES = ("pids/pids.events", "pids.events")
USE_FILES = ("memory/memory.stat", "memory.stat")
NEARLY = 0.99
"""Share of the limit from which on it was met: use is counted in batches of pages."""
SLACK_MIB = 64
"""What may be held more than before: use is counted in batches, larger ones on larger machines."""
PEAK_FILES = ("memory/memory.max_usage_in_bytes", "memory.peak")
_group = GROUP


def look_from(folder: int) -> None:
    """Read the control group through an open folder from now on, whatever lies over its place."""
    global _group
    _group = f"/proc/self/fd/{folder}"


def oom_kills() -> int:
    """How many processes of our control group were killed for memory so far; 0 where unknown."""
    return _counted(OOM_FILES, "oom_kill") or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What our control group has counted; 0 where unknown."""

    kills: int
    """Processes that were killed for memory."""
    refused: int
    """Processes that were one too many."""
    tasks: int
    """Processes and threads that live now."""
    held_mib: int
    """Memory that is held now, by processes or in files that have no disk."""

    def is_back_at(self, before: Counts) -> bool:
        """Whether nothing happened since, and nothing that came is left."""
        held_mib = min(self.held_mib, before.held_mib + SLACK_MIB)
        return self == replace(before, held_mib=held_mib)


def counts() -> Counts:
    """Read what our control group has counted."""
    return Counts(
        kills=oom_kills(),
        refused=_counted(REFUSED_FILES, "max") or 0,
        tasks=next(filter(None, map(_number, TASK_FILES)), 0),
        held_mib=sum(_counted(USE_FILES, what) or 0 for what in ("rss", "anon", "shmem")) >> 20,
    )


def _counted(files: Iterable[str], what: str) -> int | None:
    """A count in the first of these files of a control group that has it."""
    for name in files:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(_group, name).read_text().splitlines():
                if line.startswith(f"{what} "):
                    return int(line.split()[1])
    return None


def _number(name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(Path(_group, name).read_text())
    return 0


def own_limit_reached() -> bool:
    """Whether our group ever met its own limit; else a kill for memory was the host's doing.

    The kills that are counted for a group include those of a host that ran out of memory, which
    says nothing of the student.
    """
    met = _counted([EVENTS], "oom")  # version 2; its peak is told since Linux 5.19 only
    if met is not None:
        return met > 0
    with contextlib.suppress(OSError, ValueError):
        peak, limit = (int(Path(_group, name).read_text()) for name in LIMIT_FILES)
        return peak >= NEARLY * limit
    return True  # unknown: what the kernel counted is all there is


def peak_mib(pid: int, *, own_group: bool) -> float:
    """Highest memory use, in mebibytes.

    Args:
        pid: A living kernel, whose own use is told where there is no control group.
        own_group: Whether the control group has held nothing but this submission.
    """
    for name in PEAK_FILES if own_group else ():
        with contextlib.suppress(OSError, ValueError):
            return round(int(Path(_group, name).read_text()) / 2**20, 1)
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return 0.0


class Watcher:
    """Kills the kernel when it and its children together use more than the limit.

    Covers: memory that is held for longer than a tenth of a second. Does not cover: a burst faster
    than that, or files in memory file systems; a sandbox that can set a real limit does not use it.

    Args:
        limit_mib: The limit, for the sum over all processes.
        current: Gives the kernel that runs now, or None.
    """

    def __init__(self, limit_mib: float, current: Callable[[], Child | None]) -> None:
        """Start watching."""
        self._limit_bytes = limit_mib * 2**20
        self._current = current
        self._stopped = threading.Event()
        self.peak_mib = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            child = self._current()
            if child is None:
                continue
            used = used_bytes(self._limit_bytes)
            self.peak_mib = max(self.peak_mib, round(used / 2**20, 1))
            # A kernel that has just been started anew must not pay for the one before it.
            if used > self._limit_bytes and self._current() is child:
                child.killed_for_memory = True
                child.kill()


def used_bytes(limit_bytes: float) -> float:
    """Memory of all processes below this one; daemons of students are below it, too.

    Counts resident memory, which is quick to ask but counts shared pages twice; only when that is
    above the limit does it ask for what is not shared. Of a process that hides this (it may), or
    is gone meanwhile, counts what is known.
    """
    import psutil  # 50 ms to import, and not needed where a control group sets the limit

    family = psutil.Process().children(recursive=True)
    resident = sum(_resident(process) for process in family)
    if resident <= limit_bytes or len(family) == 1:
        return resident
    return sum(_unshared(process) for process in family)


def _resident(process: Any) -> float:
    import psutil

    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


def _unshared(process: Any) -> float:
    """Bytes of a process, its shared pages divided among those who share where that is known."""
    import psutil

    with contextlib.suppress(psutil.Error):
        info = process.memory_full_info()
        return float(getattr(info, "pss", info.uss))
    return _resident(process)
