"""How time, memory and disk grow with the number of students, from recorded evidence."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.contestants import ROOT, environment
from benchmarks.copied_class import change_reference, change_rubric, samples, write_class
from benchmarks.cost import Cost, Failed, measured

HELP = """Show how time, memory and disk of grading grow with the number of students.

Executes some of an assignment's sample notebooks of this repository in a sandbox, once and not
measured, and replays what came out for classes of copies of them, which differ in every cell. All
else is real: submissions are read, frames checked, evidence kept, scored and reported. Each
command is a process of its own, and its peak is what Linux calls VmHWM.

\b
Rows:
  first            `grader run` of a new class, without what runs in sandboxes
  again            `grader run` when everything is known
  score            `grader score`: everybody again from kept evidence, nothing changed
  other rubric     the same after points and tolerances were changed
  other reference  the same after the reference was changed, so that no result of it is known
\b
Columns:
  wall      seconds by the clock
  cpu       seconds of processors, of the grader and the processes that judge
  peak      most memory that the grader itself held
  state     disk space of .grader/
  reports   disk space of reports/

\b
Examples:
  python -m benchmarks.growth --sandbox process --plot docs/growth.svg
  python -m benchmarks.growth --students 20 --students 200 --sandbox process
"""
#: What is measured, in this order: the action of `benchmarks.graded`, and what is changed before.
STEPS = {
    "first": ("first", None),
    "again": ("again", None),
    "score": ("score", None),
    "other rubric": ("score", change_rubric),
    "other reference": ("score", change_reference),
}
PATIENCE_S = 7200.0
MOST = 99_999
HEAD = "students  step               wall s    cpu s  peak MiB  state MiB  reports MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one command of the grader took."""

    students: int
    step: str
    cost: Cost
    peak_mib: float
    state_mib: float
    reports_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is graded, and how."""

    slug: str
    sandbox: str
    recordings: Path


@click.command(help=HELP)
@click.option(
    "--students",
    type=click.IntRange(1, MOST),
    multiple=True,
    default=[10, 100, 1000, 10_000],
    show_default=True,
    help="A class of this size; may be repeated.",
)
@click.option("--assignment", default="nyu_hw4", show_default=True, help="Its slug.")
@click.option(
    "--samples",
    "most",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="How many different samples are executed, at most; those that end by themselves.",
)
@click.option(
    "--sandbox",
    type=click.Choice(["docker", "bubblewrap", "process"]),
    default="docker",
    show_default=True,
    help="Where the samples run.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it into this SVG or PNG file.")
@click.option("--save", type=click.Path(path_type=Path), help="Write all figures here as JSON.")
def growth(
    students: Sequence[int],
    assignment: str,
    most: int,
    sandbox: str,
    plot: Path | None,
    save: Path | None,
) -> None:
    """Measure classes of several sizes; see `HELP`."""
    console = Console(highlight=False)
    found: list[Took] = []
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        setting = Setting(slug=assignment, sandbox=sandbox, recordings=Path(name) / "recordings")
        chosen = samples(assignment, most)
        names = ", ".join(sample.name for sample in chosen)
        console.print(f"{assignment}: executing {names}", soft_wrap=True)
        record(Path(name) / "samples", chosen, setting)
        console.print(HEAD, soft_wrap=True)
        for count in students:
            folder = Path(name) / str(count)
            write_class(folder, assignment, count, chosen)
            for step in STEPS:
                found.append(graded(step, folder, setting, count))
                console.print(_line(found[-1]), soft_wrap=True)
            shutil.rmtree(folder)
    if plot:
        draw(found, plot)
    if save:
        save.write_text(json.dumps([asdict(took) for took in found], indent=1) + "\n")


def _line(took: Took) -> str:
    cost = f"{took.cost.wall_s:8.1f} {took.cost.own_s:8.1f} {took.peak_mib:9.0f}"
    return (
        f"{took.students:8}  {took.step:16} {cost} {took.state_mib:10.1f} {took.reports_mib:12.1f}"
    )


def record(folder: Path, chosen: Sequence[Path], setting: Setting) -> None:
    """Execute every sample once, and write down what comes out.

    Raises:
        ClickException: the grader met a bug, a fault or bad input.
    """
    write_class(folder, setting.slug, len(chosen), chosen)
    _one("record", folder, setting)


def graded(step: str, root: Path, setting: Setting, count: int) -> Took:
    """Grade the class in a process of its own, after the change that belongs to this step.

    Raises:
        ClickException: the grader met a bug, a fault or bad input.
    """
    action, change = STEPS[step]
    if change:
        change(root, setting.slug)
    cost, peak_mib = _one(action, root, setting)
    return Took(
        students=count,
        step=step,
        cost=cost,
        peak_mib=peak_mib,
        state_mib=space_mib(root / ".grader"),
        reports_mib=space_mib(root / "reports"),
    )


def _one(action: str, root: Path, setting: Setting) -> tuple[Cost, float]:
    report, log = root / f"{action}.json", root / "log.txt"
    where = [str(root), setting.slug, setting.sandbox, str(setting.recordings), str(report)]
    command = [sys.executable, "-m", "benchmarks.graded", action, *where]
    env = environment(sys.executable)
    try:
        cost = measured(command, env=env, log=log, cwd=ROOT, patience_s=PATIENCE_S)
    except Failed as why:
        raise click.ClickException(f"{action}: {why}: {log.read_text()[-2000:]}") from why
    return cost, float(json.loads(report.read_text())["peak_mib"])


def space_mib(folder: Path) -> float:
    """Disk space that a folder takes, in whole blocks as `du` counts it."""
    blocks = 0
    for where, folders, files in os.walk(folder):
        blocks += sum(Path(where, name).lstat().st_blocks for name in (*folders, *files))
    return blocks * 512 / 2**20


def draw(found: Sequence[Took], path: Path) -> None:
    """Draw time, memory and space by number of students."""
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    time, memory, space = figure.subplots(1, 3)
    for step in STEPS:
        mine = [took for took in found if took.step == step]
        counts = [took.students for took in mine]
        (line,) = time.plot(counts, [took.cost.wall_s for took in mine], marker="o", label=step)
        dashes = {"color": line.get_color(), "linestyle": ":", "linewidth": 1.0}
        time.plot(counts, [took.cost.own_s for took in mine], **dashes)
        memory.plot(counts, [took.peak_mib for took in mine], marker="o", label=step)
    last = [took for took in found if took.step == list(STEPS)[-1]]
    counts = [took.students for took in last]
    space.plot(counts, [took.state_mib for took in last], marker="o", label=".grader/")
    space.plot(counts, [took.reports_mib for took in last], marker="o", label="reports/")
    titles = "seconds by the clock (dotted: of processors)", "MiB of memory", "MiB on disk"
    for axes, title in zip((time, memory, space), titles, strict=True):
        axes.set(title=title, xlabel="students", xscale="log", yscale="log")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    memory.set_yscale("linear")
    memory.set_ylim(bottom=0)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    growth()
