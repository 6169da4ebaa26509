"""How time and memory grow with a size, read off what the guest measured.

The exponent is the median over all pairs of the larger sizes, so that one slow run does not decide.
What is too quick or too small to be measured does not grow too fast.

Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968, for the median
of pairwise slopes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from grader.values import Value

#: The least that is told apart from noise: seconds, and bytes.
LEAST = {"time": 1e-3, "memory": float(2 << 20)}
#: How far above the asked exponent a measured one may be; two sizes alone tell less than more do.
TOLERANCE = 0.5
TOLERANCE_OF_TWO = 0.75
#: How many of the larger sizes count.
LARGER = 4

Points = list[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the guest's `scaling` operation found, once it is known to have that form."""

    points: dict[str, Points]
    """(size, seconds) as `time`, and (size, bytes) as `memory`."""
    stopped: str
    """Why it came no further: `time`, `memory`, `died` or `error`; else empty."""
    at: int
    """The size that it was at."""
    raised: str
    """Name of the exception that ended it, with what it says after a colon; else empty."""
    limit: int
    """Bytes that a call could use."""
    result: Value
    """What the smallest size gave."""


def read_reply(value: Value, sizes: list[int]) -> Reply | None:
    """Read a probe's answer; None if our guest cannot have written it, but a student's code did."""
    match value:
        case {
            "measured": list(measured),
            "stopped": ("" | "time" | "memory" | "died" | "error") as stopped,
            "at": int(at),
            "limit": int(limit),
            "error": (None | {"ename": str(), "evalue": str()}) as error,
            "result": result,
        } if 0 < limit < 2**63 and all(map(_is_measured, measured)):
            rows = [(n, s, b) for n, s, b in measured]
        case _:
            return None
    if [n for n, _, _ in rows] != sizes[: len(rows)] or (len(rows) < len(sizes)) != bool(stopped):
        return None
    if at != sizes[min(len(rows), len(sizes) - 1)]:
        return None
    return Reply(
        points={
            "time": [(n, s) for n, s, _ in rows],
            "memory": [(n, float(b)) for n, _, b in rows if b is not None],
        },
        stopped=stopped,
        at=at,
        raised=f"{error['ename']}: {error['evalue']}" if error else "",
        limit=limit,
        result=result,
    )


def _is_measured(row: Value) -> bool:
    match row:
        case [int(), float(seconds), None | int() as used]:
            return 0 <= seconds < math.inf and 0 <= (used or 0) < 2**63
    return False


@dataclass(frozen=True, slots=True)
class Growth:
    """An exponent, and from how many sizes it was read: none if nothing could be measured."""

    exponent: float
    sizes: int

    def exceeds(self, limit: float) -> bool:
        """Whether it is above a limit, beyond what noise explains."""
        tolerance = TOLERANCE if self.sizes > 2 else TOLERANCE_OF_TWO
        return self.sizes > 0 and self.exponent > limit + tolerance

    def __str__(self) -> str:
        """Say it as `n^1.0`."""
        return f"like n^{self.exponent:.1f}" if self.sizes else "too little to measure"


def growth(reply: Reply, name: str) -> Growth:
    """The exponent with which time or memory grows, read off the larger sizes."""
    points, least = reply.points[name], LEAST[name]
    found = _slope([(n, y) for n, y in points if y >= least])
    if name == "memory" and reply.stopped == "memory" and points:
        # The next size took at least all there was, so the exponent is no smaller than this.
        before = [(n, max(y, least)) for n, y in points if y >= least or (n, y) == points[-1]]
        bound = _slope([*before, (reply.at, float(reply.limit))])
        found = max(found, bound, key=lambda one: (one.sizes > 0, one.exponent))
    return found


def _slope(points: Points) -> Growth:
    larger = points[-LARGER:]
    slopes = [math.log(y / x) / math.log(n / m) for (m, x), (n, y) in combinations(larger, 2)]
    return Growth(median(slopes), len(larger)) if slopes else Growth(0.0, 0)
