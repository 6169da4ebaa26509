"""How time, memory and disk grow with the number of students, from recorded evidence."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import ROOT, environment
from benchmarks.cost import Cost, Failed, measured

HELP = """Show how time, memory and disk of grading grow with the number of students.

Executes the solution of one assignment of this course in a sandbox, and replays what came out for
every other student. All else is real: submissions are read, frames checked, evidence kept, scored
and reported. Each command is a process of its own, and its peak is what Linux calls VmHWM.

\b
Rows:
  first     `grader run` without the work in sandboxes
  again     `grader run` when everything is known
  score     `grader score`: everybody again from kept evidence
\b
Columns:
  wall      seconds by the clock
  cpu       seconds of processors, of the grader and the processes that judge
  peak      most memory that the grader itself held
  state     disk space of .grader/
  reports   disk space of reports/

\b
Examples:
  python -m benchmarks.growth --plot docs/growth.svg
  python -m benchmarks.growth --students 20 --students 200 --sandbox process
"""
ACTIONS = ("first", "again", "score")
PATIENCE_S = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one command of the grader took."""

    students: int
    action: str
    cost: Cost
    peak_mib: float
    state_mib: float
    reports_mib: float


@click.command(help=HELP)
@click.option(
    "--students",
    type=click.IntRange(1),
    multiple=True,
    default=[10, 100, 1000, 10_000],
    show_default=True,
    help="A class of this size; may be repeated.",
)
@click.option("--assignment", default="nyu_hw4", show_default=True, help="Its slug.")
@click.option(
    "--sandbox",
    type=click.Choice(["docker", "bubblewrap", "process"]),
    default="docker",
    show_default=True,
    help="Where the one notebook runs.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it into this SVG or PNG file.")
def growth(students: Sequence[int], assignment: str, sandbox: str, plot: Path | None) -> None:
    """Measure classes of several sizes; see `HELP`."""
    console = Console(highlight=False)
    table = Table(title=assignment, title_justify="left", box=None)
    for column in ("students", "", "wall s", "cpu s", "peak MiB", "state MiB", "reports MiB"):
        table.add_column(column, justify="right")
    found: list[Took] = []
    for count in students:
        with tempfile.TemporaryDirectory(prefix="growth-") as name:
            folder = Path(name)
            write_class(folder, assignment, count)
            for action in ACTIONS:
                found.append(graded(action, folder, assignment, sandbox, count))
                table.add_row(*_row(found[-1]))
    console.print(table)
    if plot:
        draw(found, plot)


def _row(took: Took) -> list[str]:
    cost = f"{took.cost.wall_s:.1f}", f"{took.cost.own_s:.1f}"
    space = f"{took.state_mib:.1f}", f"{took.reports_mib:.1f}"
    return [str(took.students), took.action, *cost, f"{took.peak_mib:.0f}", *space]


def write_class(root: Path, slug: str, count: int) -> None:
    """Write a course with one assignment of ours and so many students who all solved it.

    Their notebooks differ in every cell, so that each has evidence and text of its own.
    """
    (root / "rubrics").mkdir()
    shutil.copy(ROOT / "rubrics" / f"{slug}.yaml", root / "rubrics")
    shutil.copytree(ROOT / "reference" / slug, root / "reference" / slug)
    solution = ROOT / "reference" / slug / "solution" / f"{slug}.ipynb"
    notebook: dict[str, Any] = json.loads(solution.read_text())
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    for number in range(count):
        for cell, source in zip(notebook["cells"], sources, strict=True):
            sign = "#" if cell["cell_type"] == "code" else "\n"
            cell["source"] = f"{source}\n{sign} student {number}"
        folder = root / "submissions" / slug / f"student{number:05d}"
        folder.mkdir(parents=True)
        (folder / f"{slug}.ipynb").write_text(json.dumps(notebook))


def graded(action: str, root: Path, slug: str, sandbox: str, count: int) -> Took:
    """Grade the class in a process of its own.

    Raises:
        ClickException: the grader met a bug, a fault or bad input.
    """
    report, log = root / f"{action}.json", root / "log.txt"
    where = [action, str(root), slug, sandbox, str(report)]
    command = [sys.executable, "-m", "benchmarks.graded", *where]
    env = environment(sys.executable)
    try:
        cost = measured(command, env=env, log=log, cwd=ROOT, patience_s=PATIENCE_S)
    except Failed as why:
        raise click.ClickException(f"{action}: {why}: {log.read_text()[-2000:]}") from why
    return Took(
        students=count,
        action=action,
        cost=cost,
        peak_mib=json.loads(report.read_text())["peak_mib"],
        state_mib=space_mib(root / ".grader"),
        reports_mib=space_mib(root / "reports"),
    )


def space_mib(folder: Path) -> float:
    """Disk space that a folder takes, in whole blocks as `du` counts it."""
    blocks = 0
    for where, folders, files in os.walk(folder):
        blocks += sum(Path(where, name).lstat().st_blocks for name in (*folders, *files))
    return blocks * 512 / 2**20


def draw(found: Sequence[Took], path: Path) -> None:
    """Draw processor time, memory and space by number of students."""
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    time, memory, space = figure.subplots(1, 3)
    for action in ACTIONS:
        mine = [took for took in found if took.action == action]
        counts = [took.students for took in mine]
        time.plot(counts, [took.cost.own_s for took in mine], marker="o", label=action)
        memory.plot(counts, [took.peak_mib for took in mine], marker="o", label=action)
    last = [took for took in found if took.action == ACTIONS[-1]]
    counts = [took.students for took in last]
    space.plot(counts, [took.state_mib for took in last], marker="o", label=".grader/")
    space.plot(counts, [took.reports_mib for took in last], marker="o", label="reports/")
    titles = "seconds of processors", "MiB of memory", "MiB on disk"
    for axes, title in zip((time, memory, space), titles, strict=True):
        axes.set(title=title, xlabel="students", xscale="log", yscale="log")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    memory.set_yscale("linear")
    memory.set_ylim(bottom=0)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    growth()
