"""One `grader run` or `grader score` in a process of its own, which says how much memory it took.

python -m benchmarks.graded record|first|again|score COURSE SLUG SANDBOX RECORDINGS REPORT

`record` is `grader run`, which also writes down what comes out of the sandbox; `first` is `grader
run` with that in the place of the sandbox; `again` is `grader run` when all is known, and `score`
is `grader score`. The report is a JSON file with `peak_mib`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.replay import Recorder, Replay
from grader.course import Course
from grader.executor import Local, local
from grader.options import NEEDS_PERSON, Options
from grader.run import rescore, run
from grader.sandbox.choose import Wish, choose


def main(action: str, root: Path, slug: str, sandbox: str, recordings: Path, report: Path) -> int:
    """Do it; returns the grader's exit code, and 0 where a person is needed."""
    course, console, options = Course(root), Console(), Options(out=root / "reports")
    assignments = [(slug, root / "submissions" / slug)]
    wish = Wish(name=sandbox, trusted=True)
    places = {
        "record": partial(recorded, wish, recordings),
        "first": partial(replayed, recordings),
        "again": partial(local, wish, course.state),
    }
    if action == "score":
        code = rescore(course, assignments, console, options)
    else:
        code = run(course, assignments, places[action], console, options)
    report.write_text(json.dumps({"peak_mib": peak_mib()}))
    return 0 if code == NEEDS_PERSON else code


@contextmanager
def recorded(wish: Wish, folder: Path, console: Console) -> Iterator[Local]:
    """Execute in a real sandbox, and write down what comes out."""
    with choose(wish, console) as inner:
        yield Local(Recorder(inner, folder))


@contextmanager
def replayed(folder: Path, console: Console) -> Iterator[Local]:
    """Execute nothing: play what was recorded."""
    yield Local(Replay(folder))


def peak_mib(status: Path = Path("/proc/self/status")) -> float:
    """Most memory that this process held at once.

    Not from `getrusage`, whose figure a process inherits from the one that started it.
    """
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    action, root, slug, sandbox, recordings, report = sys.argv[1:]
    told = Path(root).resolve(), slug, sandbox, Path(recordings), Path(report)
    sys.exit(main(action, *told))
