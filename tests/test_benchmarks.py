"""What the benchmarks stand on; their figures are measured by hand and asserted nowhere."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from frames_of import Writer
from rich.console import Console

from benchmarks.contestants import Nbclient, Nbgrader, Otter, Ours, Size
from benchmarks.copied_class import change_reference, change_rubric, samples, write_class
from benchmarks.cost import Cost, Failed, busy_s, measured
from benchmarks.course import SLUG, write_course
from benchmarks.growth import STEPS, Took, draw, space_mib
from benchmarks.rates import Raced, aims, ratios, table
from benchmarks.replay import KEY_BYTES, Recorder, Replay, kind_of, signed
from grader.course import Course
from grader.errors import ProtocolViolation
from grader.frames import FrameReader
from grader.intake.folders import read_submission
from grader.plan import Limits
from grader.sandbox.base import Cause, Stopped
from grader.symbolic import Symbolic

KEY, OTHER = b"k" * 32, b"o" * 32


def test_the_course_of_the_measurements_has_a_valid_rubric_and_no_identical_notebooks(
    tmp_path: Path,
) -> None:
    folder = write_course(tmp_path, 3)
    with Symbolic() as symbolic:
        assignment = Course(tmp_path).open(SLUG, symbolic)
    students = [read_submission(one, SLUG) for one in sorted(folder.iterdir())]
    assert [len(one.cells) for one in students] == [4, 4, 4]
    assert len({one.digest for one in students}) == 3
    assert len(assignment.plan("image").probes) == 5


def test_replayed_frames_are_accepted_under_the_new_key_only() -> None:
    told = {"index": 0, "attempt": 1, "status": "ok", "wall_s": 0.0}
    frames = bytes(Writer(KEY).ready().write("cell", {"text": "x"}, **told).end().out)
    replayed = FrameReader(OTHER, Limits())
    replayed.feed(signed(frames, OTHER))
    assert replayed.ended
    assert [frame.kind for frame in replayed.frames] == ["ready", "cell", "end"]
    with pytest.raises(ProtocolViolation):
        FrameReader(OTHER, Limits()).feed(frames)


def cost(wall_s: float) -> Cost:
    return Cost(wall_s=wall_s, busy_s=8.0, own_s=1.0)


def test_a_ratio_is_of_the_same_round_and_rounds_with_a_failure_have_none() -> None:
    ours = Raced(name="ours", notebooks=4, costs=[cost(3.0), cost(9.0), None])
    base = Raced(name="base", notebooks=4, costs=[cost(2.0), None, cost(1.0)])
    assert ratios(base, ours) == [1.5]


def test_whoever_gets_fewer_notebooks_is_compared_by_notebooks_a_minute() -> None:
    ours = Raced(name="grader run, docker-warm", notebooks=40, costs=[cost(20.0)])
    peer = Raced(name="otter run", notebooks=10, costs=[cost(100.0)])
    assert (ours.rates, peer.rates) == ([120.0], [6.0])
    assert aims([ours, peer]) == [
        "aim: grader run, docker-warm: at least 25 times as many notebooks a minute as otter run; "
        "seen: 20.00 (20.00-20.00)"
    ]


def test_the_table_has_every_ratio_and_what_a_notebook_costs() -> None:
    raced = [
        Raced(name="grader run, docker", notebooks=4, costs=[cost(30.0), None]),
        Raced(name="plain nbclient", notebooks=4, costs=[cost(24.0), cost(20.0)]),
        Raced(name="nbgrader autograde", notebooks=1, costs=[cost(12.0), cost(12.0)]),
    ]
    console = Console(width=140, record=True, file=StringIO())
    console.print(table(raced, "title"))
    lines = console.export_text().splitlines()
    shown = [" | ".join(filter(None, map(str.strip, line.split("  ")))) for line in lines]
    assert shown == [
        "title",
        "nbs | wall s | nbs/min | own s/nb | busy s/nb | x nbclient | x nbgrader",
        "grader run, docker (failed in 1 of 2) | 4 | 30.0 | 8.0 | 0.25 | 2.00"
        " | 0.80 (0.80-0.80) | 1.60 (1.60-1.60)",
        "plain nbclient | 4 | 22.0 | 11.0 | 0.25 | 2.00 | 1.00 (1.00-1.00) | 2.20 (2.00-2.40)",
        "nbgrader autograde | 1 | 12.0 | 5.0 | 1.00 | 8.00 | 0.46 (0.42-0.50) | 1.00 (1.00-1.00)",
    ]


def test_busy_time_leaves_out_idling_and_waiting_for_disks(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 200 300 9999 9999 10 20 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n")
    assert busy_s(stat) == 6.3


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="exit code 3: no luck"):
        measured(["sh", "-c", "echo no luck; exit 3"], env={}, log=tmp_path / "log", cwd=tmp_path)


@pytest.mark.parametrize(
    "contestant",
    [Ours("docker"), Nbclient(), Otter("/there/python")],
    ids=lambda one: str(one.name),
)
def test_a_contestant_prepares_a_notebook_for_each_student(
    contestant: Ours | Nbclient | Otter, tmp_path: Path
) -> None:
    contestant.prepare(tmp_path, Size(notebooks=2, workers=1))
    assert len(list(tmp_path.rglob("*.ipynb"))) == 2


def test_nbgrader_runs_one_at_a_time_however_many_are_asked_for(tmp_path: Path) -> None:
    one = Nbgrader("/there/python")
    assert one.command(tmp_path, Size(notebooks=2, workers=1)) == one.command(
        tmp_path, Size(notebooks=2, workers=8)
    )


class Told:
    """A sandbox whose guest says one word of a cell, and ends."""

    name, image, watch_memory = "told", "an image", False

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        told = {"index": 0, "attempt": 1, "status": "ok", "wall_s": 0.0}
        reader.feed(bytes(Writer(box[:KEY_BYTES]).ready().write("cell", {}, **told).end().out))
        return Stopped(cause=Cause.EXITED, exit_code=0, wall_s=1.5)

    def close(self) -> None:
        """Nothing is open."""


def test_what_was_recorded_of_one_student_is_replayed_to_another_with_the_same_notebook(
    tmp_path: Path,
) -> None:
    recorder = Recorder(Told(), tmp_path)
    box, limits = KEY + b'["x = 1\\n# student 00001"]', Limits()
    stopped = recorder.run(box, FrameReader(KEY, limits), limits=limits, data=None)
    replay, replayed = Replay(tmp_path), FrameReader(OTHER, limits)
    other = OTHER + b'["x = 1\\n# student 00002"]'
    assert replay.run(other, replayed, limits=limits, data=None) == stopped
    assert [frame.kind for frame in replayed.frames] == ["ready", "cell", "end"]
    assert (replay.name, replay.image, replay.watch_memory) == ("told", "an image", False)


def test_notebooks_that_say_something_else_are_not_of_the_same_kind() -> None:
    box, other = KEY + b"x = 1 # student 00001", KEY + b"x = 2 # student 00001"
    assert kind_of(box) != kind_of(other)


@pytest.mark.slow
def test_samples_are_those_that_run_to_their_end() -> None:
    names = [folder.name for folder in samples("nyu_hw4", 18)]
    assert (len(names), names[0]) == (18, "s01")
    assert not {"s17", "s18", "s19", "s24"} & set(names)


def test_no_two_notebooks_of_a_class_are_identical(tmp_path: Path) -> None:
    write_class(tmp_path / "class", "nyu_hw4", 3, samples("nyu_hw4", 2))
    folders = sorted((tmp_path / "class" / "submissions" / "nyu_hw4").iterdir())
    assert [folder.name for folder in folders] == ["student00000", "student00001", "student00002"]
    assert len({read_submission(folder, "nyu_hw4").digest for folder in folders}) == 3


@pytest.mark.slow
def test_another_rubric_and_reference_of_a_class_ask_for_no_new_execution(tmp_path: Path) -> None:
    write_class(tmp_path / "class", "nyu_hw4", 1, samples("nyu_hw4", 1))
    course = Course(tmp_path / "class")
    with Symbolic() as symbolic:
        before = course.open("nyu_hw4", symbolic)
        change_rubric(course.root, "nyu_hw4")
        change_reference(course.root, "nyu_hw4")
        after = course.open("nyu_hw4", symbolic)
    assert after.plan("image").digest == before.plan("image").digest
    assert [one.rubric.questions[-1].points for one in (before, after)] == [3, 4]


def test_disk_space_is_counted_in_whole_blocks(tmp_path: Path) -> None:
    empty = space_mib(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= (space_mib(tmp_path) - empty) * 2**20 < 120_000


@pytest.mark.slow
def test_the_plot_has_a_curve_for_every_command(tmp_path: Path) -> None:
    found = [
        Took(
            students=n,
            step=step,
            cost=cost(2.0),
            peak_mib=90.0,
            state_mib=n / 9,
            reports_mib=n / 99,
        )
        for n in (10, 100)
        for step in STEPS
    ]
    draw(found, tmp_path / "growth.svg")
    drawn = (tmp_path / "growth.svg").read_text()
    titles = "seconds by the clock (dotted: of processors)", "MiB of memory", "MiB on disk"
    for words in (*STEPS, *titles, ".grader/"):
        assert f">{words}</text>" in drawn
