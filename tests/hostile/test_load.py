"""A class of which a third is hostile, in one batch, two at a time.

GRADER_LOAD=200 has 200 students instead of 40:

    GRADER_LOAD=200 .venv/bin/python -m pytest -s tests/hostile/test_load.py
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from boxes import Opener
from small_course import notebook

from grader.course import Course
from grader.intake.folders import Handed
from grader.judging.judges import Judges
from grader.report.tables import write_reports
from grader.symbolic import Symbolic
from grader.verdict import Status
from hostile.attack import ATTACKS, Host, Seen, find_attacks
from hostile.course import RIGHT, SLUG, WRONG
from hostile.exhausting import CELL_S, SLACK_S, TOTAL_S
from hostile.grading import grade

find_attacks()

STUDENTS = int(os.environ.get("GRADER_LOAD", "40"))
JOBS = 2
JUDGE_MIB = 1024
"""What a process that judges takes, with torch and its own process for formulas."""
ROOM_MIB = 256 + JOBS * JUDGE_MIB
"""What the grader and its own processes may take beside what they took before."""
SCORING_S = 3.0
"""For each student, beside what the sandbox took: reading, comparing, writing."""
#: One of each class, few of which wait for a limit; a larger class has all the others too.
FIRST = (
    "an object that equals everything",
    "a flood past the kernel's own streams",
    "results forged in every module",
    "a fork bomb",
    "result files in every folder",
    "memory in one process",
    "walking to the host through proc",
    "an answer of a hundred mebibytes",
    "connecting to whatever may listen",
    "killing everything it can see",
    "a busy loop",
    "links in the place of every output",
    "whole frames written to every stream",
)

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def hostile_students() -> list[str]:
    """The names of attacks for a third of the class."""
    tried = [n for n, a in ATTACKS.items() if "docker" in a.sandboxes and not a.elsewhere]
    resisted = [name for name in tried if "docker" not in ATTACKS[name].unresisted]
    others = [name for name in resisted if name not in FIRST]
    chosen = [*FIRST, *others][: STUDENTS // 3]
    assert len(chosen) == STUDENTS // 3, "there are not so many attacks"
    return chosen


@dataclass(frozen=True, kw_only=True)
class Honest:
    """A student with some right answers and some wrong ones, and a word nobody else has."""

    right: frozenset[str]
    word: str = field(default_factory=lambda: f"mine-{secrets.token_hex(8)}")

    @property
    def notebook(self) -> str:
        cells = [(RIGHT if name in self.right else WRONG)[name] for name in RIGHT]
        return notebook(f"mine = {self.word!r}\nprint(mine)", *cells)

    def points(self, seen: Seen) -> dict[str, float | None]:
        """What they must earn."""
        asked = [question for question in seen.score.questions if question.id != "found"]
        return {q.id: q.max_points if q.id in self.right else 0 for q in asked}


def honest_students(count: int) -> dict[str, Honest]:
    """By name; hardly two have the same answers right."""
    names = [name for name in RIGHT if name != "found"]
    made = {}
    for number in range(count):
        right = {name for bit, name in enumerate(names) if (number * 37 + 91) >> bit & 1}
        made[f"honest-{number:03}"] = Honest(right=frozenset(right))
    return made


@dataclass
class Memory:
    """The most that this process and its children held at one moment, in MiB."""

    start_mib: float
    peak_mib: float = 0.0


def resident_mib() -> float:
    total = 0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):  # it has just ended
            total += process.memory_info().rss
    return total / 2**20


@contextmanager
def watched() -> Iterator[Memory]:
    """Look at the memory ten times a second."""
    memory, over = Memory(start_mib=resident_mib()), threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            memory.peak_mib = max(memory.peak_mib, resident_mib())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What grading the class showed."""

    root: Path
    honest: dict[str, Honest]
    seen: dict[str, Seen]
    memory: Memory
    wall_s: float


@pytest.fixture(scope="module")
def shown(opened: Opener, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The class, graded once."""
    sandbox, root = opened("docker"), tmp_path_factory.mktemp("load")
    chosen = hostile_students()
    honest = honest_students(STUDENTS - len(chosen))
    notebooks = {name: student.notebook for name, student in honest.items()}
    begun = time.monotonic()
    with watched() as memory:
        seen = grade(root, host, sandbox, chosen, honest=notebooks, jobs=JOBS)
    wall_s = time.monotonic() - begun
    print(f"\n{STUDENTS} students, {len(chosen)} hostile: {wall_s:.0f} s, {memory}")  # noqa: T201
    return Shown(root=root, honest=honest, seen=seen, memory=memory, wall_s=wall_s)


@pytest.mark.threat("RE-02", "XS-01", where="docker")
def test_honest_students_earn_what_is_theirs_in_a_class_with_hostile_ones(shown: Shown) -> None:
    found = {name: (shown.seen[name].status, shown.seen[name].points) for name in shown.honest}
    assert found == {
        name: (Status.COMPLETE, student.points(shown.seen[name]))
        for name, student in shown.honest.items()
    }


@pytest.mark.threat("RE-02", where="docker")
def test_hostile_students_of_a_class_get_nowhere(shown: Shown) -> None:
    failed = []
    for name in hostile_students():
        attack = ATTACKS[name]
        try:
            attack.was_tried(shown.seen[name])
            attack.holds(shown.seen[name], shown.seen[attack.onto])
        except AssertionError as error:
            failed.append(f"{name}: {error}")
    assert failed == []


@pytest.mark.threat("XS-01", where="docker")
def test_nothing_of_a_student_is_in_anybody_elses_evidence_or_report(shown: Shown) -> None:
    words = {name: student.word for name, student in shown.honest.items()}
    holders = {
        word: {
            n for n, seen in shown.seen.items() if word.encode() in seen.left + seen.told.encode()
        }
        for word in words.values()
    }
    assert holders == {word: {name} for name, word in words.items()}


@pytest.mark.threat("XS-05", where="docker")
def test_rows_of_honest_students_are_the_same_with_and_without_hostile_ones(
    shown: Shown, tmp_path: Path
) -> None:
    course, alone = shown.root, tmp_path / "alone"
    for part in ("rubrics", "reference", ".grader"):
        shutil.copytree(course / part, alone / part)
    for student in shown.honest:
        handed_in = Path("submissions", SLUG, student)
        shutil.copytree(course / handed_in, alone / handed_in)
    report(Course(alone))
    table = Path("reports", SLUG, "scores.csv")
    rows = (course / table).read_bytes().splitlines(keepends=True)
    kept = [row for row in rows if row.split(b",")[0].decode() in ("student", *shown.honest)]
    assert b"".join(kept) == (alone / table).read_bytes()
    assert len(rows) == 1 + len(shown.seen)


def report(course: Course) -> None:
    """Score what is kept, and write the tables."""
    bugs: list[str] = []
    with Symbolic() as symbolic:
        assignment = course.open(SLUG, symbolic)
        handed = Handed(course.root / "submissions" / SLUG, SLUG, assignment.layout)
        with Judges(course, SLUG, jobs=JOBS) as judges:
            scores = judges.scores(assignment.rubric, handed.folders, bugs)
            write_reports(scores, handed.students, assignment.rubric, course.root / "reports")
    assert bugs == []


@pytest.mark.threat("RE-02", where="docker")
def test_a_class_with_hostile_students_takes_two_workers_no_longer_than_its_limits(
    shown: Shown,
) -> None:
    took = [seen.evidence.wall_s for seen in shown.seen.values() if seen.evidence]
    assert len(took) == len(shown.seen)
    assert max(seen.student_s for seen in shown.seen.values()) < TOTAL_S + SLACK_S
    assert max(seen.student_s for n, seen in shown.seen.items() if n in shown.honest) < CELL_S
    # Two workers who are never idle, and at the end one who waits for the other.
    assert shown.wall_s < sum(took) / JOBS + max(took) + SCORING_S * len(took)


@pytest.mark.threat("RX-06", where="grader")
def test_the_graders_memory_stays_bounded_while_hostile_students_are_graded(shown: Shown) -> None:
    assert shown.memory.peak_mib < shown.memory.start_mib + ROOM_MIB
