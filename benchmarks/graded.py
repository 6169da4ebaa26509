"""One `grader run` or `grader score` in a process of its own, which says how much memory it took.

python -m benchmarks.graded first|again|score COURSE SLUG SANDBOX REPORT

`first` executes one notebook in the sandbox and replays it for all others; `again` is `grader run`
when all is known, and `score` is `grader score`. The report is a JSON file with `peak_mib`.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.replay import Replay
from grader.batch import Batch, execute_starter
from grader.course import Course
from grader.display import Display
from grader.executor import Local, local
from grader.intake.folders import Handed
from grader.options import NEEDS_PERSON, Options
from grader.run import rescore, run
from grader.sandbox.choose import Wish, choose
from grader.store import Store
from grader.symbolic import Symbolic


def main(action: str, root: Path, slug: str, sandbox: str, report: Path) -> int:
    """Do it; returns the grader's exit code, and 0 where a person is needed."""
    course, console, options = Course(root), Console(), Options(out=root / "reports")
    assignments = [(slug, root / "submissions" / slug)]
    if action == "again":
        code = run(
            course,
            assignments,
            partial(local, Wish(name=sandbox, trusted=True), course.state),
            console,
            options,
        )
    else:
        if action == "first":
            execute(course, slug, sandbox, console)
        code = rescore(course, assignments, console, options)
    report.write_text(json.dumps({"peak_mib": peak_mib()}))
    return 0 if code == NEEDS_PERSON else code


def execute(course: Course, slug: str, sandbox: str, console: Console) -> None:
    """Run the starter and the first notebook, and replay that for the rest."""
    handed = Handed(course.root / "submissions" / slug, slug)
    with (
        Symbolic(course.known) as symbolic,
        choose(Wish(name=sandbox, trusted=True), console) as inner,
        Display(console, slug) as display,
    ):
        assignment, store = course.open(slug, symbolic), Store(course.state, course.database)
        plan = assignment.plan(inner.image)
        execute_starter(assignment, plan, Local(inner), store, [])
        batch = Batch(
            assignment=assignment,
            plan=plan,
            executor=Local(Replay(inner)),
            store=store,
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
