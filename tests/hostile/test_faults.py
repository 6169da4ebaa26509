"""Faults of ours: each becomes a retry, or waits for a person with the score empty.

Whatever breaks, nobody gets a score from it, and a plain run afterwards gives the right one.
"""

from __future__ import annotations

import ast
import gc
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker as sdk
import psutil
import pytest
import standin
from boxes import Opener
from conftest import open_sandbox
from small_course import notebook, write

from grader.batch import Batch, Silent, score_all
from grader.course import Course
from grader.errors import InputError
from grader.executor import Local
from grader.intake.folders import Handed
from grader.sandbox import docker, engine
from grader.sandbox.base import Sandbox
from grader.store import Store
from grader.symbolic import Symbolic
from grader.verdict import Score, Status
from hostile.course import RIGHT, SLUG, make_course
from hostile.wire import ATTACH, CREATE, INSPECT, START, Break, Wire, wire_to_engine

FULL = {"number": 1, "formula": 1, "function": 2, "network": 2}
FULL |= {"measured": 1, "curve": 1, "printed": 1, "by_hand": 1, "quick": 1, "found": 1}
NOTHING = dict.fromkeys(FULL)
WAITS = "import time\ntime.sleep(2)"
ATTEMPTS = 2
in_containers = pytest.mark.parametrize("name", ["docker", "docker-warm"])


@pytest.fixture(scope="module")
def symbolic() -> Iterator[Symbolic]:
    with Symbolic() as started:
        yield started


class Grading:
    """A course with one student, who has everything right."""

    def __init__(self, root: Path, symbolic: Symbolic, *more: str) -> None:
        self.course: Course = make_course(root)
        self.handed_in = root / "submissions" / SLUG
        write(self.handed_in / "s01" / f"{SLUG}.ipynb", notebook(*RIGHT.values(), *more))
        self.assignment = self.course.open(SLUG, symbolic)
        self.retries: list[str] = []

    def run(self, sandbox: Sandbox, **limits: Any) -> Score:
        """As `grader run` does; nothing may be a bug of the grader."""
        handed, store = Handed(self.handed_in, SLUG), Store(self.course.state)
        listener = Listener()
        batch = Batch(
            assignment=self.assignment,
            plan=self.assignment.plan(sandbox.image, **limits),
            executor=Local(sandbox),
            store=store,
            jobs=1,
            listener=listener,
            load=handed.read,
        )
        batch.execute(map(handed.read, handed.students))
        self.retries = listener.retries
        bugs = batch.bugs
        (score,) = score_all(self.assignment, handed, store, bugs)
        assert bugs == []
        return score


class Listener(Silent):
    """Remembers why something was tried again."""

    def __init__(self) -> None:
        self.retries: list[str] = []

    def retried(self, student: str, why: str) -> None:
        self.retries.append(why)


def points(score: Score) -> dict[str, float | None]:
    return {question.id: question.points for question in score.questions}


def waits_for_a_person(score: Score) -> None:
    assert (score.status, score.total, points(score)) == (Status.NEEDS_PERSON, None, NOTHING)


def is_right(score: Score) -> None:
    assert (score.status, points(score)) == (Status.COMPLETE, FULL)


@pytest.fixture
def grading(tmp_path: Path, symbolic: Symbolic) -> Grading:
    return Grading(tmp_path, symbolic)


@pytest.fixture
def wire(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A wire to the engine of this machine, by which everything goes that connects from now on."""
    opened("docker")
    with wire_to_engine() as made:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{made.path}")
        yield made


@pytest.fixture
def client(opened: Opener) -> Iterator[sdk.DockerClient]:
    """The engine itself, without the wire between."""
    opened("docker")
    with closing(engine.connect()) as connection:
        yield connection


ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\n"  # as it will be: else the next request may still go into it
    b'Content-Length: 31\r\n\r\n{"message":"something is wrong"}'
)
NONSENSE = b"\x01\x00\x00\x00\x00\x00\x00\x20" + b"this is no frame of any guest..."
#: By what happens: where, how much comes through before, and what comes in place of the rest.
BREAKS: dict[str, Callable[[], Break]] = {
    "it makes no container": lambda: Break(where=CREATE, then=ERROR),
    "it does not start one": lambda: Break(where=START, then=ERROR),
    "it does not say what it made": lambda: Break(where=INSPECT, then=ERROR),
    "it talks nonsense": lambda: Break(where=CREATE, then=b"HTTP/1.1 200 OK\r\n\r\n<html>\0\xff"),
    "it speaks no HTTP": lambda: Break(where=INSPECT, then=b"\0\xff\xfe nothing that we know"),
    "it gives no stream": lambda: Break(where=ATTACH),
    "the stream ends in the first frame": lambda: Break(where=ATTACH, after=300),
    "the stream ends in the middle of a frame": lambda: Break(where=ATTACH, after=1500),
    "the stream holds something else": lambda: Break(where=ATTACH, after=300, then=NONSENSE),
    "the stream falls silent": lambda: Break(where=ATTACH, after=300, then=lambda: time.sleep(20)),
}


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-03", "RE-04", "RE-06")
@pytest.mark.parametrize("what", BREAKS)
def test_an_engine_that_fails_twice_leaves_the_score_empty_until_a_plain_run(
    name: str, what: str, grading: Grading, wire: Wire
) -> None:
    with closing(open_sandbox(name)) as sandbox:
        for _ in range(ATTEMPTS):
            wire.breaks.append(BREAKS[what]())
        waits_for_a_person(grading.run(sandbox, start_s=5 if "silent" in what else 120))
        assert [broken.times for broken in wire.breaks] == [0, 0]
        is_right(grading.run(sandbox))


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-04", "RE-06")
@pytest.mark.parametrize(
    "what", ["it makes no container", "the stream ends in the middle of a frame"]
)
def test_an_engine_that_fails_once_costs_a_second_attempt(
    name: str, what: str, grading: Grading, wire: Wire
) -> None:
    with closing(open_sandbox(name)) as sandbox:
        wire.breaks.append(BREAKS[what]())
        is_right(grading.run(sandbox))
        assert len(grading.retries) == 1


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-04")
def test_a_stream_that_pauses_costs_nothing(name: str, grading: Grading, wire: Wire) -> None:
    with closing(open_sandbox(name)) as sandbox:
        wire.breaks.append(Break(where=ATTACH, after=300, then=lambda: time.sleep(3)))
        is_right(grading.run(sandbox))
        assert (grading.retries, wire.breaks[0].times) == ([], 0)


@pytest.fixture
def unclosed() -> Iterator[None]:
    """The SDK leaves a socket to the collector where it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-04")
@pytest.mark.usefixtures("unclosed")
def test_an_engine_that_is_started_anew_is_waited_for(
    name: str, grading: Grading, wire: Wire
) -> None:
    def restart() -> None:
        wire.down()
        threading.Timer(3, wire.up).start()

    with closing(open_sandbox(name)) as sandbox:
        wire.breaks.append(Break(where=ATTACH, after=1500, then=restart))
        is_right(grading.run(sandbox))
        assert len(grading.retries) == 1


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-04")
@pytest.mark.usefixtures("unclosed")
def test_an_engine_that_stays_away_stops_the_batch_and_costs_a_plain_run(
    name: str,
    tmp_path: Path,
    symbolic: Symbolic,
    wire: Wire,
    client: sdk.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grading = Grading(tmp_path, symbolic)
    monkeypatch.setattr(docker, "AWAY_S", 2.0)
    with closing(open_sandbox(name)) as sandbox:
        wire.breaks.append(Break(where=ATTACH, after=1500, then=wire.down))
        with pytest.raises(InputError, match=r"^the engine has not answered for 2 s \("):
            grading.run(sandbox)
    wire.up()
    assert wire.containers[0] in [found.id for found in client.containers.list(all=True)]
    with closing(open_sandbox(name)) as sandbox:
        assert wire.containers[0] not in [found.id for found in client.containers.list(all=True)]
        is_right(grading.run(sandbox))
    assert grading.retries == []


@pytest.mark.docker
@pytest.mark.slow
@in_containers
@pytest.mark.threat("RE-04")
@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_container_that_somebody_kills_is_tried_again(
    name: str, times: int, tmp_path: Path, symbolic: Symbolic, wire: Wire, client: sdk.DockerClient
) -> None:
    grading = Grading(tmp_path, symbolic, WAITS)
    kill = lambda: client.api.kill(wire.containers[-1])  # noqa: E731
    with closing(open_sandbox(name)) as sandbox:
        wire.breaks = [Break(where=ATTACH, after=1500, then=kill) for _ in range(times)]
        score = grading.run(sandbox)
        assert len(grading.retries) == 1
        if times == ATTEMPTS:
            waits_for_a_person(score)
            score = grading.run(sandbox)
        is_right(score)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.threat("RE-04", where="docker")
def test_an_image_that_is_removed_leaves_the_score_empty_until_a_plain_run(
    grading: Grading, opened: Opener, client: sdk.DockerClient
) -> None:
    plain = opened("docker")
    with closing(open_sandbox("docker")) as sandbox:
        made = client.api.create_container(sandbox.image)["Id"]
        sandbox.image = client.api.commit(made)["Id"]
        client.api.remove_container(made)
        client.api.remove_image(sandbox.image)
        score = grading.run(sandbox)
    waits_for_a_person(score)
    assert "the runner image is gone; run again, and it is built" in score.note
    is_right(grading.run(plain))


@pytest.mark.threat("RE-03", "RE-04", "RE-06")
@pytest.mark.parametrize(
    "guest",
    [
        pytest.param(standin.DIES, id="it dies"),
        pytest.param(standin.FORGES, id="a frame has the wrong code"),
        pytest.param(standin.SAYS_TOO_MUCH, id="bytes follow the end"),
        pytest.param(
            f"{standin.SPEAKS}\nready()\nout.write(b'NGE1' + bytes(9))\nout.flush()",
            id="half a frame",
        ),
        pytest.param(f"{standin.SPEAKS}\nready()\nseq += 1\nend()", id="a frame is missing"),
        pytest.param(standin.FLOODS, id="no frames at all"),
        pytest.param(standin.GOOD, id="the end without one receipt"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_guest_that_does_not_do_its_part_gives_no_score(
    guest: str, grading: Grading, process_sandbox: Sandbox
) -> None:
    with closing(open_sandbox("process", guest or "pass")) as sandbox:
        waits_for_a_person(grading.run(sandbox))


@pytest.mark.slow
@pytest.mark.threat("RE-04", where="process")
@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_guest_that_somebody_kills_is_tried_again(
    times: int, tmp_path: Path, symbolic: Symbolic, process_sandbox: Sandbox
) -> None:
    grading = Grading(tmp_path, symbolic, WAITS)
    killer = threading.Thread(target=kill_guests, args=(times,))
    killer.start()
    score = grading.run(process_sandbox)
    killer.join()
    assert len(grading.retries) == 1
    if times == ATTEMPTS:
        waits_for_a_person(score)
        score = grading.run(process_sandbox)
    is_right(score)


def kill_guests(count: int) -> None:
    """Kill so many guests of this process, each as soon as it has a kernel."""
    killed: set[int] = set()
    while len(killed) < count:
        for guest in psutil.Process().children():
            with_kernel = guest.pid not in killed and guest.is_running() and guest.children()
            if with_kernel and "main.py" in " ".join(guest.cmdline()):
                os.kill(guest.pid, signal.SIGKILL)
                killed.add(guest.pid)
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.threat("RX-10", "RE-04")
def test_a_clock_that_jumps_changes_nothing(
    grading: Grading, process_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + (-1) ** next(calls) * 10**7)
    is_right(grading.run(process_sandbox))


def test_no_limit_of_ours_is_measured_by_the_clock_on_the_wall() -> None:
    root = Path(docker.__file__).parents[1]
    asked = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("time", "time"), ("datetime", "now")}
    }
    # When a person graded, and when was scored; labels that outlive a process; the age of a file.
    assert asked == {"grading.py", "history.py", "sandbox/docker.py", "store.py"}
