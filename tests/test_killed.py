"""A grader that is killed at any moment: a plain run afterwards finishes, and nothing is lost.

`GRADER_KILLS` says how many are killed, 5 if it says nothing; a failing test prints its seed, which
`GRADER_SEED` sets.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from boxes import Opener, runs_with_containers
from small_course import SOLUTION, WRONG, make_course

from grader.course import Course
from grader.database.tables import DECISIONS
from grader.grades.rows import Grade
from grader.grades.store import open_grades
from grader.history import History
from grader.sandbox.engine import connect
from grader.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]

#: Exit codes: all are scored, or some wait for a person.
FINISHED = (0, 1)
KILLS = int(os.environ.get("GRADER_KILLS", "5"))
SEED = int(os.environ.get("GRADER_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
#: What there may be in `.grader/`.
KNOWN = {"evidence", "evidence.lock", "known.sqlite", "secret", "written"}
KNOWN |= {"grader.db", "database", "course"}
#: How often a grader that ended before its moment is followed by another, which lives longer.
VICTIMS = 6
DRAWN = """
import os
count = ["n*(n+1)/2", "n**2", "n**3"][os.urandom(1)[0] % 3]
def double(x):
    return x * x if count == "n**3" else x + x
"""
AGAIN = "what was whole was executed again"
#: What each draw of the sample that draws earns: points by question, and all of them.
EARNS = {"n*(n+1)/2": ("1", "2", "3"), "n**2": ("0", "2", "2"), "n**3": ("0", "0.5", "0.5")}
DRAWS = "s02"
SAMPLES = {"s01": SOLUTION, DRAWS: [DRAWN, SOLUTION[-1]], "s03": WRONG, "s04": SOLUTION}
Row = dict[str, str]


def is_probe(path: Path) -> bool:
    """Whether a file is Python's own, by which it looks whether it may write in a folder."""
    return path.is_file() and len(path.name) == 8 and path.stat().st_size <= len(b"blat")


class Trial:
    """A course in which every student has a score and one has a grade of a person's."""

    def __init__(
        self,
        root: Path,
        sandbox: str,
        scratch: Path,
        students: int = 4,
        database: str = "",
    ) -> None:
        self.database = database
        self.chance = random.Random(SEED)  # noqa: S311 - no secret
        print(f"GRADER_SEED={SEED}")  # noqa: T201 - pytest shows it if the test fails
        self.scratch = scratch
        self.runs: set[str] = set()
        """Ids of runs in containers; others may run on the same engine."""
        self.course: Course = make_course(root / "c", **dict(list(SAMPLES.items())[:students]))
        self.command = ["run", "submissions", "--sandbox", sandbox, "--trust-students", "--jobs=2"]
        begun = time.monotonic()
        assert self.finish(*self.command) == 1, "question 3 waits for a person"
        executed = time.monotonic()
        self.grade()
        graded = time.monotonic()
        self.run_again()
        self.takes_s = {"--fresh": executed - begun, "": time.monotonic() - graded}
        """How long each kind of run takes, by its option."""
        self.right, self.grades = self.table(), self.history()
        assert self.right["s01"]["3"] == "1"
        self.rests_on_what_stands()

    def start(self, *args: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "grader", *args],
            cwd=self.course.root,
            env=os.environ | {"TMPDIR": str(self.scratch), "GRADER_DATABASE": self.database},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )

    def finish(self, *args: str) -> int:
        return self.start(*args).wait(600)

    def kill_one(self) -> None:
        """Kill a grader at some moment of its life; half of the time another is at work as well."""
        died = (self.kill_at_some_moment() for _ in range(VICTIMS))
        assert any(died), "every grader ended before its moment"

    def kill_at_some_moment(self) -> bool:
        """Start a grader and kill it; returns whether it was still alive."""
        kind, before = self.chance.choice(["--fresh", ""]), self.kept()
        begun = time.monotonic()
        victim = self.start(*self.command, *filter(None, [kind]))
        others = [self.start(*self.command, "--fresh")] if self.chance.random() < 0.5 else []
        with suppress(subprocess.TimeoutExpired):
            victim.wait(self.chance.uniform(0, self.takes_s[kind]))
            self.takes_s[kind] = time.monotonic() - begun
        self.runs |= {path.stem.removeprefix("grader-") for path in self.scratch.glob("*.lock")}
        victim.send_signal(signal.SIGKILL)
        ended = victim.wait(60)
        assert ended in (*FINISHED, -signal.SIGKILL)
        assert all(grader.wait(600) in FINISHED for grader in others), "the other one finishes"
        if not kind and not others:
            assert before.items() <= self.kept().items(), AGAIN
        return ended == -signal.SIGKILL

    def run_again(self) -> None:
        """A plain run, which executes nothing that is known."""
        before = self.kept()
        assert self.finish(*self.command) in FINISHED
        assert before.items() <= self.kept().items(), AGAIN

    def grade(self) -> None:
        sheet = self.course.root / "reports" / "hw" / "written.csv"
        text = sheet.read_text("utf-8-sig")
        told = list(csv.DictReader(text.splitlines()))
        for row in told:
            row["points"] = "1" if row["student"] == "s01" else ""
        with (self.course.root / "graded.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, told[0])
            writer.writeheader()
            writer.writerows(told)
        args = ("import", "graded.csv", "--assignment", "hw", "--by", "ann")
        assert self.finish("grades", *args) == 0

    def table(self) -> dict[str, Row]:
        """`scores.csv` by student, but for the one that draws; every student is in it once."""
        found = self.rows()
        assert found.keys() == {path.name for path in self.handed.iterdir()}
        del found[DRAWS]
        return found

    def rows(self) -> dict[str, Row]:
        path = self.course.root / "reports" / "hw" / "scores.csv"
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
        found = {row["student"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    @property
    def handed(self) -> Path:
        return self.course.root / "submissions" / "hw"

    @property
    def store(self) -> Store:
        return Store(self.course.state, self.database)

    def kept(self) -> dict[str, str]:
        """Digest of what each run showed whose evidence is whole, by its key."""
        store, folder = self.store, self.course.state / "evidence"
        found = {path.name: store.record(path.name) for path in folder.iterdir()}
        return {key: one.frames for key, one in found.items() if one and store.has(key)}

    def rests_on_what_stands(self) -> None:
        """The score of the sample that draws is that of the very run whose evidence is kept."""
        kept = self.store.load(self.store.entries("hw")[DRAWS].key)
        drawn, row = kept.evidence.observed("1/1/value").value, self.rows()[DRAWS]
        assert (row["1"], row["2"], row["total"]) == EARNS[str(drawn)]

    def history(self) -> list[Grade]:
        with open_grades(self.course.state, self.database, reading=True) as grades:
            return grades.history("hw")

    def is_whole(self) -> None:
        """Nothing is lost, nothing is left over, everybody has the score of before."""
        self.run_again()
        assert self.table() == self.right
        self.rests_on_what_stands()
        assert self.history() == self.grades
        rows, store = self.rows(), self.store
        history = History(store.database, "hw")
        entries = store.entries("hw")
        scored = history.at(history.scorings()[-1])
        assert set(entries) == set(scored) == set(rows)
        for student, one in scored.items():
            assert one.score
            assert f"{one.score.total:g}" == rows[student]["total"]
            record = store.record(entries[student].key)
            assert record
            assert one.evidence == record.frames
        with store.database.reading() as connection:
            told = connection.execute(DECISIONS.select()).mappings()
            assert {row["fault"] for row in told} == {""}
        kept = self.kept()
        assert self.finish("score", "submissions") in FINISHED
        assert (self.rows(), self.kept()) == (rows, kept), "scored again, it is the same"
        self.nothing_is_left(store)

    def nothing_is_left(self, store: Store) -> None:
        entries = [*store.entries("hw").values(), *store.entries("hw.starter").values()]
        keys = {entry.key for entry in entries}
        state = self.course.state
        assert {path.name for path in (state / "evidence").iterdir()} == keys
        assert {path.name for path in state.iterdir()} - KNOWN == set()
        left = [path for path in self.course.root.rglob("*") if path.name.endswith(".new")]
        sheets = list((self.course.root / "reports" / "hw").glob("written-*"))
        scratch = [path for path in self.scratch.iterdir() if not is_probe(path)]
        assert (left, sheets, scratch) == ([], [], [])
        assert self.processes() == []

    def processes(self) -> list[psutil.Process]:
        """What still runs of any of the graders; some take a moment to see that they are alone."""
        for _ in range(100):
            found = list(filter(self._is_ours, psutil.process_iter()))
            if not found:
                break
            time.sleep(0.1)
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            return False
        told = (environment.get(name, "") for name in ("TMPDIR", "HOME"))
        return any(value.startswith(str(self.scratch)) for value in told)


@pytest.mark.timeout(3600)
def test_after_graders_were_killed_a_plain_run_makes_all_whole(
    tmp_path: Path, scratch: Path, database_url: str
) -> None:
    trial = Trial(tmp_path, "process", scratch, database=database_url)
    for _ in range(KILLS):
        trial.kill_one()
    trial.is_whole()


@pytest.mark.docker
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sandbox", ["docker", "docker-warm"])
def test_after_graders_with_containers_were_killed_no_container_is_left(
    sandbox: str, tmp_path: Path, scratch: Path, opened: Opener
) -> None:
    opened(sandbox)
    trial = Trial(tmp_path, sandbox, scratch, students=2)
    client = connect()
    try:
        for _ in range(2):
            trial.kill_one()
        trial.is_whole()
        assert runs_with_containers(client) & trial.runs == set()
    finally:
        client.close()
