"""Why submissions are executed that were executed before, in words. Pure.

What only scoring needs (points, tolerances, mistakes, the reference) executes nothing again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from grader.plan import Plan
from grader.store import Circumstances, Entry
from grader.submission import Ticket

#: Names of questions, or limits, in one sentence.
MOST = 6
FRESH = "as --fresh asks"


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
    return ", ".join(_changes(before, now)) or FRESH


def changed_questions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The questions that ask something else.

    Args:
        before: Digests of probes by id, which starts with the question's.
        now: Likewise.
    """
    probes = [probe for probe in {**now, **before} if before.get(probe) != now.get(probe)]
    return list(dict.fromkeys(probe.partition("/")[0] for probe in probes))


def circumstances(plan: Plan, asked: Mapping[str, str]) -> Circumstances:
    """Under what circumstances a plan has submissions executed."""
    return Circumstances(
        image=plan.image,
        data=plan.data_digest,
        lib=plan.lib_digest,
        seed=plan.seed,
        limits=asdict(plan.limits),
        asked=dict(asked),
    )


def _changes(before: Circumstances, now: Circumstances) -> Iterator[str]:
    asked = changed_questions(before.asked, now.asked)
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
        yield "another environment (image, Python, packages, or workers that are warm)"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST] + ["…"] * (len(names) > MOST))
