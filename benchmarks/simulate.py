"""What it takes to get very many submissions through the scheduling code, executing none."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.course import SLUG, write_course
from benchmarks.replay import KEY_BYTES, signed
from grader.batch import Batch
from grader.cluster.far import cluster
from grader.cluster.messages import Ran, ran, read_reply
from grader.cluster.serve import schedule, work
from grader.cluster.station import Station
from grader.course import Course
from grader.execute import Run
from grader.executor import Executor, Local
from grader.frames import FrameReader
from grader.intake.folders import Handed
from grader.plan import Limits, Plan
from grader.sandbox.base import Stopped
from grader.sandbox.process import ProcessSandbox
from grader.store import Store
from grader.submission import Submission
from grader.symbolic import Symbolic

HELP = """Put a class of any size through a batch, and show where time and memory go.

One notebook is executed, in a process. All others are read from disk, go through the batch, its
executor and, with --workers, a real Dask scheduler and real workers; there the recorded frames come
back, freshly signed, after --seconds. They are read strictly, kept and noted.

\b
Examples:
  python -m benchmarks.simulate --students 100000
  python -m benchmarks.simulate --students 100000 --workers 2 --slots 16
  python -m benchmarks.simulate --students 2000 --workers 4 --slots 50 --seconds 10
"""
ADDRESS = "tcp://127.0.0.1:18786"


class Recorded:
    """A sandbox that gives every run the same frames, freshly signed, after a while."""

    def __init__(self, recording: Ran, image: str, wall_s: float) -> None:
        """Keep what is played."""
        self.name, self.image, self.watch_memory = "process", image, True
        self._recording, self._wall_s = recording, wall_s

    def run(
        self,
        box: bytes,
        reader: FrameReader,
        *,
        limits: Limits,
        data: Path | None,
        lib: Path | None = None,
    ) -> Stopped:
        """See `Sandbox.run`."""
        time.sleep(self._wall_s)
        reader.feed(signed(self._recording.raw, box[:KEY_BYTES]))
        return self._recording.stopped

    def close(self) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class Watch:
    """Listens to a batch, and adds up what its steps take in the grader's own process."""

    begun: float = field(default_factory=time.monotonic)
    planned_s: float = 0.0
    planned_mib: float = 0.0
    done: int = 0
    faults: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def planned(self, new: int, known: int, alike: int) -> None:
        """All were read once."""
        self.planned_s = time.monotonic() - self.begun
        self.planned_mib = own_mib()

    def explained(self, reasons: Mapping[str, int]) -> None:
        """Nothing."""

    def awaited(self, count: int) -> None:
        """Nothing."""

    def began(self, student: str) -> None:
        """Nothing."""

    def retried(self, student: str, why: str) -> None:
        """Nothing that should happen here."""
        click.echo(f"retry: {why}")

    def finished(self, student: str, says: str, *, fault: bool) -> None:
        """Count."""
        self.done += 1
        self.faults += fault

    def timed(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with the processor time of its thread added up."""

        def counted(*args: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return call(*args, **named)
            finally:
                took = time.thread_time() - begun
                with self._lock:
                    self.cpu_s[step] = self.cpu_s.get(step, 0.0) + took

        return counted


@dataclass(slots=True)
class Watched:
    """An executor whose executions are timed."""

    inner: Executor
    watch: Watch

    @property
    def name(self) -> str:
        """The inner one's."""
        return self.inner.name

    @property
    def image(self) -> str:
        """The inner one's."""
        return self.inner.image

    def at_once(self, limits: Limits) -> int:
        """The inner one's."""
        return self.inner.at_once(limits)

    def why_no_gpu(self, limits: Limits) -> str:
        """The inner one's."""
        return self.inner.why_no_gpu(limits)

    def execute(
        self,
        submission: Submission,
        plan: Plan,
        *,
        data: Path | None,
        lib: Path | None,
        alone: bool = False,
    ) -> Run:
        """Execute there, and note how much of our own time it took."""
        run: Run = self.watch.timed("send, wait, check what came back", self.inner.execute)(
            submission, plan, data=data, lib=lib, alone=alone
        )
        return run

    def close(self) -> None:
        """Close the inner one."""
        self.inner.close()


@click.command(help=HELP)
@click.option("--students", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--workers", type=click.IntRange(0), default=0, help="Of a cluster; 0: threads here.")
@click.option("--slots", type=click.IntRange(1), default=2, help="Submissions at a time, each.")
@click.option("--seconds", default=0.0, help="How long each execution takes.")
def simulate(students: int, workers: int, slots: int, seconds: float) -> None:
    """Measure; see `HELP`."""
    with tempfile.TemporaryDirectory(prefix="simulate-") as name, Symbolic() as symbolic:
        root = Path(name)
        write_course(root, students)
        course = Course(root)
        assignment = course.open(SLUG, symbolic)
        handed = Handed(root / "submissions" / SLUG, SLUG)
        played = recorded(handed, assignment.plan("recorded"), root / "recording")
        with ExitStack() as stack:
            if workers:
                processes = stack.enter_context(
                    serving(root / "recording", workers, slots, seconds)
                )
                console = Console()
                executor: Executor = stack.enter_context(cluster(ADDRESS, None, console))
            else:
                processes, executor = [], Local(Recorded(played, "recorded", seconds))
            watch, before = Watch(), own_mib()
            cpu = psutil.Process().cpu_times()
            plan = assignment.plan("recorded")
            jobs = executor.at_once(plan.limits) or slots
            batch = Batch(
                assignment=assignment,
                plan=plan,
                executor=Watched(executor, watch),
                store=Store(course.state),
                jobs=jobs,
                listener=watch,
                load=watch.timed("read the notebook again", handed.read),
            )
            batch.execute(handed)
            wall_s, used = time.monotonic() - watch.begun, psutil.Process().cpu_times()
            cpu_s = used.user + used.system - cpu.user - cpu.system
            others = [psutil.Process(process.pid) for process in processes]
            others_s = [sum(other.cpu_times()[:2]) for other in others]
            others_mib = [other.memory_info().rss / 2**20 for other in others]
        if (watch.done, watch.faults) != (students, 0):
            raise click.ClickException(
                f"{watch.faults} faults among {watch.done}: {batch.bugs[:1]}"
            )
        table = Table(box=None, show_header=False)
        running_s = wall_s - watch.planned_s
        rows = [
            ("students", f"{students}"),
            ("under way at once", f"{jobs}"),
            ("wall", f"{wall_s:.1f} s, {1000 * wall_s / students:.2f} ms each"),
            ("first pass: read, digest, look up", f"{watch.planned_s:.1f} s"),
            ("the rest", f"{running_s:.1f} s, {students / running_s:.0f} a second"),
            (
                "busy with executions",
                f"{100 * students * seconds / running_s / max(1, jobs):.0f} %",
            ),
            (
                "processor time of the grader",
                f"{cpu_s:.1f} s, {1000 * cpu_s / students:.2f} ms each",
            ),
            *((f"  {step}", f"{took:.1f} s") for step, took in watch.cpu_s.items()),
            ("memory before", f"{before:.0f} MiB"),
            ("  after the first pass", f"{watch.planned_mib:.0f} MiB"),
            ("  at the end", f"{own_mib():.0f} MiB"),
        ]
        for number, (took, mib) in enumerate(zip(others_s, others_mib, strict=True)):
            who = f"worker {number}" if number else "scheduler"
            rows.append((who, f"{took:.1f} s of processor time, {mib:.0f} MiB"))
        for row in rows:
            table.add_row(*row)
        Console(highlight=False).print(table)


def recorded(handed: Handed, plan: Plan, path: Path) -> Ran:
    """Execute the first notebook, and keep what came of it."""
    local = Local(ProcessSandbox())
    run = local.execute(handed.read(handed.students[0]), plan, data=None, lib=None)
    path.write_bytes(ran(run.stopped, bytes(run.reader.raw)))
    return read_reply(path.read_bytes(), plan.limits)


@contextmanager
def serving(
    recording: Path, workers: int, slots: int, seconds: float
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A scheduler and workers that play the recording; the scheduler comes first."""
    told = [str(recording), str(slots), str(seconds)]
    parts = [["scheduler"], *(["worker", *told] for _ in range(workers))]
    processes = []
    try:
        for part in parts:
            command = [sys.executable, "-m", "benchmarks.simulate", *part]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
            processes.append(process)
            if not any(b"ready at" in line for line in process.stdout or ()):
                raise click.ClickException(f"{' '.join(command)} ended")
        yield processes
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def play(recording: str, slots: str, seconds: str) -> None:
    """Be a worker that plays a recording."""
    played = read_reply(Path(recording).read_bytes(), Limits())
    station = Station(lambda: nullcontext(Recorded(played, "recorded", float(seconds))), None)
    resources = {"sandbox": float(slots), "MiB": 1e9}
    work(ADDRESS, None, station, resources, Console())


def own_mib() -> float:
    """Memory of this process now."""
    return float(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    if sys.argv[1:2] == ["scheduler"]:
        schedule(ADDRESS, None, Console())
    elif sys.argv[1:2] == ["worker"]:
        play(*sys.argv[2:])
    else:
        simulate()
