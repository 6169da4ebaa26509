"""One submission never stops the others, and a fault of ours never becomes a zero."""

import errno
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from frames_of import NOTHING, FakeSandbox
from small_course import SOLUTION, frames, make_course, notebook, write
from sqlalchemy import func, select

from grader.assignment import Assignment
from grader.batch import Batch, execute_starter, score_all
from grader.course import Course
from grader.database.tables import DECISIONS
from grader.errors import EngineAway, InputError, StoreFault
from grader.evidence import ProbeStatus
from grader.execute import execute
from grader.executor import Local
from grader.frames import FrameReader
from grader.intake.folders import Handed
from grader.judging.judge import starter_known
from grader.plan import Limits
from grader.reference import Reference
from grader.sandbox.base import Stopped
from grader.score import score
from grader.store import EARLIER, NEW, Entry, Store, key_of
from grader.symbolic import Symbolic
from grader.verdict import Score, Status


class Listened:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.reasons: dict[str, int] = {}

    def planned(self, new: int, known: int, alike: int) -> None:
        more = f", {alike} alike" if alike else ""
        self.heard.append(("planned", f"{new} new, {known} known{more}"))

    def explained(self, reasons: Mapping[str, int]) -> None:
        self.reasons = dict(reasons)

    def awaited(self, count: int) -> None:
        self.heard.append(("awaited", str(count)))

    def began(self, student: str) -> None:
        self.heard.append(("began", student))

    def retried(self, student: str, why: str) -> None:
        self.heard.append(("retried", student, why))

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        self.heard.append(("finished", student, says))


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic(wall_s=20) as started:
        yield started


class Bench:
    """A course with a batch over a fake sandbox."""

    def __init__(self, root: Path, symbolic: Symbolic, **students: list[str]) -> None:
        self.course: Course = make_course(root, **students)
        self.assignment: Assignment = self.course.open("hw", symbolic)
        self.store = Store(self.course.state)
        self.listened = Listened()
        self.plan = self.assignment.plan("fake image")

    @property
    def handed(self) -> Handed:
        return Handed(self.course.root / "submissions" / "hw", "hw")

    def right(self) -> list[Any]:
        return frames(self.plan.probes, "n*(n+1)/2", 2)

    def run(self, sandbox: FakeSandbox, *, fresh: bool = False) -> Batch:
        batch = Batch(
            assignment=self.assignment,
            plan=self.plan,
            executor=Local(sandbox),
            store=self.store,
            jobs=1,
            listener=self.listened,
            load=self.handed.read,
        )
        batch.execute(self.handed, fresh=fresh)
        return batch

    def scores(self) -> dict[str, Score]:
        bugs: list[str] = []
        scores = {s.student: s for s in score_all(self.assignment, self.handed, self.store, bugs)}
        assert bugs == []
        return scores


def points(score: Score) -> dict[str, float | None]:
    return {question.id: question.points for question in score.questions}


@pytest.mark.slow
def test_evidence_is_scored(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    score = bench.scores()["s01"]
    assert points(score) == {"1": 1, "2": 2, "3": None}
    assert (score.total, score.percent, score.needs_person) == (3, None, ("3",))


def test_a_known_mistake_is_named_and_earns_its_credit(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    told = frames(bench.plan.probes, "n^2", 1)
    for kind, value, _ in told:
        if kind == "probe" and hasattr(value, "array"):
            value.array[...] = value.array**2
    bench.run(FakeSandbox(told))
    checks = [question.checks[0] for question in bench.scores()["s01"].questions]
    assert [(check.points, check.feedback) for check in checks[:2]] == [
        (0, "Every pair was counted. At n = 2 yours gives 4, expected 3."),
        (0.5, "That is the square."),
    ]


def test_a_second_run_executes_nothing(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    sandbox = FakeSandbox(bench.right())
    bench.run(sandbox)
    bench.run(sandbox)
    assert sandbox.count == 1
    assert bench.listened.heard[-1] == ("planned", "0 new, 1 known")


def test_identical_submissions_run_once(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=SOLUTION)
    sandbox = FakeSandbox(bench.right())
    bench.run(sandbox)
    assert sandbox.count == 1
    assert bench.listened.heard[0] == ("planned", "2 new, 0 known, 1 alike")
    assert {s.student: s.total for s in bench.scores().values()} == {"s01": 3, "s02": 3}


def test_a_fault_is_retried_and_then_forgotten(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox([], bench.right()))
    assert [heard[0] for heard in bench.listened.heard] == [
        "planned",
        "began",
        "retried",
        "finished",
    ]
    assert bench.scores()["s01"].total == 3


def test_a_retry_shares_no_gpu(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.plan = bench.assignment.plan("fake image", gpu=True, gpu_mib=2048, gpu_share=True)
    told: list[Limits] = []

    class Listening(FakeSandbox):
        def run(self, box: bytes, reader: FrameReader, **rest: Any) -> Stopped:
            told.append(rest["limits"])
            return super().run(box, reader, **rest)

    bench.run(Listening([], bench.right()))
    assert [(limits.gpu_mib, limits.gpu_share) for limits in told] == [(2048, True), (2048, False)]
    assert bench.scores()["s01"].status is Status.COMPLETE


def test_two_faults_leave_the_score_empty(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox([]))
    score = bench.scores()["s01"]
    assert score.status is Status.NEEDS_PERSON
    assert points(score) == {"1": None, "2": None, "3": None}
    assert (score.total, score.percent) == (None, None)
    assert "never became ready" in score.note


def test_a_guest_that_is_killed_for_memory_gets_a_second_run(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(Starved(bench.right()[:2], bench.right()))
    assert ("retried", "s01", "the guest itself was killed for memory") in bench.listened.heard
    assert bench.scores()["s01"].status is Status.COMPLETE  # it was this machine's lack of memory
    bench.run(Starved(bench.right()[:2]), fresh=True)
    assert bench.scores()["s01"].status is Status.MEMORY_LIMIT


class Starved(FakeSandbox):
    """A sandbox whose first process is killed for memory, where a recording has no end."""

    def run(self, box: bytes, reader: Any, **more: Any) -> Any:
        stopped = super().run(box, reader, **more)
        return stopped if reader.ended else replace(stopped, oom_killed=True, exit_code=137)


def test_a_fault_does_not_stop_the_next(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=["x = 1"], s02=SOLUTION)
    bench.run(FakeSandbox([], [], bench.right()))
    assert {s.student: s.status for s in bench.scores().values()} == {
        "s01": Status.NEEDS_PERSON,
        "s02": Status.COMPLETE,
    }
    again = FakeSandbox(bench.right())
    bench.run(again)
    assert again.count == 1, "only what met a fault is executed again"
    assert bench.scores()["s01"].status is Status.COMPLETE


class Exploding(FakeSandbox):
    def run(self, *args: Any, **more: Any) -> Any:
        raise ZeroDivisionError("a bug of ours")


def test_a_bug_of_ours_leaves_the_score_empty_and_is_reported(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    batch = bench.run(Exploding([]))
    assert "ZeroDivisionError: a bug of ours" in batch.bugs[0]
    assert bench.scores()["s01"].status is Status.NEEDS_PERSON


class Unusable(FakeSandbox):
    def run(self, *args: Any, **more: Any) -> Any:
        raise InputError("data/: other users cannot read this")


def test_what_staff_must_mend_stops_the_batch(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["x = 2"])
    with pytest.raises(InputError, match="other users cannot read this"):
        bench.run(Unusable([]))
    assert bench.scores() == {}


class Interrupted(FakeSandbox):
    """Somebody presses Ctrl-C while the second submission runs."""

    closed = False

    def run(self, *args: Any, **more: Any) -> Any:
        if self.count == 1:
            raise KeyboardInterrupt
        return super().run(*args, **more)

    def close(self) -> None:
        self.closed = True


def test_an_interrupt_stops_sandboxes_and_keeps_what_is_finished(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["x = 2"], s03=["x = 3"])
    sandbox = Interrupted(bench.right())
    with pytest.raises(KeyboardInterrupt):
        bench.run(sandbox)
    assert sandbox.closed
    assert list(bench.scores()) == ["s01"]
    bench.run(FakeSandbox(bench.right()))
    assert list(bench.scores()) == ["s01", "s02", "s03"]


def test_what_was_handed_in_anew_is_not_scored_by_old_evidence(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    path = bench.course.root / "submissions" / "hw" / "s01" / "hw.ipynb"
    path.write_text(path.read_text().replace("x + x", "3 * x"))
    assert bench.scores() == {}


def test_changed_points_rescore_and_a_changed_question_is_left_open(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    path = bench.course.rubric_path("hw")
    path.write_text(
        path.read_text().replace("points: 4", "points: 6").replace("points: 2", "points: 4")
    )
    bench.assignment = bench.course.open("hw", symbolic)
    assert points(bench.scores()["s01"]) == {"1": 1, "2": 4, "3": None}
    path.write_text(path.read_text().replace("normal(3)", "normal(4)"))
    bench.assignment = bench.course.open("hw", symbolic)
    score = bench.scores()["s01"]
    assert points(score) == {"1": 1, "2": None, "3": None}
    said = "the question has changed since this was executed: grader run"
    assert score.questions[1].checks[0].for_staff == said


def test_a_reference_that_raises_breaks_the_check_and_takes_no_points(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    path = bench.course.root / "reference" / "hw" / "reference.py"
    path.write_text("def double(x):\n    return 1 / 0\n\ndef squared(x):\n    return x\n")
    context = replace(bench.assignment.context, reference=Reference(path))
    bench.assignment = replace(bench.assignment, context=context)
    score = bench.scores()["s01"]
    assert points(score) == {"1": 1, "2": None, "3": None}
    said = "the reference double raised ZeroDivisionError: division by zero"
    assert score.questions[1].checks[0].for_staff == said


def test_a_reference_leaves_no_bytecode_that_a_full_disk_could_cut(tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text("from .more import one\n")
    (tmp_path / "more.py").write_text("one = 1\n")
    assert Reference(tmp_path / "reference.py").value("one") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more.py", "reference.py"]


def test_damaged_evidence_is_a_fault_and_no_zero(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    (frames_file,) = (bench.course.state / "evidence").glob("*/frames.bin")
    frames_file.write_bytes(frames_file.read_bytes()[:-1] + b"x")
    score = bench.scores()["s01"]
    assert score.status is Status.NEEDS_PERSON
    assert score.note.endswith(" is damaged: grader run")


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (Path.unlink, "frames.bin"),
        (Path.unlink, "record.json"),
        (flip, "frames.bin"),
        (lambda path: path.write_text("{}"), "record.json"),
    ],
    ids=["no frames", "no record", "one bit", "another record"],
)
def test_of_evidence_that_is_not_whole_only_that_is_made_anew(
    spoil: Callable[[Path], object], name: str, tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["x = 1", *SOLUTION])
    bench.run(FakeSandbox(bench.right(), bench.right()))
    spoil(bench.store.root / "evidence" / bench.store.entries("hw")["s01"].key / name)
    assert bench.scores()["s01"].status is Status.NEEDS_PERSON
    sandbox = FakeSandbox(bench.right())
    bench.run(sandbox)
    assert sandbox.count == 1
    assert bench.listened.reasons == {"its evidence is gone or damaged": 1}
    assert {score.status for score in bench.scores().values()} == {Status.COMPLETE}
    assert list((bench.course.state / "evidence").glob(".new-*")) == []


def test_fresh_executes_what_is_known(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    sandbox = FakeSandbox(bench.right())
    bench.run(sandbox)
    bench.run(sandbox, fresh=True)
    assert sandbox.count == 2
    assert bench.scores()["s01"].total == 3


def test_changed_data_is_said(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    write(tmp_path / "reference" / "hw" / "student" / "data" / "train.csv", "1,2")
    bench.assignment = bench.course.open("hw", symbolic)
    assert bench.scores()["s01"].note == "data/ has changed since this was executed: grader run"


@pytest.mark.slow
def test_a_store_that_takes_nothing_stops_the_batch(tmp_path: Path, symbolic: Symbolic) -> None:
    many = {f"s{number:02}": [f"x = {number}"] for number in range(9)}
    bench = Bench(tmp_path, symbolic, **many)

    class TakingAway(FakeSandbox):
        def run(self, box: bytes, reader: Any, **more: Any) -> Any:
            database = bench.course.state / "grader.db"
            if database.is_file():
                database.rename(tmp_path / "taken away")
                database.mkdir()
            time.sleep(0.3)
            return super().run(box, reader, **more)

    sandbox = TakingAway(bench.right())
    with pytest.raises(StoreFault, match=r"grader\.db cannot be used: "):
        bench.run(sandbox)
    assert 0 < sandbox.count < 9


def test_evidence_that_cannot_be_kept_stops_the_batch_and_is_nobodys_fault(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    many = {f"s{number:02}": [f"x = {number}"] for number in range(9)}
    bench = Bench(tmp_path, symbolic, **many)
    taken = bench.store.root / "evidence"
    taken.parent.mkdir(exist_ok=True)
    taken.write_text("a file where the folder should be")
    sandbox = FakeSandbox(bench.right())
    with pytest.raises(StoreFault, match=r"^evidence cannot be written to .*File exists"):
        bench.run(sandbox)
    assert sandbox.count == 0
    assert not [told for told in bench.listened.heard if told[0] == "retried"]
    assert bench.store.entries("hw") == {}
    taken.unlink()
    bench.run(FakeSandbox(*[bench.right()] * 9))
    assert {score.status for score in bench.scores().values()} == {Status.COMPLETE}


def test_an_answer_that_is_no_value_costs_that_check_only(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)

    class Forging(FakeSandbox):
        def run(self, box: bytes, reader: Any, **more: Any) -> Any:
            stopped = super().run(box, reader, **more)
            reader.frames[2] = replace(reader.frames[2], payload=b"junk")
            return stopped

    sandbox = Forging(bench.right())
    evidence = execute(next(iter(bench.handed)), bench.plan, sandbox, None).evidence()
    assert evidence.observed("1/1/value").status is ProbeStatus.MALFORMED
    assert evidence.observed("2/1/value").status is ProbeStatus.OK
    scored = score(evidence, next(iter(bench.handed)), bench.assignment)
    first = scored.questions[0].checks[0]
    assert (first.points, first.feedback) == (0, "count cannot be read as plain data.")


def test_a_bug_in_one_check_costs_no_other(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError("a bug of ours")

    broken: Any = Broken()
    context = replace(bench.assignment.context, symbolic=broken)
    bench.assignment = replace(bench.assignment, context=context)
    bugs: list[str] = []
    (scored,) = score_all(bench.assignment, bench.handed, bench.store, bugs)
    assert points(scored) == {"1": None, "2": 2, "3": None}
    assert "ZeroDivisionError: a bug of ours" in bugs[0]
    assert (
        scored.questions[0].checks[0].feedback == "The grader could not judge this; a person will."
    )


class Away(FakeSandbox):
    """Its engine is away so many times."""

    times = 0

    def run(self, *args: Any, **more: Any) -> Any:
        if self.times:
            self.times -= 1
            raise EngineAway("the engine made no container: refused")
        return super().run(*args, **more)


@pytest.mark.parametrize(("times", "total"), [(3, 3), (6, None)])
def test_an_engine_that_was_away_is_no_fault_unless_it_goes_again_and_again(
    times: int, total: float | None, tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    sandbox = Away(bench.right())
    sandbox.times = times
    bench.run(sandbox)
    assert (bench.scores()["s01"].total, sandbox.count) == (total, total is not None)
    assert [told[0] for told in bench.listened.heard].count("retried") == times
    said = bench.store.entries("hw")["s01"].fault
    assert said == ("" if total else "the engine goes away again and again")


class Held(FakeSandbox):
    """Has begun the first submission, and goes on when it is told to."""

    def __init__(self, *runs: Any) -> None:
        super().__init__(*runs)
        self.began, self.goes_on = threading.Event(), threading.Event()

    def run(self, *args: Any, **more: Any) -> Any:
        self.began.set()
        assert self.goes_on.wait(20)
        return super().run(*args, **more)


@pytest.mark.slow
def test_two_graders_at_once_share_the_work_and_execute_nothing_twice(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["x = 1"])
    wrong = frames(bench.plan.probes, "n*(n+1)/2", 3)
    first, second = Held(bench.right()), FakeSandbox(wrong)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(bench.run, first)
        assert first.began.wait(20)
        other = pool.submit(bench.run, second)
        while ("finished", "s02", "complete") not in bench.listened.heard:
            assert not wait([one, other], timeout=0.05).done
        while ("awaited", "1") not in bench.listened.heard:
            assert not wait([one, other], timeout=0.05).done
        first.goes_on.set()
        one.result(), other.result()
    assert (first.count, second.count) == (1, 1)
    assert bench.listened.heard.count(("awaited", "1")) == 1
    assert {name: points(one)["2"] for name, one in bench.scores().items()} == {"s01": 2, "s02": 0}
    assert list((bench.store.root / "evidence").glob(".*")) == []


@pytest.mark.slow
def test_who_waits_for_another_grader_can_be_interrupted(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    batch = Batch(
        assignment=bench.assignment,
        plan=bench.plan,
        executor=Local(FakeSandbox(bench.right())),
        store=bench.store,
        jobs=1,
        listener=bench.listened,
        load=bench.handed.read,
    )
    (submission,) = bench.handed
    ours = threading.get_ident()
    with bench.store.claimed(key_of(submission, bench.plan)):
        threading.Timer(1, signal.pthread_kill, (ours, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            batch.execute(bench.handed)
    assert bench.store.entries("hw") == {}


@pytest.mark.parametrize("fresh", [False, True])
def test_without_locks_the_first_evidence_stands_unless_it_is_made_anew(
    tmp_path: Path, symbolic: Symbolic, fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.locks._is_held", lambda file: False)  # as on Windows
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    wrong = frames(bench.plan.probes, "n*(n+1)/2", 3)

    class Slower(FakeSandbox):
        def run(self, box: bytes, reader: Any, **more: Any) -> Any:
            bench.run(FakeSandbox(bench.right()))  # another grader begins later and is first
            return super().run(box, reader, **more)

    bench.run(Slower(wrong), fresh=fresh)
    assert points(bench.scores()["s01"])["2"] == (0 if fresh else 2)
    assert len(list((bench.store.root / "evidence").iterdir())) == 1


def test_evidence_that_gave_way_to_what_cannot_be_kept_stands(
    tmp_path: Path, symbolic: Symbolic, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "whole":
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreFault, match="No space left on device"):
        bench.run(FakeSandbox(bench.right()), fresh=True)
    assert bench.store.has(bench.store.entries("hw")["s01"].key)
    assert bench.scores()["s01"].total == 3


def test_evidence_that_had_given_way_is_put_back_after_a_kill(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    bench.run(FakeSandbox(bench.right()))
    evidence, key = bench.store.root / "evidence", bench.store.entries("hw")["s01"].key

    left = evidence / f"{NEW}x"  # of a grader that was killed between the two moves of --fresh
    left.mkdir()
    (evidence / key).rename(left / f"{EARLIER}0-{key}")
    assert not bench.store.has(key)
    bench.store.clean()
    assert bench.store.has(key)
    assert [path.name for path in evidence.iterdir()] == [key]


def test_the_last_decision_counts_and_is_said_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before, entry = (Entry(student="s01", submission="a", key=key) for key in ("b", "c"))
    other = Entry(student="s02", submission="c", fault="it broke")
    store.note("hw", before, other)
    for _ in range(2):
        store.note("hw", entry, other)
    assert store.entries("hw") == {"s01": entry, "s02": other}
    with store.database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(DECISIONS)) == 3


def test_why_something_is_executed_is_said(tmp_path: Path, symbolic: Symbolic) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION, s02=["x = 1"], s03=["y = 1"])

    def why(*, fresh: bool = False, **limits: Any) -> dict[str, int]:
        bench.assignment = bench.course.open("hw", symbolic)
        bench.plan = bench.assignment.plan("fake image", **limits)
        bench.run(FakeSandbox(*[bench.right()] * 3), fresh=fresh)
        return bench.listened.reasons

    rubric = bench.course.rubric_path("hw")
    assert why() == {"never executed": 3}
    rubric.write_text(rubric.read_text().replace("credit: 0.25", "credit: 0.5"))
    assert why() == {}, "what is only scored otherwise executes nothing"
    write(tmp_path / "submissions" / "hw" / "s02" / "hw.ipynb", notebook("x = 2"))
    write(tmp_path / "submissions" / "hw" / "s04" / "hw.ipynb", notebook("z = 2"))
    (bench.store.root / "evidence" / bench.store.entries("hw")["s03"].key / "frames.bin").unlink()
    assert why() == {
        "handed in anew": 1,
        "its evidence is gone or damaged": 1,
        "never executed": 1,
    }
    rubric.write_text(rubric.read_text().replace("normal(3)", "normal(4)"))
    assert why() == {"2 asks something else": 4}
    assert why(memory_mib=512) == {"other limits (memory_mib 1024 -> 512)": 4}
    assert why(memory_mib=512, fresh=True) == {"as --fresh asks": 4}
    write(tmp_path / "reference" / "hw" / "student" / "data" / "a.txt", "1")
    assert why(memory_mib=512) == {"other data/": 4}
    bench.assignment = bench.course.open("hw", symbolic)
    bench.plan = bench.assignment.plan("another", memory_mib=512)
    bench.run(FakeSandbox([]))
    told = "another environment (image, Python, packages, or another isolation)"
    assert bench.listened.reasons == {told: 4}
    bench.run(FakeSandbox(bench.right()))
    assert bench.listened.reasons == {"a fault of the grader or the machine stopped it before": 4}


# --- the starter ----------------------------------------------------------------------------------


def failing(bench: Bench, index: int) -> list[Any]:
    """A run in which one cell could not be reached by the network, and nothing was defined."""
    raised = {"ename": "URLError", "evalue": "no network"}
    probes = [
        ("probe", NOTHING, {"id": p.id, "status": "missing", "wall_s": 0.1})
        for p in bench.plan.probes
    ]
    cell = ("cell", raised, {"index": index, "status": "error", "wall_s": 0.1})
    ready = ("ready", NOTHING, {"guest": "1"})
    return [ready, cell, *probes, ("end", NOTHING, {"ending": "complete"})]


FETCH = "count = fetch('https://example.org')"
GIVEN = ["# Homework", FETCH, "def double(x):\n    return None", "## 3\n*Your words.*"]


def with_starter(tmp_path: Path, symbolic: Symbolic, **students: list[str]) -> Bench:
    """A course whose starter has a cell that needs a network."""
    bench = Bench(tmp_path, symbolic, **students)
    given = notebook(*GIVEN)
    write(tmp_path / "reference" / "hw" / "student" / "hw.ipynb", given)
    bench.assignment = bench.course.open("hw", symbolic)
    return bench


def test_a_cell_that_fails_in_the_starter_too_costs_nobody_points(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = with_starter(tmp_path, symbolic, s01=["x = 1", FETCH])
    given = FakeSandbox(failing(bench, 1))
    told = bench.assignment, bench.plan, Local(given), bench.store
    bugs: list[str] = []
    assert (execute_starter(*told, bugs), execute_starter(*told, bugs), bugs) == ("", "", [])
    assert given.count == 1, "it is executed once"
    bench.run(FakeSandbox(failing(bench, 1)))
    score = bench.scores()["s01"]
    assert points(score) == {"1": None, "2": 0, "3": 0}
    assert score.questions[0].checks[0].feedback == (
        "count is not there: cell 2 raised URLError: no network. "
        "That cell is the starter's own, so a person will look."
    )
    assert score.note == "cell 2 raised URLError: no network, as in the starter"


def test_without_the_starters_run_what_fails_in_it_waits_for_a_person(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = with_starter(
        tmp_path, symbolic, s01=["x = 1", FETCH], s02=["x = 1", FETCH + "  # mine"]
    )
    fault = execute_starter(bench.assignment, bench.plan, Local(FakeSandbox([])), bench.store, [])
    assert "never became ready" in fault
    assert starter_known(bench.assignment, bench.store).unknown == fault
    bench.run(FakeSandbox(failing(bench, 1), failing(bench, 1)))
    scores = bench.scores()
    assert points(scores["s01"]) == {"1": None, "2": 0, "3": 0}
    assert scores["s01"].note == "cell 2 raised URLError: no network, perhaps as in the starter"
    assert points(scores["s02"]) == {"1": 0, "2": 0, "3": 0}, "a cell of their own"


def test_a_starter_that_was_changed_is_not_known_by_its_old_run(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = with_starter(tmp_path, symbolic, s01=["x = 1", FETCH])
    execute_starter(
        bench.assignment, bench.plan, Local(FakeSandbox(bench.right())), bench.store, []
    )
    bench.run(FakeSandbox(failing(bench, 1)))
    assert points(bench.scores()["s01"])["1"] == 0, "it does not fail in the starter"
    given = notebook(*GIVEN, "anew = 1")
    write(tmp_path / "reference" / "hw" / "student" / "hw.ipynb", given)
    bench.assignment = bench.course.open("hw", symbolic)
    known = starter_known(bench.assignment, bench.store)
    assert known.unknown == "it was not executed: grader run"
    assert points(bench.scores()["s01"])["1"] is None


def test_what_may_be_in_a_file_that_was_not_taken_waits_for_a_person(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    mine = replace(next(iter(bench.handed)), unread={"b.ipynb": "b.ipynb is empty"})
    told = bench.right()
    number = next(n for n, frame in enumerate(told) if frame[2].get("id") == "1/1/value")
    told[number] = ("probe", NOTHING, {"id": "1/1/value", "status": "missing", "wall_s": 0.1})
    evidence = execute(mine, bench.plan, FakeSandbox(told), None).evidence()
    scored = score(evidence, mine, bench.assignment)
    assert points(scored) == {"1": None, "2": 2, "3": None}
    assert scored.questions[0].checks[0].feedback == (
        "count is not defined. It may be in what was not taken (b.ipynb is empty): "
        "a person will look."
    )
    assert points(score(evidence, replace(mine, unread={}), bench.assignment))["1"] == 0


def test_an_untouched_starter_is_noted_and_earns_nothing(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = with_starter(tmp_path, symbolic, s01=GIVEN)
    sandbox = FakeSandbox(failing(bench, 1))
    assert execute_starter(bench.assignment, bench.plan, Local(sandbox), bench.store, []) == ""
    bench.run(sandbox)
    assert sandbox.count == 1, "it is the same submission"
    score = bench.scores()["s01"]
    assert points(score) == {"1": 0, "2": 0, "3": 0}
    assert score.note == "the untouched starter; cell 2 raised URLError: no network"


def test_a_cell_that_was_left_out_is_noted_and_did_not_fail(
    tmp_path: Path, symbolic: Symbolic
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    path = bench.course.root / "submissions" / "hw" / "s01" / "hw.ipynb"
    written = json.loads(path.read_text())
    written["cells"][0]["metadata"]["tags"] = ["skip-grading"]
    path.write_text(json.dumps(written))
    told = bench.right()
    told[1][2]["status"] = "left_out"
    bench.run(FakeSandbox(told))
    score = bench.scores()["s01"]
    assert score.note == "cell 1 was not run at grading: tagged skip-grading"
    assert score.status is Status.COMPLETE


@pytest.mark.parametrize(
    ("gpu", "preferred", "note"),
    [
        (None, True, "ran on the CPU, because there was no GPU for it"),
        ("NVIDIA T4", True, ""),
        (None, False, ""),
    ],
    ids=["preferred and not had", "had", "not asked for"],
)
def test_a_run_on_the_cpu_in_place_of_a_gpu_is_noted(
    tmp_path: Path, symbolic: Symbolic, gpu: str | None, preferred: bool, note: str
) -> None:
    bench = Bench(tmp_path, symbolic, s01=SOLUTION)
    context = bench.assignment
    rubric = replace(context.rubric, gpu_preferred=preferred)
    bench.assignment = replace(context, rubric=rubric)
    (_, _, ready), *rest = bench.right()
    bench.run(FakeSandbox([("ready", NOTHING, {**ready, "gpu": gpu}), *rest]))
    assert bench.scores()["s01"].note == note
