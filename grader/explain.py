"""Why submissions are executed that were executed before, in words. Pure.

What only scoring needs (points, tolerances, mistakes, the reference) executes nothing again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from grader.assignment import Assignment
from grader.record import Circumstances
from grader.store import Entry
from grader.submission import Ticket

#: Names of questions, or limits, in one sentence.
MOST = 6
FRESH = "as --fresh asks"
#: Limits that depend on the machine, where a GPU is preferred.
GPU = ("gpu", "gpu_mib", "gpu_share")


def why_executed(
    ticket: Ticket, entry: Entry | None, before: Circumstances | None, now: Circumstances
) -> str:
    """Why a submission is executed.

    Args:
        ticket: The submission as it is.
        entry: The last decision about the student.
        before: Under what circumstances that was executed, if its evidence is there.
        now: Under what it would be executed now.
    """
    if entry is None:
        return "never executed"
    if entry.submission != ticket.digest:
        return "handed in anew"
    if entry.fault:
        return "a fault of the grader or the machine stopped it before"
    if before is None:
        return "its evidence is gone or damaged"
    return ", ".join(changes(before, now)) or FRESH


def asked_by(assignment: Assignment) -> dict[str, str]:
    """Digests of all probes of an assignment, by id."""
    asked: dict[str, str] = {}
    for check in assignment.rubric.checks:
        asked |= assignment.asked(check)
    return asked


def why_again(before: Circumstances, now: Circumstances, *, gpu_preferred: bool) -> str:
    """Why the next `grader run` executes again what has evidence; empty where nothing tells.

    Args:
        before: Under what circumstances it was executed.
        now: Under what it would be, as far as the rubric says.
        gpu_preferred: Whether the machine decides if it has a GPU, as it does of the image.
    """
    limits = {name: before.limits.get(name) for name in GPU} if gpu_preferred else {}
    as_before = replace(now, image=before.image, limits=now.limits | limits)
    return ", ".join(changes(before, as_before))


def changes(before: Circumstances, now: Circumstances) -> Iterator[str]:
    """What a submission would be executed under now that it was not executed under before."""
    probes = [p for p in {**now.asked, **before.asked} if before.asked.get(p) != now.asked.get(p)]
    asked = list(dict.fromkeys(probe.partition("/")[0] for probe in probes))
    if asked:
        yield f"{_listed(asked)} {'ask' if len(asked) > 1 else 'asks'} something else"
    limits = [
        f"{name} {before.limits.get(name)} -> {limit}"
        for name, limit in now.limits.items()
        if before.limits.get(name) != limit
    ]
    if limits:
        yield f"other limits ({_listed(limits)})"
    for name, told in (("data", "other data/"), ("lib", "other lib/"), ("seed", "another seed")):
        if getattr(before, name) not in (None, getattr(now, name)):
            yield told
    if before.image != now.image:
        yield "another environment (image, Python, packages, or another isolation)"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST] + ["…"] * (len(names) > MOST))
