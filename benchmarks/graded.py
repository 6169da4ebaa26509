"""One `grader run` or `grader score` in a process of its own, which says how much memory it took.

python -m benchmarks.graded run|score COURSE SLUG SANDBOX REPORT

`run` executes one notebook in the sandbox and replays it for all others; `score` executes nothing.
The report is a JSON file with `peak_mib`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.replay import Replay
from grader.batch import Batch
from grader.course import Course
from grader.display import Display
from grader.executor import Local
from grader.intake.folders import Handed
from grader.options import Options
from grader.run import rescore
from grader.sandbox.choose import Wish, choose
from grader.store import Store
from grader.symbolic import Symbolic


def main(action: str, root: Path, slug: str, sandbox: str, report: Path) -> int:
    """Do it; returns the grader's exit code."""
    course, console = Course(root), Console()
    if action == "run":
        execute(course, slug, sandbox, console)
    options = Options(out=root / "reports")
    code = rescore(course, [(slug, root / "submissions" / slug)], console, options)
    report.write_text(json.dumps({"peak_mib": peak_mib()}))
    return code


def execute(course: Course, slug: str, sandbox: str, console: Console) -> None:
    """Run the first notebook, and replay it for the rest."""
    handed = Handed(course.root / "submissions" / slug, slug)
    with (
        Symbolic() as symbolic,
        choose(Wish(name=sandbox, trusted=True), console) as inner,
        Display(console, slug) as display,
    ):
        assignment = course.open(slug, symbolic)
        batch = Batch(
            assignment=assignment,
            plan=assignment.plan(inner.image),
            executor=Local(Replay(inner)),
            store=Store(course.state),
            jobs=2,
            listener=display,
            load=handed.read,
        )
        batch.execute(handed)


def peak_mib(status: Path = Path("/proc/self/status")) -> float:
    """Most memory that this process held at once.

    Not from `getrusage`, whose figure a process inherits from the one that started it.
    """
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    action, root, slug, sandbox, report = sys.argv[1:]
    sys.exit(main(action, Path(root).resolve(), slug, sandbox, Path(report)))
