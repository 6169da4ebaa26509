"""What a fresh sandbox for each notebook costs beside plain nbclient, nbgrader and otter."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import (
    Contestant,
    Nbclient,
    Nbgrader,
    Otter,
    Ours,
    Size,
    environment,
    lacks,
)
from benchmarks.cost import IDLE_SHARE, Cost, Failed, measured, others

HELP = """Compare whole runs over short torch notebooks, each in a fresh kernel, in rounds.

\b
Every round runs every contestant once, so that a slow minute of the machine hits all:
  grader run        a fresh sandbox for each notebook, probes, scores, reports;
                    with --sandbox docker-warm, a fork of a process that has imported torch
  plain nbclient    a pool of processes that execute the same notebooks; the yardstick
  kernels killed    the same, but nbclient kills its kernels at the end, as we do
  nbgrader, otter   where an interpreter is given; their processes, no containers

Wall is from the start of the command to its end. Busy is what all processors of this machine
worked meanwhile (/proc/stat), so containers count, and whatever else runs: the machine must be
idle otherwise, and it must be Linux. Own leaves out what runs in containers. Everybody gets one
thread of numeric libraries for each notebook, as our sandboxes give.

\b
Examples:
  python -m benchmarks.overhead
  python -m benchmarks.overhead --notebooks 4 --rounds 2 --sandbox bubblewrap
  python -m benchmarks.overhead --notebooks 40 --sandbox docker-warm --sandbox docker
  python -m benchmarks.overhead --nbgrader ~/nbgrader/bin/python --otter ~/otter/bin/python
"""

WIDTH = 120
#: Per contestant, one entry a round; None where it failed.
Costs = dict[str, list[Cost | None]]


@click.command(help=HELP)
@click.option("--notebooks", type=click.IntRange(1), default=20, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--sandbox",
    "sandboxes",
    type=click.Choice(["docker", "docker-warm", "bubblewrap", "process"]),
    multiple=True,
    default=["docker"],
    show_default=True,
    help="Ours runs in it; may be repeated.",
)
@click.option("--nbgrader", metavar="PYTHON", help="Interpreter that has nbgrader and torch.")
@click.option("--otter", metavar="PYTHON", help="Interpreter that has otter-grader and torch.")
@click.option("--save", type=click.Path(path_type=Path), help="Write all figures here as JSON.")
def overhead(
    notebooks: int,
    workers: int,
    rounds: int,
    sandboxes: Sequence[str],
    nbgrader: str | None,
    otter: str | None,
    save: Path | None,
) -> None:
    """Compare whole runs; see `HELP`."""
    console = Console(highlight=False, width=WIDTH)
    size = Size(notebooks=notebooks, workers=workers)
    contestants: list[Contestant] = [*map(Ours, sandboxes), Nbclient(), Nbclient("immediate")]
    contestants += _peers(nbgrader, otter, console)
    _warn_if_busy(console)
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        costs = race(contestants, Path(folder), size, rounds, console)
    console.print(_table(costs, size, rounds))
    if save:
        save.write_text(json.dumps(_saved(costs, size), indent=1) + "\n")


def race(
    contestants: Sequence[Contestant], folder: Path, size: Size, rounds: int, console: Console
) -> Costs:
    """Run everybody once a round, each time another one first."""
    costs: Costs = {contestant.name: [] for contestant in contestants}
    places = {one.name: folder / str(number) for number, one in enumerate(contestants)}
    for contestant in contestants:
        places[contestant.name].mkdir()
        contestant.prepare(places[contestant.name], size)
    for number in range(rounds):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            place = places[contestant.name]
            cost = _one(contestant, place, size, console)
            costs[contestant.name].append(cost)
            if cost:
                told = f"{cost.wall_s:6.1f} s wall, {cost.busy_s:6.1f} s busy"
                console.print(f"round {number + 1}: {contestant.name:24} {told}")
    return costs


def _one(contestant: Contestant, place: Path, size: Size, console: Console) -> Cost | None:
    env = environment(contestant.python)
    log = place.with_suffix(".log")
    try:
        return measured(contestant.command(place, size), env=env, log=log, cwd=place)
    except Failed as failure:
        console.print(f"{contestant.name} failed: {failure}", markup=False)
        return None


def ratios(costs: Sequence[Cost | None], base: Sequence[Cost | None], field: str) -> list[float]:
    """Cost over the yardstick's, for each round in which both were done.

    Args:
        costs: One entry a round.
        base: The yardstick's.
        field: A field of `Cost`.
    """
    pairs = [(a, b) for a, b in zip(costs, base, strict=True) if a and b]
    return [getattr(a, field) / getattr(b, field) for a, b in pairs]


def _table(costs: Costs, size: Size, rounds: int) -> Table:
    title = f"{size.notebooks} notebooks, {size.workers} workers, median of {rounds} rounds"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    columns = ["wall s", "busy s", "own s", "wall / yardstick's", "busy / yardstick's"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    base = costs[Nbclient().name]
    for name, all_rounds in costs.items():
        done = [cost for cost in all_rounds if cost]
        if not done:
            table.add_row(name, "failed")
            continue
        medians = [
            median(getattr(c, field) for c in done) for field in ("wall_s", "busy_s", "own_s")
        ]
        spreads = [_spread(ratios(all_rounds, base, field)) for field in ("wall_s", "busy_s")]
        failed = rounds - len(done)
        shown = f"{name} (failed in {failed} of {rounds})" if failed else name
        table.add_row(shown, *(f"{value:.1f}" for value in medians), *spreads)
    return table


def _spread(found: Sequence[float]) -> str:
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})" if found else "-"


def _peers(nbgrader: str | None, otter: str | None, console: Console) -> list[Contestant]:
    asked: list[tuple[str, Contestant]] = []
    asked += [("nbgrader", Nbgrader(nbgrader))] if nbgrader else []
    asked += [("otter", Otter(otter))] if otter else []
    found = []
    for package, contestant in asked:
        missing = lacks(contestant.python, package)
        if missing:
            console.print(f"without {package}: {missing}", markup=False)
        else:
            found.append(contestant)
    return found


def _warn_if_busy(console: Console) -> None:
    share = others()
    if share > IDLE_SHARE:
        console.print(f"[bold red]not idle[/]: others use {share:.0%} of this machine's processors")


def _saved(costs: Costs, size: Size) -> dict[str, object]:
    rounds = {name: [c and asdict(c) for c in found] for name, found in costs.items()}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.release()}",
        "python": platform.python_version(),
        "size": asdict(size),
        "rounds": rounds,
    }


if __name__ == "__main__":
    overhead()
