"""Notebooks that try to pass their limits: what a sandbox holds is tried, not believed."""

from __future__ import annotations

from grader.evidence import CellStatus
from grader.execute import execute
from grader.plan import Limits, Plan, Probe
from grader.sandbox.base import Sandbox
from grader.submission import Cell, CellKind, Submission

LIMITS = Limits(cell_s=30, total_s=90, memory_mib=1024, scratch_mib=32, processes=100)
#: Limits that a notebook tries to pass, by the sentence that is true when they hold. Each sets the
#: variable `holds`.
TRIALS = {
    "no network": """
import socket
holds = True
for address in ("127.0.0.1", "169.254.169.254", "1.1.1.1"):
    try:
        socket.create_connection((address, 80), timeout=0.5)
        holds = False
    except ConnectionRefusedError:
        holds = holds and address == "127.0.0.1"
    except OSError:
        pass
""",
    "files read-only": """
import os
holds = not any(os.access(folder, os.W_OK) for folder in ("/", "/usr", "/etc", "/dev", "/var/tmp"))
""",
    "processes limited": """
import os, signal, time
children, holds = [], False
try:
    while len(children) < 150:
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        children.append(child)
except OSError:
    holds = True
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
""",
    "scratch space limited": """
import os
holds = False
try:
    with open("fill", "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
            file.flush()
except OSError:
    holds = True
os.unlink("fill")
""",
}
MEMORY = "memory limited"
BALLOON = """
import time
kept = []
for _ in range(64):
    kept.append(bytearray(b"x") * (32 << 20))
    time.sleep(0.02)
"""


def limits_that_break(sandbox: Sandbox, limits: Limits = LIMITS) -> list[str]:
    """Run a notebook that tries to pass its limits; returns those that did not hold.

    Raises:
        SandboxFault: the sandbox does not work at all.
    """
    sources = [f"{source}\nlimit_{n} = holds" for n, source in enumerate(TRIALS.values())]
    cells = tuple(Cell(CellKind.CODE, source) for source in [*sources, BALLOON])
    probes = tuple(
        Probe(id=name, request={"op": "capture", "name": f"limit_{n}"}, time_s=10)
        for n, name in enumerate(TRIALS)
    )
    evidence = execute(
        Submission(student="doctor", assignment="doctor", cells=cells),
        Plan(assignment="doctor", limits=limits, probes=probes, seed=1, image=sandbox.image),
        sandbox,
        None,
    ).evidence()
    broken = [name for name in TRIALS if evidence.observed(name).value is not True]
    last = evidence.cells[-1] if evidence.cells else None
    held = last is not None and (last.index, last.status) == (len(TRIALS), CellStatus.MEMORY)
    return broken if held else [*broken, MEMORY]
