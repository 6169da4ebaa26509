"""What a command costs: seconds on the wall, and seconds that the processors were busy."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE_S = 600.0
"""How long a command may take: a peer that hangs must not keep the others from being measured."""
IDLE_SHARE = 0.05
"""Above this share of all processors somebody else is at work, and figures mean little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One run of one command."""

    wall_s: float
    busy_s: float
    """What all processors of the machine worked meanwhile: containers and the engine count."""
    own_s: float
    """What the command and the processes that it waited for worked: containers do not count."""


class Failed(Exception):
    """A command that is measured did not do its work."""


def measured(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path,
    patience_s: float = PATIENCE_S,
) -> Cost:
    """Run a command and say what it cost.

    Args:
        command: Program and arguments.
        env: Its environment.
        log: Takes all that it prints.
        cwd: Where it runs.
        patience_s: How long it may take.

    Raises:
        Failed: it ended with another exit code than 0, or not at all.
    """
    own, busy, begun = _children_s(), busy_s(), time.monotonic()
    with log.open("w") as out:
        code = _run(command, env, cwd, out, patience_s)
    cost = Cost(wall_s=time.monotonic() - begun, busy_s=busy_s() - busy, own_s=_children_s() - own)
    if code:
        tail = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"{code}: {' '.join(tail)}"[:300])
    return cost


def _run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, out: IO[str], patience_s: float
) -> str:
    process = subprocess.Popen(  # noqa: S603 - the commands are written in this folder
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        start_new_session=True,
    )
    try:
        code = process.wait(patience_s)
        return f"exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        return f"not done after {patience_s:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):  # also when we are interrupted
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def busy_s(stat: Path = Path("/proc/stat")) -> float:
    """Seconds that all processors together have worked since the machine started.

    Source: proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, in ticks.
    """
    ticks = [int(text) for text in stat.read_text().split("\n", 1)[0].split()[1:8]]
    user, nice, system, _idle, _iowait, irq, softirq = ticks
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def others(seconds: float = 2.0) -> float:
    """Share of all processors that others use while we wait."""
    before = busy_s()
    time.sleep(seconds)
    return (busy_s() - before) / seconds / (os.cpu_count() or 1)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
