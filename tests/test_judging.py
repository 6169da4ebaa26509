"""Judging in processes that can be killed: the same scores, and nobody pays for another's evidence.

What a hostile submission would need a bug of ours for (endless time, all memory, a crash) a
predicate of the reference does here, when it is shown a certain value.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from frames_of import FakeSandbox
from small_course import (
    REFERENCE,
    RUBRIC,
    SOLUTION,
    TEMPLATE,
    WRONG,
    frames,
    make_course,
    notebook,
    write,
)

from grader.assignment import Assignment
from grader.batch import Batch, Silent
from grader.child import Child, needed_environment
from grader.course import Course
from grader.errors import Fault
from grader.executor import Local
from grader.intake.folders import Handed
from grader.judging.judge import judge_of
from grader.judging.judges import Judges
from grader.judging.opening import Limits
from grader.judging.page import Page
from grader.report.author import question
from grader.report.publish import Publisher
from grader.run import WITH_PAGES
from grader.score import unexecuted
from grader.store import Store
from grader.symbolic import Symbolic
from grader.values import Tensor
from grader.verdict import Score, Status

MORE_RUBRIC = """\
  - id: 4
    points: 1
    property: double
    holds: fits
    cases: [{x: 'normal(3)'}]
"""
MORE_REFERENCE = """
import os, sys, time, torch

print("{this would be a line of the answer}")

def fits(result, x):
    blocks = []
    what = int(result[0])
    while what == LOOPS:
        pass
    if what == SLEEPS:
        open(SLEPT, "w").close()
        time.sleep(600)
    while what == GROWS:
        blocks.append(b"x" * (1 << 26))
    if what == ASKS_TORCH:
        return len(torch.zeros(1 << 36)) == 0
    if what == ABORTS:
        os.abort()
    if what == LEAVES:
        sys.exit(0)
    if what == ABORTS_ONCE and not os.path.exists(ONCE):
        open(ONCE, "w").close()
        os.abort()
    if what == RAISES:
        print("noise", flush=True)
        raise KeyError("ours")
    return bool((result == 2 * x).all())
"""
WHATS = ["LOOPS", "SLEEPS", "GROWS", "ASKS_TORCH", "ABORTS", "LEAVES", "RAISES", "ABORTS_ONCE"]
"""What the predicate does when the first value is 1000 and the number of this."""
LIMITS = Limits(cpu_s=15, wall_s=240, memory_mib=1600)  # loading torch takes some of it


def value_of(what: str) -> float:
    return 1000.0 + WHATS.index(what)


class Bench:
    """A course whose submissions were executed by a sandbox that is told what to give."""

    def __init__(self, root: Path, symbolic: Symbolic, **students: list[str]) -> None:
        self.course: Course = make_course(root, **students)
        write(root / "rubrics" / "hw.yaml", RUBRIC.replace("points: 4", "points: 5") + MORE_RUBRIC)
        known = "".join(f"{what} = {value_of(what):.0f}\n" for what in WHATS)
        known += f"ONCE, SLEPT = {str(root / 'once')!r}, {str(root / 'slept')!r}\n"
        write(root / "reference/hw/reference.py", REFERENCE + known + MORE_REFERENCE)
        self.assignment: Assignment = self.course.open("hw", symbolic)
        self.store = Store(self.course.state)
        self.bugs: list[str] = []

    @property
    def handed(self) -> Handed:
        return Handed(self.course.root / "submissions" / "hw", "hw", self.assignment.layout)

    def run(self, student: str, *runs: list[Any]) -> None:
        batch = Batch(
            assignment=self.assignment,
            plan=self.assignment.plan("fake image"),
            executor=Local(FakeSandbox(*runs)),
            store=self.store,
            jobs=1,
            listener=Silent(),
            load=self.handed.read,
        )
        batch.execute([self.handed.read(student)], fresh=True)

    def told(self, value: float | None = None, formula: Any = "n*(n+1)/2") -> list[Any]:
        """Frames of a right answer, or of one whose results are all this number."""
        found = frames(self.assignment.plan("fake image").probes, formula, 2)
        for number, (kind, given, header) in enumerate(found):
            if value is not None and isinstance(given, Tensor):
                array = np.full_like(given.array, value)
                found[number] = (kind, Tensor(array, given.dtype, "torch"), header)
        return found

    def evidence(self, student: str) -> Path:
        """Where the evidence of a student is kept."""
        return self.course.state / "evidence" / self.store.entries("hw")[student].key

    def here(self) -> list[Score]:
        """Scores as they come about in this process."""
        judge = judge_of(self.assignment, self.store)
        return [score for one in self.handed if (score := judge.score(one, self.bugs))]

    def judged(self, jobs: int = 1, limits: Limits = LIMITS) -> list[Score]:
        """Scores from processes of their own."""
        with Judges(self.course, "hw", jobs=jobs, limits=limits) as judges:
            scores = judges.scores(self.assignment.rubric, self.handed.folders, self.bugs)
            return list(scores)

    def published(self, module: str = WITH_PAGES) -> list[Score]:
        """Scores from a process of their own, which also makes the pages in `reports`."""
        rubric, names = self.assignment.rubric, self.handed.students
        with Judges(self.course, "hw", limits=LIMITS, module=module) as judges:
            scores = judges.scores(
                rubric,
                self.handed.folders,
                self.bugs,
                lambda score: question(score, score.student),
            )
            return list(Publisher(rubric, judges.page, self.reports).published(scores, names))

    @property
    def reports(self) -> Path:
        """Where pages are."""
        return self.course.root / "reports"

    def pages(self, student: str) -> tuple[str, str]:
        """What the student reads, and what the staff does."""
        places = (self.reports / "hw" / who / f"{student}.html" for who in ("students", "staff"))
        student_page, staff_page = (path.read_text(encoding="utf-8") for path in places)
        return student_page, staff_page


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


def outcomes(score: Score) -> str:
    return " ".join(question.checks[0].outcome.value for question in score.questions)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, symbolic: Symbolic) -> Bench:
    """A student for every way in which a score comes about."""
    names = ("right", "loose", "fault", "gone", "forged", "damaged", "noisy", "old", "new")
    given = {name: [f"name = '{name}'", *SOLUTION] for name in names}
    bench = Bench(tmp_path_factory.mktemp("course"), symbolic, wrong=WRONG, blank=TEMPLATE, **given)
    for student in ("right", "blank", "gone", "damaged", "old"):
        bench.run(student, bench.told())
    bench.run("wrong", bench.told(3, formula="n**2"))
    bench.run("loose", bench.told(float("nan"), formula="n*(n+1"))
    bench.run("forged", bench.told(formula=[{"a": (1, None)}]))
    bench.run("noisy", bench.told(value_of("RAISES")))
    bench.run("fault", [])
    frames_file = bench.evidence("damaged") / "frames.bin"
    frames_file.write_bytes(frames_file.read_bytes()[:-1] + b"x")
    record = bench.evidence("old") / "record.json"
    told = json.loads(record.read_text())
    told["asked"]["2/1/case1"] = "another"
    record.write_text(json.dumps(told))
    folder = bench.course.root / "submissions" / "hw"
    write(folder / "gone" / "hw.ipynb", notebook("count = 1"))
    write(folder / "torn" / "hw.ipynb", '{"cells": [')
    (folder / "absent").mkdir()
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_scores_are_those_of_judging_in_this_process(bench: Bench, jobs: int) -> None:
    here = bench.here()
    assert bench.judged(jobs) == here
    assert {score.student: outcomes(score) for score in here} == {
        "absent": "not_run not_run not_run not_run",
        "blank": "full full not_run full",
        "damaged": "pending pending pending pending",
        "fault": "pending pending pending pending",
        "forged": "none full pending full",
        "loose": "none none pending none",
        "noisy": "full none pending none",
        "old": "full broken pending full",
        "right": "full full pending full",
        "torn": "pending pending pending pending",
        "wrong": "none none not_run none",
    }
    assert bench.bugs == []


@pytest.mark.slow
def test_a_bug_comes_back_with_its_traceback(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run("s01", bench.told())
    record = bench.evidence("s01") / "record.json"
    told_then = json.loads(record.read_text())
    told_then["limits"]["value_mib"] = "64"
    record.write_text(json.dumps(told_then))
    here, told = bench.here(), list(bench.bugs)
    bench.bugs.clear()
    assert bench.judged() == here
    assert bench.bugs == told
    assert "TypeError: " in told[0]
    assert here[0].note.startswith("a bug of the grader: TypeError(")


GIVEN_UP = {
    "LOOPS": "judging it took more than 15 s of processor time",
    "GROWS": "judging it took more than 1600 MiB of memory",
    "ASKS_TORCH": "judging it took more than 1600 MiB of memory",
    "ABORTS": "the process that judged it died: SIGABRT",
    "LEAVES": "the process that judged it died: SystemExit: 0",
}


@pytest.mark.slow
def test_what_takes_too_much_waits_for_a_person_and_costs_nobody_else(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    given = {f"a{number}": [f"# {number}", *SOLUTION] for number in range(len(GIVEN_UP))}
    honest = {f"{name}z": ["# honest", *SOLUTION] for name in given}
    bench = Bench(tmp_path, symbolic, **given, **honest)
    for student, what in zip(given, GIVEN_UP, strict=True):
        bench.run(student, bench.told(value_of(what)))
    for student in honest:
        bench.run(student, bench.told())
    before = psutil.Process().memory_info().rss
    scores = {score.student: score for score in bench.judged(jobs=2)}
    assert psutil.Process().memory_info().rss - before < 64 << 20
    for student, why in zip(given, GIVEN_UP.values(), strict=True):
        person = unexecuted(bench.handed.read(student), bench.assignment.rubric, why)
        assert scores[student] == person
        assert scores[student].status is Status.NEEDS_PERSON
    for student in honest:
        assert outcomes(scores[student]) == "full full pending full"
    assert bench.bugs == []


@pytest.mark.slow
def test_a_submission_whose_process_died_is_judged_once_more(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run("s01", bench.told(value_of("ABORTS_ONCE")))
    (score,) = bench.judged()
    assert (tmp_path / "once").exists()
    assert outcomes(score) == "full none pending none"


@pytest.mark.slow
def test_what_waits_for_ever_waits_for_a_person(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run("s01", bench.told(value_of("SLEEPS")))
    start = time.monotonic()
    (score,) = bench.judged(limits=Limits(wall_s=4))
    assert time.monotonic() - start > 8, "it is tried twice"
    assert (score.status, score.note) == (Status.NEEDS_PERSON, "judging it took more than 4 s")


@pytest.mark.slow
def test_ctrl_c_kills_every_process(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["# two", *SOLUTION])
    bench.run("s01", bench.told())
    bench.run("s02", bench.told(value_of("SLEEPS")))
    before = set(psutil.Process().children(recursive=True))
    started: set[psutil.Process] = set()

    def interrupt() -> None:
        while not (tmp_path / "slept").exists():
            time.sleep(0.1)
        started.update(set(psutil.Process().children(recursive=True)) - before)
        os.kill(os.getpid(), signal.SIGINT)

    with Judges(bench.course, "hw") as judges:
        scores = judges.scores(bench.assignment.rubric, bench.handed.folders, [])
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            list(scores)
    assert len(started) == 2, "one that judges, and one that compares formulas for it"
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []


@pytest.mark.slow
def test_what_is_raised_while_scores_are_taken_is_what_is_heard_of(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    many = {f"s{number}": [f"# {number}", *SOLUTION] for number in range(9)}
    bench = Bench(tmp_path, symbolic, **many)
    for student in many:
        bench.run(student, bench.told(value_of("SLEEPS") if student == "s1" else None))

    def fail() -> None:
        with Judges(bench.course, "hw", jobs=2) as judges:
            scores = judges.scores(bench.assignment.rubric, bench.handed.folders, [])
            assert next(scores).student == "s0"
            raise OSError("the disk is full")  # while threads still wait for what they asked

    start = time.monotonic()
    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert time.monotonic() - start < 60


def test_whoever_asks_a_dead_process_again_need_not_wait() -> None:
    child = Child("this", environment=needed_environment())  # prints a poem and ends
    while child.hear(60):
        pass
    assert child.hear(60) == ""
    assert child.stop() == 0


@pytest.mark.slow
def test_nobody_waits_for_scores_that_nobody_takes(tmp_path: Path, symbolic: Symbolic) -> None:
    many = {f"s{number}": [f"# {number}", *SOLUTION] for number in range(9)}
    bench = Bench(tmp_path, symbolic, **many)
    bench.run("s0", bench.told())
    bench.run("s1", bench.told(value_of("SLEEPS")))
    start = time.monotonic()
    with Judges(bench.course, "hw") as judges:
        scores = judges.scores(bench.assignment.rubric, bench.handed.folders, [])
        assert next(scores).student == "s0"
        scores.close()
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_a_rubric_that_was_changed_meanwhile_is_noticed(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run("s01", bench.told())
    path = bench.course.rubric_path("hw")
    path.write_text(
        path.read_text().replace("points: 5", "points: 6").replace("points: 2", "points: 3")
    )
    with pytest.raises(Fault, match="the rubric was changed while submissions were judged"):
        bench.judged()


@pytest.mark.slow
def test_what_the_process_cannot_open_is_said(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run("s01", bench.told())
    write(tmp_path / "reference/hw/reference.py", "1 / 0")
    says = "the process that judges did not start: the reference .* raised ZeroDivisionError"
    with pytest.raises(Fault, match=says):
        bench.judged()


NOT_SHOWN = "Cells and pictures could not be shown here"


@pytest.mark.slow
@pytest.mark.threat("RX-07")
def test_what_killed_the_judge_is_not_read_again_for_its_page(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["# two", *SOLUTION])
    bench.run("s01", bench.told(value_of("ABORTS")))
    bench.run("s02", bench.told())
    assert bench.published() == bench.judged()
    (ours, staff), (fine, _) = bench.pages("s01"), bench.pages("s02")
    assert NOT_SHOWN + "." in ours
    assert "the process that judged it died: SIGABRT" in staff
    assert "SIGABRT" not in ours
    assert "return x + x" in fine
    assert "return x + x" not in ours + staff
    assert (bench.reports / "hw" / "index.html").is_file()
    assert bench.bugs == []


DYING = {
    "aborts": "the process that judged it died: SIGABRT",
    "grows": "judging it took more than 1600 MiB of memory",
    "loops": "judging it took more than 15 s of processor time",
    "raises": "a bug of the grader: KeyError(&#39;ours&#39;)",
}


@pytest.mark.slow
@pytest.mark.threat("RX-07")
def test_a_page_that_cannot_be_made_costs_its_pictures_alone(
    tmp_path: Path, symbolic: Symbolic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    given = {name: [f"# {name}", *SOLUTION] for name in [*DYING, "zoe"]}
    bench = Bench(tmp_path, symbolic, **given)
    for student in given:
        bench.run(student, bench.told())
    scores = bench.published("dying_author")
    assert {score.student: outcomes(score) for score in scores} == dict.fromkeys(
        given, "full full pending full"
    )
    for student, why in DYING.items():
        ours, staff = bench.pages(student)
        assert f"{NOT_SHOWN}." in ours
        assert f"{NOT_SHOWN}: {why}" in staff
        assert "return x + x" not in ours + staff
        assert "Because." in ours
    assert "return x + x" in bench.pages("zoe")[0]
    (bug,) = bench.bugs
    assert "KeyError: 'ours'" in bug


@pytest.mark.parametrize(
    "spoil", [{"student": 1}, {"staff": None}, {"wall_s": "1"}, {"peak_mib": True}, {"bugs": [1]}]
)
def test_a_page_is_read_strictly(spoil: dict[str, Any]) -> None:
    page = Page(student="<p>", staff="<i>", wall_s=1.5, peak_mib=2, bugs=("x",))
    told = json.loads(json.dumps(asdict(page)))
    assert Page.read(told) == page
    with pytest.raises(ValueError, match="a page: expected"):
        Page.read({**told, **spoil})


@pytest.mark.slow
def test_torch_is_loaded_for_a_reference_only() -> None:
    told = "import sys, grader.judging.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
