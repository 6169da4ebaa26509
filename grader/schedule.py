"""What to do next with a submission: pure decisions over what happened to it so far."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

#: A fault of ours is retried once; twice, and a person looks.
ATTEMPTS = 2


class Next(StrEnum):
    """What to do next with a submission."""

    EXECUTE = "execute"
    HAND_TO_PERSON = "hand_to_person"


def after(faults: Sequence[str]) -> Next:
    """Decide from the faults that a submission met in this run, oldest first."""
    return Next.HAND_TO_PERSON if len(faults) >= ATTEMPTS else Next.EXECUTE
