"""What a fresh sandbox for each notebook costs beside plain nbclient, nbgrader and otter."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

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
from benchmarks.rates import Raced, aims, table

HELP = """Compare whole runs over short torch notebooks, each in a fresh kernel, in rounds.

\b
Every round runs every contestant once, so that a slow minute of the machine hits all:
  grader run        a fresh sandbox for each notebook, probes, scores, reports;
                    with --sandbox docker-warm, a fork of a process that has imported torch
  plain nbclient    a pool of processes that execute the same notebooks; the yardstick
  kernels killed    the same, but nbclient kills its kernels at the end, as we do
  nbgrader, otter   where an interpreter is given; their processes, no containers

\b
Columns, medians of the rounds:
  nbs         notebooks in a round
  wall s      seconds from the start of the command to its end
  nbs/min     notebooks a minute by that
  own s/nb    seconds of processors a notebook, without what runs in containers
  busy s/nb   the same with containers and the engine: what all processors of this machine
              worked meanwhile (/proc/stat), and so whatever else runs
  x NAME      notebooks a minute over those of NAME in the same round: median (lowest-highest)

So the machine must be idle otherwise, and it must be Linux. Everybody gets one thread of numeric
libraries for each notebook, as our sandboxes give. Below the table stands what we aim at.

\b
Examples:
  python -m benchmarks.overhead
  python -m benchmarks.overhead --notebooks 4 --rounds 2 --sandbox bubblewrap
  python -m benchmarks.overhead --sandbox docker-warm --sandbox docker \\
      --nbgrader ~/nbgrader/bin/python --otter ~/otter/bin/python --peer-notebooks 10
"""

WIDTH = 160


@click.command(help=HELP)
@click.option("--notebooks", type=click.IntRange(1), default=40, show_default=True)
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
@click.option(
    "--peer-notebooks",
    type=click.IntRange(1),
    help="How many notebooks nbgrader and otter get in a round; as many as the others if left out.",
)
@click.option("--save", type=click.Path(path_type=Path), help="Write all figures here as JSON.")
def overhead(
    notebooks: int,
    workers: int,
    rounds: int,
    sandboxes: Sequence[str],
    nbgrader: str | None,
    otter: str | None,
    peer_notebooks: int | None,
    save: Path | None,
) -> None:
    """Compare whole runs; see `HELP`."""
    console = Console(highlight=False, width=WIDTH)
    size = Size(notebooks=notebooks, workers=workers)
    contestants: list[Contestant] = [*map(Ours, sandboxes), Nbclient(), Nbclient("immediate")]
    racing = dict.fromkeys(contestants, size)
    fewer = Size(notebooks=peer_notebooks or notebooks, workers=workers)
    racing |= dict.fromkeys(_peers(nbgrader, otter, console), fewer)
    _warn_if_busy(console)
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        raced = race(racing, Path(folder), rounds, console)
    console.print(table(raced, f"{workers} workers, median of {rounds} rounds"))
    for line in aims(raced):
        console.print(line, soft_wrap=True)
    if save:
        save.write_text(json.dumps(_saved(raced, workers), indent=1) + "\n")


def race(
    racing: Mapping[Contestant, Size], folder: Path, rounds: int, console: Console
) -> list[Raced]:
    """Run everybody once a round, each time another one first.

    Args:
        racing: Who takes part, each with how much to do in a round.
        folder: For what they prepare and leave behind.
        rounds: How often.
        console: Hears of every run.
    """
    raced = {one: Raced(name=one.name, notebooks=size.notebooks) for one, size in racing.items()}
    places = {one: folder / str(number) for number, one in enumerate(racing)}
    for one, size in racing.items():
        places[one].mkdir()
        one.prepare(places[one], size)
    for number in range(rounds):
        turn = number % len(racing)
        for one in [*list(racing)[turn:], *list(racing)[:turn]]:
            cost = _one(one, places[one], racing[one], console)
            raced[one].costs.append(cost)
            if cost:
                told = f"{cost.wall_s:6.1f} s wall, {cost.busy_s:6.1f} s busy"
                console.print(f"round {number + 1}: {one.name:24} {told}")
    return list(raced.values())


def _one(contestant: Contestant, place: Path, size: Size, console: Console) -> Cost | None:
    env = environment(contestant.python)
    log = place.with_suffix(".log")
    try:
        return measured(contestant.command(place, size), env=env, log=log, cwd=place)
    except Failed as failure:
        console.print(f"{contestant.name} failed: {failure}", markup=False)
        return None


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


def _saved(raced: Sequence[Raced], workers: int) -> dict[str, object]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.release()}",
        "python": platform.python_version(),
        "workers": workers,
        "raced": [asdict(one) for one in raced],
    }


if __name__ == "__main__":
    overhead()
