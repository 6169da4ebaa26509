"""The process that judges submissions; it may be killed at any time.

The first line of standard input says which assignment (`Opening`). It is opened without limits,
as nothing of a student's is read yet, and answered with `{"ready": true}` or `{"fault": ...}`. Then
each line `{"student": ..., "folder": ...}` is answered with `{"read": <digest>}`, as soon as the
submission is read, and `{"score": ..., "bugs": [...]}`; no score where nothing was executed. A
process that makes report pages as well (`grader/report/worker.py`) is then told in a line what is
to be shown of it, and answers with a `Page`, within the same limits.

Covers memory (Linux), processor time and the size of files; the clock is the parent's. Does not
cover: it runs with the rights of whoever grades, for it loads the course's reference. It runs
nothing that a student wrote, and what it judges has been through the strict reader.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from grader.course import Course
from grader.errors import Fault, InputError
from grader.judging.judge import Judge, judge_of
from grader.judging.opening import OUT_OF_MEMORY, Limits, Opening
from grader.judging.page import Author, Page
from grader.store import Store
from grader.submission import Submission
from grader.symbolic import Symbolic
from grader.verdict_json import to_json

FILE_MIB = 64
"""Of files that it writes: what a PDF's reader is given, which takes 50 MiB at most."""
TORCH_MIB = 1536
"""What loading torch takes of address space: 1.1 GiB for the CPU."""
MOST_BUGS, BUG_CHARS = 20, 20_000
DIED = 1


def main(author_of: Callable[[Judge], Author] | None = None) -> None:
    """Judge until standard input ends.

    Args:
        author_of: What makes pages; None makes none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    asked, told = _own_streams()
    opening = Opening.from_json(asked.readline())
    course = Course(Path(opening.root), opening.database)
    with Symbolic(course.known) as symbolic:
        try:
            rubric = Path(opening.rubric) if opening.rubric else None
            assignment = course.open(opening.slug, symbolic, rubric)
            judge = judge_of(assignment, Store(course.state, course.database), opening.journal)
            lazy = metadata.version("torch").endswith("+cpu")  # others take far more memory
            if assignment.asks_reference and not lazy:
                _ = assignment.context.reference.module
        except (InputError, Fault) as fault:
            _say(told, {"fault": str(fault)})
            return
        author = author_of(judge) if author_of else None
        _limit(opening.limits, TORCH_MIB if assignment.asks_reference else 0)
        _say(told, {"ready": True})
        symbolic.known.keep()
        for line in asked:
            _limit_time(opening.limits.cpu_s)
            try:
                submission = _answer(judge, course, json.loads(line), told)
                if author and submission:
                    _say(told, asdict(_page(author, json.loads(asked.readline()), submission)))
                del submission  # before the next one is read
                symbolic.known.keep()  # by now, because the parent kills when it has all
            except MemoryError:
                os._exit(OUT_OF_MEMORY)  # nothing else can be relied on
            except BaseException:  # noqa: BLE001 - also what would only leave, as SystemExit does
                traceback.print_exc()
                os._exit(DIED)


def _answer(
    judge: Judge, course: Course, question: dict[str, str], told: TextIO
) -> Submission | None:
    """Judge a submission and return it, if there was something to score."""
    slug, layout = judge.assignment.slug, judge.assignment.layout
    bugs: list[str] = []
    submission = course.read(Path(question["folder"]), slug, layout, question["student"])
    _say(told, {"read": submission.whole_digest})
    score = judge.score(submission, bugs)
    _say(told, {"score": to_json(score) if score else None, "bugs": _kept(bugs)})
    return submission if score else None


def _page(author: Author, question: dict[str, Any], submission: Submission) -> Page:
    try:
        page = author.page(question, submission)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours must not cost the class its report
        told = "".join(traceback.format_exception(error))
        page = Page(bugs=(told,), why=f"a bug of the grader: {error!r}")
    return replace(page, bugs=tuple(_kept(page.bugs)))


def _kept(bugs: Sequence[str]) -> list[str]:
    return [bug[-BUG_CHARS:] for bug in bugs[:MOST_BUGS]]


def _own_streams() -> tuple[TextIO, TextIO]:
    """Standard input and output for us alone; what a reference prints goes to standard error."""
    asked = os.fdopen(os.dup(0), encoding="ascii")
    told = os.fdopen(os.dup(1), "w", encoding="ascii")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return asked, told


def _say(told: TextIO, message: dict[str, Any]) -> None:
    told.write(json.dumps(message) + "\n")
    told.flush()


def _limit(limits: Limits, torch_mib: int) -> None:
    """Set what is set once, now that the assignment is open.

    Args:
        limits: Of one submission.
        torch_mib: Address space for torch, if it may be loaded later: the reference is asked only
            for what it has not said before.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # not before: inputs must be as the parent's
        torch_mib = 0
    else:
        os.environ["OMP_NUM_THREADS"] = "1"  # for torch, where a predicate needs it later
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MIB << 20, FILE_MIB << 20))
    if sys.platform == "linux":  # macOS refuses it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (limits.memory_mib + torch_mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_time(cpu_s: int) -> None:
    """Move the limit on processor time forward, for the next submission."""
    if sys.platform != "win32":
        import resource  # not on Windows

        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + 1 + cpu_s, hard))


if __name__ == "__main__":
    main()
