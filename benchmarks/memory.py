"""Memory of the grading process, and the time it takes to score again, by number of students."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import ROOT, environment

HELP = """Show how memory and time of grading grow with the number of students.

Executes the solution of one assignment of this course in a sandbox, and replays what came out for
every other student. All else is real: submissions are read, frames checked, evidence kept, scored
and reported. Each run is a process of its own, and its peak is what Linux calls VmHWM.

\b
Columns:
  run       `grader run` without the work in sandboxes
  score     `grader score`: everybody again from kept evidence
  peak      most memory that the grading process held; formulas have a process of their own

\b
Examples:
  python -m benchmarks.memory
  python -m benchmarks.memory --students 20 --students 200 --sandbox process
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one command of the grader took."""

    wall_s: float
    peak_mib: float


@click.command(help=HELP)
@click.option(
    "--students",
    type=click.IntRange(1),
    multiple=True,
    default=[20, 1000, 2000],
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
def memory(students: Sequence[int], assignment: str, sandbox: str) -> None:
    """Measure classes of several sizes; see `HELP`."""
    console = Console(highlight=False)
    table = Table(title=assignment, title_justify="left", box=None)
    for column in ("students", "run s", "run peak MiB", "score s", "score peak MiB"):
        table.add_column(column, justify="right")
    for count in students:
        with tempfile.TemporaryDirectory(prefix="memory-") as name:
            folder = Path(name)
            write_class(folder, assignment, count)
            run = graded("run", folder, assignment, sandbox)
            score = graded("score", folder, assignment, sandbox)
        figures = [f"{took.wall_s:.1f} {took.peak_mib:.0f}".split() for took in (run, score)]
        table.add_row(str(count), *figures[0], *figures[1])
    console.print(table)


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


def graded(action: str, root: Path, slug: str, sandbox: str) -> Took:
    """Run or score in a process of its own.

    Raises:
        ClickException: the grader met a bug, a fault or bad input.
    """
    report, log = root / f"{action}.json", root / "log.txt"
    where = [action, str(root), slug, sandbox, str(report)]
    begun = time.monotonic()
    with log.open("w") as out:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.graded", *where],
            env=environment(sys.executable),
            stdout=out,
            stderr=out,
        )
    wall_s = time.monotonic() - begun
    if done.returncode > 1 or not report.exists():  # 1: a person must look at written answers
        raise click.ClickException(f"{action}: {log.read_text()[-2000:]}")
    return Took(wall_s=wall_s, peak_mib=json.loads(report.read_text())["peak_mib"])


if __name__ == "__main__":
    memory()
