"""How many executions fit a worker, by what it offers and what they need."""

from __future__ import annotations

from grader.plan import Limits


def needs(limits: Limits) -> dict[str, float]:
    """What an execution takes of a worker's resources: processors, memory in MiB, GPUs."""
    told = {"sandbox": float(max(1, limits.threads)), "MiB": float(limits.host_mib)}
    return told | ({"GPU": 1.0} if limits.gpu else {})


def room(has: dict[str, float], limits: Limits) -> int:
    """How many executions fit a worker at a time."""
    return min(int(has.get(name, 0) // amount) for name, amount in needs(limits).items())


def in_words(limits: Limits) -> str:
    """What an execution needs, for messages."""
    return ", ".join(f"{name} {amount:g}" for name, amount in needs(limits).items())
