"""Notebooks a minute, beside each other and beside what we aim at, and what a notebook costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.table import Table

from benchmarks.cost import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Raced:
    """What a contestant took in every round."""

    name: str
    notebooks: int
    """How many it executed in a round."""
    costs: list[Cost | None] = field(default_factory=list)
    """One entry a round; None where it failed."""

    @property
    def done(self) -> list[Cost]:
        """The rounds in which it did not fail."""
        return [cost for cost in self.costs if cost]

    @property
    def rates(self) -> list[float | None]:
        """Notebooks a minute, one entry a round."""
        return [60 * self.notebooks / cost.wall_s if cost else None for cost in self.costs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A ratio of notebooks a minute that we want to reach, by names of contestants."""

    ours: str
    base: str
    ratio: float


AIMS = (
    Aim(ours="grader run, docker-warm", base="plain nbclient", ratio=4),
    Aim(ours="grader run, docker-warm", base="nbgrader autograde", ratio=8),
    Aim(ours="grader run, docker-warm", base="otter run", ratio=25),
    Aim(ours="grader run, docker", base="plain nbclient", ratio=1 / 1.25),
)
BASES = {"nbclient": "plain nbclient", "nbgrader": "nbgrader autograde", "otter": "otter run"}
"""Whom everybody is compared with, by the heading of the column."""


def ratios(one: Raced, base: Raced) -> list[float]:
    """Notebooks a minute over somebody else's, for each round in which neither failed."""
    pairs = zip(one.rates, base.rates, strict=True)
    return [rate / other for rate, other in pairs if rate and other]


def table(raced: Sequence[Raced], title: str) -> Table:
    """Medians of the rounds, and the lowest and highest ratio to plain nbclient."""
    shown = Table(title=title, title_justify="left", box=None)
    shown.add_column("", no_wrap=True)
    by_name = {one.name: one for one in raced}
    bases = {head: by_name[name] for head, name in BASES.items() if name in by_name}
    each = ["own s/nb", "busy s/nb"]
    for head in ["nbs", "wall s", "nbs/min", *each, *(f"x {head}" for head in bases)]:
        shown.add_column(head, justify="right", no_wrap=True)
    for one in raced:
        failed = len(one.costs) - len(one.done)
        name = f"{one.name} (failed in {failed} of {len(one.costs)})" if failed else one.name
        if not one.done:
            shown.add_row(name)
            continue
        wall = median(cost.wall_s for cost in one.done)
        own = median(cost.own_s for cost in one.done) / one.notebooks
        busy = median(cost.busy_s for cost in one.done) / one.notebooks
        rate = median(rate for rate in one.rates if rate)
        figures = [str(one.notebooks), f"{wall:.1f}", f"{rate:.1f}", f"{own:.2f}", f"{busy:.2f}"]
        shown.add_row(name, *figures, *(spread(ratios(one, base)) for base in bases.values()))
    return shown


def spread(found: Sequence[float]) -> str:
    """The median with the lowest and the highest; a dash for nothing."""
    return f"{median(found):.2f} ({min(found):.2f}-{max(found):.2f})" if found else "-"


def aims(raced: Sequence[Raced]) -> list[str]:
    """What we aim at beside what was seen, in words, for those who took part."""
    by_name = {one.name: one for one in raced}
    told = []
    for aim in AIMS:
        if aim.ours in by_name and aim.base in by_name:
            found = ratios(by_name[aim.ours], by_name[aim.base])
            told.append(f"aim: {_in_words(aim, found)}")
    return told


def _in_words(aim: Aim, found: Sequence[float]) -> str:
    if aim.ratio < 1:
        seen = spread([1 / ratio for ratio in found])
        says = f"{aim.ours}: at most {1 / aim.ratio:g} times the wall time of {aim.base}"
    else:
        seen = spread(found)
        says = f"{aim.ours}: at least {aim.ratio:g} times as many notebooks a minute as {aim.base}"
    return f"{says}; seen: {seen}"
